"""What `Elements` orders and `Batches` makes; `test_pipeline.py` shows that tf.data does the same."""

import itertools
import json
import pathlib

import keras
import numpy as np
import pytest

from keras_uai.datasets import batches as batches_module
from keras_uai.datasets.batches import Batches
from keras_uai.measurements import DropPixel, Patch
from tests.datasets.images import elements, folder_of_noise
from tests.testing import run_python


@pytest.fixture
def pixels(tmp_path):
    return folder_of_noise(tmp_path, 23, size=8)


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        ({}, [4] * 5 + [3]),
        ({"shuffle": True}, [4] * 5),
        ({"shuffle": True, "drop_remainder": False}, [4] * 5 + [3]),
        ({"drop_remainder": True}, [4] * 5),
        ({"shuffle": True, "batch_size": 100}, [23]),
        ({"batch_size": 23, "drop_remainder": True}, [23]),
    ],
)
def test_sizes_of_batches(tmp_path, pixels, arguments, sizes):
    batches = Batches(elements(tmp_path, DropPixel(0.5), **arguments))
    assert len(batches) == batches.num_batches == len(sizes)
    assert [len(y) for y in batches] == sizes


def test_each_image_is_damaged_once(tmp_path, pixels):
    """Same mask in every epoch, in any batch and order, and in any part of the data set."""
    seen = {}
    batches = [
        Batches(elements(tmp_path, Patch(2, 3, border=0), shuffle=True, index=True)),
        Batches(elements(tmp_path, Patch(2, 3, border=0), batch_size=5, index=True)),
        Batches(elements(tmp_path, Patch(2, 3, border=0), indices=[3, 9, 20], index=True)),
    ]
    for some in batches:
        for _ in range(3):
            for element in some:
                for y, index in zip(element["observation"], element["index"], strict=True):
                    assert np.array_equal(seen.setdefault(int(index), y), y)
    assert len(seen) == 23
    other = Batches(elements(tmp_path, Patch(2, 3, border=0), seed=6, index=True))
    same = [
        np.array_equal(seen[int(i)], y)
        for element in other
        for y, i in zip(element["observation"], element["index"], strict=True)
    ]
    assert np.mean(same) < 0.5


def test_tau_that_pixels_can_have_brings_the_mask_along(tmp_path, pixels):
    """Black as tau: T(y) would take black pixels for missing ones."""
    element = next(iter(Batches(elements(tmp_path, DropPixel(0.5, tau=-1.0)))))
    assert set(element) == {"observation", "mask"}
    mask = keras.ops.convert_to_numpy(DropPixel(0.5).masks(np.arange(4), 8, 8, seed=5))
    assert np.array_equal(element["mask"], mask)
    assert (element["observation"][np.broadcast_to(mask == 0, (4, 8, 8, 3))] == -1).all()
    assert isinstance(next(iter(Batches(elements(tmp_path, DropPixel(0.5, tau=2.0))))), np.ndarray)


def test_each_iteration_is_the_next_epoch(tmp_path, pixels):
    def fresh(**arguments):
        arguments = {"shuffle": True, "index": True, **arguments}
        return Batches(elements(tmp_path, DropPixel(0.5), **arguments))

    iterated = fresh()
    iter(iterated)  # this alone does not count
    epochs = [[tuple(e["index"]) for e in iterated] for _ in range(3)]
    expected = elements(tmp_path, DropPixel(0.5), shuffle=True)
    assert epochs == [[tuple(expected.batch_indices(e, i)[0]) for i in range(5)] for e in range(3)]
    assert epochs[0] != epochs[1]
    assert [tuple(e["index"]) for e in fresh(start_epoch=2)] == epochs[2]
    single = fresh(batch_size=20)
    firsts = [tuple(next(iter(single))["index"]) for _ in range(3)]
    assert len(set(firsts)) == 3  # a single batch is an epoch


def orders(folder):
    """The indices that fit takes of each batch of four epochs, and those of the definition."""

    class Note(keras.Model):
        seen = []

        def call(self, data):
            return data["observation"]

        def train_step(self, state, data):
            self.seen.append(np.asarray(data["index"]).tolist())
            return {"loss": keras.ops.zeros(())}, state

    batches = Batches(elements(pathlib.Path(folder), DropPixel(0.5), shuffle=True, index=True))
    model = Note()
    model.compile(run_eagerly=True, jit_compile=False)
    model.fit(batches, epochs=3, verbose=0, shuffle=False)
    model.fit(batches, epochs=1, verbose=0, shuffle=False)
    made = batches.elements
    wanted = [made.batch_indices(e, i)[0].tolist() for e in range(4) for i in range(5)]
    return json.dumps([Note.seen, wanted])


def test_keras_takes_them_in_their_order(tmp_path, pixels):
    """Epoch after epoch, though Keras looks at the first batch before it begins."""
    said = run_python(
        f"from {__name__} import orders\nprint(orders({str(tmp_path)!r}))", KERAS_BACKEND="jax"
    )
    seen, wanted = json.loads(said.splitlines()[-1])
    assert seen == wanted


def test_stream_goes_on_where_it_stopped(tmp_path, pixels):
    def first(count, **arguments):
        made = elements(tmp_path, DropPixel(0.5), shuffle=True, index=True, **arguments)
        return [e["index"].tolist() for e in itertools.islice(Batches(made).stream(), count)]

    whole = first(14)
    assert first(7, start_epoch=1, start_batch=2) == whole[7:]
    assert len({tuple(e) for e in whole}) == 14
    single = first(3, batch_size=23)
    assert len({tuple(e) for e in single}) == 3


def test_processes_share_a_batch_in_fit(tmp_path, pixels, monkeypatch):
    def part(drop_remainder=True):
        batches = Batches(elements(tmp_path, DropPixel(0.5), drop_remainder=drop_remainder))
        return [batches[i] for i in range(len(batches))], list(batches)

    whole, _ = part()
    parts = []
    for process in range(2):
        monkeypatch.setattr(batches_module, "_share_of_process", lambda p=process: (p, 2))
        of_fit, by_hand = part()
        parts.append(of_fit)
        assert [len(y) for y in by_hand] == [4] * 5
    assert [len(y) for y in parts[0]] == [2] * 5
    assert np.array_equal(np.concatenate(parts, axis=1), whole)
    with pytest.raises(ValueError, match="batch of 3 images, 2 processes"):
        part(drop_remainder=False)
