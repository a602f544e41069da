"""Entries x kinds of input: what an image, a mask or a value is does not depend on the entry.

Each row is a kind of input and its outcome: `SAME`, the entry's answer to the plain arrays; `TAKEN`,
any answer; `WARNED`, an answer and a warning; or the error that says what is wrong. Where an entry
differs, its own outcome stands in the row with the reason. The tests of the modules have the details.
"""

import functools
import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai import datasets, metrics
from tests.testing import images

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
