"""Tiles: the same numbers as in one piece, for images and tiles of any size."""

import numpy as np
import pytest
import tensorflow as tf

from keras_uai import models, sampling
from keras_uai.layers import PushPull
from keras_uai.models import inference
from keras_uai.networks import Generator
from keras_uai.sampling import tiling
from keras_uai.sampling.tiling import windows
from keras_uai.values import ValueScaling
from tests.testing import array, noise, observations, same_bits

#: The recommended generator in small: strides 2 and 4.
PARTS = {
    "width": 8,
    "max_width": 8,
    "levels": 2,
    "space_to_depth": 2,
    "normalization": "batch",
    "spectral_normalization": False,
    "attention_level": None,
    "efficient_resampling": True,
    "input_fill": "push_pull",
    "predicts_mean": True,
    "residual_conditioning": True,
    "noise_channels": 2,
    "modulation": "shift",
}
SMALL = {"width": 8, "max_width": 8, "levels": 2}


def made(measurement="DropPixel(0.5)", image_shape=(None, None, 3), sampler=None, **generator):
    """Returns a model with large weights at the end, so that samples differ."""
    model = models.UAI(
        image_shape,
        measurement,
        latent_dim=6,
        sampler=sampler,
        generator={**PARTS, **generator},
        discriminator=SMALL,
        encoder=SMALL,
    )
    for v in model.generator.weights:
        if any(part in v.path for part in ("head_image/kernel", "conv_1/kernel", "noise/")):
            v.assign(v + 0.1 * noise(*v.shape, seed=len(v.path)))
        elif v.path.endswith("moving_mean"):
            v.assign(0.1 * noise(*v.shape, seed=len(v.path)))
    return model


@pytest.fixture(scope="module")
def model():
    return made()


# -- windows and padding ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4, 40, 96, 100, 200])
@pytest.mark.parametrize(("tile", "margin"), [(4, 12), (40, 8), (48, 0), (400, 12)])
def test_windows_cover_an_image_once_with_their_margins(size, tile, margin):
    covered = np.zeros(size, int)
    found = list(windows(size, tile, margin))
    for start, first, last, length in found:
        covered[first:last] += 1
        assert 0 < last - first <= tile
        assert start >= 0
        assert start + length <= size
        assert first - start >= margin or start == 0
        assert start + length - last >= margin or start + length == size
    assert (covered == 1).all()
    assert len({length for *_, length in found}) == 1
    assert all(start % 4 == 0 for start, *_ in found)


def test_padding():
    y = noise(2, 5, 7, 3)
    for pad in (lambda v: v, tf.constant):
        padded = array(sampling.pad_to_multiple(pad(y), 4))
        assert padded.shape == (2, 8, 8, 3)
        same_bits(padded[:, :5, :7], y)
        assert not padded[:, 5:].any()
        assert not padded[:, :, 7:].any()
    assert sampling.pad_to_multiple(y, 4, 15).shape == (2, 16, 16, 3)
    assert sampling.pad_to_multiple(padded, 4) is padded
    unknown = tf.function(lambda v: sampling.pad_to_multiple(v, 4), autograph=False)
    graph = unknown.get_concrete_function(tf.TensorSpec((None, None, None, 3)))
    same_bits(graph(y), padded)


@pytest.mark.parametrize("shape", [(1, 301, 77, 3), (2, 256, 128, 1), (1, 95, 60, 3)])
@pytest.mark.parametrize("levels", [1, 3, 8])
def test_a_fill_by_strips_is_the_fill(monkeypatch, shape, levels):
    monkeypatch.setattr(tiling, "ROWS", 32)
    y = noise(*shape)
    for channels in {1, shape[-1]}:
        mask = (np.random.default_rng(0).random((*shape[:3], channels)) > 0.95).astype("float32")
        expected = array(PushPull(levels)(y, mask))
        np.testing.assert_allclose(tiling.fill_by_strips(y, mask, levels), expected, atol=1e-6)
        own = y.copy()
        assert tiling.fill_by_strips(own, mask, levels, out=own) is own
        np.testing.assert_allclose(own, expected, atol=1e-6)


# -- equal to one piece ----------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["OneStage()", "TwoStage(4, 1.5)", "TwoStage(3, 0.8)"])
@pytest.mark.parametrize(("height", "width"), [(101, 150), (97, 44)])
def test_tiles_equal_one_piece(model, sampler, height, width):
    """Sides are no multiples of the stride; tiles need not be either."""
    model.sampler = sampler
    radius = model.generator.receptive_radius
    assert max(height, width) > 20 + 2 * radius  # otherwise a window holds the whole image
    y, mask = observations(model.measurement, 2, (height, width, 3))
    whole = model.inpaint(y, mask, num_samples=2, seed=3, tile=None)
    assert whole.std(1).mean() > 0.02
    given = y.copy()
    for tile in (20, 34) if height > 100 else (4, 57):
        tiled = model.inpaint(y, mask, num_samples=2, seed=3, tile=tile)
        np.testing.assert_allclose(tiled, whole, atol=1e-5)
        same_bits(y, given)


@pytest.mark.parametrize(("height", "width"), [(101, 150), (97, 44)])
def test_tiles_of_the_mean_equal_one_piece(model, height, width):
    y, mask = observations(model.measurement, 2, (height, width, 3))
    given, whole = y.copy(), model.predict_mean(y, mask, tile=None)
    for tile in (20, 34) if height > 100 else (4, 57):
        np.testing.assert_allclose(model.predict_mean(y, mask, tile=tile), whole, atol=1e-5)
        same_bits(y, given)


