"""Grids show the right pixels at the right place, at their own size or enlarged as squares."""

import numpy as np
import pytest

from keras_uai.metrics import Scores, figures


def eight_bits(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


def scaled(v):
    return (v / 127.5 - 1).astype("float32")


def cells(picture, size, rows, columns):
    """The images of a picture's last rows and columns, reduced to their own pixels again."""
    zoom = max(1, round(figures.CELL / size))
    side = size * zoom
    found = np.zeros((rows, columns, size, size, 3), "uint8")
    for row, column in np.ndindex(rows, columns):
        top = picture.shape[0] - (rows - row) * (side + figures.GAP)
        left = picture.shape[1] - (columns - column) * (side + figures.GAP)
        cell = picture[top : top + side, left : left + side]
        blocks = cell.reshape(size, zoom, size, zoom, 3)
        assert np.array_equal(blocks, np.broadcast_to(blocks[:, :1, :, :1], blocks.shape))
        found[row, column] = blocks[:, 0, :, 0]
    return found


@pytest.mark.parametrize("size", [8, 32, 128])
def test_the_layout_of_figures_4_and_5(size):
    y, x = eight_bits((4, size, size, 3)), eight_bits((4, size, size, 3), 1)
    samples = eight_bits((4, 3, size, size, 3), 2)
    picture = figures.sample_grid(scaled(y), scaled(samples), scaled(x), max_samples=2)
    assert picture.dtype == np.uint8
    found = cells(picture, size, 6, 4)
    assert np.array_equal(found[0], y)
    assert np.array_equal(found[1], samples[:, 0])
    assert np.array_equal(found[2], samples[:, 1])
    assert np.abs(found[3] - samples.mean(axis=1)).max() <= 0.51
    deviation = scaled(samples).astype("float64").std(axis=1, ddof=1).mean(axis=-1)
    limit = np.quantile(deviation, 0.995)
    assert np.abs(found[4].astype(int) - figures.colour_map(deviation / limit)).max() <= 1
    assert np.array_equal(found[5], x)


def test_images_of_any_sizes_at_their_own():
    shapes = [(120, 90, 3), (70, 200, 3)]
    y, x = ([eight_bits(s, seed + i) for i, s in enumerate(shapes)] for seed in (0, 2))
    samples = [eight_bits((2, *s), 4) for s in shapes]
    picture = figures.sample_grid(
        [scaled(v) for v in y], [scaled(v) for v in samples], [scaled(v) for v in x]
    )
    gap = figures.GAP
    height, width = 6 * (120 + gap), 90 + gap + 200 + gap
    picture = picture[-height:, -width:]
    assert np.array_equal(picture[:120, :90], y[0])
    assert np.array_equal(picture[:70, 94:294], y[1])
    assert (picture[70:120, 94:294] == 255).all()
    assert np.array_equal(picture[5 * 124 :][:70, 94:294], x[1])


def test_rows_of_missing_parts_are_left_out():
    y, one = scaled(eight_bits((2, 8, 8, 3))), scaled(eight_bits((2, 1, 8, 8, 3)))
    many = np.repeat(one, 3, axis=1)
    step = 96 + figures.GAP
    heights = [
        figures.sample_grid(y, samples, **kwargs).shape[0]
        for samples, kwargs in (
            (None, {}),
            (one, {}),
            (many, {}),
            (many, {"uncertainty": False}),
        )
    ]
    assert heights == [figures.GAP + rows * step for rows in (1, 2, 6, 4)]


def test_samples_that_do_not_differ_are_certain():
    y = scaled(eight_bits((1, 8, 8, 3)))
    found = cells(figures.sample_grid(y, np.stack([y, y], axis=1)), 8, 5, 1)
    assert np.array_equal(found[4], np.broadcast_to(figures.colour_map([0.0]), found[4].shape))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_other_channels_are_shown(channels):
    y = eight_bits((1, 8, 8, channels))
    found = cells(figures.sample_grid(scaled(y), scaled(y)[:, None]), 8, 2, 1)
    shown = y[..., :3] if channels >= 3 else np.repeat(y[..., :1], 3, axis=-1)
    assert np.array_equal(found[0], shown)


def test_methods_are_compared_row_by_row():
    y, x = eight_bits((3, 8, 8, 3)), eight_bits((3, 8, 8, 3), 1)
    made = {"mean_colour": scaled(x[::-1]), "model, predicted mean": scaled(y)}
    found = cells(figures.sample_grid(scaled(y), None, scaled(x), others=made), 8, 4, 3)
    for row, expected in zip(found, (y, x[::-1], y, x), strict=True):
        assert np.array_equal(row, expected)
    mean = cells(
        figures.sample_grid(scaled(y), scaled(y[:, None].repeat(2, 1)), mean=scaled(x)), 8, 5, 3
    )
    assert np.array_equal(mean[3], x)  # a predicted one, in place of that of the samples


def test_a_column_a_model():
    """Two observations, two samples each; the second model has one, so that its cell is empty."""
    y, x = eight_bits((2, 8, 8, 3)), eight_bits((2, 8, 8, 3), 1)
    many, one = eight_bits((2, 3, 8, 8, 3), 2), eight_bits((2, 1, 8, 8, 3), 3)
    made = {"equation 8": scaled(many), "Paired": scaled(one)}
    picture = figures.models_grid(scaled(y), made, scaled(x))
    head = picture.shape[0] - figures.GAP - 4 * (96 + figures.GAP)
    assert 20 < head < 80
    assert (picture[:head] < 255).any()  # names
    found = cells(picture[head:], 8, 4, 4)
    for image in range(2):
        first, second = found[2 * image], found[2 * image + 1]
        assert np.array_equal(first[0], y[image])
        assert np.array_equal(first[1], many[image, 0])
        assert np.array_equal(second[1], many[image, 1])
        assert np.array_equal(first[2], one[image, 0])
        assert np.array_equal(first[3], x[image])
        for empty in (second[0], second[2], second[3]):
            assert len(np.unique(empty)) == 1


def test_texts_stand_beside_the_images():
    rows = [[eight_bits((96, 96, 3))]] * 2
    bare = figures.grid(rows)
    named = figures.grid(rows, ["first", "second"], ["column"])
    assert bare.shape == (2 * 100 + 4, 100 + 4, 3)
    assert np.array_equal(cells(named, 96, 2, 1), cells(bare, 96, 2, 1))
    left, head = named.shape[1] - bare.shape[1], named.shape[0] - bare.shape[0]
    assert (named[head:, :left] < 128).any()
    assert (named[:, : left // 8] == 255).all() or left > 20  # nothing is cut off
    assert (named[:head] < 128).any()


def calibrated(scale):
    random = np.random.default_rng(0)
    found = Scores()
    x, samples = random.normal(size=(2, 8, 8, 3)), random.normal(size=(2, 6, 8, 8, 3)) * scale
    found.update(np.clip(x / 5, -1, 1), np.clip(samples / 5, -1, 1), np.zeros((2, 8, 8, 1)))
    return found.calibration()


def test_the_calibration_plot_shows_its_results():
    one, other = calibrated(1.0), calibrated(0.3)
    pictures = [
        figures.calibration_plot(results)
        for results in ({"a": one}, {"a": other}, {"a": one, "b": other}, {"a": calibrated(0.0)})
    ]
    assert len({picture.tobytes() for picture in pictures}) == 4
    for picture in pictures:
        assert picture.shape == pictures[0].shape
        assert picture.dtype == np.uint8
    assert np.array_equal(figures.calibration_plot({"a": one}), pictures[0])
