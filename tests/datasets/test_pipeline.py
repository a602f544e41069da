import gc
import itertools
import weakref

import numpy as np
import pytest
import tensorflow as tf

from keras_uai.datasets import loading
from keras_uai.datasets.batches import Batches
from keras_uai.datasets.pipeline import make_dataset
from keras_uai.measurements import DropPixel, Empirical, Patch
from tests.datasets import images
from tests.datasets.images import folder_of_noise, noise, save

MEASUREMENTS = {
    "DropPixel": DropPixel(0.7),
    "Patch": Patch(3, 4, border=1),
    "Empirical": Empirical(noise(0, 5, 12 * 12, 1).reshape(5, 12, 12) > 100),
    "tau": DropPixel(0.5, tau=1.0),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    folder_of_noise(folder / "clean", 31, size=12)
    for i in range(31):
        alpha = (noise(100 + i, 12, 12)[..., 0] > 90) * np.uint8(255)
        save(folder / "damaged" / f"{i:03d}.png", np.dstack([noise(i, 12, 12), alpha]))
    return folder


def elements(folder, measurement, **arguments):
    where = folder / ("damaged" if measurement is None else "clean")
    return images.elements(where, measurement, **{"shuffle": True, **arguments})


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
def test_the_same_elements_as_without_tensorflow(folder, measurement, shuffle):
    """Same order, same masks, same pixels, bit by bit, epoch after epoch."""
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


def test_repeat_gives_full_batches_that_straddle_epochs(folder):
    repeated = elements(folder, DropPixel(0.7), batch_size=10, repeat=True, index=True)
    found = np.concatenate([e["index"] for e in epoch(make_dataset(repeated).take(8))])
    assert np.array_equal(found, np.concatenate([repeated.order(e) for e in range(4)])[:80])
    assert_equal(
        list(itertools.islice(Batches(repeated), 8)), epoch(make_dataset(repeated).take(8))
    )
    with pytest.raises(TypeError, match="repeat=True"):
        len(Batches(repeated))


@pytest.mark.parametrize(
    ("arguments", "cardinality", "rows"),
    [
        ({}, 7, 4),
        ({"drop_remainder": False}, 8, None),
        ({"shuffle": False}, 8, None),
        ({"batch_size": 100}, 1, None),
        ({"repeat": True}, tf.data.INFINITE_CARDINALITY, 4),
    ],
)
def test_cardinality_and_shapes(folder, arguments, cardinality, rows):
    dataset = make_dataset(elements(folder, DropPixel(0.7), **arguments))
    assert dataset.cardinality() == cardinality
    assert dataset.element_spec.shape.as_list() == [rows, 12, 12, 3]
    if cardinality > 0:
        assert len(epoch(dataset)) == cardinality


def test_crops_and_whole_images_of_different_sizes(tmp_path):
    """The same elements as without TensorFlow, crops of one size and batches of several."""
    for i, size in enumerate([(9, 20), (12, 7), (12, 7), (4, 11)]):
        save(tmp_path / f"{i}.png", noise(i, *size))
    arguments = {"batch_size": 2, "crop_size": (6, 8), "random_horizontal_flip": True}
    for shuffle, shape in ((True, (2, 6, 8, 3)), (False, (None, None, None, 3))):
        made = images.elements(tmp_path, DropPixel(0.4), shuffle=shuffle, **arguments)
        dataset = make_dataset(made)
        spec = dataset.element_spec["observation"] if shuffle else dataset.element_spec
        assert tuple(spec.shape) == shape
        for number in range(2):
            expected = [made.make(number, i) for i in range(made.num_batches)]
            if not shuffle:
                expected = [element["observation"] for element in expected]
            assert_equal(epoch(dataset), expected)


def test_a_stream_goes_on_where_it_stopped(folder):
    def first(count, **arguments):
        made = elements(folder, DropPixel(0.7), index=True, **arguments)
        return epoch(loading.stream(make_dataset(made)).take(count))

    assert_equal(first(9, start_epoch=1, start_batch=4), first(20)[11:])


def test_images_are_let_go_with_the_data_set(folder):
    dataset = make_dataset(elements(folder, DropPixel(0.7), indices=range(9)))
    epoch(dataset)
    gone = weakref.ref(dataset._keras_uai_elements.store)
    del dataset
    gc.collect()
    assert gone() is None
