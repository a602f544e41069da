"""Statistics are those of NumPy, bit-equal for any portions, and survive a file unchanged."""

import numpy as np
import pytest

from keras_uai.metrics import Statistics, feature_images, provenance, statistics
from keras_uai.metrics.extractors import Extractor
from keras_uai.metrics.statistics import Moments

ENTRIES = {"extractor": "e", "weights": "w", "resize": "none", "image_size": "4x4x3", "seed": 0}


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


def test_kept_features_and_moments_agree():
    rows = features()
    kept = Statistics({**ENTRIES, "images": 700}, rows)
    moments = Moments()
    moments.update(rows)
    dropped = Statistics({**ENTRIES, "images": 700}, None, moments.mean_and_covariance())
    assert kept.mean == pytest.approx(dropped.mean, rel=1e-14)
    assert np.array_equal(kept.covariance, dropped.covariance)
    assert kept.centred.T @ kept.centred == pytest.approx(kept.covariance, abs=1e-9)
    assert kept.dimension == dropped.dimension == 5


def test_batches_change_nothing():
    x, calls = images(), []
    extractor = pixels(calls)
    whole = statistics.compute(extractor, [x])
    parts = statistics.compute(extractor, [x[:3], {"clean": x[3:4]}, x[4:]])
    assert np.array_equal(whole.features, parts.features)
    assert calls == [4, 4, 2, 3, 1, 4, 2]  # portions of at most 4
    assert np.array_equal(whole.features, x.reshape(10, -1))


def test_the_provenance_of_statistics():
    found = statistics.compute(
        pixels(), [images()], dataset="faces", split="validation", seed=3, max_images=7
    )
    assert found.provenance == {
        "extractor": "pixels",
        "weights": "0",
        "resize": "none",
        "image_size": "4x4x3",
        "dataset": "faces",
        "split": "validation",
        "seed": 3,
        "images": 7,
    }
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
    after = Statistics.load(path, before.provenance)
    assert after.provenance == before.provenance
    assert np.array_equal(after.mean, before.mean)
    assert np.array_equal(after.covariance, before.covariance)
    assert (after.features is None) == (not keep)
    assert [p.name for p in path.parent.iterdir()] == ["faces.npz"]


def test_a_file_of_something_else_is_rejected_with_the_differences(tmp_path):
    path = tmp_path / "faces.npz"
    before = statistics.compute(pixels(), [images()], dataset="faces", split="train", seed=0)
    before.save(path)
    with pytest.raises(
        ValueError, match=r"split is 'train' and not 'validation'; seed is 0 and not"
    ):
        Statistics.load(path, {**before.provenance, "split": "validation", "seed": 1})
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
    with pytest.raises(ValueError, match="must be one of tools/reference_statistics"):
        Statistics.load(tmp_path / "other.npz")
    monkeypatch.setattr(statistics, "FILE_VERSION", 0)
    statistics.compute(pixels(), [images()]).save(tmp_path / "old.npz")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="of version 0"):
        Statistics.load(tmp_path / "old.npz")


def test_bad_images_are_named():
    with pytest.raises(ValueError, match=r"at least 2 images.*Received: images=1"):
        statistics.compute(pixels(), [images(1)])
    with pytest.raises(ValueError, match="Received: no image"):
        statistics.compute(pixels(), [])
    with pytest.raises(ValueError, match="NaN"):
        statistics.compute(pixels(), [images() * np.nan])
    with pytest.raises(ValueError, match=r"v / 127\.5 - 1"):
        statistics.compute(pixels(), [images() * 255])
    with pytest.raises(ValueError, match="Received: neither"):
        Statistics({**ENTRIES, "images": 3})
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        Moments().update(np.zeros(3))


# -- statistics in a folder ------------------------------------------------------------------------

ASKED = {"dataset": "faces", "split": "validation", "seed": 0}


def test_computed_once_and_found_again(tmp_path):
    calls = []
    first, path = statistics.reference(tmp_path, pixels(calls), lambda: [images()], **ASKED)
    second, again = statistics.reference(tmp_path, pixels(calls), lambda: [images()], **ASKED)
    assert sum(calls) == 10
    assert path == again == str(tmp_path / provenance.file_name(first.provenance))
    assert first.provenance == second.provenance
    assert np.array_equal(first.features, second.features)
    assert first.provenance["images"] == 10
    assert first.provenance["image_size"] == "4x4x3"


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"split": "train"}, {"dataset": "food"}, {"max_images": 9}]
)
def test_anything_else_has_a_file_of_its_own(tmp_path, change):
    statistics.reference(tmp_path, pixels(), lambda: [images()], **ASKED)
    statistics.reference(tmp_path, pixels(), lambda: [images()], **{**ASKED, **change})
    assert len(list(tmp_path.iterdir())) == 2


