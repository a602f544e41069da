"""Whatever a client is given: an answer that is right in form, or an error that says why; never a crash."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from keras_uai.serving import Client
from tests.serving.conftest import LIMITS
from tests.serving.photographs import encode, pixels

CASES = 1000

SEEDS = [
    encode(pixels((8, 9))),
    encode(pixels((16, 16), 3)),
    encode(pixels((5, 4), 2)),
    encode(pixels((7, 7), 1)),
    encode(pixels((12, 10), 3), "JPEG"),
    encode(pixels((9, 8)), "WEBP", lossless=True),
    encode(pixels((8, 9)), "GIF"),
    encode(pixels((70, 60))),
]
MASKS = [b"", *(encode(pixels(size, 4)[..., 3]) for size in ((8, 9), (12, 10), (16, 16)))]


@st.composite
def mutated(draw, good):
    """A good file, cut, with bytes changed, or with a part of another in it."""
    data = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["change", "cut", "insert", "header"]))
        if kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=8))
        elif data:
            # Sizes and types lie in the first bytes, where a change matters most.
            data[at % (40 if kind == "header" else len(data)) % len(data)] = draw(
                st.integers(0, 255)
            )
    return bytes(data)


images = st.one_of(st.binary(max_size=64), mutated(SEEDS))
masks = st.one_of(st.just(b""), st.binary(max_size=64), mutated(MASKS))


@pytest.fixture(scope="module")
def client(exported):
    with Client(exported, limits=LIMITS) as client:
        yield client


shapes = st.one_of(
    st.sampled_from([(16, 16, 3), (2, 16, 16, 3), (8, 9, 3), (8, 9, 4), (5, 4, 2), (16, 16, 1)]),
    array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6),
)
KINDS = [
    "uint8",
    "float32",
    "float16",
    "float64",
    "int64",
    "bool",
    "complex64",
    "U1",
    "object",
    "nan",
    "large",
]


def array(shape, kind, seed):
    """Random values of a kind, a few of them 0 in all channels."""
    found = np.random.default_rng(seed).uniform(-1, 1, shape)
    found = np.where(np.abs(found) < 0.2, 0.0, found)
    if kind in ("nan", "large"):
        return (found * (np.nan if kind == "nan" else 1e30)).astype("float32")
    return (found * 127 + 128 if kind == "uint8" else found).astype(kind)


numbers = st.builds(array, shapes, st.sampled_from([*KINDS[:2] * 4, *KINDS]), st.integers(0, 9))
holes = st.one_of(
    st.none(),
    st.sampled_from(
        [np.eye(16, dtype=bool), np.eye(16), pixels((8, 9))[..., 3], np.ones((16, 16))]
    ),
    numbers,
    masks,
)
integers = st.one_of(st.integers(1, 2), st.integers(-3, 9), st.sampled_from([None, 1.5, True, "1"]))


@settings(
    max_examples=CASES,
    deadline=None,
    database=None,  # leaves nothing behind
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(
    image=st.one_of(
        numbers, images, st.none(), st.just("nowhere.png"), st.lists(images, max_size=2)
    ),
    mask=holes,
    num_samples=integers,
    seed=st.one_of(st.integers(), st.sampled_from([None, 0.5, [1, 2], "x"])),
)
def test_anything(client, image, mask, num_samples, seed):
    several = isinstance(image, list)
    mask = [mask] * len(image) if several and mask is not None else mask
    try:
        found = client.inpaint(image, mask, num_samples, seed)
    except ValueError:
        return
    for one in found if several else [found]:
        leading = one.mean.shape[:-3]
        assert one.samples.shape == (*leading, num_samples, *one.mean.shape[len(leading) :])
        assert one.std.shape == one.mean.shape[:-1]
        assert np.isfinite(one.samples).all()
        assert np.isfinite(one.std).all()
