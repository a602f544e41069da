"""Noise and masks by position: crops of the whole image's, with the right distribution."""

import numpy as np
import pytest

from keras_uai import random, rng_streams, sampling
from keras_uai.networks import Generator
from tests.testing import array, same_bits

KEYS = random.key(5, np.arange(3))


def field(keys=KEYS, stride=4, height=9, width=14, channels=3, origin=None):
    return array(sampling.noise_field(keys, stride, height, width, channels, origin))


def close(a, b):
    """Asserts equality up to the rounding of a cosine, which depends on an array's length."""
    np.testing.assert_allclose(array(a), array(b), atol=1e-6)


def mask_of(keys=KEYS, stride=4, height=24, width=40, origin=None):
    return array(sampling.stratified_mask(keys, stride, height, width, origin))


def same_numbers(a, b):
    """Compares to rounding: vectorized logarithms depend on the place in memory."""
    np.testing.assert_allclose(array(a), array(b), atol=1e-6)


def origins(*corners):
    return np.array(corners, "int32")


# -- fields of noise -------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2, 8])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_noise_of_a_crop_is_a_crop_of_the_noise(stride, channels):
    """Each image of a batch has a corner of its own."""
    whole = field(stride=stride, channels=channels)
    assert whole.shape == (3, 9, 14, channels)
    corners = [(0, 0), (2, 5), (4, 1)]
    part = field(KEYS, stride, 5, 9, channels, stride * origins(*corners))
    for i, (row, column) in enumerate(corners):
        close(part[i], whole[i, row : row + 5, column : column + 9])


def test_noise_depends_on_key_and_place_alone():
    whole = field()
    close(field(KEYS[1:2]), whole[1:2])
    close(field(channels=2), whole[..., :2])
    close(field(origin=np.zeros((3, 2), "int32")), whole)


def test_noise_is_standard_normal_and_independent():
    """Of neighbours, channels, levels and images; far from the origin, too."""
    keys, far = random.key(1, np.arange(40)), np.full((40, 2), 2**20, "int32")
    for origin in (None, far):
        z = field(keys, 4, 40, 40, 3, origin)
        few = 5 / np.sqrt(z.size)
        assert abs(z.mean()) < few
        assert abs(z.var() - 1) < few * np.sqrt(2)
        assert (np.abs(z) > 1.96).mean() == pytest.approx(0.05, abs=few)
        other_level = field(keys, 8, 40, 40, 3, origin)
        pairs = [
            (z[:, 1:], z[:, :-1]),
            (z[:, :, 1:], z[:, :, :-1]),
            (z[..., 0], z[..., 1]),
            (z[..., 1], z[..., 2]),
            (z[1:], z[:-1]),
            (z, other_level),
            (z, z.swapaxes(1, 2)[:, ::-1]),
        ]
        for a, b in pairs:
            assert abs((a * b).mean()) < 5 / np.sqrt(a.size)


# -- stratified masks ------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 8])
def test_one_pixel_of_each_cell(stride):
    found = mask_of(stride=stride)
    assert found.dtype == np.float32
    height, width = 24 // stride * stride, 40 // stride * stride
    cells = found[:, :height, :width].reshape(3, height // stride, stride, -1, stride)
    np.testing.assert_array_equal(cells.sum((2, 4)), np.ones_like(cells[:, :, 0, :, 0]))


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (23, 37)])
def test_masks_of_any_size_are_crops_of_one(size):
    whole = mask_of(height=64, width=64)
    same_bits(mask_of(height=size[0], width=size[1]), whole[:, : size[0], : size[1]])
    corners = [(0, 0), (8, 4), (12, 12)]
    part = mask_of(KEYS, 4, *size, origin=origins(*corners))
    for i, (row, column) in enumerate(corners):
        same_bits(part[i], whole[i, row : row + size[0], column : column + size[1]])


def test_places_are_uniform_and_independent():
    found = mask_of(random.key(5, np.arange(2000)), 4, 8, 8)
    share = found.mean(0)[..., 0]
    assert np.abs(share - 1 / 16).max() < 5 * np.sqrt(15 / 256 / 2000)
    together = (found[:, :4, :4] * found[:, :4, 4:]).mean(0)
    assert np.abs(together - 1 / 256).max() < 5 * np.sqrt(1 / 256 / 2000)
    same_bits(mask_of(random.key(5, np.arange(7, 9)), 4, 8, 8), found[7:9])


# -- latents of a generator ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generator():
    options = {"latent_dim": 6, "width": 8, "max_width": 8, "levels": 3, "noise_channels": 2}
    return Generator((None, None, 3), min_noise_stride=2, **options)


@pytest.mark.parametrize("draw", [sampling.draw_latents, sampling.zero_latents])
def test_latents_have_the_shapes_that_the_generator_takes(generator, draw):
    style, noise = draw(generator, KEYS, 12, 20)
    assert style.shape == (3, 6)
    assert {s: v.shape for s, v in noise.items()} == {2: (3, 6, 10, 2), 4: (3, 3, 5, 2)}
    for v in (style, *noise.values()):
        assert array(v).any() == (draw is sampling.draw_latents)


def test_latents_of_a_crop(generator):
    """Its style is that of the whole image, and its noise a crop."""
    style, noise = sampling.draw_latents(generator, KEYS, 24, 40)
    corner = origins(*[(8, 12)] * 3)
    part_style, part_noise = sampling.draw_latents(generator, KEYS, 12, 20, corner)
    close(part_style, style)
    for s, v in part_noise.items():
        rows, columns = slice(8 // s, 20 // s), slice(12 // s, 32 // s)
        close(v, array(noise[s])[:, rows, columns])


def test_streams_of_samples_are_not_those_of_masks():
    """An image's mask and its z once came from the same bits (correlation 0.78)."""
    of_masks = array(random.key(np.arange(7)[:, None], np.arange(7)[None])).reshape(-1, 2)
    samples = sampling.sample_keys(np.arange(7), 7)
    assert samples.shape == (7, 7, 2)
    keys = [samples] + [
        random.fold_in(samples, s)
        for s in (rng_streams.STYLE, rng_streams.NOISE, rng_streams.STRATIFIED_MASK)
    ]
    drawn = np.concatenate([array(k).reshape(-1, 2) for k in keys])
    assert len(np.unique(drawn, axis=0)) == 4 * 49
    assert not {tuple(k) for k in drawn} & {tuple(k) for k in of_masks}


def test_the_first_samples_do_not_depend_on_their_number():
    same_bits(array(sampling.sample_keys([3, 9], 5))[:, :2], sampling.sample_keys([3, 9], 2))
    same_bits(array(sampling.sample_keys([3, 9], 5))[1:], sampling.sample_keys([9], 5))
