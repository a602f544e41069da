"""Whole images by tiles: the same numbers as in one piece, in the memory of a tile."""

import numpy as np
from keras import ops

from keras_uai.layers import push_pull

#: Rows of a large image that a fill computes at a time; an even number.
ROWS = 256


class TiledGenerator:
    """Runs a generator's convolutions on tiles and its global part on whole images.

    Stands in for a `Generator` in samplers: `observe` and `decode` take and return whole images, as
    NumPy arrays. Each tile is computed with a margin of `receptive_radius` pixels, so that the
    result equals the untiled one up to rounding and there are no seams to blend. All tiles of an
    image have one shape. Features of a tile are computed again in each call of `decode`, since the
    features of a large image do not fit into memory.

    Args:
        generator: A `networks.Generator` without attention and group normalization, which would
            see a tile only.
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
        self._observer = compile_function("observer", self._observe_tile)
        self._decoder = compile_function("decoder", self._decode_tile)

    def observe(self, y, mask, training=False):
        """Returns `base`, `mask` and, if the generator predicts one, `mean`, of whole images.

        To save memory, y becomes `base` in place: its missing values are filled.
        """
        base, mask = np.require(_numpy(y), requirements="W"), _numpy(mask)
        if self.generator.input_fill:
            fill_by_strips(base, mask, self.generator.fill.levels, out=base)
        features = {"base": base, "mask": mask}
        if self.generator.predicts_mean:
            mean = np.empty(base.shape, "float32")
            for i in range(len(base)):
                for cut, store in self._tiles(base.shape):
                    found = self._observer(cut(base[i : i + 1]), cut(mask[i : i + 1]))
                    store(mean[i : i + 1], found["mean_residual"])
            features["mean"] = self._finish(mean, base, mask)
        return features

    def decode(self, features, style, noise, training=False, samples=1):
        """Computes whole images; arguments as in `Generator.decode`, `noise` of whole images."""
        base, mask = features["base"], features["mask"]
        style = _numpy(style)
        fields = [_numpy(noise[stride]) for stride in self.noise_strides]
        images = np.empty((len(style), *base.shape[1:]), "float32")
        for i in range(len(base)):
            for cut, store in self._tiles(base.shape):
                found = self._observer(cut(base[i : i + 1]), cut(mask[i : i + 1]))
                for j in range(i * samples, (i + 1) * samples):
                    tile = [cut(field[j : j + 1]) for field in fields]
                    store(images[j : j + 1], self._decoder(found, style[j : j + 1], tile))
        origin = features["mean"] if self.generator.predicts_mean else base
        for j, image in enumerate(images):
            i = j // samples
            self._finish(image[None], origin[i : i + 1], mask[i : i + 1])
        return images

    def _observe_tile(self, base, mask):
        return self.generator.observer([base, mask])

    def _decode_tile(self, features, style, fields):
        levels = [features[f"stride_{stride}"] for stride in self.generator.pyramid.strides]
        return self.generator.decoder([*levels, style, *fields])

    def _finish(self, output, origin, mask):
        """Does what `Generator.finish` does, in place and by channel, which bounds memory."""
        generator = self.generator
        for c in range(output.shape[-1]):
            one = slice(c, c + 1)
            if generator.residual_conditioning:
                known = mask[..., one] if mask.shape[-1] > 1 else mask
                levels = generator.conditioning.levels
                output[..., one] -= fill_by_strips(output[..., one], known, levels)
            if generator.input_fill or generator.predicts_mean:
                output[..., one] += origin[..., one]
        return output

    def _tiles(self, shape):
        """Yields `(cut, store)` of each tile of images `(N, H, W, C)`.

        `cut` returns a map's window, where a map may have fewer cells than the image has pixels;
        `store` writes the tile inside of a window's result into an image.
        """
        _, height, width, _ = shape
        margin = self.generator.receptive_radius
        for top, first, last, rows in windows(height, self.tile, margin):
            for left, begin, end, columns in windows(width, self.tile, margin):

                def cut(v, top=top, left=left, rows=rows, columns=columns):
                    s = height // v.shape[1]
                    return v[
                        :,
                        top // s : (top + rows) // s,
                        left // s : (left + columns) // s,
                    ]

                def store(
                    image,
                    found,
                    top=top,
                    left=left,
                    first=first,
                    begin=begin,
                    last=last,
                    end=end,
                ):
                    inside = _numpy(found)[:, first - top : last - top, begin - left : end - left]
                    image[:, first:last, begin:end] = inside

                yield cut, store


def fill_by_strips(y, mask, levels, out=None):
    """Computes `layers.PushPull(levels)` of a large image in strips of rows, which bounds memory.

    Args:
        y, mask: NumPy arrays; see `PushPull`.
        levels: See `PushPull`.
        out: Array for the result, which may be `y`. Default: a new one.
    """
    out = np.empty(y.shape, "float32") if out is None else out
    height = y.shape[1]
    if not levels or height <= ROWS:
        out[...] = _numpy(push_pull.PushPull(levels)(y, mask))
        return out
    strips = [slice(first, min(first + ROWS, height)) for first in range(0, height, ROWS)]
    halves = [push_pull.halve(y[:, rows] * mask[:, rows], mask[:, rows]) for rows in strips]
    known, weight = (
        np.concatenate([_numpy(v) for v in part], 1) for part in zip(*halves, strict=True)
    )
    coarse = fill_by_strips(known, weight, levels - 1, out=known)
    for rows in strips:  # a fine row depends on two coarse rows: one more at either end
        first = max(0, rows.start // 2 - 1)
        cells = coarse[:, first : -(-rows.stop // 2) + 1]
        fine = _numpy(push_pull.double(cells, y[:, 2 * first : rows.stop]))
        fine = fine[:, rows.start - 2 * first :]
        out[:, rows] = np.where(mask[:, rows] > 0.5, y[:, rows], fine)
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
    if all(isinstance(after, int) and not after for _, after in pads):
        return image
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
