"""Layers of the networks (section 2.4), in `keras.ops`, for images of any height and width."""

from keras_uai.layers.batch_normalization import BatchNormalization, freeze_batch_statistics
from keras_uai.layers.learned_features import LearnedFeatures
from keras_uai.layers.modulation import GatedNoise, Modulation, make_normalization
from keras_uai.layers.pixel_shuffle import PixelShuffle, PixelUnshuffle, SubpixelInitializer
from keras_uai.layers.push_pull import PushPull, ResidualConditioning
from keras_uai.layers.residual_block import ResidualBlock
from keras_uai.layers.self_attention import SelfAttention
from keras_uai.layers.spectral_normalization import (
    SpectralConv2D,
    SpectralDense,
    advance_power_iterations,
    conv2d,
)

__all__ = [
    "BatchNormalization",
    "GatedNoise",
    "LearnedFeatures",
    "Modulation",
    "PixelShuffle",
    "PixelUnshuffle",
    "PushPull",
    "ResidualBlock",
    "ResidualConditioning",
    "SelfAttention",
    "SpectralConv2D",
    "SpectralDense",
    "SubpixelInitializer",
    "advance_power_iterations",
    "conv2d",
    "freeze_batch_statistics",
    "make_normalization",
]
