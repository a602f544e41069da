"""Entries x kinds of input: what an image, a mask or a value is does not depend on the entry.

Each row is a kind of input and its outcome: `SAME`, the entry's answer to the plain arrays; `TAKEN`,
any answer; `WARNED`, an answer and a warning; or the error that says what is wrong. Where an entry
differs, its own outcome stands in the row with the reason. The tests of the modules have the details.
"""

import functools
import os
import re
import unicodedata
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from keras_uai import datasets, files, metrics
from keras_uai.serving import Client, Limits, discovery, inpainting
from keras_uai.serving.contract import Contract
from tests.testing import images, tiny_uai

tf = pytest.importorskip("tensorflow")

X = images(4)  # of 8 bits, never 0
SEEN = np.random.default_rng(1).random((4, 16, 16, 1)) < 0.6
V = np.rint((X + 1) * 127.5).astype("uint8")
NAN = np.where(SEEN, X, np.float32(np.nan))
MASKED = np.ma.masked_array(X, np.broadcast_to(~SEEN, X.shape))
SAME, TAKEN, WARNED, NONE = "same", "taken", "warned", "not possible"

MASK = "`mask` must hold 1 where a value is observed and 0 where it is missing"
MASK_SHAPE = "`mask` must have (the )?shape"
SHAPE = "must have (the )?shape"
RANGE = r"Observed values of `\w+` must (lie in \[-1, 1\] \(v / 127.5 - 1 for 8-bit v\)|be finite)"
OTHER_SIZE = "A mask must have its image's height"
FINITE = f"{RANGE}|must be finite"
UNMASKED = "integers need a mask|Integer images without an alpha channel need a mask"

# Reasons.
IN_UNITS = "floats given to `load` are in the units of its `values`"
OWN_CHANNELS = "`load` knows no model, whose channels images must have"
CLEAN = "`load` can damage clean images"
IN_GRAPH = "a graph of tf.data checks each batch, and has no warnings"
TENSORS = "tensors have no mask of their own"
SCORED = "scores are in network units, and no model says how integers get there"
CHANNELS = "channels of arrays may miss independently"

