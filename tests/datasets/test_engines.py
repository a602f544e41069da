"""Order, damage and form of batches, the same from tf.data and from `Batches`."""

import gc
import itertools
import json
import pathlib
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.datasets import engines, loading
from keras_uai.datasets.engines import Batches, make_dataset
from keras_uai.measurements import DropPixel, Empirical, Patch
from tests.datasets.images import elements, folder_of_noise, noise, save
from tests.testing import run_python

MEASUREMENTS = {
    "DropPixel": DropPixel(0.7),
    "Patch": Patch(3, 4, border=1),
    "Empirical": Empirical(noise(0, 5, 12 * 12, 1).reshape(5, 12, 12) > 100),
    "tau": DropPixel(0.5, tau=1.0),
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A folder of 31 images."""
    folder = tmp_path_factory.mktemp("clean")
    folder_of_noise(folder, 31, size=12)
    return folder


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """The same images with transparent pixels."""
    folder = tmp_path_factory.mktemp("damaged")
    for i in range(31):
        alpha = (noise(100 + i, 12, 12)[..., 0] > 90) * np.uint8(255)
        save(folder / f"{i:03d}.png", np.dstack([noise(i, 12, 12), alpha]))
    return folder


def shuffled(folder, measurement=MEASUREMENTS["DropPixel"], **arguments):
    return elements(folder, measurement, **{"shuffle": True, **arguments})


def epoch(dataset):
    return [tf.nest.map_structure(np.asarray, element) for element in dataset]


def assert_equal(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        tf.nest.assert_same_structure(a, b)
        for left, right in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
            assert left.dtype == right.dtype
            assert np.array_equal(left, right)


@pytest.mark.parametrize("measurement", [*MEASUREMENTS, None])
@pytest.mark.parametrize("shuffle", [True, False])
def test_the_same_elements_with_and_without_tensorflow(clean, damaged, measurement, shuffle):
    """Same order, same masks, same pixels, bit by bit, epoch after epoch."""
    folder = damaged if measurement is None else clean
    arguments = {"shuffle": shuffle, "indices": range(0, 31, 2), "index": True, "start_epoch": 1}
    measurement = MEASUREMENTS.get(measurement)
    arguments["clean"] = measurement is not None
    arguments["unpaired"] = None if measurement is None else np.arange(0, 31, 6)
    dataset = make_dataset(elements(folder, measurement, **arguments))
    batches = Batches(elements(folder, measurement, **arguments))
    epochs = []
    for _ in range(3):
        epochs.append(epoch(dataset))
        assert_equal(epochs[-1], epoch(batches))
    same = np.array_equal(epochs[0][0]["index"], epochs[1][0]["index"])
    assert same is not shuffle


def test_crops_and_whole_images_of_different_sizes(tmp_path):
    """Crops of one size, and batches of several sizes."""
    for i, size in enumerate([(9, 20), (12, 7), (12, 7), (4, 11)]):
        save(tmp_path / f"{i}.png", noise(i, *size))
    arguments = {"batch_size": 2, "crop_size": (6, 8), "random_horizontal_flip": True}
    for shuffle, shape in ((True, (2, 6, 8, 3)), (False, (None, None, None, 3))):
        made = elements(tmp_path, DropPixel(0.4), shuffle=shuffle, **arguments)
        dataset = make_dataset(made)
        spec = dataset.element_spec["observation"] if shuffle else dataset.element_spec
        assert tuple(spec.shape) == shape
        for number in range(2):
            expected = [made.make(number, i) for i in range(made.num_batches)]
            if not shuffle:
                expected = [element["observation"] for element in expected]
            assert_equal(epoch(dataset), expected)


@pytest.mark.parametrize(
    ("arguments", "sizes", "rows"),
    [
        ({"shuffle": False}, [4] * 7 + [3], None),
        ({}, [4] * 7, 4),
        ({"drop_remainder": False}, [4] * 7 + [3], None),
        ({"shuffle": False, "drop_remainder": True}, [4] * 7, 4),
        ({"batch_size": 100}, [31], None),
        ({"shuffle": False, "batch_size": 31, "drop_remainder": True}, [31], 31),
    ],
)
def test_sizes_of_batches(clean, arguments, sizes, rows):
    made = shuffled(clean, **arguments)
    batches, dataset = Batches(made), make_dataset(made)
    assert len(batches) == batches.num_batches == dataset.cardinality() == len(sizes)
    assert dataset.element_spec.shape.as_list() == [rows, 12, 12, 3]
    assert [len(y) for y in batches] == [len(y) for y in dataset] == sizes


def test_repeat_gives_full_batches_that_straddle_epochs(clean):
    repeated = shuffled(clean, batch_size=10, repeat=True, index=True)
    dataset, batches = make_dataset(repeated), Batches(repeated)
    found = epoch(dataset.take(8))
    expected = np.concatenate([repeated.order(e) for e in range(4)])[:80]
    assert np.array_equal(np.concatenate([e["index"] for e in found]), expected)
    assert_equal(list(itertools.islice(batches, 8)), found)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    assert dataset.element_spec["index"].shape == (10,)
    with pytest.raises(TypeError, match="repeat=True"):
        len(batches)


def test_each_image_is_damaged_once(clean):
    """Same mask in every epoch, in any batch and order, and in any part of the data set."""
    seen, patch = {}, Patch(2, 3, border=0)
    batches = [
        Batches(elements(clean, patch, shuffle=True, drop_remainder=False, index=True)),
        Batches(elements(clean, patch, batch_size=5, index=True)),
        Batches(elements(clean, patch, indices=[3, 9, 20], index=True)),
    ]
    for some in batches:
        for _ in range(3):
            for element in some:
                for y, index in zip(element["observation"], element["index"], strict=True):
                    assert np.array_equal(seen.setdefault(int(index), y), y)
    assert len(seen) == 31
    other = Batches(elements(clean, patch, seed=6, index=True))
    same = [
        np.array_equal(seen[int(i)], y)
        for element in other
        for y, i in zip(element["observation"], element["index"], strict=True)
    ]
    assert np.mean(same) < 0.5


def test_tau_that_pixels_can_have_brings_the_mask_along(clean):
    """Black as tau: T(y) would take black pixels for missing ones."""
    element = next(iter(Batches(elements(clean, DropPixel(0.5, tau=-1.0)))))
    assert set(element) == {"observation", "mask"}
    mask = keras.ops.convert_to_numpy(DropPixel(0.5).masks(np.arange(4), 12, 12, seed=5))
    assert np.array_equal(element["mask"], mask)
    assert (element["observation"][np.broadcast_to(mask == 0, (4, 12, 12, 3))] == -1).all()
    assert isinstance(next(iter(Batches(elements(clean, DropPixel(0.5, tau=2.0))))), np.ndarray)


@pytest.mark.parametrize("engine", [Batches, make_dataset])
def test_each_iteration_is_the_next_epoch(clean, engine):
    def fresh(**arguments):
        return engine(shuffled(clean, index=True, **arguments))

    iterated = fresh()
    iter(iterated)  # this alone does not count
    epochs = [[tuple(e["index"]) for e in epoch(iterated)] for _ in range(3)]
    expected = shuffled(clean)
    assert epochs == [[tuple(expected.batch_indices(e, i)[0]) for i in range(7)] for e in range(3)]
    assert epochs[0] != epochs[1]
    assert [tuple(e["index"]) for e in epoch(fresh(start_epoch=2))] == epochs[2]
    single = fresh(batch_size=20)
    firsts = [tuple(epoch(single)[0]["index"]) for _ in range(3)]
    assert len(set(firsts)) == 3  # a single batch is an epoch


@pytest.mark.parametrize("engine", [Batches, make_dataset])
def test_a_stream_goes_on_where_it_stopped(clean, engine):
    def first(count, **arguments):
        stream = loading.stream(engine(shuffled(clean, index=True, **arguments)))
        return [tuple(e["index"]) for e in epoch(itertools.islice(stream, count))]

    whole = first(20)
    assert first(9, start_epoch=1, start_batch=4) == whole[11:]
    assert len(set(whole)) == 20
    assert len(set(first(3, batch_size=31))) == 3


def test_images_are_let_go_with_the_data_set(clean):
    dataset = make_dataset(shuffled(clean, indices=range(9)))
    epoch(dataset)
    gone = weakref.ref(dataset._keras_uai_elements.store)
    del dataset
    gc.collect()
    assert gone() is None


# -- fit under JAX ---------------------------------------------------------------------------------


def orders(folder):
    """The indices that fit takes of each batch of four epochs, and those of the definition."""

    class Note(keras.Model):
        seen = []

        def call(self, data):
            return data["observation"]

        def train_step(self, state, data):
            self.seen.append(np.asarray(data["index"]).tolist())
            return {"loss": keras.ops.zeros(())}, state

    batches = Batches(shuffled(pathlib.Path(folder), DropPixel(0.5), index=True))
    model = Note()
    model.compile(run_eagerly=True, jit_compile=False)
    model.fit(batches, epochs=3, verbose=0, shuffle=False)
    model.fit(batches, epochs=1, verbose=0, shuffle=False)
    made = batches.elements
    wanted = [made.batch_indices(e, i)[0].tolist() for e in range(4) for i in range(7)]
    return json.dumps([Note.seen, wanted])


def test_keras_takes_them_in_their_order(clean):
    """Epoch after epoch, though Keras looks at the first batch before it begins."""
    said = run_python(
        f"from {__name__} import orders\nprint(orders({str(clean)!r}))", KERAS_BACKEND="jax"
    )
    seen, wanted = json.loads(said.splitlines()[-1])
    assert seen == wanted


def test_processes_share_a_batch_in_fit(clean, monkeypatch):
    def part(drop_remainder=True):
        batches = Batches(elements(clean, DropPixel(0.5), drop_remainder=drop_remainder))
        return [batches[i] for i in range(len(batches))], list(batches)

    whole, _ = part()
    parts = []
    for process in range(2):
        monkeypatch.setattr(engines, "_share_of_process", lambda p=process: (p, 2))
        of_fit, by_hand = part()
        parts.append(of_fit)
        assert [len(y) for y in by_hand] == [4] * 7
    assert [len(y) for y in parts[0]] == [2] * 7
    assert np.array_equal(np.concatenate(parts, axis=1), whole)
    with pytest.raises(ValueError, match="batch of 3 images, 2 processes"):
        part(drop_remainder=False)
