"""Any bytes as a file or mask: an answer of the right form, or an error that says why; no crash."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.serving.photographs import decode, encode, pixels

tf = pytest.importorskip("tensorflow")

FILES = [
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


@settings(
    max_examples=300, deadline=None, database=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(
    image=st.one_of(st.binary(max_size=64), mutated(FILES)),
    mask=st.one_of(st.just(b""), st.binary(max_size=64), mutated(MASKS), mutated(FILES)),
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