#: kind: (y, mask, outcome, {entry: (its own outcome, reason)})
KINDS = {
    # masks
    "bool": (X, SEEN, SAME, {}),
    "0 and 1": (X, SEEN.astype("int64"), SAME, {}),
    "0 and 255": (X, SEEN * np.uint8(255), SAME, {}),
    "16 bits": (X, SEEN * np.uint16(65535), SAME, {}),
    "16 bits of 0 and 255": (X, SEEN * np.uint16(255), SAME, {}),
    "without channels": (X, SEEN[..., 0], SAME, {}),
    "soft": (X, SEEN * 0.5 + 0.25, MASK, {}),
    "floats of 0 and 255": (X, SEEN * 255.0, MASK, {}),
    "0 and 127": (X, SEEN * np.uint8(127), MASK, {}),
    "RGB": (X, SEEN.repeat(3, -1), MASK_SHAPE, {"load": (SAME, CHANNELS)}),
    "mask of another size": (X, SEEN[:, :15], MASK_SHAPE, {"load": (OTHER_SIZE, OWN_CHANNELS)}),
    "mask with channels first": (
        X,
        np.moveaxis(SEEN, -1, 1),
        MASK_SHAPE,
        {"load": (OTHER_SIZE, OWN_CHANNELS)},
    ),
    # values
    "uint8": (V, SEEN, SAME, {"metrics": ("v / 127.5 - 1", SCORED)}),
    "uint16": (V * np.uint16(257), SEEN, SAME, {"metrics": ("v / 127.5 - 1", SCORED)}),
    "uint8 without a mask": (
        V,
        None,
        UNMASKED,
        {"load": ("need a measurement", CLEAN), "metrics": ("v / 127.5 - 1", SCORED)},
    ),
    "float64": (X.astype("float64"), SEEN, SAME, {}),
    "0 where missing": (X * SEEN, None, SAME, {"load": ("need a measurement", CLEAN)}),
    "NaN": (NAN, None, SAME, {}),
    "NaN and a mask": (NAN, np.ones_like(SEEN), SAME, {}),
    "masked": (MASKED, None, SAME, {"tf.data": (NONE, TENSORS)}),
    "between 0 and 1": (
        np.abs(X),
        SEEN,
        WARNED,
        {"load": (TAKEN, IN_UNITS), "tf.data": (TAKEN, IN_GRAPH), "served": (TAKEN, IN_GRAPH)},
    ),
    "between 0 and 255": (V.astype("float32"), SEEN, RANGE, {"load": (TAKEN, IN_UNITS)}),
    "infinite": (np.where(X > 0.5, np.inf, X), SEEN, FINITE, {}),
    "gray": (X[..., :1], SEEN, SHAPE, {"load": (TAKEN, OWN_CHANNELS)}),
    "channels first": (
        np.moveaxis(X, -1, 1),
        SEEN,
        "channels must come last",
        {
            "load": (OTHER_SIZE, OWN_CHANNELS),
            "metrics": (MASK_SHAPE, OWN_CHANNELS),
        },
    ),
}
_INTEGER_MASKS = ("0 and 255", "16 bits", "16 bits of 0 and 255")
_MASKS_NEEDED = ("uint8 without a mask", "0 where missing", "NaN", "masked")
#: Other outcomes of requests, which hold float32 arrays and a mask: the client converts the rest.
SERVED = {
    **dict.fromkeys(_INTEGER_MASKS, MASK),
    **dict.fromkeys(_MASKS_NEEDED, NONE),
    **dict.fromkeys(("uint8", "uint16", "NaN and a mask"), RANGE),
    # Shapes are checked in a session, see tests/serving/test_assertions.py.
    **dict.fromkeys(("without channels", "RGB", "mask of another size"), NONE),
    **dict.fromkeys(("mask with channels first", "gray", "channels first"), NONE),
}


# -- entries ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    """Of images of any size. Its samples differ, and depend on all that it sees."""
    keras.utils.set_random_seed(0)
    found = tiny_uai(
        image_shape=(None, None, 3),
        generator={"input_fill": "push_pull", "predicts_mean": True},
        networks={"levels": 1},
        sampler="TwoStage(4, 1.5)",
    )
    rng = np.random.default_rng(0)
    for weight in found.generator.weights:
        weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    found.compile(loss_weights={"gan": 0.0, "z": 0.0, "y": 0.0, "splitting": 1.0})
    found.start = found.get_weights()
    return found