@pytest.mark.parametrize(
    "generator",
    [
        {"input_fill": None, "residual_conditioning": False, "predicts_mean": False},
        {"normalization": None, "noise_channels": 0, "residual_conditioning": False},
        {"depth": 2, "efficient_resampling": False, "modulation": "scale_shift"},
        {"levels": 3, "space_to_depth": 1, "spectral_normalization": True, "min_noise_stride": 4},
        {"levels": 1, "space_to_depth": 4},
    ],
    ids=str,
)
def test_tiles_of_other_generators(generator):
    model = made(image_shape=(None, None, 1), **generator)
    side = 2 * model.generator.receptive_radius + 31
    y, mask = observations(model.measurement, 1, (side, 30, 1))
    whole = model.inpaint(y, mask, num_samples=2, tile=None)
    assert whole.std(1).mean() > 1e-3
    np.testing.assert_allclose(model.inpaint(y, mask, num_samples=2, tile=8), whole, atol=1e-5)


def test_a_model_of_fixed_size_works_in_one_piece():
    fixed = made(image_shape=(96, 64, 3), sampler="TwoStage(4, 1.5)")
    y, mask = observations(fixed.measurement, 2, (96, 64, 3))
    whole = fixed.inpaint(y, mask, num_samples=2, tile=None)
    for tile in (16, "auto"):
        same_bits(fixed.inpaint(y, mask, num_samples=2, tile=tile), whole)


def test_channels_that_are_missing_independently_and_other_units():
    rng = np.random.default_rng(0)
    from keras_uai.measurements import Empirical

    measurement = Empirical((rng.random((3, 40, 40, 2)) < 0.5).astype("uint8"))
    model = made(measurement, (None, None, 2), sampler="TwoStage(4, 2.0)")
    model.values = ValueScaling("float32", location=[10.0, -3.0], scale=[2.0, 0.5])
    mask = (rng.random((1, 90, 37, 2)) < 0.5).astype("float32")
    y = noise(1, 90, 37, 2) * mask
    whole = model.inpaint(y, mask, num_samples=2, tile=None)
    tiled = model.inpaint(y, mask, num_samples=2, tile=16)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    same_bits(tiled[:, 0][mask == 1], y[mask == 1])


def test_large_images_are_tiled_in_chunks_and_equal(model, monkeypatch):
    """`"auto"` with limits so low that images and samples are computed one by one."""
    model.sampler = "TwoStage(4, 1.5)"
    y, mask = observations(model.measurement, 3, (101, 80, 3))
    whole = model.inpaint(y, mask, num_samples=3, seed=1, tile=None)
    mean = model.predict_mean(y, mask, tile=None)
    monkeypatch.setattr(inference, "PIXELS", 5000)
    monkeypatch.setattr(inference, "TILED_PIXELS", 20_000)
    monkeypatch.setattr(inference, "TILE", 24)
    monkeypatch.setattr(inference, "ROWS", 7)
    shapes, decode = [], sampling.TiledGenerator.decode
    monkeypatch.setattr(
        sampling.TiledGenerator,
        "decode",
        lambda self, *args, **kwargs: (
            shapes.append(args[1].shape[0]) or decode(self, *args, **kwargs)
        ),
    )
    np.testing.assert_allclose(model.inpaint(y, mask, 3, seed=1), whole, atol=1e-5)
    assert sum(shapes) == 9
    assert max(shapes) < 3
    np.testing.assert_allclose(model.predict_mean(y, mask), mean, atol=1e-5)


def test_a_window_of_a_served_graph_is_a_crop_of_the_whole(model):
    """Without a global part: `sample` of a window with its origin and a margin of the radius."""
    model = made(input_fill=None, residual_conditioning=False, predicts_mean=False)
    radius = model.generator.receptive_radius
    side = 2 * radius + 40
    y, mask = (tf.constant(v) for v in observations(model.measurement, 1, (side, side, 3)))
    whole = array(model.inference.sample(y, mask, [7], 2))
    top, left, length = 16, 12, 2 * radius + 24
    cut = (slice(None), slice(top, top + length), slice(left, left + length))
    part = array(
        model.inference.sample(y[cut], mask[cut], [7], 2, np.array([[top, left]], "int32"))
    )
    inner = slice(radius, radius + 24)
    expected = whole[(slice(None), *cut)][:, :, inner, inner]
    np.testing.assert_allclose(part[:, :, inner, inner], expected, atol=1e-5)


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        ({"normalization": "group"}, "Received: a generator with normalization='group'"),
        ({"attention_level": 1}, "attention_level=1. Use tile=None, or smaller images"),
    ],
)
def test_layers_that_see_the_whole_image(generator, message, monkeypatch):
    model = made(**generator)
    with pytest.raises(ValueError, match=message):
        sampling.TiledGenerator(model.generator, 16)
    y, mask = observations(model.measurement, 1, (40, 52, 3))
    with pytest.raises(ValueError, match=message):
        model.inpaint(y, mask, tile=16)
    whole = model.inpaint(y, mask, num_samples=1)
    monkeypatch.setattr(inference, "PIXELS", 1000)
    same_bits(model.inpaint(y, mask, num_samples=1), whole)  # "auto": in one piece


@pytest.mark.parametrize("tile", [0, 2.5, "all"])
def test_other_tiles_are_refused(model, tile):
    y, mask = observations(model.measurement, 1, (16, 16, 3))
    with pytest.raises(ValueError, match=r"`tile` must be an integer.*Received: tile="):
        model.inpaint(y, mask, tile=tile)


def test_a_tile_is_a_multiple_of_the_stride():
    generator = Generator((None, None, 1), **{**PARTS, "levels": 3})
    tiled = sampling.TiledGenerator(generator, 17)
    assert (tiled.tile, tiled.stride) == (24, 8)
