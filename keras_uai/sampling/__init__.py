"""Sampling of reconstructions: latents, samplers, tiles and spread calibration."""

from keras_uai.sampling.calibration import calibrate_spread
from keras_uai.sampling.noise import draw_latents, noise_field, stratified_mask, zero_latents
from keras_uai.sampling.samplers import OneStage, TwoStage, get, sample_keys
from keras_uai.sampling.tiling import TiledGenerator, pad_to_multiple

__all__ = [
    "OneStage",
    "TiledGenerator",
    "TwoStage",
    "calibrate_spread",
    "draw_latents",
    "get",
    "noise_field",
    "pad_to_multiple",
    "sample_keys",
    "stratified_mask",
    "zero_latents",
]
