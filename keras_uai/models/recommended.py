"""The configuration that measured best so far; `experiments/README.md` and `tried.md` have the tables behind it."""

import keras

from keras_uai.measurements import Patch
from keras_uai.models.base import paper_adam

#: Arguments of `UAI`. A U-Net on 2 x 2 cells with a fill and a mean of its own, both anchored at the observed pixels,
#: and noise on cells of 8 pixels; no spectral normalisation, since G is led by scores. A second look takes the grain
#: out of samples; `look_gain` is what faces need, and `fit_look_gain` finds what yours do. For whoever turns the game
#: on: D judges fills, since of single pixels it learns nothing.
MODEL = {
    "average_decay": 0.998,
    "hide": (0.1, 0.5),
    "energy_scales": (None, 1, 2, 4, 8, 16),
    "look_cell": 4,
    "look_gain": 1.8,
    "flip": True,
    "generator": {
        "width": 40,
        "max_width": 80,
        "stem": 2,
        "lean": True,
        "normalization": "batch",
        "spectral": False,
        "attention_size": None,
        "fill": True,
        "anchor": True,
        "predicts_mean": True,
        "noise_channels": 4,
        "noise_cell": 8,
        "modulation_scales": False,
    },
    "discriminator": {
        "width": 32,
        "max_width": 128,
        "stem": 2,
        "lean": True,
        "normalization": None,
        "attention_size": None,
        "fill": True,
        "sees_mask": True,
    },
    "encoder": {
        "width": 24,
        "max_width": 96,
        "stem": 2,
        "lean": True,
        "fill": True,
        "sees_mask": True,
    },
}

#: Arguments of `compile`. Proper scores alone: a small adversarial term beside them costs a quarter of the time, and at
#: equal steps the mean's error, the CRPS and the Fréchet distance, too.
LOSS_WEIGHTS = {"gan": 0.0, "z": 0.0, "y": 0.0, "energy": 1.0, "splitting": 1.0}

#: Where a measurement keeps fewer patches than this, most places of an image are never observed near another one that
#: is: no hidden pixel tells of them, but the observations of other images do. Where nearly all of a patch is hidden,
#: pixels far from what is still seen are scored as well.
FEW_PATCHES, FEW_PATCHES_HIDE = 8, (0.1, 0.98)
#: There little is known of an image but its layout, and a second look that reads one pixel of each 8 x 8 draws that.
FEW_PATCHES_LOOK = 8
#: Gains of the second look that were fitted to faces where patches are kept, few of them or many.
FEW_PATCHES_GAIN, PATCHES_GAIN = 1.7, 2.2

#: Of Adam on the generator's side (D keeps the paper's betas), and of the data.
LEARNING_RATE, BETA_1, BETA_2, WARMUP_STEPS, BATCH_SIZE = 1e-3, 0.9, 0.99, 100, 16
DISCRIMINATOR_LEARNING_RATE = 1e-3


def for_measurement(measurement):
    """What differs for this measurement from `MODEL` and from `LOSS_WEIGHTS`, two dicts."""
    if not isinstance(measurement, Patch):
        return {}, {}
    if measurement.n < FEW_PATCHES:
        look = {"look_cell": FEW_PATCHES_LOOK, "look_gain": FEW_PATCHES_GAIN}
        return {"hide": FEW_PATCHES_HIDE, "hide_all": 0.25, **look}, {"marginal": 1.0}
    return {"look_gain": PATCHES_GAIN}, {}


def arguments(measurement, overrides):
    """`MODEL` with `overrides`; dicts of network arguments are merged."""
    recommended = {**MODEL, **for_measurement(measurement)[0]}
    merged = {n: dict(v) if isinstance(v, dict) else v for n, v in recommended.items()}
    for name, value in overrides.items():
        merged[name] = {**merged[name], **value} if isinstance(merged.get(name), dict) else value
    return merged


def compile_arguments(measurement, steps=None):
    """Optimizers, their rates constant or falling to 0 over `steps` updates, and `LOSS_WEIGHTS`."""
    rate = _schedule(LEARNING_RATE, steps)
    return {
        "optimizer": keras.optimizers.Adam(rate, beta_1=BETA_1, beta_2=BETA_2),
        "discriminator_optimizer": paper_adam(_schedule(DISCRIMINATOR_LEARNING_RATE, steps)),
        "loss_weights": {**LOSS_WEIGHTS, **for_measurement(measurement)[1]},
    }


def _schedule(rate, steps):
    """`rate`, or with `steps` a warm-up to it and half a cosine down to 0."""
    if steps is None:
        return rate
    warmup = min(WARMUP_STEPS, max(1, steps // 10))
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=rate, warmup_steps=warmup
    )
