"""Tiles and Dask: the same bits whatever the chunks and workers, one of which is killed."""

import contextlib
import os
import signal
import sys

import dask
import dask.array as da
import distributed
import numpy as np
import pytest
import xarray as xr
from PIL import Image

import keras_uai
from keras_uai import cluster
from keras_uai.fields import FieldModel, command, filling, scenes, tiles
from keras_uai.fields.files import open_field, open_scene
from keras_uai.fields.files.geotiff import GeotiffFile
from keras_uai.fields.model import input_channels
from keras_uai.measurements import Empirical
from keras_uai.metrics import commands
from keras_uai.models import recommended
from keras_uai.serving import inpainting
from tests.testing import TINY, same_bits, tiny_uai

rasterio = pytest.importorskip("rasterio")

LIMIT = 3 * 10**9
COUNT, HEIGHT, WIDTH = 5, 300, 70


@pytest.fixture(scope="module")
def client():
    """Two processes; not the default, so that what a test computes itself stays in this one."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=None
        ) as workers,
        distributed.Client(workers, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 64)
    with dask.config.set(scheduler="synchronous"):
        yield


def build(ranks, window, scale):
    """A tiny model whose weights are random, also where they start with zeros."""
    settings = {"channels": 1, "ranks": ranks, "window": window, "context": 0, "location": [10.0]}
    settings |= {"scale": [scale], "residual_scale": 1.0, "spread": [1.0] * 4}
    channels = input_channels(settings)
    measurement = Empirical(np.ones((1, 16, 16, channels), "uint8"))
    networks = {name: {**TINY, "levels": 2} for name in ("generator", "discriminator", "encoder")}
    arguments = recommended.arguments(measurement, {"values": "float32", **networks})
    model = FieldModel(
        settings,
        image_shape=(None, None, channels),
        measurement=measurement,
        **{**arguments, "latent_dim": 4},
    )
    rng, network = np.random.default_rng(0), model.inference_generator
    network.set_weights([w + rng.normal(0, 0.05, w.shape) for w in network.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    return build([1], 3, 4.0)


@pytest.fixture(scope="module")
def field():
    """`(T, H, W)` float32 with gaps smaller than the halo."""
    rng = np.random.default_rng(0)
    place = np.add.outer(np.sin(np.arange(HEIGHT) / 20), np.cos(np.arange(WIDTH) / 15))
    noise = rng.normal(size=(COUNT, HEIGHT, WIDTH)) / 10
    frames = 10 + place * np.cos(np.arange(COUNT))[:, None, None] + noise
    for frame in frames:
        for row, column in zip(rng.integers(0, 280, 12), rng.integers(0, 50, 12), strict=True):
            frame[row : row + 20, column : column + 20] = np.nan
    return frames.astype("float32")


@pytest.fixture(scope="module")
def by_tiles(model, field):
    """Results of one process, of which a chunk is the whole field."""
    with pytest.MonkeyPatch.context() as patch, dask.config.set(scheduler="synchronous"):
        patch.setattr(tiles, "TILE", 64)
        result = keras_uai.fill(da.from_array(field, chunks=-1), None, 2, model=model)
        return dask.compute(result.mean, result.std, result.samples)


def test_tiles_equal_the_whole_image(model, field, by_tiles):
    """Up to the pixels that the scores are fitted to: here all."""
    whole = keras_uai.fill(field, None, 2, model=model, verbose=0)
    gaps = np.isnan(field)
    assert whole.std[gaps].mean() > 0.01
    for found, expected in zip(by_tiles, (whole.mean, whole.std, whole.samples), strict=True):
        np.testing.assert_allclose(found, expected, atol=0.01 * whole.std[gaps].mean())
    same_bits(by_tiles[0][~gaps], field[~gaps])


def test_chunks_and_workers_do_not_change_bits(client, model, field, by_tiles):
    result = keras_uai.fill(da.from_array(field, chunks=(2, 77, 33)), None, 2, model=model)
    found = client.gather(client.compute([result.mean, result.std, result.samples]))
    for one, expected in zip(found, by_tiles, strict=True):
        same_bits(one, expected)


def test_objects_of_xarray(model, field):
    """Dimensions in any order, descending times, other variables, pixels never filled."""
    land = np.zeros((HEIGHT, WIDTH), bool)
    land[:40] = True
    values = xr.DataArray(
        field, {"time": np.arange(COUNT)}, ("time", "y", "x"), name="sst", attrs={"units": "K"}
    )
    data = values[::-1].transpose("y", "time", "x").to_dataset().assign(other=("z", [1.0]))
    land = xr.DataArray(land, dims=("y", "x"))
    result = keras_uai.fill(data.chunk(y=50), None, 2, model=model, never_fill=land)
    assert tiles.is_lazy(result.samples)
    assert result.samples.sst.dims == ("sample", "y", "time", "x")
    mean, std = dask.compute(result.mean, result.std)
    assert mean.sst.attrs == {"units": "K"}
    assert list(mean) == ["sst", "other"]
    whole = keras_uai.fill(data, None, 2, model=model, never_fill=land, verbose=0)
    np.testing.assert_allclose(mean.sst, whole.mean.sst, atol=1e-3)
    np.testing.assert_allclose(std.sst, whole.std.sst, atol=1e-3)
    assert np.isnan(std.sst.values[:40]).all()


class Virtual:
    """A file of 4 GB; its first time has gaps."""

    shape, dtype, ndim = (64, 3000, 3000), np.dtype("float64"), 3

    def __getitem__(self, key):
        rows, columns = (np.arange(n)[k] for n, k in zip(self.shape[1:], key[1:], strict=True))
        found = np.stack([10 + np.sin(np.add.outer(rows, columns) / 30)] * 64)
        found[0, rows % 50 < 5] = np.nan
        return found


def test_a_chunk_larger_than_the_memory_of_a_worker(client, model, monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 256)
    data = da.from_array(Virtual(), chunks=-1)
    assert data.nbytes > LIMIT
    mean = keras_uai.fill(data, None, 2, model=model).mean
    found = client.compute(mean[:, 2560:2580, 512:532]).result()
    assert found.shape == (64, 20, 20)
    assert np.isfinite(found).all()


def test_training_loads_some_tiles(monkeypatch, model, field, capsys):
    """As many as `VALUES` allows, chosen by the seed; with the mask of each."""
    seen = []

    def fit(given, *_):
        seen.append(given)
        return model, {"best": "linear in time"}

    monkeypatch.setattr(filling, "fit", fit)
    monkeypatch.setattr(tiles, "VALUES", COUNT * 64 * 70 * 2)
    mask = ~np.isnan(field)
    mask[:, :100] = False
    data = da.from_array(np.nan_to_num(field), chunks=100)
    result = keras_uai.fill(data, mask, 2, minutes=1)
    assert (
        "Training on 4 of 10 tiles of 64 x 64 pixels, chosen at random" in capsys.readouterr().err
    )
    (given,) = seen
    assert len(given.arrays) == 4
    best = result.best[:, 192:256, :64].compute()
    expected = filling.classical("linear in time", *_stacks(field, model))[0][..., 0]
    gaps = ~mask[:, 192:256, :64]
    np.testing.assert_allclose(best[gaps], expected[:, 192:256, :64][gaps], rtol=1e-5)


def _stacks(field, model):
    settings = [np.array(model.settings[name]) for name in ("location", "scale")]
    (stack,) = filling.Data(field).stacks(*settings)
    return [filling.Inputs(stack, stack.observed, model.settings)], *settings


@pytest.fixture
def scene(tmp_path, field):
    """A GeoTIFF file of integers, and a model of one frame."""
    frame = np.where(np.isnan(field[0]), -1, field[0] * 10).astype("int16")
    path = str(tmp_path / "scene.tif")
    profile = {"driver": "GTiff", "count": 1, "dtype": "int16", "nodata": -1}
    with rasterio.open(path, "w", height=HEIGHT, width=WIDTH, crs="EPSG:32601", **profile) as file:
        file.write(frame, 1)
    return path, frame, build([], 1, 40.0)


@pytest.mark.parametrize("killed", [False, True])
def test_a_scene_by_windows(client, scene, tmp_path, monkeypatch, killed):
    """Every window is written once, also where a worker is killed; as one process fills it."""
    path, frame, model = scene
    writing, places = GeotiffFile.writing, []

    def watched(self, *args):
        @contextlib.contextmanager
        def opened():
            with writing(self, *args) as put:

                def once(row, column, *rest):
                    if killed and not places:
                        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
                    places.append((row, column))
                    put(row, column, *rest)

                yield once

        return opened()

    monkeypatch.setattr(GeotiffFile, "writing", watched)
    options = {"num_samples": 2, "seed": 0, "nodata": None, "save_samples": True}
    options["out"] = str(tmp_path / "out.tif")
    scenes.fill(open_scene([path], mask=None), options, model, client, "command")
    assert places == [(row, column) for row in range(0, HEIGHT, 64) for column in (0, 64)]
    result = keras_uai.fill(da.from_array(frame), frame >= 0, 2, model=model)
    for ending, expected in {
        "": result.best,
        "_std": result.std,
        "_samples": result.samples,
    }.items():
        with rasterio.open(tmp_path / f"out{ending}.tif") as file:
            same_bits(file.read().squeeze(), expected.compute())
    client.wait_for_workers(2, timeout=60)


def _options(client, **options):
    return {"scheduler": client.scheduler_info()["address"], "workers": None, **options}


def test_images_of_a_folder(client, tmp_path, capsys):
    folder, plain, out = (str(tmp_path / name) for name in ("in", "plain", "out"))
    os.mkdir(folder)
    rng = np.random.default_rng(0)
    for i in range(3):
        image = rng.integers(0, 256, (16, 16, 4), "uint8")
        image[..., 3] = 255 * (image[..., 3] > 99)
        Image.fromarray(image).save(f"{folder}/{i}.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"broken")
    tiny_uai(image_shape=(None, None, 3)).save(str(tmp_path / "m.keras"))
    options = {"model": str(tmp_path / "m.keras"), "server": None, "mask": "auto", "seed": 0}
    options |= {"num_samples": 2, "overwrite": False, "timeout": 60.0, "retries": 0}
    options |= {"concurrency": None, "progress": False}
    assert inpainting.run({**options, "out": plain}, [folder]) == 1
    assert inpainting.run(_options(client, **options, out=out), [folder]) == 1
    assert "4 images: 3 written to" in (text := capsys.readouterr().err)
    assert text.count(f"{folder}/broken.png: ") == 2
    assert inpainting.run(_options(client, **options, out=out), [folder]) == 1
    assert "3 were there already" in capsys.readouterr().err
    for i in range(3):
        for name in os.listdir(f"{plain}/{i}"):
            with open(f"{plain}/{i}/{name}", "rb") as a, open(f"{out}/{i}/{name}", "rb") as b:
                assert a.read() == b.read()


def test_scores_of_an_evaluation(client, tmp_path):
    options = {"model": None, "data": "drawn_faces", "measurement": "DropPixel(0.5)", "grid": 0}
    options |= {"images": 70, "image_size": 16, "split": "validation", "extractor": "none"}
    options |= {"baselines": ["nearest"], "num_samples": 2, "seed": 0, "progress": False}
    options |= {"mask_from": None, "split_seed": None, "center_crop": None, "channels": None}
    options |= {"restart": False}
    plain, _ = commands.evaluate({**options, "out": str(tmp_path / "plain")})
    found, _ = commands.evaluate(_options(client, **options, out=str(tmp_path / "out")))
    scores = [result["methods"]["nearest"] for result in (plain, found)]
    for one in scores:
        one.pop("milliseconds_an_image")
    assert scores[0] == scores[1]


def test_a_file_of_a_field(client, model, field, tmp_path, monkeypatch):
    """tools/fill: as one process fills it by tiles."""
    monkeypatch.chdir(tmp_path)
    data = xr.DataArray(field, dims=("time", "y", "x"), name="sst").to_dataset()
    data.to_netcdf("in.nc", engine="h5netcdf")
    model.save("model.keras")
    names = ("variable", "mask", "never_fill", "nodata", "dq", "dq_bits", "minutes", "report")
    options = dict.fromkeys((*names, "save_model"))
    options |= {"num_samples": 2, "window": 1, "seed": 0, "save_samples": False, "overwrite": False}
    command.run(_options(client, **options, model="model.keras", out="out.nc"), ["in.nc"])
    found = xr.load_dataset("out.nc", engine="h5netcdf")
    result = keras_uai.fill(open_field("in.nc").data().chunk(y=99), None, 2, model=model)
    same_bits(found.sst.values, result.best.values)
    same_bits(found.sst_std.values, result.std.values)


def test_mistakes(monkeypatch, field, model):
    lazy = da.from_array(field)
    with pytest.raises(ValueError, match=r"`mask` must have the shape of `data`.*300, 69"):
        keras_uai.fill(lazy, np.ones((300, 69)), model=model)
    with pytest.raises(ValueError, match="`context` must not be given for Dask-"):
        keras_uai.fill(lazy, context=field[0], model=model)
    with pytest.raises(ValueError, match=r"Received: --scheduler=tcp://a:1, --workers=2"):
        cluster.connect("tcp://a:1", 2).__enter__()
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"--workers needs distributed: pip install 'keras_uai\["):
        cluster.connect(None, 2).__enter__()
