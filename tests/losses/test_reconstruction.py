"""Reconstruction losses by hand; the energy score is least at the truth."""

import numpy as np
import pytest
import tensorflow as tf

from keras_uai.losses import check_energy_scales, energy_score, mean_squared_error

SCALES = (None, 1, 2, 4, 8)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def image(*rows):
    """One image of one channel."""
    return np.array(rows, "float32")[None, :, :, None]


# -- squared error ---------------------------------------------------------------------------------


def test_mean_squared_error_by_hand():
    x, y = image([1, 2], [3, 4]), image([1, 0], [0, 8])
    assert float(mean_squared_error(x, y)) == (0 + 4 + 9 + 16) / 4
    assert float(mean_squared_error(x, y, image([1, 1], [0, 0]))) == (0 + 4) / 2
    assert float(mean_squared_error(x, y, image([0, 0], [0, 1]))) == 16
    assert float(mean_squared_error(noise(5, 7), noise(5, 7))) == 0


def test_each_image_counts_alike_and_empty_ones_as_0():
    x = np.concatenate([image([1, 1], [1, 1]), image([2, 2], [2, 2]), image([5, 5], [5, 5])])
    weight = np.concatenate([image([1, 1], [1, 1]), image([1, 0], [0, 0]), image([0, 0], [0, 0])])
    assert float(mean_squared_error(x, np.zeros_like(x), weight)) == pytest.approx((1 + 4 + 0) / 3)


def test_channels_are_values():
    x = np.zeros((1, 2, 2, 3), "float32")
    x[0, 0, 0] = (1, 2, 3)
    weight = image([1, 0], [0, 0])
    assert float(mean_squared_error(x, 0 * x, weight)) == pytest.approx(14 / 3)


def test_channels_may_count_independently():
    x = np.zeros((2, 1, 2, 3), "float32")
    x[0, 0, 0] = (1, 2, 3)
    x[1] = 5
    weight = np.zeros_like(x)
    weight[0, 0, 0] = (1, 0, 1)
    weight[0, 0, 1, 2] = 1
    assert float(mean_squared_error(x, 0 * x, weight)) == pytest.approx((1 + 9 + 0) / 3 / 2)


# -- energy score ----------------------------------------------------------------------------------


