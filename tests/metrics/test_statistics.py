"""Features of any batches and sizes, their provenance, and files that give back every bit."""

import numpy as np
import pytest

from keras_uai.metrics import Statistics, statistics
from keras_uai.metrics.extractors import Extractor

ENTRIES = {
    "extractor": "efficientnet_lite0",
    "weights": "409d28f93551",
    "resize": "bilinear-224",
    "image_size": "64x64x3",
    "dataset": "faces",
    "split": "validation",
    "seed": 0,
    "images": 40,
}
ASKED = {"dataset": "faces", "split": "validation", "seed": 0}


def pixels(calls=None):
    """An extractor whose features are the pixels themselves."""

    def network(images):
        if calls is not None:
            calls.append(len(images))
        return images.reshape(len(images), -1)

    return Extractor("pixels", network, size=None, digest="0", chunk=4)


def images(count=10, size=4):
    return np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3)).astype("float32")


@pytest.mark.parametrize(("count", "dimension"), [(5, 12), (12, 12), (700, 5)])
@pytest.mark.parametrize("block", [4, 13, 4096])
def test_mean_and_covariance_are_numpys(monkeypatch, count, dimension, block):
    monkeypatch.setattr(statistics, "_BLOCK", block)
    rows = np.random.default_rng(0).normal(size=(count, dimension)).astype("float32") + 100
    found = Statistics({**ENTRIES, "images": count}, rows)
    assert found.mean == pytest.approx(rows.astype("float64").mean(axis=0), rel=1e-12)
    covariance = np.cov(rows.astype("float64"), rowvar=False)
    assert found.factor.T @ found.factor == pytest.approx(covariance, abs=1e-12)
    assert len(found.factor) == min(count, dimension)


def test_batches_change_nothing():
    x, calls = images(), []
    extractor = pixels(calls)
    whole = statistics.compute(extractor, [x], dataset="faces", split="train", seed=3)
    parts = statistics.compute(extractor, [x[:3], {"clean": x[3:4]}, x[4:]])
    assert np.array_equal(whole.features, parts.features)
    assert calls == [4, 4, 2, 3, 1, 4, 2]  # portions of at most 4
    assert np.array_equal(whole.features, x.reshape(10, -1))
    assert whole.provenance == {
        "extractor": "pixels",
        "weights": "0",
        "resize": "none",
        "image_size": "4x4x3",
        "dataset": "faces",
        "split": "train",
        "seed": 3,
        "images": 10,
    }


def test_a_file_gives_back_every_bit_or_is_rejected_with_the_differences(tmp_path):
    before = statistics.compute(pixels(), [images()], dataset="faces", split="train", seed=0)
    path = tmp_path / "sub" / "faces.npz"
    before.save(path)
    after = Statistics.load(path, before.provenance)
    assert after.provenance == before.provenance
    assert np.array_equal(after.features, before.features)
    assert [p.name for p in path.parent.iterdir()] == ["faces.npz"]
    with pytest.raises(ValueError, match=r"split is 'train' and not 'validation'; seed is 0 and"):
        Statistics.load(path, {**before.provenance, "split": "validation", "seed": 1})
    with pytest.raises(FileNotFoundError):
        Statistics.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no statistics")
    np.savez(tmp_path / "other.npz", a=1)
    for name in ("text.npz", "other.npz"):
        with pytest.raises(ValueError, match="must be one of tools/reference_statistics"):
            Statistics.load(tmp_path / name)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([images(1)], r"at least 2 images.*Received: images=1"),
        ([], "Received: no image"),
        ([images() * np.nan], "NaN"),
        ([images() * 255], r"v / 127\.5 - 1"),
    ],
)
def test_bad_images_are_named(batches, message):
    with pytest.raises(ValueError, match=message):
        statistics.compute(pixels(), batches)


# -- statistics in a folder ------------------------------------------------------------------------


def test_computed_once_and_found_again(tmp_path):
    calls = []
    first, path = statistics.reference(tmp_path, pixels(calls), [images()], **ASKED)
    second, again = statistics.reference(tmp_path, pixels(calls), [images()], **ASKED)
    assert sum(calls) == 10
    assert path == again
    assert [str(p) for p in tmp_path.iterdir()] == [path]
    assert first.provenance == second.provenance
    assert np.array_equal(first.features, second.features)
    (tmp_path / path).rename(path.replace("validation-0", "validation-1"))
    with pytest.raises(ValueError, match="seed is 0 and not 1"):
        statistics.reference(tmp_path, pixels(), [images()], **{**ASKED, "seed": 1})


def test_anything_else_has_a_file_of_its_own(tmp_path):
    other = images()
    other[3, 1, 2, 0] += 1 / 127.5 if other[3, 1, 2, 0] < 0.9 else -1 / 127.5
    cases = [({}, images()), ({}, other), ({}, images()[:9]), ({}, images()[::-1])]
    cases += [({change: 1}, images()) for change in ("seed", "split")]
    cases.append(({"dataset": "../my faces/é:*"}, images()))
    for change, x in cases:
        found, _ = statistics.reference(tmp_path, pixels(), [x], **{**ASKED, **change})
        assert np.array_equal(found.features, x.reshape(len(x), -1))
    assert len(list(tmp_path.iterdir())) == len(cases)


# -- parts of large images -------------------------------------------------------------------------


def test_windows_are_around_damage_and_functions_of_image_and_position():
    masks = np.ones((2, 300, 200, 1), "float32")
    masks[:, 5, 150] = masks[:, 299, 3] = 0
    found = statistics.windows(masks, 3, 64)
    first, second = found[: statistics.WINDOWS], found[statistics.WINDOWS :]
    assert len(second) == statistics.WINDOWS
    assert [(1, *window[1:]) for window in first] != second
    assert second == [(1, *window[1:]) for window in statistics.windows(masks[1:], 4, 64)]
    assert all((masks[window] == 0).any() for window in found)
    assert {masks[window].shape for window in found} == {(64, 64, 1)}
    assert {(rows.start, columns.start) for _, rows, columns in found} <= {(0, 118), (236, 0)}
    known = np.ones_like(masks)
    known[:, 299] = 0  # never to be filled
    assert {rows.start for _, rows, _ in statistics.windows(masks, 3, 64, known)} == {0}
    undamaged = statistics.windows(np.ones_like(masks), 0, 64)
    assert len({rows.start for _, rows, _ in undamaged}) > 1
    for size, crop in (((16, 16), 64), ((128, 20), 64), ((200, 300), None)):
        (whole,) = statistics.windows(np.zeros((1, *size, 1)), 0, crop)
        assert np.zeros((1, *size))[whole].shape == size


def test_statistics_of_images_of_any_sizes():
    x = [np.random.default_rng(i).uniform(-1, 1, (1, 140 + i, 150, 3)) for i in range(3)]
    batches = [{"clean": one, "mask": one[..., :1] > 0} for one in x]
    found = statistics.compute(pixels(), batches, crop=8)
    assert found.provenance["image_size"] == "8x8x3"
    assert found.features.shape == (3 * statistics.WINDOWS, 8 * 8 * 3)
    for i, rows in enumerate(np.split(found.features.reshape(-1, 8, 8, 3), 3)):
        windows = statistics.windows(x[i][..., :1] > 0, i, 8)
        assert np.array_equal(rows, np.stack([x[i][window] for window in windows]).astype("f4"))
    large = pixels()
    large.network = lambda images: images.mean(axis=(1, 2))
    assert statistics.compute(large, x).provenance["image_size"] == "mixed"
