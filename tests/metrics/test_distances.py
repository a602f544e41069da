"""Distances against closed forms, scipy and TF-GAN; on singular covariances; with few images."""

import warnings

import numpy as np
import pytest
from scipy import linalg

from keras_uai import tfgan
from keras_uai.metrics import Statistics, distances, frechet_distance, kernel_distance

PROVENANCE = {"extractor": "e", "weights": "w", "resize": "none", "image_size": "4x4x3"}

pytestmark = pytest.mark.filterwarnings("ignore:.*images have no full covariance")


def features(count, dimension, seed, scale=1.0):
    """Correlated features, like a network's: few directions matter, all are positive."""
    random = np.random.default_rng(seed)
    few = np.random.default_rng(0).normal(size=(8, dimension))
    rows = random.normal(size=(count, 8)) @ few * scale + random.normal(size=(count, dimension))
    return np.maximum(rows, 0)


def kept(rows):
    return Statistics({**PROVENANCE, "images": len(rows)}, rows)


def gaussian(mean, root):
    """Features whose mean and covariance R R^T are exactly these."""
    size = len(mean)
    rows = np.concatenate([np.eye(size), -np.eye(size)]) * np.sqrt(size - 0.5)
    return kept(rows @ np.asarray(root).T + mean)


def test_closed_forms():
    a = gaussian([1.0, 2.0, 0.0], np.diag([1.0, 2.0, 0.0]))
    b = gaussian([0.0, 2.0, 2.0], np.diag([3.0, 1.0, 0.5]))
    expected = 1 + 4 + (1 - 3) ** 2 + (2 - 1) ** 2 + 0.5**2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)
    # Covariances that commute: the distance is that of their eigenvalues.
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    p, q = np.sqrt([[0, 0.1, 1, 2, 3, 4.0], [1, 0, 2, 0.5, 3, 9.0]])
    a, b = (gaussian(np.zeros(6), rotation * root) for root in (p, q))
    assert frechet_distance(a, b) == pytest.approx(((p - q) ** 2).sum(), rel=1e-9)


SIZES = [(200, 200, 12), (300, 90, 12), (8, 9, 12), (9, 8, 12), (8, 200, 12), (200, 8, 12)]


@pytest.mark.parametrize(("count_a", "count_b", "dimension"), SIZES)
def test_frechet_is_tf_gans(count_a, count_b, dimension):
    a, b = features(count_a, dimension, 1), features(count_b, dimension, 2, 1.3)
    found = frechet_distance(kept(a), kept(b))
    reference = tfgan.eval.frechet_classifier_distance_from_activations(a, b)
    assert found == pytest.approx(float(reference), rel=1e-6)
    assert found == pytest.approx(frechet_distance(kept(b), kept(a)), rel=1e-12)


