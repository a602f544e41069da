"""Any bytes and arrays as requests: an answer of the right form, or an error that says why."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_uai.serving import images
from keras_uai.serving.contract import Contract
from tests.serving.photographs import decode, encode, pixels
from tests.strategies import attempt, damaged, images_and_masks

tf = pytest.importorskip("tensorflow")

FILES = st.sampled_from([
    b"",
    encode(pixels((8, 9))),
    encode(pixels((16, 16), 3)),
    encode(Image.fromarray(pixels((5, 4))).convert("LA")),
    encode(pixels((7, 7), 1)),
    encode(pixels((12, 10), 3), "JPEG"),
    encode(pixels((12, 10), 3), "JPEG", progressive=True),
    encode(pixels((9, 8)), "WEBP"),
    encode(pixels((8, 9)), "GIF"),
    encode(pixels((70, 60))),
])  # fmt: skip
MASKS = st.sampled_from(
    [b"", *(encode(pixels(size, 4)[..., 3]) for size in ((8, 9), (12, 10), (16, 16)))]
)


@given(
    image=st.one_of(st.binary(max_size=64), damaged(FILES)),
    mask=st.one_of(st.just(b""), st.binary(max_size=64), damaged(MASKS), damaged(FILES)),
    seed=st.integers(-(2**63), 2**63 - 1),
    num_samples=st.sampled_from((1, 2, 0, -1, 4, 5)),
)
def test_the_graph(serve, image, mask, seed, num_samples):
    rows = {"seed": [seed], "num_samples": [num_samples]}
    try:
        found = serve("image_bytes", image_bytes=[image], mask_bytes=[mask], **rows)
    except tf.errors.InvalidArgumentError:
        return
    assert found["samples_bytes"].shape == (1, num_samples)
    assert 1 <= num_samples <= 4
    size = decode(found["mean_bytes"][0]).shape
    assert decode(found["samples_bytes"][0, -1]).shape == size


@given(
    pair=images_and_masks(st.just(3)),
    seed=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3),
    num_samples=st.lists(st.sampled_from((1, 2, 4, 5, 0)), min_size=1, max_size=3),
    fits=st.booleans(),
)
def test_arrays_in_the_graph(serve, pair, seed, num_samples, fits):
    """Arrays of any shape and values, of the dtypes that a server lets through."""
    y, mask = (np.ma.getdata(v) if v is not None else np.ones(()) for v in pair)
    y, mask = (v.astype("f4" if v.dtype.kind in "biuf" else "?") for v in (y, mask))
    if fits and y.ndim == 4:
        mask = np.resize(mask, (*y.shape[:3], 1)) if mask.size else np.ones((*y.shape[:3], 1))
        seed, num_samples = np.resize(seed, len(y)), np.resize(num_samples, len(y))
        y = np.clip(y, -1, 1)
    rows = {"y": y, "mask": mask, "seed": seed, "num_samples": num_samples}
    try:
        found = serve("serving_default", **rows)
    except tf.errors.InvalidArgumentError:
        return
    seen = np.broadcast_to(mask > 0.5, y.shape)
    assert found["mean"].shape == found["std"].shape == y.shape == (len(seed), *y.shape[1:])
    assert found["samples"].shape == (len(y), max(num_samples), *y.shape[1:])
    assert all(np.isfinite(value).all() for value in found.values())
    np.testing.assert_array_equal(found["mean"][seen], y[seen].astype("float32"))


@given(images_and_masks(st.sampled_from((3, 3, 3, 1, 4))))
@pytest.mark.filterwarnings("ignore:All observed values")
def test_arrays_given_to_a_client(tiny, pair):
    """Requests have the model's shapes and dtypes; observed pixels come back unchanged."""
    prepared = attempt(images.prepare, *pair, Contract.of(tiny))
    if prepared is None:
        return
    assert prepared.y.dtype == prepared.mask.dtype == "float32"
    assert prepared.y.shape[:3] == prepared.mask.shape[:3] == prepared.image.shape[:3]
    assert np.abs(prepared.y).max() <= 1.0 + 1e-6
    found = prepared.finish(np.zeros_like(prepared.y))
    assert (found.shape, found.dtype) == (prepared.image.shape, prepared.image.dtype)
    seen = np.broadcast_to(prepared.seen, found.shape)
    np.testing.assert_array_equal(found[seen], prepared.image[seen])