def test_other_images_under_the_same_name_are_noticed(tmp_path):
    statistics.reference(tmp_path, pixels(), lambda: [images()], **ASKED)
    other = images()
    other[3, 1, 2, 0] += 1 / 127.5 if other[3, 1, 2, 0] < 0.9 else -1 / 127.5
    found, _ = statistics.reference(tmp_path, pixels(), lambda: [other], **ASKED)
    assert np.array_equal(found.features, other.reshape(10, -1))


def test_a_renamed_file_is_rejected(tmp_path):
    _, path = statistics.reference(tmp_path, pixels(), lambda: [images()], **ASKED)
    (tmp_path / path).rename(path.replace("seed0", "seed1"))
    with pytest.raises(ValueError, match="seed is 0 and not 1"):
        statistics.reference(tmp_path, pixels(), lambda: [images()], **{**ASKED, "seed": 1})


def test_images_that_change_are_not_stored(tmp_path):
    portions = iter([images(10), images(9)])
    with pytest.raises(ValueError, match=r"without shuffling.*images is 9 and not 10"):
        statistics.reference(tmp_path, pixels(), lambda: [next(portions)], **ASKED)
    assert not list(tmp_path.iterdir())


def test_content_is_of_pixels_and_their_order():
    x = images()
    found = statistics.content([x])
    assert found == statistics.content([{"clean": x[:3]}, x[3:]])
    assert found == statistics.content([np.concatenate([x, x])], max_images=10)
    assert found["content"] != statistics.content([x[::-1]])["content"]
    assert statistics.content([x[:4]], max_images=7)["images"] == 4
    with pytest.raises(ValueError, match="no image"):
        statistics.content([])


# -- parts of large images -------------------------------------------------------------------------


def test_windows_are_around_damage_and_functions_of_image_and_position():
    mask = np.ones((300, 200, 1), "float32")
    mask[5, 150] = mask[299, 3] = 0
    windows = feature_images.windows(mask, 3, 64)
    assert windows == feature_images.windows(mask, 3, 64)
    assert windows != feature_images.windows(mask, 4, 64)
    assert len(windows) == feature_images.CROPS
    assert all((mask[window] == 0).any() for window in windows)
    assert {mask[window].shape for window in windows} == {(64, 64, 1)}
    assert {(w[0].start, w[1].start) for w in windows} <= {(0, 118), (236, 0)}
    known = np.ones_like(mask)
    known[299] = 0  # never to be filled
    assert {w[0].start for w in feature_images.windows(mask, 3, 64, known)} == {0}
    undamaged = feature_images.windows(np.ones_like(mask), 0, 64)
    assert len({w[0].start for w in undamaged}) > 1


@pytest.mark.parametrize("size", [(16, 16), (128, 128), (128, 20)])
def test_small_images_are_extracted_whole(size):
    mask = np.zeros((*size, 1))
    assert feature_images.windows(mask, 0, 64) == [(slice(None), slice(None))]
    large = np.zeros((200, 300, 1))
    assert feature_images.windows(large, 0, None) == [(slice(None), slice(None))]


def test_statistics_of_images_of_any_sizes():
    x = [np.random.default_rng(i).uniform(-1, 1, (1, 140 + i, 150, 3)) for i in range(3)]
    small, large = pixels(), pixels()
    found = statistics.compute(
        small, [{"clean": one, "mask": one[..., :1] > 0} for one in x], crop=8
    )
    assert found.provenance["image_size"] == "8x8x3"
    assert found.features.shape == (3 * feature_images.CROPS, 8 * 8 * 3)
    for i, rows in enumerate(np.split(found.features.reshape(-1, 8, 8, 3), 3)):
        windows = feature_images.windows(x[i][0, ..., :1] > 0, i, 8)
        assert np.array_equal(rows, np.stack([x[i][0][window] for window in windows]).astype("f4"))
    large.network = lambda images: images.mean(axis=(1, 2))
    assert statistics.compute(large, x).provenance["image_size"] == "mixed"
