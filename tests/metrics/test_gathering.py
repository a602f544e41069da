"""What is interrupted ends in the same numbers, bit by bit, and nothing is scored twice."""

import numpy as np
import pytest

from keras_uai.measurements import DropPixel
from keras_uai.metrics import Calibration, evaluate, gathering
from tests.metrics.test_statistics import pixels

COUNT = 80
SETTINGS = {"sampler": "noise", "seed": 0}


@pytest.fixture
def data():
    x = np.random.default_rng(0).integers(0, 256, (COUNT, 6, 6, 3)) / 127.5 - 1
    mask = np.asarray(DropPixel(0.7).masks(np.arange(COUNT), 6, 6))
    x = x.astype("float32")
    return {"observation": x * mask, "mask": mask, "clean": x}


def batches(data, size=25):
    return lambda: [
        {key: value[i : i + size] for key, value in data.items()} for i in range(0, COUNT, size)
    ]


class Noise:
    """Counts its calls, and fails at one of them."""

    def __init__(self, fails_at=None):
        self.calls, self.fails_at = [], fails_at

    def __call__(self, y, mask, num_samples, seed):
        if len(self.calls) == self.fails_at:
            raise KeyboardInterrupt
        self.calls.append(len(y))
        size = (num_samples, *y.shape[1:])
        drawn = np.stack([np.random.default_rng(int(s)).uniform(-1, 1, size) for s in seed])
        return np.where(mask[:, None] > 0.5, y[:, None], drawn).astype("float32")


def gather(data, sampler, path=None, settings=SETTINGS, size=25, k=3):
    return gathering.gather(
        sampler, batches(data, size), path, settings, num_samples=k, extractor=pixels()
    )


def same(a, b):
    assert a.scores.result() == b.scores.result()
    for name in ("calibration", "features", "mean_features"):
        assert np.array_equal(getattr(a, name), getattr(b, name))


def test_numbers_are_those_of_evaluate(data):
    found = gather(data, Noise())
    assert found.scores.result() == evaluate(Noise(), batches(data)(), 3)
    calibration = Calibration()
    samples = Noise()(data["observation"], data["mask"], 3, gathering_seeds())
    calibration.update(data["clean"], samples, data["mask"])
    assert np.array_equal(found.calibration, calibration.image_rows())
    assert np.array_equal(found.features, samples[:, 0].reshape(COUNT, -1))
    assert found.mean_features == pytest.approx(samples.mean(axis=1).reshape(COUNT, -1), abs=1e-6)


def gathering_seeds():
    from keras_uai.metrics.evaluation import image_seeds

    return image_seeds(0, np.arange(COUNT))


@pytest.mark.parametrize("size", [1, 7, 32, 80])
def test_batches_change_nothing(data, size):
    sampler = Noise()
    same(gather(data, sampler, size=size), gather(data, Noise()))
    assert sampler.calls == [32, 32, 16]


@pytest.mark.parametrize("fails_at", [1, 2])
def test_an_interrupted_evaluation_goes_on(data, tmp_path, monkeypatch, fails_at):
    monkeypatch.setattr(gathering, "SAVE_SECONDS", -1.0)
    path = tmp_path / "out" / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        gather(data, Noise(fails_at), path)
    rest = Noise()
    same(gather(data, rest, path), gather(data, Noise()))
    assert sum(rest.calls) == COUNT - 32 * fails_at
    done = Noise()
    same(gather(data, done, path), gather(data, Noise()))
    assert not done.calls
    assert [p.name for p in path.parent.iterdir()] == ["state.npz"]


def test_other_settings_are_refused_with_the_differences(data, tmp_path):
    path = tmp_path / "state.npz"
    gather(data, Noise(), path)
    with pytest.raises(ValueError, match=r"--restart.*seed is 0 and not 1"):
        gather(data, Noise(), path, {**SETTINGS, "seed": 1})


def test_other_files_are_refused(data, tmp_path):
    path = tmp_path / "state.npz"
    path.write_text("no state")
    with pytest.raises(ValueError, match="Not the state of an evaluation"):
        gather(data, Noise(), path)


def test_one_sample_has_no_calibration_and_no_mean(data):
    found = gather(data, Noise(), k=1)
    assert found.calibration is None
    assert found.mean_features is None
    assert "std" not in found.scores.result()


def test_an_empty_data_set_is_named():
    with pytest.raises(ValueError, match="empty"):
        gathering.gather(Noise(), list, None, {}, num_samples=2)


def test_masks_are_recovered_by_the_measurement(data):
    measurement = DropPixel(0.7, tau=-1.0)
    without = {
        "observation": np.asarray(measurement(data["clean"], data["mask"])),
        "clean": data["clean"],
    }
    found = gathering.gather(
        Noise(), batches(without), None, {}, num_samples=2, measurement=measurement
    )
    expected = gathering.gather(Noise(), batches(data), None, {}, num_samples=2)
    assert found.scores.result()["std"] == expected.scores.result()["std"]