def slow_energy_score(x_1, x_2, y, weight, scale):
    """The definition, one image, cell and channel at a time, in float64."""
    total, weight = 0.0, np.broadcast_to(weight, y.shape) > 0
    for *images, w in zip(*(v.astype("float64") for v in (x_1, x_2, y)), weight, strict=True):
        height, width, channels = w.shape
        step = max(1, (scale or 1) // 2)
        corners = [(0, 0)]
        if scale:  # until the image is covered
            rows, columns = (1 + max(0, -(-(size - scale) // step)) for size in (height, width))
            corners = [(i * step, j * step) for i in range(rows) for j in range(columns)]
        scores, counts = [], []
        for i, j in corners:
            cell = np.s_[i : i + scale, j : j + scale] if scale else np.s_[:, :]
            held = w[cell].sum((0, 1))
            if not held.any():
                continue
            if scale:  # the averages of each channel's selected values, which count by their number
                vectors = [
                    [v[cell][..., c][w[cell][..., c]].mean() for c in range(channels) if held[c]]
                    for v in images
                ]
                counted = held[held > 0]
            else:
                vectors, counted = [v[w] for v in images], np.ones(w.sum())
            a, b, t = (np.array(v) for v in vectors)
            d = [np.sqrt(np.average(np.square(e), weights=counted)) for e in (a - t, b - t, a - b)]
            scores.append(0.5 * (d[0] + d[1]) - 0.5 * d[2])
            counts.append(held.sum())
        total += np.average(scores, weights=counts) if scores else 0.0
    return total / len(y)


@pytest.mark.parametrize("scale", [*SCALES, 3, 5, 16])
@pytest.mark.parametrize(
    ("size", "channels", "weighted"),
    [((8, 8), 1, 1), ((8, 8), 3, 1), ((8, 8), 3, 3), ((7, 12), 2, 1), ((1, 13), 3, 3)],
)
def test_energy_score_against_its_definition(scale, size, channels, weighted):
    """Also where cells reach beyond the image, and where channels are missing independently."""
    x_1, x_2, y = (noise(4, *size, channels, seed=i) for i in range(3))
    weight = (noise(4, *size, weighted, seed=3) > 0.5).astype("float32")
    weight[0], weight[1] = 1, 0
    weight[1, 0, 3] = 1
    weight[2] = 0
    expected = slow_energy_score(x_1, x_2, y, weight, scale)
    assert float(energy_score(x_1, x_2, y, weight, (scale,))) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    ("scale", "pinned"),
    [(None, 0.739228), (1, 0.673606), (2, 0.517046), (4, 0.279025), (8, 0.144127), (16, 0.098723)],
)
def test_scores_of_version_0_1(scale, pinned):
    x_1, x_2, y = (noise(4, 16, 16, 3, seed=i) for i in range(3))
    weight = (noise(4, 16, 16, 1, seed=3) > 0.5).astype("float32")
    assert float(energy_score(x_1, x_2, y, weight, (scale,))) == pytest.approx(pinned, abs=1e-6)


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (50, 33)])
def test_every_scale_works_at_any_size(size):
    """A constant error of 2 in both samples is scored 2, whichever way cells lie."""
    y = noise(2, *size, 3)
    weight = (noise(2, *size, 1, seed=1) > 0).astype("float32")
    score = energy_score(y + 2, y + 2, y, weight, (None, 1, 2, 4, 8, 16, 32, 64, 100))
    assert float(score) == pytest.approx(2, abs=1e-3)


def test_energy_score_by_hand():
    one = image([1])
    assert float(energy_score(image([4]), image([1]), image([0]), one)) == pytest.approx(
        1.0, abs=1e-3
    )
    # norms 5 and 3 from y, 4 between the samples, over the root of two values
    row = image([1, 1])
    score = energy_score(image([3, 4]), image([3, 0]), image([0, 0]), row)
    assert float(score) == pytest.approx((0.5 * (5 + 3) - 0.5 * 4) / np.sqrt(2), abs=1e-3)
    # one cell of both pixels: means 3.5, 1.5 and 0
    pair = [np.tile(v, (1, 2, 1, 1)) for v in (image([3, 4]), image([3, 0]), image([0, 0]), row)]
    assert float(energy_score(*pair, (2,))) == pytest.approx(0.5 * (3.5 + 1.5) - 0.5 * 2, abs=1e-3)
    # two equal samples: the absolute error
    assert float(energy_score(image([2]), image([2]), image([-1]), one)) == pytest.approx(
        3, abs=1e-3
    )


def test_the_mean_over_scales_is_taken():
    arguments = *(noise(3, 8, 8, 2, seed=i) for i in range(3)), np.ones((3, 8, 8, 1), "float32")
    each = [float(energy_score(*arguments, (scale,))) for scale in SCALES]
    assert float(energy_score(*arguments, SCALES)) == pytest.approx(np.mean(each), abs=1e-5)


def draw(rng, mean, scale, correlation, count):
    """Images of 2 x 2 whose four values are Gaussian with this correlation between any two."""
    shared, own = rng.normal(size=(count, 1)), rng.normal(size=(count, 4))
    values = mean + scale * (np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own)
    return values.reshape(count, 2, 2, 1).astype("float32")


@pytest.mark.parametrize("scales", [(None,), (1, 2), (None, 1, 2)], ids=str)
def test_the_truth_has_the_least_expected_score(scales):
    """y is N(0.3, 1) with correlation 0.6; forecasts that err in one respect score worse."""
    truth = {"mean": 0.3, "scale": 1.0, "correlation": 0.6}
    forecasts = {
        "truth": {},
        "shifted": {"mean": 0.6},
        "too sure": {"scale": 0.7},
        "a point": {"scale": 0.0},
        "too unsure": {"scale": 1.4},
        "independent": {"correlation": 0.0},
        "all alike": {"correlation": 1.0},
    }
    chunks = {name: [] for name in forecasts}
    for chunk in range(20):
        y = draw(np.random.default_rng(chunk), **truth, count=20_000)
        weight = np.ones_like(y)
        for name, changes in forecasts.items():
            rng = np.random.default_rng(1000 + chunk)  # the same noise for every forecast
            x_1, x_2 = (draw(rng, **{**truth, **changes}, count=20_000) for _ in range(2))
            chunks[name].append(float(energy_score(x_1, x_2, y, weight, scales)))
    for name, scores in chunks.items():
        worse = np.subtract(scores, chunks["truth"])
        if name != "truth":
            assert worse.mean() > 4 * worse.std() / np.sqrt(20), (name, worse.mean())


def test_single_pixels_cannot_tell_how_they_hang_together():
    """Why there are coarser scales: at 1 alone, independent pixels score like correlated ones."""
    rng = np.random.default_rng(0)
    y, *samples = (draw(rng, 0.0, 1.0, c, 200_000) for c in (0.6, 0.6, 0.6, 0.0, 0.0))
    weight = np.ones_like(y)
    right, wrong = (
        float(energy_score(*pair, y, weight, (1,))) for pair in (samples[:2], samples[2:])
    )
    assert right == pytest.approx(wrong, abs=5e-3)
    right, wrong = (
        float(energy_score(*pair, y, weight, (2,))) for pair in (samples[:2], samples[2:])
    )
    assert wrong > right + 0.01


@pytest.mark.parametrize("scale", [*SCALES, 5])
@pytest.mark.parametrize("channels", [1, 3])
def test_only_hidden_values_matter(scale, channels):
    x_1, x_2, y = (tf.constant(noise(3, 8, 8, 3, seed=i)) for i in range(3))
    weight = (noise(3, 8, 8, channels, seed=3) > 0.3).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch([x_1, x_2])
        score = energy_score(x_1, x_2, y, weight, (scale,))
    for gradient in tape.gradient(score, [x_1, x_2]):
        gradient = np.array(gradient)
        hidden = np.broadcast_to(weight > 0, gradient.shape)
        assert (gradient[~hidden] == 0).all()
        # A lone value has none where it lies on the same side of y and of the other sample.
        assert (gradient[hidden] != 0).mean() > (0.99 if channels == 1 else 0.8)
    other = np.where(weight > 0, y, 9.0)
    assert float(energy_score(x_1, x_2, other, weight, (scale,))) == pytest.approx(
        float(score), abs=1e-6
    )


@pytest.mark.parametrize("scale", [*SCALES, 5, 16])
def test_gradients_are_finite_where_everything_is_equal_or_nothing_is_hidden(scale):
    x = tf.constant(noise(2, 8, 8, 3))
    for weight in (np.ones((2, 8, 8, 1), "float32"), np.zeros((2, 8, 8, 1), "float32")):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = energy_score(x, tf.identity(x), tf.stop_gradient(x), weight, (scale,))
        assert np.isfinite(score)
        assert abs(float(score)) < 1e-3
        assert np.isfinite(tape.gradient(score, x)).all()


def test_samples_count_alike():
    x_1, x_2, y = (noise(3, 8, 8, 3, seed=i) for i in range(3))
    weight = np.ones((3, 8, 8, 1), "float32")
    forward, backward = (
        energy_score(x_1, x_2, y, weight, SCALES),
        energy_score(x_2, x_1, y, weight, SCALES),
    )
    assert float(forward) == pytest.approx(float(backward), abs=1e-6)


@pytest.mark.parametrize("scales", [(), (0,), (None, -1), (2.0,), (True,), "24", 4, None])
def test_scales_that_cannot_be(scales):
    with pytest.raises(ValueError, match=r"must hold .*Received: energy_scales="):
        check_energy_scales(scales)
    assert check_energy_scales([None, 1, np.int64(8)]) == (None, 1, 8)


def test_half_precision_is_scored_in_float32():
    x_1, x_2, y = (300 * noise(3, 8, 8, 3, seed=i) for i in range(3))
    weight = np.ones((3, 8, 8, 1), "float32")
    full = energy_score(x_1, x_2, y, weight, SCALES)
    half = energy_score(*(v.astype("float16") for v in (x_1, x_2, y, weight)), SCALES)
    assert half.dtype == tf.float32
    assert float(half) == pytest.approx(float(full), rel=1e-2)
    assert mean_squared_error(x_1.astype("float16"), y.astype("float16")).dtype == tf.float32
