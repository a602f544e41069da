"""Any bytes and any arguments: an answer of the right form, or an error that says why; no crash."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from PIL import Image

from keras_uai.serving import Client
from tests.serving.photographs import decode, encode, pixels

tf = pytest.importorskip("tensorflow")

CASES = 300
FUZZ = settings(
    max_examples=CASES,
    deadline=None,
    database=None,  # leaves nothing behind
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
FILES = [
    b"",
    encode(pixels((8, 9))),
    encode(pixels((16, 16), 3)),
    encode(Image.fromarray(pixels((5, 4))).convert("LA")),
    encode(pixels((7, 7), 1)),
    encode(pixels((12, 10), 3), "JPEG"),
    encode(pixels((4, 4), 1), "JPEG"),
    encode(pixels((12, 10), 3), "JPEG", progressive=True),
    encode(pixels((9, 8)), "WEBP", lossless=True),
    encode(pixels((9, 8)), "WEBP"),
    encode(pixels((8, 9)), "GIF"),
    encode(pixels((70, 60))),
]
MASKS = [b"", *(encode(pixels(size, 4)[..., 3]) for size in ((8, 9), (12, 10), (16, 16)))]


@st.composite
def mutated(draw, good):
    """A good file with bytes changed, left out or inserted; half of it hits the header."""
    data = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(0, 3))):
        end = draw(st.sampled_from((min(40, len(data)), len(data))))
        at = draw(st.integers(0, end))
        kind = draw(st.sampled_from(("change", "cut", "insert", "remove")))
        if kind == "cut":
            del data[at:]
        elif kind == "remove":
            del data[at : at + draw(st.integers(1, 9))]
        else:
            new = draw(st.binary(min_size=1, max_size=6))
            data[at : at + (len(new) if kind == "change" else 0)] = new
    return bytes(data)


images = st.one_of(st.binary(max_size=64), mutated(FILES))
masks = st.one_of(st.just(b""), st.binary(max_size=64), mutated(MASKS), mutated(FILES))


@FUZZ
@given(
    image=images,
    mask=masks,
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


@pytest.fixture(scope="module")
def client(exported):
    with Client(exported) as client:
        yield client


KINDS = [
    "float16",
    "float64",
    "int64",
    "uint16",
    "bool",
    "complex64",
    "U1",
    "object",
    "nan",
    "large",
]
shapes = st.one_of(
    st.sampled_from([(16, 16, 3), (2, 16, 16, 3), (8, 9, 3), (8, 9, 4), (5, 4, 2), (16, 16, 1)]),
    array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6),
)


def array(shape, kind, seed):
    """Random values of a kind, a few of them 0 in all channels."""
    found = np.random.default_rng(seed).uniform(-1, 1, shape)
    found = np.where(np.abs(found) < 0.2, 0.0, found)
    if kind in ("nan", "large"):
        return (found * (np.nan if kind == "nan" else 1e30)).astype("float32")
    return (found * 127 + 128 if kind in ("uint8", "uint16") else found).astype(kind)


kinds = st.sampled_from(["uint8", "float32"] * 4 + KINDS)
numbers = st.builds(array, shapes, kinds, st.integers(0, 9))
given_masks = [np.eye(16, dtype=bool), np.eye(16), pixels((8, 9))[..., 3], np.ones((16, 16))]
holes = st.one_of(st.none(), st.sampled_from(given_masks), numbers, masks)
integers = st.one_of(st.integers(1, 2), st.integers(-3, 9), st.sampled_from([None, 1.5, True, "1"]))


@pytest.mark.filterwarnings("ignore:All observed values")
@FUZZ
@given(
    image=st.one_of(
        numbers, images, st.none(), st.just("nowhere.png"), st.lists(images, max_size=2)
    ),
    mask=holes,
    num_samples=integers,
    seed=st.one_of(st.integers(), st.sampled_from([None, 0.5, [1, 2], "x"])),
)
def test_the_client(client, image, mask, num_samples, seed):
    several = isinstance(image, list)
    mask = [mask] * len(image) if several and mask is not None else mask
    try:
        found = client.inpaint(image, mask, num_samples, seed)
    except ValueError:
        return
    for one in found if several else [found]:
        leading = one.mean.shape[:-3]
        assert one.samples.shape == (*leading, num_samples, *one.mean.shape[len(leading) :])
        assert one.std.shape == one.mean.shape
        assert np.isfinite(one.samples).all()
        assert np.isfinite(one.std).all()
