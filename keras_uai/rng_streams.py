"""Names of the random streams: the constant folded into a key says what its numbers are for.

Two draws with the same key are equal. Folding in one of these constants first makes streams
independent: `random.fold_in(keys, rng_streams.Z)`. The values are part of reproducibility and must
not change.
"""

# Streams of one training step, folded into one key per image.
MASK_TILDE = 0
Z = 1
Z_SECOND = 2
Z_TILDE = 3
SPLIT = 4
SPLIT_RATIO = 5
Z_DIVERSITY = 6
FLIP = 7
IMPUTER = 8
SPLIT_CHOICE = 9
SPLIT_BY_MEASUREMENT = 10
CONTEXT_DROPOUT = 11
CROP = 12
STYLE = 13
NOISE = 14

# Streams below a mask's key: `Measurement.split` and windows of `Empirical` masks.
SPLIT_PIXELS = 0x5448
SPLIT_CELLS = 0x5449
SPLIT_RETRY = 0x544A
WINDOW = 0x57494E

# Streams below a model's or a run's seed.
TRAINING = 0x545241
EVALUATION = 0x45564C
SAMPLE = 0x53414D
STRATIFIED_MASK = 0x4C4F4F4B
CALIBRATION = 0x48494445
HOLDOUT = 0x484F4C44
COMPARISON = 0x434F4D50
