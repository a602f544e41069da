"""Numbers reach all readers of `logs`, equal those of `keras_uai.metrics`; training is the same."""

import csv

import keras
import numpy as np
import pytest

from keras_uai import callbacks, metrics
from keras_uai.metrics.extractors import Extractor
from tests.callbacks.toy import Toy
from tests.testing import images, observations, same_bits, tiny_uai

COUNT, SIZE = 6, 16


def pixels(name="pixels"):
    """An extractor that needs no weights: the mean of 4 x 4 blocks."""

    def network(x):
        return (
            x.reshape(len(x), 4, SIZE // 4, 4, SIZE // 4, 3).mean(axis=(2, 4)).reshape(len(x), -1)
        )

    return Extractor(name, network, SIZE, digest="0")


def data(model, keys=("observation", "mask", "clean"), batch=4):
    y, mask = observations(model.measurement, COUNT)
    found = {"observation": y, "mask": mask, "clean": images(COUNT)}
    return [{k: found[k][i : i + batch] for k in keys} for i in range(0, COUNT, batch)]


def fit(model, callbacks_, epochs=1, **kwargs):
    y, _ = observations(model.measurement, 4)
    if not model.compiled:
        model.compile(**({"loss": "mse"} if isinstance(model, Toy) else {}), run_eagerly=True)
    target = {"y": y} if isinstance(model, Toy) else {}
    return model.fit(
        y, **target, batch_size=4, epochs=epochs, callbacks=callbacks_, verbose=0, **kwargs
    )


def everything(dataset, **kwargs):
    options = {"extractor": pixels(), "num_samples": 3, "progress": False}
    return callbacks.Scores(dataset, **{**options, **kwargs})


@pytest.mark.filterwarnings("ignore:.*images have no full covariance")
def test_training_is_bit_equal_with_and_without():
    models = [tiny_uai(ema_decay=0.9), tiny_uai(ema_decay=0.9)]
    for a, b in zip(models[0].weights, models[1].weights, strict=True):
        b.assign(a)
    fit(models[0], None, epochs=2, shuffle=False)
    fit(models[1], [everything(data(models[1]))], epochs=2, shuffle=False)
    for a, b in zip(models[0].weights, models[1].weights, strict=True):
        same_bits(a, b)
    for side in ("optimizer", "discriminator_optimizer"):
        for a, b in zip(*(getattr(m, side).variables for m in models), strict=True):
            same_bits(a, b)


@pytest.mark.filterwarnings("ignore:.*images have no full covariance")
def test_numbers_are_those_of_metrics():
    model = Toy()
    dataset = data(model)
    logs = fit(model, [everything(dataset)]).history
    expected = metrics.evaluate(
        model, dataset, num_samples=3, extractor=pixels()
    )  # after one epoch: Toy has learnt
    names = [*callbacks.scores.NAMES[:-1], "frechet_pixels"]
    assert {name: logs[f"val_{name}"] for name in names} == {n: [expected[n]] for n in names}
    assert 0 <= logs["val_calibration_error"][0] <= 1
    seeds = metrics.batches.image_seeds(0, np.arange(COUNT))
    y, mask = observations(model.measurement, COUNT)
    samples = model.inpaint(y, mask, 3, seeds)[:, 0]
    distance = metrics.frechet_distance(
        metrics.statistics.compute(pixels(), [images(COUNT)]),
        metrics.statistics.compute(pixels(), [samples]),
    )
    assert logs["val_frechet_pixels"] == pytest.approx([distance])


@pytest.mark.filterwarnings("ignore:.*images have no full covariance")
def test_one_pass_gives_the_same_as_each_alone():
    model = Toy()
    dataset = data(model)
    together = everything(dataset)
    options = {"num_samples": 3, "progress": False}
    apart = [
        callbacks.SampleStandardDeviation(dataset, **options),
        callbacks.MeanSquaredError(dataset, **options),
        callbacks.FrechetInceptionDistance(dataset, extractor=pixels(), **options),
    ]
    for callback in (together, *apart):
        callback.set_model(model)
    found = together.measure()
    names = []
    for callback in apart:
        for name, value in callback.measure().items():
            assert found[name] == pytest.approx(value, rel=1e-6), name
            names.append(name)
    assert names == ["std", "mse", "mse_missing", "mse_of_mean", "frechet_pixels"]
    one = callbacks.MeanSquaredError(dataset, progress=False)
    one.set_model(model)
    assert set(one.measure()) == {"mse", "mse_missing"}


@pytest.mark.filterwarnings("ignore:.*images have no full covariance")
@pytest.mark.parametrize(
    ("extractor", "name"), [("inception", "val_fid"), ("pixels", "val_frechet_pixels")]
)
def test_only_inception_makes_an_fid_and_each_has_its_provenance(extractor, name, capsys):
    model = Toy()
    callback = callbacks.FrechetInceptionDistance(data(model), extractor=pixels(extractor), seed=3)
    assert callback.provenance is None
    assert name in fit(model, [callback], epochs=2).history
    assert callback.provenance == {
        "extractor": extractor,
        "weights": "0",
        "resize": "bilinear-antialias-16",
        "image_size": "16x16x3",
        "images": COUNT,
        "reference_images": COUNT,
        "seed": 3,
    }
    (line,) = [line for line in capsys.readouterr().out.splitlines() if name in line]
    assert f"{name}: extractor {extractor}, weights 0, resize" in line
    assert line.endswith("seed 3")


def test_what_reads_logs_sees_them(tmp_path):
    """CSVLogger, ModelCheckpoint, EarlyStopping and TensorBoard, after ours in the list."""
    tf = pytest.importorskip("tensorflow")
    model = Toy()
    ours = callbacks.MeanSquaredError(data(model), every=2, progress=False)
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{val_mse:.3f}.keras", monitor="val_mse", save_best_only=True, mode="min"
    )
    stopping = keras.callbacks.EarlyStopping(monitor="val_mse", patience=100, mode="min")
    readers = [
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TensorBoard(tmp_path / "board"),
        checkpoint,
        stopping,
    ]
    history = fit(model, [ours, *readers], epochs=4).history
    assert np.isnan(history["val_mse"]).tolist() == [False, False, True, False]
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_mse"]) for row in rows] == pytest.approx(history["val_mse"], nan_ok=True)
    best = np.nanmin(history["val_mse"])
    assert (tmp_path / f"{best:.3f}.keras").exists()
    assert stopping.best == checkpoint.best == best
    found = []
    for path in (tmp_path / "board").rglob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            found += [v for v in event.summary.value if "val_mse" in v.tag or "mse" in v.tag]
    assert found


