"""Samplers: stateless, serializable objects that make images of the networks' predictions."""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_uai import random, rng_streams
from keras_uai.checks import check_integer
from keras_uai.configurable import Configurable, from_text
from keras_uai.networks.generator import repeat
from keras_uai.sampling.noise import draw_latents, stratified_mask


@keras.saving.register_keras_serializable("keras_uai")
class OneStage(Configurable):
    """Samples as G decodes them: `x_tilde = G(y, z)`.

    Args:
        inflation: Factor of a sample's deviation from the predicted mean; `calibrate_spread` fits
            it. Other values than 1 need a generator with `predicts_mean=True`.

    Example:

    >>> keras_uai.sampling.OneStage(inflation=1.2)
    OneStage(inflation=1.2)
    """

    def __init__(self, inflation=1.0):
        self.inflation = float(inflation)
        if not self.inflation > 0:
            raise ValueError(f"`inflation` must be positive. Received: inflation={inflation!r}")

    @property
    def needs_mean(self):
        """Whether the sampler requires a generator with `predicts_mean=True`."""
        return self.inflation != 1.0

    def __call__(self, generator, features, y, mask, keys, origin=None, latents=draw_latents):
        """Draws K samples of each observation.

        Args:
            generator: A `networks.Generator` or `TiledGenerator`.
            features: Its `observe(y, mask)`.
            y: `(N, H, W, C)`, 0 where missing; H and W are multiples of `generator.stride`.
            mask: `(N, H, W, M)`, 1 = observed.
            keys: uint32 `(N, K, 2)`, one per sample.
            origin: int32 `(N, 2)` or None; see `noise_field`.
            latents: `draw_latents`, or `zero_latents` for a model with a single answer.

        Returns:
            `(N, K, H, W, C)` float32, unclipped and not composited with y.
        """
        count = ops.shape(keys)[1]
        images = decode(generator, features, keys, y, origin, latents)
        if self.needs_mean:
            repeated = repeat({"y": y, "mask": mask, "mean": features["mean"]}, count)
            origin = None if origin is None else ops.repeat(origin, count, axis=0)
            images = self.refine(
                generator,
                images,
                repeated["mean"],
                repeated["y"],
                repeated["mask"],
                ops.reshape(keys, (-1, 2)),
                self.inflation,
                origin,
            )
        shape = ops.shape(images)
        return ops.reshape(images, (-1, count, shape[1], shape[2], images.shape[-1]))

    def refine(self, generator, images, mean, y, mask, keys, inflation, origin=None):
        """Inflates the deviations of samples of G from the mean: `(N, H, W, C)`.

        Args:
            generator, y, mask, origin: As in `__call__`, per sample.
            images: `(N, H, W, C)`, samples of G; a NumPy array is overwritten.
            mean: `(N, H, W, C)`, the predicted mean of each.
            keys: uint32 `(N, 2)`.
            inflation: Float, or a scalar tensor.
        """
        if isinstance(images, np.ndarray):  # tiles: whole images are changed in place
            images -= mean
            images *= inflation
            images += mean
            return images
        return mean + inflation * (images - mean)

    def with_inflation(self, inflation):
        """Returns a copy with another inflation."""
        return type(self)(**{**self.get_config(), "inflation": inflation})

    def get_config(self):
        return {"inflation": self.inflation}


@keras.saving.register_keras_serializable("keras_uai")
class TwoStage(OneStage):
    """Samples as the predicted mean given y and a few sampled pixels.

    Scores on hidden pixels teach G the distribution of each pixel and of averages of cells. They
    hardly teach how a pixel relates to its neighbours, since few neighbours are observed together.
    Samples of one stage are therefore grainy; the predicted mean is not. The first stage draws a
    sample and observes it at one pixel per cell (a second measurement y_tilde). The second predicts
    `E[x | y, y_tilde]`. By the tower property the mean of the samples is unchanged; their variance
    decreases by the variance that the sampled pixels leave open. `inflation` compensates for it.

    Needs a generator with `predicts_mean=True`.

    Args:
        stride: Side of the cells in pixels.
        inflation: Factor of a first-stage sample's deviation from the mean at the sampled pixels.
            `calibrate_spread` fits it.

    Example:

    >>> keras_uai.sampling.TwoStage(stride=4, inflation=1.8)
    TwoStage(stride=4, inflation=1.8)
    """

    needs_mean = True

    def __init__(self, stride=4, inflation=1.0):
        super().__init__(inflation)
        self.stride = check_integer("TwoStage", "stride", stride, 1)

    def refine(self, generator, images, mean, y, mask, keys, inflation, origin=None):
        """Predicts the mean of y and of the sampled pixels; see `OneStage.refine`."""
        images = super().refine(generator, images, mean, y, mask, keys, inflation, origin)
        height, width = ops.shape(y)[1], ops.shape(y)[2]
        seen = stratified_mask(keys, self.stride, height, width, origin)
        if isinstance(images, np.ndarray):
            seen = np.maximum(mask, ops.convert_to_numpy(seen))
            np.copyto(images, y, where=mask > 0.5)
            np.copyto(images, 0.0, where=seen <= 0.5)
            return generator.observe(images, seen)["mean"]
        seen = ops.maximum(mask, seen)
        values = ops.where(mask > 0.5, y, images)
        return generator.observe(ops.where(seen > 0.5, values, 0.0), seen)["mean"]

    def get_config(self):
        return {"stride": self.stride, **super().get_config()}


def get(identifier):
    """Returns a sampler from one, from its serialized form, or from a string.

    Args:
        identifier: A sampler; a dict; `None`, which is `OneStage()`; or a string such as
            `"TwoStage(4, 1.2)"`.

    Raises:
        ValueError: if `identifier` is none of these.
    """
    sampler = identifier
    if identifier is None:
        sampler = OneStage()
    elif isinstance(identifier, dict):
        sampler = keras.saving.deserialize_keras_object(identifier)
    elif isinstance(identifier, str):
        with contextlib.suppress(TypeError):  # another text than a sampler's
            sampler = from_text(identifier, OneStage, TwoStage)
    if not isinstance(sampler, OneStage):
        raise ValueError(
            "`sampler` must be OneStage(), TwoStage(stride, inflation) or None. "
            f"Received: sampler={identifier!r}"
        )
    return sampler


def sample_keys(seeds, num_samples):
    """Returns the keys `(N, num_samples, 2)` of the samples of images with these `seeds` `(N,)`."""
    seeds = ops.cast(seeds, "int32")[:, None]
    return random.key(seeds, rng_streams.SAMPLE, ops.arange(num_samples, dtype="int32")[None, :])


def decode(generator, features, keys, y, origin=None, latents=draw_latents):
    """Draws latents for `keys` `(N, K, 2)` and decodes them: `(N * K, H, W, C)`."""
    count = ops.shape(keys)[1]
    if origin is not None:
        origin = ops.repeat(origin, count, axis=0)
    keys = ops.reshape(keys, (-1, 2))
    style, noise = latents(generator, keys, ops.shape(y)[1], ops.shape(y)[2], origin)
    return generator.decode(features, style, noise, samples=count)