@pytest.fixture(scope="module")
def client(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    with Client(path) as client:
        yield client


@pytest.fixture(scope="module")
def served(model):
    """The signatures of an export, which take tensors."""
    from keras_uai.serving import signatures

    module, functions = signatures.build(model, Contract.of(model, Limits()))
    yield functions
    del module


def batch(y, mask, **more):
    return {"observation": y, **({} if mask is None else {"mask": mask}), **more}


def fit(model, y, mask):
    model.set_weights(model.start)
    found = model.fit(batch(y, mask), batch_size=4, shuffle=False, verbose=0)
    model.set_weights(model.start)
    return found.history["loss"]


def evaluate(model, y, mask):
    return model.evaluate(batch(y, mask, clean=X), verbose=0, return_dict=True)["mse"]


def predict(model, y, mask):
    return model.predict(batch(y, mask), verbose=0)


def network_units(model, found):
    return model.values.of(found.dtype).encode(found) if found.dtype.kind == "u" else found


def inpaint(model, y, mask):
    return network_units(model, model.inpaint(y, mask, num_samples=2))


def predict_mean(model, y, mask):
    return network_units(model, model.predict_mean(y, mask))


def calibrate_spread(model, y, mask):
    return calibrated(model, batch(y, mask))


def generator(model, y, mask):
    return calibrated(model, (batch(y, mask) for _ in range(1)))


def tf_data(model, y, mask):
    return calibrated(model, tf.data.Dataset.from_tensor_slices(batch(y, mask)).batch(4))


def calibrated(model, data):
    """The spread-skill at the largest inflation: the model stays as it is."""
    try:
        model.calibrate_spread(data, spread_skill=1e6)
    except ValueError as error:
        found = re.search(r"No inflation.*Received: (\S+) times", str(error))
        if not found:
            raise
        return float(found[1])


def load(model, y, mask):
    values = "float32" if y.dtype.kind == "f" else None
    (found,) = datasets.load(y, "all", mask_from=mask, values=values, batch_size=4)
    return np.concatenate([np.broadcast_to(found[n], y.shape) for n in ("observation", "mask")])


def evaluate_metrics(model, y, mask):
    data = [batch(y, mask, clean=np.zeros(y.shape, "float32"))]
    return metrics.evaluate(model, data, num_samples=2)["mse"]


ENTRIES = {
    "load": load,
    "fit": fit,
    "evaluate": evaluate,
    "predict": predict,
    "inpaint": inpaint,
    "predict_mean": predict_mean,
    "calibrate_spread": calibrate_spread,
    "generator": generator,
    "tf.data": tf_data,
    "metrics": evaluate_metrics,
}


@pytest.fixture(scope="module")
def entries(model, client, served):
    """`{name: function of (y, mask)}`."""

    def ask(y, mask):
        return network_units(model, client.inpaint(y, mask, 2).samples)

    def serve(y, mask):
        y, mask = (tf.constant(v, "float32") for v in (y, mask))
        return served["serving_default"](y, mask, tf.range(4, dtype="int64"), tf.fill([4], 2))[
            "samples"
        ]

    found = {n: functools.partial(f, model) for n, f in ENTRIES.items()}
    return {**found, "client": ask, "served": serve}


@pytest.fixture(scope="module")
def same(entries):
    """`same(entry)`: the answer to float32 images and a boolean mask."""
    return functools.cache(lambda entry: np.asarray(entries[entry](X, SEEN)))


@pytest.mark.parametrize("entry", [*ENTRIES, "client", "served"])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays(entries, same, kind, entry):
    y, mask, outcome, others = KINDS[kind]
    if entry == "served":
        outcome = SERVED.get(kind, outcome)
    outcome = others.get(entry, (outcome, ""))[0]
    answer = entries[entry]
    if outcome == NONE:
        return
    if outcome == WARNED:
        with pytest.warns(UserWarning, match=r"lie in \[0, 1\]") as warned:
            answer(y, mask)
        assert len(warned) == 1
        assert warned[0].filename == __file__
    elif outcome in (SAME, TAKEN):
        expected = same(entry) if outcome == SAME else None
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "All observed")
            found = np.asarray(answer(y, mask))
        if outcome == SAME:
            np.testing.assert_allclose(found, expected, atol=5e-3 if y.dtype.kind == "u" else 1e-6)
        assert np.isfinite(found).all()
    else:
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=outcome):
            answer(y, mask)


# -- data sets -------------------------------------------------------------------------------------


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return batch(V if index else NAN, SEEN, clean=X)


def test_data_sets_are_checked_batch_by_batch(model):
    model.set_weights(model.start)
    found = model.evaluate(Batches(), verbose=0, return_dict=True)["mse"]
    assert found == pytest.approx(evaluate(model, X, SEEN), rel=1e-3)
    data = tf.data.Dataset.from_tensor_slices(batch(V.astype("float32"), SEEN))
    with pytest.raises(tf.errors.InvalidArgumentError, match=RANGE):
        model.predict(data.batch(4), verbose=0)
    with pytest.raises(ValueError, match=r"for a data set of single images \.batch\(n\)"):
        model.fit(data, verbose=0)
    with pytest.raises(ValueError, match=RANGE):
        model.fit(NAN, validation_data=255 * X, verbose=0)
    with pytest.raises(ValueError, match="`clean` must have no missing value"):
        model.evaluate(batch(X, SEEN, clean=NAN), verbose=0)


