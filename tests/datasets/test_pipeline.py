import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.datasets import loading
from keras_uai.datasets import store as store_module
from keras_uai.datasets.batches import Batches
from keras_uai.datasets.elements import Elements
from keras_uai.datasets.folder import FolderSource
from keras_uai.datasets.pipeline import make_dataset
from keras_uai.datasets.sources import Preparation
from keras_uai.datasets.store import open_store
from keras_uai.measurements import DropPixel, Empirical, Patch
from keras_uai.values import ValueScaling
from tests.datasets.images import folder_of_noise, noise, normalized, save

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


def elements(folder, measurement, batch_size=4, seed=3, **arguments):
    mask_from = None if measurement is not None else "alpha"
    where = folder / ("damaged" if measurement is None else "clean")
    source = FolderSource(where, Preparation(mask_from=mask_from))
    indices = np.arange(0, 31, 2) if arguments.pop("half", False) else np.arange(31)
    arguments = {"shuffle": True, **arguments}
    return Elements(
        open_store(source, indices),
        indices,
        measurement,
        ValueScaling(),
        batch_size=batch_size,
        seed=seed,
        **arguments,
    )


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
    arguments = {"shuffle": shuffle, "half": True, "index": True, "start_epoch": 1}
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


def test_all_256_values_are_normalized_exactly(tmp_path):
    """tf.data may rewrite a division by a constant; the values must stay v / 127.5 - 1."""
    save(tmp_path / "0.png", np.arange(256, dtype="uint8").reshape(16, 16, 1))
    ds = loading.load(tmp_path, "all", measurement=DropPixel(0.0), batch_size=1)
    (y,) = epoch(ds)
    assert np.array_equal(y.flatten(), normalized(np.arange(256)))


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
    source = FolderSource(tmp_path, Preparation())
    for shuffle, shape in ((True, (2, 6, 8, 3)), (False, (None, None, None, 3))):
        made = Elements(
            open_store(source, np.arange(4)),
            np.arange(4),
            DropPixel(0.4),
            ValueScaling(),
            batch_size=2,
            seed=0,
            shuffle=shuffle,
            crop_size=(6, 8),
            random_horizontal_flip=True,
        )
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


def test_fit_knows_the_number_of_steps(folder):
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile(loss="mse")
    steps = []

    class Note(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            steps.append(self.params["steps"])

    dataset = make_dataset(elements(folder, DropPixel(0.7), clean=True))
    pairs = dataset.map(lambda e: (e["observation"], e["clean"][:, 0, 0, :1]))
    history = model.fit(pairs, epochs=2, verbose=0, callbacks=[Note()])
    assert steps == [7]
    assert len(history.history["loss"]) == 2


def of_store(store):
    return Elements(
        store, np.arange(31), DropPixel(0.7), ValueScaling(), batch_size=4, seed=0, shuffle=True
    )


def test_images_are_let_go_with_the_data_set(folder):
    store = open_store(FolderSource(folder / "clean", Preparation(image_size=7)), np.arange(31))
    dataset = make_dataset(of_store(store))
    epoch(dataset)
    gone = weakref.ref(store)
    del store, dataset
    gc.collect()
    assert gone() is None
    assert all(
        store.source.preparation.image_size != (7, 7) for store in store_module._alive.values()
    )
