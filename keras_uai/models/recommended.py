"""The recommended configuration; `experiments/README.md` and `tried.md` have the measurements."""

import keras

from keras_uai.measurements import Empirical, Patch
from keras_uai.models.trainable import paper_adam
from keras_uai.sampling import TwoStage

#: Arguments of `UAI`: a U-Net on blocks of 2 x 2 pixels with a push-pull fill and a predicted mean,
#: both conditioned on the observed pixels, and noise on cells of 8 pixels. No spectral
#: normalization, since proper scores train G. D, which sees fills, serves only if the adversarial
#: terms are turned on.
MODEL = {
    "ema_decay": 0.998,
    "split_ratio": (0.1, 0.5),
    "energy_scales": (None, 1, 2, 4, 8, 16),
    "sampler": TwoStage(stride=4, inflation=1.8),
    "generator": {
        "width": 40,
        "max_width": 80,
        "space_to_depth": 2,
        "efficient_resampling": True,
        "normalization": None,
        "spectral_normalization": False,
        "attention_level": None,
        "input_fill": "push_pull",
        "residual_conditioning": True,
        "predicts_mean": True,
        "noise_channels": 4,
        "min_noise_stride": 8,
        "modulation": "shift",
    },
    "discriminator": {
        "width": 32,
        "max_width": 128,
        "space_to_depth": 2,
        "efficient_resampling": True,
        "normalization": None,
        "attention_level": None,
        "input_fill": "push_pull",
        "mask_input": True,
    },
    "encoder": {
        "width": 24,
        "max_width": 96,
        "space_to_depth": 2,
        "efficient_resampling": True,
        "input_fill": "push_pull",
        "mask_input": True,
    },
}

#: Proper scores alone. A small adversarial term beside them costs a quarter of the time and, at
#: equal steps, worsens the mean's error, the CRPS and the Fréchet distance.
LOSS_WEIGHTS = {"gan": 0.0, "z": 0.0, "y": 0.0, "energy": 1.0, "splitting": 1.0}

#: With fewer kept patches than this, most pixels of an image are never observed near another
#: observed pixel. Hidden pixels say nothing about them; observations of other images do.
FEW_PATCHES = 8
FEW_PATCHES_MODEL = {
    "split_ratio": (0.1, 0.98),
    "context_dropout": 0.25,
    "sampler": TwoStage(stride=8, inflation=1.7),
}
MANY_PATCHES_MODEL = {"sampler": TwoStage(stride=4, inflation=2.2)}

#: Damage as the data show it, such as scratches: holes like these are hidden, mostly whole.
EMPIRICAL_MODEL = {
    "split_ratio": (0.05, 0.5),
    "split_by_measurement": 0.8,
    "sampler": TwoStage(stride=2, inflation=1.2),
}

#: Adam of G, with a warm-up; D keeps the paper's betas.
LEARNING_RATE = 1e-3
DISCRIMINATOR_LEARNING_RATE = 1e-3
BETA_1 = 0.9
BETA_2 = 0.99
WARMUP_STEPS = 100
BATCH_SIZE = 16


def arguments(measurement, overrides):
    """Returns the arguments of `UAI` for `measurement`, with nested dicts of `overrides` merged.

    A measurement of None stands for `Empirical` masks that are not yet known.
    """
    specific = {}
    if measurement is None or isinstance(measurement, Empirical):
        specific = EMPIRICAL_MODEL
    elif isinstance(measurement, Patch):
        specific = FEW_PATCHES_MODEL if measurement.n < FEW_PATCHES else MANY_PATCHES_MODEL
    merged = {**MODEL, **specific}
    for name, value in overrides.items():
        nested = isinstance(merged.get(name), dict) and isinstance(value, dict)
        merged[name] = {**merged[name], **value} if nested else value
    return merged


def compile_arguments(measurement, steps=None):
    """Returns the arguments of `compile`; with `steps` the rates fall to 0 along a cosine."""
    few = isinstance(measurement, Patch) and measurement.n < FEW_PATCHES
    rate = schedule(LEARNING_RATE, steps)
    return {
        "optimizer": keras.optimizers.Adam(rate, beta_1=BETA_1, beta_2=BETA_2),
        "discriminator_optimizer": paper_adam(schedule(DISCRIMINATOR_LEARNING_RATE, steps)),
        "loss_weights": {**LOSS_WEIGHTS, **({"marginal": 1.0} if few else {})},
    }


def schedule(rate, steps):
    """Returns `rate`, or with `steps` a warm-up to it and half a cosine down to 0."""
    if steps is None:
        return rate
    warmup = min(WARMUP_STEPS, max(1, steps // 10))
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=rate, warmup_steps=warmup
    )