# -- files -----------------------------------------------------------------------------------------

HOLE = np.ones((12, 20), bool)
HOLE[3:8, 5:15] = False  # True = observed
PHOTO = np.full((12, 20, 3), 99, "uint8")
GRAY = HOLE * np.uint8(255)
CLEAR = np.dstack([PHOTO, np.where(np.arange(20) < 4, 0, 255).repeat(12).reshape(20, 12).T])
STROKES = np.dstack([np.zeros((12, 20, 3), "uint8"), 255 - GRAY])
HOLES = np.dstack([np.full((12, 20, 3), 255, "uint8"), GRAY])
RAMP = np.where(HOLE, 140, 120).astype("uint8")
WHITE = "A mask image must be white where the image is observed and black where it is missing"

#: kind: (photograph, mask, what is observed or the error)
FILES = {
    "8 bits": (PHOTO, GRAY, HOLE),
    "0 and 1": (PHOTO, HOLE.astype("uint8"), HOLE),
    "1 bit": (PHOTO, HOLE, HOLE),
    "16 bits": (PHOTO, HOLE * np.uint16(65535), HOLE),
    "16 bits of 0 and 255": (PHOTO, HOLE * np.uint16(255), HOLE),
    "16 bits of 0 and 1": (PHOTO, HOLE * np.uint16(1), HOLE),
    "RGB": (PHOTO, np.dstack([GRAY] * 3), HOLE),
    "strokes on a layer": (PHOTO, STROKES, HOLE),
    "holes in a layer": (PHOTO, HOLES, HOLE),
    "grays around the half": (PHOTO, RAMP, HOLE),
    "alpha": (CLEAR.astype("uint8"), None, CLEAR[..., 3] > 0),
    "alpha beside a mask": (CLEAR.astype("uint8"), GRAY, HOLE & (CLEAR[..., 3] > 0)),
    "0 and 127": (PHOTO, HOLE * np.uint8(127), WHITE),
    "0 and 2": (PHOTO, HOLE * np.uint8(2), WHITE),
    "transparent": (PHOTO, STROKES * np.uint8(0), "must not be transparent everywhere"),
    "another size": (PHOTO, GRAY[:, :19], "A mask must have (its image's size|the size of its)"),
}


def read_by_load(folder, **_):
    source = "sidecar" if len(list(folder.iterdir())) > 1 else "alpha"
    (found,) = datasets.load(str(folder), "all", mask_from=source, batch_size=1, strict=True)
    return np.asarray(found["mask"])[0, ..., 0] > 0.5


def read_by_client(folder, client, **_):
    return (client.inpaint(folder / "a.png", num_samples=1).samples[0] == 99).all(axis=-1)


def read_by_command(folder, client, **_):
    out = folder.parent / "out"
    (outcome,) = inpainting.inpaint(client, discovery.find([folder]), out, 1)[0].values()
    if isinstance(outcome, Exception):
        raise outcome
    return (files.decode_image(out / "a" / "sample_01.png")[0] == 99).all(axis=-1)


def read_by_graph(folder, served, **_):
    mask = folder / "a_mask.png"
    found = served["image_bytes"](
        tf.constant([(folder / "a.png").read_bytes()]),
        tf.constant([mask.read_bytes() if mask.exists() else b""]),
        tf.constant([0], "int64"),
        tf.constant([1]),
    )
    return (files.decode_image(found["samples_bytes"].numpy()[0, 0])[0] == 99).all(axis=-1)


@pytest.mark.parametrize("entry", [read_by_load, read_by_client, read_by_command, read_by_graph])
@pytest.mark.parametrize("kind", FILES)
def test_files(tmp_path, client, served, kind, entry):
    photo, mask, outcome = FILES[kind]
    (tmp_path / "d").mkdir()
    Image.fromarray(photo).save(tmp_path / "d" / "a.png")
    if mask is not None:
        Image.fromarray(mask).save(tmp_path / "d" / "a_mask.png")
    if isinstance(outcome, str):
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=outcome):
            entry(tmp_path / "d", client=client, served=served)
    else:
        found = entry(tmp_path / "d", client=client, served=served)
        np.testing.assert_array_equal(found, outcome)