@pytest.mark.parametrize(("count_a", "count_b", "dimension"), SIZES[:2])
def test_frechet_is_scipys(count_a, count_b, dimension):
    """Where no covariance is singular, which is where a matrix square root can be trusted."""
    a, b = features(count_a, dimension, 1), features(count_b, dimension, 2, 1.3)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(cov_a @ cov_b)
    difference = a.mean(axis=0) - b.mean(axis=0)
    expected = difference @ difference + np.trace(cov_a + cov_b) - 2 * np.trace(root).real
    assert frechet_distance(kept(a), kept(b)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("count", [6, 200])
def test_a_set_and_itself_are_zero_apart_and_a_shift_is_its_square(count):
    a = features(count, 12, 1)
    scale = np.trace(np.cov(a, rowvar=False))
    assert 0 <= frechet_distance(kept(a), kept(a)) < 1e-12 * scale
    assert frechet_distance(kept(a), kept(a + 2)) == pytest.approx(12 * 4)


def test_constant_features_are_no_trouble():
    a, b = np.ones((20, 5)), np.zeros((20, 5))
    assert frechet_distance(kept(a), kept(b)) == pytest.approx(5)
    assert frechet_distance(kept(a), kept(features(20, 5, 0))) > 0


@pytest.mark.parametrize("counts", [(50, 50), (50, 37), (100, 70)])
@pytest.mark.parametrize("block_size", [20, 33, 1024])
def test_kernel_is_tf_gans(counts, block_size):
    import tensorflow as tf

    a, b = features(counts[0], 12, 1), features(counts[1], 12, 2, 1.3)
    found = kernel_distance(kept(a), kept(b), block_size)
    reference = tfgan.eval.kernel_classifier_distance_and_std_from_activations(
        tf.constant(a), tf.constant(b), block_size
    )
    assert found == pytest.approx([float(v) for v in reference], rel=1e-6, nan_ok=True)


def test_kernel_by_hand():
    a, b = np.array([[1.0], [2.0]]), np.array([[0.0], [1.0]])
    within = (1 * 2 + 1) ** 3 + (0 * 1 + 1) ** 3
    between = ((0 + 1) ** 3 + (1 + 1) ** 3 + (0 + 1) ** 3 + (2 + 1) ** 3) / 4
    found, error = kernel_distance(kept(a), kept(b))
    assert found == pytest.approx(within - 2 * between)
    assert np.isnan(error)
    assert kernel_distance(kept(a), kept(b), None)[0] == found


def test_kernel_is_unbiased():
    """Between two sets of one distribution it is zero on average, unlike the Fréchet distance."""
    found = [
        kernel_distance(kept(features(30, 4, 2 * i + 10)), kept(features(30, 4, 2 * i + 11)))[0]
        for i in range(60)
    ]
    assert np.mean(found) == pytest.approx(0, abs=3 * np.std(found) / np.sqrt(60))


@pytest.mark.parametrize("name", distances.COMPARABLE)
def test_other_statistics_are_refused(name):
    a = kept(features(30, 4, 1))
    frechet_distance(a, Statistics({**a.provenance, "dataset": "other"}, a.features))
    other = Statistics({**a.provenance, name: "another"}, a.features)
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(ValueError, match=f"same extractor.*Received: {name} is .*'another'"):
            distance(a, other)
        with pytest.raises(ValueError, match="dimensions is 4 and not 3"):
            distance(a, kept(a.features[:, :3]))


def test_few_images():
    a, five = kept(features(4, 4, 1)), kept(features(5, 4, 1))
    with pytest.warns(UserWarning, match=r"4 images have no full covariance in 4 .*\(5 would\)"):
        frechet_distance(a, five)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frechet_distance(five, five)
        kernel_distance(a, a)
    with pytest.raises(ValueError, match=r"of which there are 4\. Received: 4 and 4 images"):
        kernel_distance(a, a, block_size=1)


def test_the_jackknifes_error_is_the_scatter_of_the_distance():
    """Over many pairs of sets, the distance scatters as much as each pair says it would."""
    found, errors = [], []
    for seed in range(40):
        a = kept(features(60, 4, 2 * seed))
        b = kept(a.features * 1.5 + np.random.default_rng(seed).normal(size=a.features.shape))
        found.append(frechet_distance(a, b))
        errors.append(distances.standard_error(frechet_distance, a, b, np.arange(60)))
    assert np.median(errors) == pytest.approx(np.std(found), rel=0.4)


def test_rows_of_one_image_are_left_out_together():
    """Features that come in equal fours, as of windows of one image, are a quarter as many."""
    a, b = features(40, 4, 1), features(40, 4, 2, 1.5)
    single = distances.standard_error(frechet_distance, kept(a), kept(b), np.arange(40))
    repeated = [kept(np.repeat(rows, 4, axis=0)) for rows in (a, b)]
    images = np.repeat(np.arange(40) + 7, 4)
    found = distances.standard_error(frechet_distance, *repeated, images)
    assert found == pytest.approx(single, rel=0.05)  # but for N - 1 in the covariances
    assert distances.standard_error(frechet_distance, *repeated, np.arange(160)) < 0.7 * single


def test_the_jackknife_needs_pairs():
    a, b = kept(features(30, 4, 1)), kept(features(29, 4, 2))
    with pytest.raises(ValueError, match="Received: 30 and 29 features of 30 images, groups=10"):
        distances.standard_error(frechet_distance, a, b, np.arange(30))
    with pytest.raises(ValueError, match=r"two a group.*groups=16"):
        distances.standard_error(frechet_distance, a, a, np.arange(30), groups=16)
