"""Whatever bytes come: an answer that is whole, or an invalid argument; the process lives on."""

import io

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

tf = pytest.importorskip("tensorflow")

CASES = 2000


def seeds():
    """Files to damage: all formats, with and without alpha, small."""
    random = np.random.default_rng(0)
    files = [b""]
    for shape in ((5, 7, 4), (16, 16, 4), (9, 3, 3), (4, 4)):
        image = Image.fromarray(random.integers(0, 256, shape).astype("uint8"))
        kinds = [("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True})]
        kinds += [] if image.mode == "RGBA" else [("JPEG", {}), ("JPEG", {"progressive": True})]
        for kind, options in kinds:
            file = io.BytesIO()
            image.save(file, kind, **options)
            files.append(file.getvalue())
    return files


@st.composite
def damaged_files(draw):
    """One of `seeds`, with some of its bytes changed, left out, or others put in."""
    data = bytearray(draw(st.sampled_from(seeds())))
    for _ in range(draw(st.integers(0, 3))):
        # Half of the damage hits the header, where it does most.
        end = draw(st.sampled_from((40, len(data)))) if len(data) > 40 else len(data)
        at = draw(st.integers(0, max(0, end)))
        kind = draw(st.sampled_from(("change", "cut", "insert", "remove")))
        if kind == "cut":
            del data[at:]
        elif kind == "remove":
            del data[at : at + draw(st.integers(1, 9))]
        else:
            new = draw(st.binary(min_size=1, max_size=6))
            data[at : at + (len(new) if kind == "change" else 0)] = new
    return bytes(data)


@hypothesis.settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(
    image=st.one_of(damaged_files(), st.binary(max_size=64)),
    mask=st.one_of(st.just(b""), damaged_files()),
    seed=st.integers(-(2**63), 2**63 - 1),
    num_samples=st.sampled_from((1, 2, 0, -1, 4, 5)),
)
def test_any_bytes(serve, image, mask, seed, num_samples):
    try:
        found = serve(
            "image_bytes", image_bytes=[image], mask_bytes=[mask], seed=[seed],
            num_samples=[num_samples],
        )  # fmt: skip
    except tf.errors.InvalidArgumentError:
        return
    assert found["samples_bytes"].shape == (1, num_samples)
    assert 1 <= num_samples <= 4
    assert np.isfinite(found["samples"]).all()
    size = Image.open(io.BytesIO(found["mean_bytes"][0])).size
    assert Image.open(io.BytesIO(found["samples_bytes"][0, -1])).size == size