def test_std_needs_no_clean_images():
    model = Toy()
    with_clean, without = (
        fit(Toy(), [callbacks.SampleStandardDeviation(dataset, num_samples=2)], epochs=1)
        for dataset in (data(model), data(model, ("observation", "mask")))
    )
    assert with_clean.history["val_std"] == without.history["val_std"]
    y = observations(model.measurement, COUNT)[0]
    alone = fit(Toy(), [callbacks.SampleStandardDeviation([y], num_samples=2)])
    assert alone.history["val_std"] == without.history["val_std"]


@pytest.mark.filterwarnings("ignore:.*images have no full covariance")
def test_a_reference_takes_the_place_of_clean_images(tmp_path):
    model = Toy()
    reference = metrics.statistics.compute(pixels(), [images(COUNT)], dataset="faces")
    reference.save(tmp_path / "faces.npz")
    found = []
    for dataset, given in (
        (data(model), None),
        (data(model, ("observation",)), reference),
        (data(model, ("observation",)), tmp_path / "faces.npz"),
    ):
        callback = callbacks.FrechetInceptionDistance(
            dataset, extractor=pixels(), reference=given, progress=False
        )
        callback.set_model(model)
        found.append(callback.measure()["frechet_pixels"])
        assert callback.measure()["frechet_pixels"] == found[-1]
    assert found[1:] == [pytest.approx(found[0])] * 2


def test_held_out_pixels_stand_in_for_clean_images():
    model = Toy()
    damaged = data(model, ("observation",))
    dataset = metrics.holdout(damaged, model.measurement, 0.3)
    found = fit(model, [callbacks.Scores(dataset, num_samples=2, progress=False)]).history
    assert np.isfinite(found["val_mse"][0])
    callback = callbacks.FrechetInceptionDistance(dataset, extractor=pixels(), progress=False)
    with pytest.raises(ValueError, match="whole true images"):
        fit(model, [callback])


def test_bad_arguments_and_data_are_named():
    model = Toy()
    with pytest.raises(ValueError, match="`num_samples` must be an integer of at least 2"):
        callbacks.SampleStandardDeviation([], num_samples=1)
    with pytest.raises(ValueError, match=r"clean=True.*Received: \['mask', 'observation'\]"):
        fit(model, [callbacks.MeanSquaredError(data(model, ("observation", "mask")))])
    with pytest.raises(ValueError, match="at least one image"):
        fit(model, [callbacks.MeanSquaredError([])])
    with pytest.raises(ValueError, match="inception, efficientnet_lite0"):
        fit(model, [callbacks.FrechetInceptionDistance(data(model), extractor="vgg")])
