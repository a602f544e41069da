"""The command `fill`, with a stand-in for `keras_uai.fill`."""

import json

import numpy as np
import pytest
import xarray as xr

import keras_uai
from keras_uai.fields import command
from tests.fields import stand_in
from tests.testing import same_bits

OPTIONS = {
    "variable": None, "mask": None, "never_fill": None, "nodata": None, "dq": None, "dq_bits": None,
    "num_samples": 4, "window": 1, "minutes": None, "seed": 0, "model": None, "save_samples": False,
    "report": None, "save_model": None, "overwrite": False,
}  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(name, **options)` on a file of `tmp_path`; `run.calls` are the arguments of `fill`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["keras-uai", "in.npy", "--out=out.npy"])
    calls = []

    class Model:
        def save(self, path):
            with open(path, "w") as file:
                file.write("weights")

    def fill(data, **options):
        calls.append(options)
        return stand_in.fill(data, **options)._replace(model=Model())

    monkeypatch.setattr(keras_uai, "fill", fill, raising=False)

    def start(*paths, **options):
        return command.run({**OPTIONS, **options}, list(paths))

    start.calls = calls
    return start


@pytest.fixture
def stored(tmp_path):
    stored = np.arange(96, dtype="float32").reshape(2, 6, 8)
    stored[:, 2:4, 3] = np.nan
    np.save(tmp_path / "in.npy", stored)
    return stored


def test_everything_that_is_asked_for_is_written(tmp_path, run, stored):
    outputs = {"report": "report.json", "save_model": "model.keras"}
    settings = {"num_samples": 3, "window": 3, "minutes": 2.0, "seed": 7}
    text = run("in.npy", out="new/out.npy", save_samples=True, **outputs, **settings)
    assert text == (
        "method  crps\n"
        "Written: new/out.npy, new/out_std.npy, new/out_samples.npy, report.json, model.keras"
    )
    assert run.calls == [{**settings, "never_fill": None, "model": None}]
    assert np.load("new/out_samples.npy").shape == (3, 2, 6, 8)
    same_bits(np.load("new/out.npy")[~np.isnan(stored)], stored[~np.isnan(stored)])
    assert json.loads((tmp_path / "report.json").read_text()) == {"crps": 1.0}
    assert (tmp_path / "model.keras").read_text() == "weights"


@pytest.mark.parametrize("there", ["out.npy", "out_std.npy", "report.json", "model.keras"])
def test_existing_results_are_kept_before_any_training(tmp_path, run, stored, there):
    (tmp_path / there).write_text("old")
    asked = {"out": "out.npy", "report": "report.json", "save_model": "model.keras"}
    with pytest.raises(ValueError, match=f"--overwrite replaces them. Received: {there}$"):
        run("in.npy", **asked)
    assert run.calls == []
    assert (tmp_path / there).read_text() == "old"
    run("in.npy", **asked, overwrite=True)
    assert (tmp_path / there).read_bytes() != b"old"


def test_a_file_may_be_filled_in_place(run, stored):
    run("in.npy", out="in.npy", overwrite=True)
    assert not np.isnan(np.load("in.npy")).any()


@pytest.mark.parametrize("kind", ["npy", "nc", "npz"])
def test_a_file_without_gaps_is_written_as_it_is(tmp_path, run, kind):
    """A stated choice: no error, so that many files can be filled by one command."""
    values = np.arange(96, dtype="int16").reshape(2, 6, 8)
    if kind == "nc":
        data = xr.Dataset({"sst": (("time", "lat", "lon"), values)})
        data.sst.encoding["_FillValue"] = np.int16(-1)
        data.to_netcdf("in.nc", engine="h5netcdf")
    elif kind == "npy":
        np.save("in.npy", values)
    else:
        np.savez("in.npz", data=values, mask=values >= 9, never_fill=values[0] < 9)
    nodata = -1.0 if kind == "npy" else None
    with pytest.warns(
        UserWarning, match=rf"Nothing is missing in in.{kind}: the values are written"
    ):
        text = run(
            f"in.{kind}",
            out=f"out.{kind}",
            nodata=nodata,
            save_samples=True,
            report="report.json",
            save_model="model.keras",
        )
    assert run.calls == []
    assert not (tmp_path / "model.keras").exists()
    assert "model.keras" not in text
    if kind == "nc":
        found = xr.load_dataset("out.nc", decode_cf=False)
        got, std, samples = found.sst, found.sst_std, found.sst_samples
    elif kind == "npy":
        got, std, samples = (np.load(f"out{end}.npy") for end in ("", "_std", "_samples"))
    else:
        found = np.load("out.npz")
        got, std, samples = found["data"], found["std"], found["samples"]
    same_bits(np.asarray(got), values)
    assert np.nanmax(np.asarray(std)) == 0.0
    assert samples.shape == (4, 2, 6, 8)
    assert (np.asarray(samples) == values).all()


def test_several_files_are_one_series(tmp_path, run, stored):
    np.save("next.npy", np.full((6, 8), np.nan, "float32"))
    text = run("in.npy", "next.npy", out="filled")
    names = [f"filled/{n}" for n in ("in.npy", "in_std.npy", "next.npy", "next_std.npy")]
    assert text.splitlines()[-1] == f"Written: {', '.join(names)}"
    assert len(run.calls) == 1
    assert np.load("filled/in.npy").shape == (2, 6, 8)
    assert (np.load("filled/next.npy") == np.nanmean(stored)).all()


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        ([], {"out": "x.npy"}, "A file must be named. Received: none"),
        (["in.npy", "in.npy"], {"out": "in.npy"}, "--out must be a folder for several files. Rec"),
        (["in.npy", "in.npy"], {"out": "x"}, "Files must differ in name. Received: in.npy, in.npy"),
        (["in.npy"], {"out": "x.nc"}, "--out must have the format of the file, NumPy array. Rec"),
        (["in.npy"], {"out": "x.npy", "save_model": "m.h5"}, "--save_model must end in .keras"),
        (["in.npy"], {"out": "x.npy", "dq_bits": ["a"]}, "--dq_bits must list integers. Received"),
        (["in.npy"], {"out": "x.npy", "model": "nowhere"}, "A model must be a preset's name"),
    ],
)
def test_mistakes(tmp_path, run, stored, paths, options, message):
    with pytest.raises(ValueError, match=message):
        run(*paths, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]