def test_files_that_say_nothing_is_missing_are_named(tmp_path, client):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: Nothing is missing in this image"):
        client.inpaint(tmp_path / "a.png")
    Image.fromarray(GRAY | 255).save(tmp_path / "a_mask.png")
    with pytest.raises(ValueError, match=r"a\.png and its mask .*a_mask\.png: Nothing is missing"):
        client.inpaint(tmp_path / "a.png")


@pytest.fixture(scope="module")
def anything(tmp_path_factory):
    """A folder of eight photographs that are good and one that is not, each with a mask file.

    Of several formats; named in other encodings and forms of Unicode; links, one to nothing, one
    to the folder itself; and a photograph that EXIF turns, with a mask over what is shown.
    """
    folder = tmp_path_factory.mktemp("anything") / "d"
    folder.mkdir()
    for name in ("a.png", "b.tif", "c.bmp", "e.gif", "caf\u00e9.png"):
        Image.fromarray(PHOTO).save(folder / name)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(np.ascontiguousarray(np.swapaxes(PHOTO, 0, 1)))
    stored.save(folder / "turned.jpg", quality=95, exif=exif)
    latin = os.fsencode(folder) + b"/n\xe9"
    Image.fromarray(PHOTO).save(latin + b".png")
    Image.fromarray(PHOTO).save(folder.parent / "real.png")
    (folder / "link.png").symlink_to("../real.png")
    (folder / "gone.png").symlink_to("/nonexistent.png")
    (folder / "here").symlink_to(".")
    names = (
        "a",
        "b",
        "c",
        "e",
        unicodedata.normalize("NFD", "caf\u00e9"),
        "turned",
        "link",
        "gone",
    )
    for name in names:
        Image.fromarray(GRAY).save(folder / f"{name}_mask.png")
    Image.fromarray(GRAY).save(latin + b"_mask.png")
    return folder


def test_load_finds_anything(anything):
    found = datasets.load(str(anything), "all", mask_from="sidecar", batch_size=8)
    (batch,) = found  # without the link to nothing
    assert (np.asarray(batch["mask"])[..., 0] == HOLE).all()
    assert len(batch["mask"]) == 8
    y = np.asarray(batch["observation"])[:, HOLE]
    np.testing.assert_allclose(y, 99 / 127.5 - 1, atol=1e-6)


def test_the_command_finds_anything(anything, client):
    """The folder, and all that a shell makes of `*`."""
    found = discovery.find([anything])
    given = [p for p in anything.iterdir() if p.name not in ("gone.png", "gone_mask.png", "here")]
    assert [one.name for one in discovery.find(given)] == [
        n.name for n in found if n.name != "gone"
    ]
    outcomes, stopped = inpainting.inpaint(client, found, anything.parent / "out", 1)
    assert stopped is None
    bad = {os.path.basename(path): v for path, v in outcomes.items() if v != "written"}
    assert list(bad) == ["gone.png"]
    assert "No such file" in str(bad["gone.png"])
    written = [
        os.path.join(path, "mean.png")
        for path, _, names in os.walk(anything.parent / "out")
        if names
    ]
    assert len(written) == 8
    for path in written:
        seen = (files.decode_image(path)[0] == 99).all(axis=-1)
        assert seen[HOLE].all()


def test_the_client_finds_the_masks_of_anything(anything, client):
    for path in anything.iterdir():
        if "_mask" not in path.name and path.name not in ("here", "gone.png"):
            found = client.inpaint(path, num_samples=1).samples[0]
            np.testing.assert_array_equal((found == 99).all(axis=-1), HOLE)
    with pytest.raises(ValueError, match=r"gone\.png: .*No such file"):
        client.inpaint(anything / "gone.png")
