"""Statistics are those of numpy, bit-equal whatever the portions, and survive a file unchanged."""

import numpy as np
import pytest

from keras_uai.metrics import Statistics, statistics
from keras_uai.metrics.extractors import Extractor
from keras_uai.metrics.statistics import Moments

STAMP = {"extractor": "e", "weights": "w", "resize": "none", "image_size": "4x4x3", "seed": 0}


def features(count=700, dimension=5, seed=0):
    random = np.random.default_rng(seed)
    return (random.normal(size=(count, dimension)) + 100).astype("float32")


def pixels(calls=None):
    """An extractor whose features are the pixels themselves."""

    def network(images):
        if calls is not None:
            calls.append(len(images))
        return images.reshape(len(images), -1)

    return Extractor("pixels", network, size=None, digest="0", chunk=4)


def images(count=10, size=4):
    return np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3)).astype("float32")


@pytest.mark.parametrize("portions", [[700], [1, 699], [100] * 7, [3] * 233 + [1], [512, 188]])
def test_moments_are_numpys_and_the_same_for_any_portions(portions):
    rows = features()
    found, whole = Moments(), Moments()
    for part in np.split(rows, np.cumsum(portions)[:-1]):
        found.update(part)
    whole.update(rows)
    mean, covariance = found.mean_and_covariance()
    assert mean == pytest.approx(rows.astype("float64").mean(axis=0), rel=1e-12)
    assert covariance == pytest.approx(np.cov(rows.astype("float64"), rowvar=False), abs=1e-12)
    expected = whole.mean_and_covariance()
    assert np.array_equal(mean, expected[0])
    assert np.array_equal(covariance, expected[1])


def test_moments_may_be_asked_for_in_between():
    rows, found = features(100), Moments()
    found.update(rows[:60])
    found.mean_and_covariance()
    found.update(rows[60:])
    assert found.mean_and_covariance()[1] == pytest.approx(
        np.cov(rows.astype("float64"), rowvar=False), abs=1e-12
    )


@pytest.mark.parametrize("at", [0, 1, 300, 699, 700])
def test_merged_moments_are_those_of_all_rows(at):
    rows = features()
    first, second = Moments(), Moments()
    for moments, part in ((first, rows[:at]), (second, rows[at:])):
        if len(part):
            moments.update(part)
    first.merge(second)
    first.update(rows[:50])
    mean, covariance = first.mean_and_covariance()
    everything = np.concatenate([rows, rows[:50]]).astype("float64")
    assert mean == pytest.approx(everything.mean(axis=0), rel=1e-12)
    assert covariance == pytest.approx(np.cov(everything, rowvar=False), abs=1e-11)
    if at < 699:  # what was merged stays as it is
        assert second.mean_and_covariance()[0] == pytest.approx(
            rows[at:].mean(axis=0, dtype="float64")
        )


def test_kept_features_and_moments_agree():
    rows = features()
    kept = Statistics({**STAMP, "images": 700}, rows)
    moments = Moments()
    moments.update(rows)
    dropped = Statistics({**STAMP, "images": 700}, None, moments.mean_and_covariance())
    assert kept.mean == pytest.approx(dropped.mean, rel=1e-14)
    assert np.array_equal(kept.covariance, dropped.covariance)
    assert kept.centred.T @ kept.centred == pytest.approx(kept.covariance, abs=1e-9)
    assert kept.dimension == dropped.dimension == 5


def test_batches_change_nothing_not_even_what_the_network_sees():
    x, calls = images(), []
    extractor = pixels(calls)
    whole = statistics.compute(extractor, [x])
    parts = statistics.compute(extractor, [x[:3], {"clean": x[3:4]}, x[4:]])
    assert np.array_equal(whole.features, parts.features)
    assert calls == [4, 4, 2] * 2
    assert np.array_equal(whole.features, x.reshape(10, -1))


def test_the_stamp_says_where_it_came_from():
    found = statistics.compute(
        pixels(), [images()], dataset="faces", split="withheld", seed=3, max_images=7
    )
    assert found.stamp == {
        "extractor": "pixels", "weights": "0", "resize": "none", "image_size": "4x4x3",
        "dataset": "faces", "split": "withheld", "seed": 3, "images": 7,
    }  # fmt: skip
    assert len(found.features) == found.count == 7


def test_features_need_not_be_kept():
    kept = statistics.compute(pixels(), [images()])
    dropped = statistics.compute(pixels(), [images()], keep_features=False)
    assert dropped.features is None
    assert dropped.covariance == pytest.approx(kept.covariance)


@pytest.mark.parametrize("keep", [True, False])
def test_a_file_gives_back_every_bit(tmp_path, keep):
    before = statistics.compute(pixels(), [images()], keep_features=keep, dataset="faces")
    path = tmp_path / "sub" / "faces.npz"
    before.save(path)
    after = Statistics.load(path, before.stamp)
    assert after.stamp == before.stamp
    assert np.array_equal(after.mean, before.mean)
    assert np.array_equal(after.covariance, before.covariance)
    assert (after.features is None) == (not keep)
    assert [p.name for p in path.parent.iterdir()] == ["faces.npz"]


def test_a_file_of_something_else_is_rejected_with_the_differences(tmp_path):
    path = tmp_path / "faces.npz"
    before = statistics.compute(pixels(), [images()], dataset="faces", split="train", seed=0)
    before.save(path)
    with pytest.raises(ValueError, match=r"split is 'train' and not 'withheld'; seed is 0 and not"):
        Statistics.load(path, {**before.stamp, "split": "withheld", "seed": 1})
    with pytest.raises(ValueError, match="extractor is 'pixels' and not 'inception'"):
        Statistics.load(path, {"extractor": "inception"})


def test_other_files_are_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        Statistics.load(tmp_path / "none.npz")
    text = tmp_path / "text.npz"
    text.write_text("no statistics")
    with pytest.raises(ValueError, match="tools/reference_statistics"):
        Statistics.load(text)
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(ValueError, match="Not a file of statistics"):
        Statistics.load(tmp_path / "other.npz")
    monkeypatch.setattr(statistics, "FILE_VERSION", 0)
    statistics.compute(pixels(), [images()]).save(tmp_path / "old.npz")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="of version 0"):
        Statistics.load(tmp_path / "old.npz")


def test_bad_images_are_named():
    with pytest.raises(ValueError, match=r"at least 2 images.*Received: images=1"):
        statistics.compute(pixels(), [images(1)])
    with pytest.raises(ValueError, match="no image"):
        statistics.compute(pixels(), [])
    with pytest.raises(ValueError, match="NaN"):
        statistics.compute(pixels(), [images() * np.nan])
    with pytest.raises(ValueError, match=r"v / 127\.5 - 1"):
        statistics.compute(pixels(), [images() * 255])
    with pytest.raises(ValueError, match=r"same size.*\(4, 4, 3\) and then \(5, 5, 3\)"):
        statistics.compute(pixels(), [images(4), images(4, 5)])
    with pytest.raises(ValueError, match="Received: neither"):
        Statistics({**STAMP, "images": 3})
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        Moments().update(np.zeros(3))
