"""Requests that a client can correct come back as invalid arguments that say how."""

import numpy as np
import pytest

from keras_uai.serving import Limits, RefusedError
from keras_uai.serving.transports import SavedModel
from tests.serving.photographs import batch, decode, encode, pixels

tf = pytest.importorskip("tensorflow")

Y = batch(2, (16, 16))[0]
MASK = np.ones((2, 16, 16, 1), "float32")
ROWS = {"seed": [0, 0], "num_samples": [1, 1]}


def changed(array, value):
    array = np.array(array)
    array[1, 3, 4, 0] = value
    return array


def refused(serve, signature, message, **arrays):
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        serve(signature, **arrays)
    assert message in str(error.value)


SHAPE = "must have the shape (N, H, W, "


@pytest.mark.parametrize("signature", ["serving_default", "tile"])
@pytest.mark.parametrize(
    ("y", "mask", "message"),
    [
        (Y[0], MASK[0], f"`y` {SHAPE}3)"),
        (Y[..., :1], MASK, f"`y` {SHAPE}3)"),
        (Y[:0], MASK[:0], "without an axis of length 0"),
        (Y[:, :, :0], MASK[:, :, :0], "without an axis of length 0"),
        (Y, MASK[:1], f"`mask` {SHAPE}1)"),
        (Y, MASK[:, :15], f"`mask` {SHAPE}1)"),
        (Y, MASK[..., 0], f"`mask` {SHAPE}1)"),
        (changed(Y, np.nan), MASK, "v / 127.5 - 1"),
        (changed(Y, -np.inf), MASK, "v / 127.5 - 1"),
        (changed(Y, 1.01), MASK, "v / 127.5 - 1"),
        (Y, changed(MASK, 0.5), "`mask` must hold 1 where"),
        (Y, changed(MASK, np.nan), "`mask` must hold 1 where"),
        (Y, 255 * MASK, "`mask` must hold 1 where"),
        (np.zeros((1, 64, 63, 3)), np.zeros((1, 64, 63, 1)), "1 to 4000 pixels"),
    ],
)
def test_images(serve, signature, y, mask, message):
    """A session does not compare what it is fed with the signature; the graph does."""
    rows = {"seed": np.zeros(len(y), int), "num_samples": np.ones(len(y), int)}
    rows |= {"origin": np.zeros((len(y), 2), int)} if signature == "tile" else {}
    refused(serve, signature, message, y=y, mask=mask, **rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": [0]}, "`seed` must have the shape (N)"),
        ({"seed": [[0], [0]]}, "`seed` must have the shape (N)"),
        ({"num_samples": [1]}, "`num_samples` must have the shape (N)"),
        ({"num_samples": [1, 0]}, "`num_samples` must lie in"),
        ({"num_samples": [-3, 1]}, "`num_samples` must lie in"),
        ({"num_samples": [5, 1]}, "`num_samples` must lie in"),
    ],
)
def test_rows(serve, change, message):
    refused(serve, "serving_default", message, **{"y": Y, "mask": MASK, **ROWS, **change})


def test_a_fixed_layout_is_kept_in_the_graph(exported_fixed):
    model = SavedModel(exported_fixed / "1")
    rows = {"mask_bytes": [b"", b""], **ROWS}
    good, other = (encode(pixels((height, 16))) for height in (16, 15))
    found = model.call("image_bytes", {"image_bytes": [good, good], **rows}, None)
    assert decode(found["mean_bytes"][1]).shape == (16, 16, 3)
    with pytest.raises(RefusedError, match=r"must have the size of the model, \(16, 16\)"):
        model.call("image_bytes", {"image_bytes": [good, other], **rows}, None)


def test_refused_requests_are_not_begun(serve):
    """2 ** 31 samples are a terabyte, which a check that comes too late would ask for."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    test_rows(serve, {"num_samples": [2**31 - 1, 1]}, "must lie in")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes


def test_the_whole_answer_is_limited(serve):
    y, mask = np.zeros((3, 60, 60, 3)), np.zeros((3, 60, 60, 1))
    arrays = {"y": y, "mask": mask, "seed": [0, 0, 0]}
    refused(serve, "serving_default", "at most 40000 pixels", **arrays, num_samples=[1, 1, 4])
    found = serve("serving_default", **arrays, num_samples=[1, 1, 3])
    assert found["samples"].shape == (3, 3, 60, 60, 3)


def test_limits_are_positive():
    assert Limits(max_samples=7).max_samples == 7
    with pytest.raises(ValueError, match="`max_pixels`"):
        Limits(max_pixels=0)
