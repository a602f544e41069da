"""`fill` end to end, on a stack of which everything is known."""

import numpy as np
import pytest
import xarray
from scipy import ndimage

import keras_uai
from keras_uai.fields import filling, training
from keras_uai.fields.model import spread_by_distance
from keras_uai.models import recommended


def _truth():
    """A fine pattern that comes and goes with time, plus a smooth field of each frame's own."""
    rng = np.random.default_rng(0)
    pattern = rng.normal(size=(32, 40))
    smooth = ndimage.gaussian_filter(rng.normal(size=(16, 32, 40)), (0, 5, 5))
    smooth /= smooth.std()
    phase = np.sin(np.arange(16) / 2)[:, None, None]
    return (285 + 3 * phase * pattern + smooth).astype("float32")


TRUE = _truth()
GAPS = np.zeros(TRUE.shape, bool)
for t, (top, left) in enumerate(np.random.default_rng(1).integers(0, 22, (16, 2))):
    GAPS[t, top : top + 10, left : left + 12] = True


@pytest.fixture(scope="module")
def filled():
    """A field filled after a short training."""
    values = xarray.DataArray(
        np.where(GAPS, np.nan, TRUE),
        {"time": np.datetime64("2020-01-01", "ns") + np.arange(16) * np.timedelta64(1, "D")},
        ("time", "y", "x"),
        name="sst",
        attrs={"units": "K"},
    )
    patch = pytest.MonkeyPatch()
    for name in ("width", "max_width"):
        patch.setitem(recommended.MODEL["generator"], name, 24)
    patch.setattr(filling, "STEPS", 120)
    patch.setattr(training, "EPOCH", 60)
    with patch.context(), pytest.warns(UserWarning, match="less than 1,000"):
        return values, keras_uai.fill(values, num_samples=6, verbose=0)


def _rmse(field):
    return float(np.sqrt(np.square(np.asarray(field) - TRUE)[GAPS].mean()))


def test_the_model_beats_what_needs_no_training(filled):
    _, result = filled
    methods = result.report["methods"]
    assert methods["model"]["crps"] < min(
        scores["crps"] for name, scores in methods.items() if name != "model"
    )
    assert _rmse(result.mean) < 0.3 * TRUE.std()
    assert _rmse(result.mean) < 1.1 * methods["model"]["rmse"] + 0.1


def test_samples_differ_where_values_were_missing_only(filled):
    values, result = filled
    assert result.samples.dims == ("sample", "time", "y", "x")
    seen = values.notnull()
    for field in (result.mean, result.best, *result.samples):
        xarray.testing.assert_identical(field.where(seen), values)
    assert (result.std.values[GAPS] > 0).all()
    assert (result.std.values[~GAPS] == 0).all()
    spread = np.sqrt(np.square(result.std.values[GAPS]).mean())
    assert 0.4 < spread / _rmse(result.samples.mean("sample")) < 2.5


def test_the_report_is_a_table_and_says_what_is_best(filled):
    _, result = filled
    report = result.report
    best = min(report["methods"], key=lambda name: report["methods"][name]["rmse"])
    assert report["best"] == best
    for name in ("model", "low rank", "mean", "linear in space", "linear in time", "climatology"):
        assert name in str(report)
    if best == "model":
        xarray.testing.assert_identical(result.best, result.mean)


def test_a_saved_model_is_applied_without_training(filled, tmp_path):
    values, result = filled
    result.model.save(tmp_path / "model.keras")
    again = keras_uai.fill(values, num_samples=6, model=tmp_path / "model.keras", verbose=0)
    assert again.report is None
    # A function that was traced for several sizes rounds otherwise than one for a single size.
    np.testing.assert_allclose(again.samples, result.samples, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 2}, "`window` must be odd"),
        ({"num_samples": 1}, "`num_samples` must be an integer of at least 2"),
        ({"model": keras_uai.layers.PixelShuffle(2)}, "`model` must be"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_uai.fill(np.where(GAPS, np.nan, TRUE), verbose=0, **arguments)


def test_the_spread_is_that_of_the_distance():
    seen = np.zeros((1, 60, 1), bool)
    seen[0, 0] = True
    factors = spread_by_distance(seen, [4.0, 2.0, 1.0, 0.5])[0, :, 0]
    np.testing.assert_allclose(factors[[0, 1, 3, 9, 25, 59]], [4, 4, 2, 1, 0.5, 0.5], rtol=1e-6)
    assert (np.diff(factors) <= 0).all()
    assert (spread_by_distance(~seen & seen, [4.0, 2.0, 1.0, 0.5]) == 0.5).all()
