"""Layers of the paper's networks (section 2.4), in `keras.ops`."""

from keras_uai.layers.batch_normalization import BatchNormalization, statistics_held
from keras_uai.layers.modulation import GatedNoise, Modulation, make_normalization
from keras_uai.layers.pixel_shuffle import PixelShuffle, PixelUnshuffle, SubpixelInitializer
from keras_uai.layers.push_pull import Anchor, PushPull
from keras_uai.layers.residual_block import ResidualBlock
from keras_uai.layers.self_attention import SelfAttention
from keras_uai.layers.spectral_normalization import (
    SpectralConv2D,
    SpectralDense,
    advance_power_iterations,
    conv2d,
)

__all__ = [
    "Anchor",
    "BatchNormalization",
    "GatedNoise",
    "Modulation",
    "PixelShuffle",
    "PixelUnshuffle",
    "PushPull",
    "ResidualBlock",
    "SelfAttention",
    "SpectralConv2D",
    "SpectralDense",
    "SubpixelInitializer",
    "advance_power_iterations",
    "conv2d",
    "make_normalization",
    "statistics_held",
]
