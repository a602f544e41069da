"""Whole images by tiles: the same numbers as in one piece, in the memory of a tile."""

import numpy as np
from keras import ops


class TiledGenerator:
    """Runs a generator's convolutions on tiles and its global part on whole images.

    Stands in for a `Generator` in samplers: `observe` and `decode` take and return whole images, as
    NumPy arrays. Each tile is computed with a margin of `receptive_radius` pixels, so that the
    result equals the untiled one up to rounding and there are no seams to blend. All tiles of an
    image have one shape. Features are computed again for each call of `decode`, since those of a
    large image do not fit into memory.

    Args:
        generator: A `networks.Generator` without attention and group normalisation: these would see
            a tile only.
        tile: Side of the tiles in pixels, without the margin; rounded up to a multiple of
            `generator.stride`.
        compile_function: Turns a function of tensors into a compiled one.

    Raises:
        ValueError: if a layer of the generator sees the whole image.
    """

    def __init__(self, generator, tile, compile_function=lambda name, function: function):
        if generator.normalization == "group" or generator.pyramid.attention_stride:
            raise ValueError(
                "Images can be tiled only if no layer depends on the whole image. Received: a "
                f"generator with normalization={generator.normalization!r} and "
                f"attention_level={generator.attention_level!r}. Use tile=None, or smaller images."
            )
        self.generator = generator
        self.stride = generator.stride
        self.latent_dim = generator.latent_dim
        self.noise_channels = generator.noise_channels
        self.noise_strides = generator.noise_strides
        self.tile = -(-tile // self.stride) * self.stride
        self._base = compile_function("base", generator.base)
        self._finish = compile_function("finish", generator.finish)
        self._mean = compile_function("mean_residual", self._mean_residual)
        self._decode = compile_function("decode_tile", self._decode_tile)

    def observe(self, y, mask, training=False):
        """Returns `base`, `mask` and, if the generator predicts one, `mean`, for whole images."""
        base = _numpy(self._base(y, mask))
        features = {"base": base, "mask": mask}
        if self.generator.predicts_mean:
            residual = self._by_tiles(self._mean, [base, _numpy(mask)])
            features["mean"] = _numpy(self._finish(residual, base, mask))
        return features

    def decode(self, features, style, noise, training=False):
        """Returns the images `(N, H, W, C)` of `style` and the whole images' `noise` fields."""
        fields = [_numpy(noise[stride]) for stride in self.noise_strides]
        maps = [_numpy(features["base"]), _numpy(features["mask"]), *fields]
        residual = self._by_tiles(self._decode, maps, style)
        origin = features["mean"] if self.generator.predicts_mean else features["base"]
        return self._finish(residual, origin, features["mask"])

    def _mean_residual(self, base, mask):
        return self.generator.observer([base, mask])["mean_residual"]

    def _decode_tile(self, base, mask, *rest):
        *fields, style = rest
        features = self.generator.observer([base, mask])
        levels = [features[f"stride_{stride}"] for stride in self.generator.pyramid.strides]
        return self.generator.decoder([*levels, style, *fields])

    def _by_tiles(self, function, maps, *vectors):
        """Applies `function` to windows of `maps`, and joins the tiles inside of them.

        The first map has the image's size; the others have it divided by an integer.
        """
        count, height, width, channels = maps[0].shape
        out = np.empty((count, height, width, channels), "float32")
        margin = self.generator.receptive_radius
        for top, inner_top, bottom, rows in windows(height, self.tile, margin):
            for left, inner_left, right, columns in windows(width, self.tile, margin):
                cut = []
                for v in maps:
                    s = height // v.shape[1]
                    cut.append(
                        v[:, top // s : (top + rows) // s, left // s : (left + columns) // s]
                    )
                result = _numpy(function(*cut, *vectors))
                out[:, inner_top:bottom, inner_left:right] = result[
                    :, inner_top - top : bottom - top, inner_left - left : right - left
                ]
        return out


def windows(size, tile, margin):
    """Splits `size` pixels into tiles and yields their windows, all equally large.

    Yields:
        `(start, inner_start, inner_stop, length)` of each window: it begins at `start` and holds
        the tile `[inner_start, inner_stop)` with `margin` pixels, or the image's border, around it.

    Example:

    >>> list(windows(100, 40, 10))
    [(0, 0, 40, 60), (30, 40, 80, 60), (40, 80, 100, 60)]
    """
    length = min(size, tile + 2 * margin)
    for inner in range(0, size, tile):
        start = min(max(inner - margin, 0), size - length)
        yield start, inner, min(inner + tile, size), length


def pad_to_multiple(image, stride, least=0):
    """Pads `(N, H, W, C)` with zeros at the bottom and at the right: unobserved pixels.

    Args:
        image: Array or tensor; H and W may be unknown in a graph.
        stride: The new sides are multiples of this.
        least: The new sides are at least this.
    """
    height, width = ops.shape(image)[1], ops.shape(image)[2]
    pads = [[0, _missing(height, stride, least)], [0, _missing(width, stride, least)]]
    if isinstance(image, np.ndarray):
        return np.pad(image, [[0, 0], *pads, [0, 0]])
    return ops.pad(image, [[0, 0], *pads, [0, 0]])


def _missing(size, stride, least):
    if isinstance(size, int):
        size = max(size, least) - size, max(size, least)
        return size[0] + -size[1] % stride
    return -size % stride


def _numpy(value):
    return value if isinstance(value, np.ndarray) else ops.convert_to_numpy(value)
