"""`load`: one call from a name or a folder to batches of damaged images."""

import keras

from keras_uai import measurements
from keras_uai.datasets import splits
from keras_uai.datasets.batches import Batches, Elements
from keras_uai.datasets.sources import FolderSource, Preparation
from keras_uai.datasets.store import open_store

NAMES = ("drawn_faces",)


def load(
    name_or_path,
    split="train",
    image_size=None,
    measurement=None,
    batch_size=128,
    seed=0,
    *,
    crop_size=None,
    channels=None,
    mask_from=None,
    clean=False,
    index=False,
    shuffle=None,
    repeat=False,
    limit=None,
    strict=False,
    download=False,
    data_dir=None,
    cache=None,
    drop_remainder=None,
    start_epoch=0,
):
    measurement = None if measurement is None else measurements.get(measurement)
    preparation = Preparation(image_size, crop_size, channels, mask_from)
    source = _source(name_or_path, preparation, data_dir, download)
    size = source.preparation.image_size
    if measurement is not None:
        measurement.check(size, size)
    wanted = splits.indices(source.size, split, seed, limit)
    store = open_store(source, wanted, cache, strict)
    elements = Elements(
        store,
        store.readable(wanted),
        measurement,
        batch_size,
        seed,
        shuffle=split in splits.SHUFFLED if shuffle is None else shuffle,
        repeat=repeat,
        drop_remainder=drop_remainder,
        clean=clean,
        index=index,
        start_epoch=start_epoch,
    )
    if keras.backend.backend() == "tensorflow":
        from keras_uai.datasets.pipeline import make_dataset

        return make_dataset(elements)
    return Batches(elements)


def _source(name_or_path, preparation, data_dir, download):
    if name_or_path == "drawn_faces":
        from keras_uai.datasets.drawn_faces import DrawnFacesSource

        return DrawnFacesSource(preparation.image_size or 32, preparation.channels or 3)
    return FolderSource(name_or_path, preparation)
