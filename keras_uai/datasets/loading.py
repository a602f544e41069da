"""`load`: one call from a name, a folder or arrays to batches of damaged images."""

import os
from collections.abc import Iterable

import keras
from numpy.typing import ArrayLike

from keras_uai import checks, measurements
from keras_uai import values as value_scaling
from keras_uai.datasets import opening, splits
from keras_uai.datasets.elements import Elements
from keras_uai.datasets.engines import Batches, make_dataset
from keras_uai.datasets.sources import check_size


def load(
    source: str | os.PathLike | ArrayLike,
    split: str = "train",
    *,
    image_size: int | tuple[int, int] | None = None,
    crop_size: int | tuple[int, int] | None = None,
    center_crop: int | None = None,
    channels: int | None = None,
    measurement: measurements.Measurement | str | None = None,
    mask_from: str | os.PathLike | ArrayLike | None = None,
    never_fill: str | os.PathLike | ArrayLike | None = None,
    mask_channels: int | None = None,
    values: value_scaling.ValueScaling | dict | None = None,
    batch_size: int = 128,
    random_horizontal_flip: bool = False,
    clean: bool = False,
    unpaired: bool = False,
    index: bool = False,
    shuffle: bool | None = None,
    repeat: bool = False,
    limit: int | None = None,
    drop_remainder: bool | None = None,
    seed: int = 0,
    start_epoch: int = 0,
    start_batch: int = 0,
    strict: bool = False,
    download: bool = False,
    data_dir: str | os.PathLike | None = None,
    cache: str | os.PathLike | None = None,
) -> Iterable:
    """Returns batches of damaged images, ready for `model.fit`.

    Images keep their size, bit depth and channels. Shuffled parts, for training, are random crops
    at native resolution. Parts in the order of their indices, for evaluation, are whole images.
    Each image is damaged once: the mask of the whole image is a function of its index and `seed`,
    the same in every epoch and on every backend, and is cropped with the image. Where an image is
    cropped and whether it is flipped are functions of seed, epoch and index.

    Args:
        source: one of `keras_uai.datasets.NAMES`; a folder of image files; an array
            `(N, H, W[, C])`; a list of arrays `(H, W[, C])`; or the path of a `.npy` or `.npz` file
            of these. An image's index is its place in the list, of files in the sorted one.
        split: "train" (85%), "validation" (15%), "all", or a part for supervised models:
            "supervised_train", "test", "damaged", "unpaired"; see `keras_uai.datasets.splits`.
        image_size: side to which the largest centred square is resized, in pixels, or
            `(height, width)` for the largest centred window of that aspect. Default: a named data
            set's own; nothing is resized otherwise.
        crop_size: integer or `(height, width)` of the random crops of shuffled parts, in pixels.
            Smaller images are padded with unobserved pixels. Default: whole images of one size.
        center_crop: integer, side of the centred square cut out before resizing. Default: none.
        channels: 1 (gray) or 3 (RGB). Default: as in the files, which must agree.
        measurement: a `Measurement`, or a string such as "Patch(90, 10)": how clean images are
            damaged. None for images that are damaged already.
        mask_from: where damaged image files say what is missing: "alpha" (alpha below 128),
            "sidecar" (NAME.mask.png or NAME_mask.png beside NAME.*, or the same path in a folder
            `masks` in or beside the folder; white = observed), a colour, "color:255,0,255" or
            "color:#ff00ff", or "nan" (floating point TIFF). For arrays: masks in their form or
            `(N, H, W, 1)`, one for all, or a `.npy` file of these; NaN and masked values are always
            missing.
        never_fill: pixels that are neither observed nor filled, such as land in a map of the sea:
            bool `(H, W)` for all images, a list of one an image (1 = never filled), or the path of
            a `.npy` file or of an image file (white = never filled).
        mask_channels: 1, or C where the channels of arrays miss independently. Default: C if they
            do, else 1.
        values: a `ValueScaling`, or the name of a dtype. Default: by the range of uint8 and uint16.
            Other dtypes need one: see `scan_values`.
        batch_size: images a batch.
        random_horizontal_flip: flips half of the crops of shuffled parts.
        clean: adds the clean images, for evaluation or supervision.
        unpaired: adds as many clean images of other scenes, from the split "unpaired", to
            "damaged", "validation" or "test".
        index: adds the images' indices.
        shuffle: another order in each epoch. Default: True for the parts one trains on, False for
            "validation", "test" and "all".
        repeat: epoch after epoch without end, in full batches.
        limit: at most so many images of the split, chosen at random by `seed`.
        drop_remainder: drops a last batch that is not full. Default: as `shuffle`, unless nothing
            would be left. Without shuffling, a batch holds consecutive images of one size.
        seed: integer: of the split, the masks, the order and the crops.
        start_epoch: the epoch to begin with: a resumed run passes the number of epochs it did.
        start_batch: the batch of that epoch to begin with, when iterated or by `stream`.
        strict: an unreadable image is an error; else it is named in the log and skipped.
        download: allows "celeb_a" to be downloaded. Nothing else here uses a network.
        data_dir: folder of the named data sets. Default: that of TensorFlow Datasets, the variable
            TFDS_DATA_DIR or `~/tensorflow_datasets`.
        cache: "memory"; or a folder that keeps decoded images for the next run with the same files
            and arguments; or None: memory where it is large enough, else a folder in `~/.keras`.

    Returns:
        A `tf.data.Dataset`; on other backends than TensorFlow a `keras.utils.PyDataset` with the
        same elements. An element is a dict: "observation" y, float32 `(B, h, w, C)` in network
        units, `measurement.tau` (0) where missing; "mask" `(B, h, w, 1)` or `(B, h, w, C)`, 1 =
        observed; "clean" and "unpaired" `(B, h, w, C)` and "index" int32 `(B,)` when asked for;
        "never_fill" `(B, h, w, 1)`, 1 = never filled, in parts in order. The mask is left out
        where `T(y)` recovers it exactly: 8 or 16 bits, `measurement` given, nothing padded. If
        only y is left, the element is y.

    Raises:
        ValueError: an argument that cannot be; a data set that is not there; a folder without
            images; images that do not fit together.

    Example:

    >>> ds = keras_uai.datasets.load("drawn_faces", measurement="DropPixel(0.9)", batch_size=64)
    >>> ds.element_spec.shape
    TensorShape([64, 32, 32, 3])
    """
    batch_size = checks.check_integer("", "batch_size", batch_size, 1)
    seed = checks.check_integer("", "seed", seed)
    start_epoch = checks.check_integer("", "start_epoch", start_epoch, 0)
    start_batch = checks.check_integer("", "start_batch", start_batch, 0)
    if unpaired and split not in splits.BESIDE_UNPAIRED:
        raise ValueError(
            "Clean images of other scenes go with a split that has none of them: "
            f"{', '.join(splits.BESIDE_UNPAIRED)}. Received: split={split!r}, unpaired=True"
        )
    opened = opening.make_source(
        source,
        image_size=image_size,
        center_crop=center_crop,
        channels=channels,
        mask_from=mask_from,
        mask_channels=mask_channels,
        values=values,
        data_dir=data_dir,
        download=download,
    )
    measurement = opening.check_damage(opened, measurement, mask_from, clean or unpaired)
    beside = "unpaired" if unpaired else None
    store, usable, others = opening.open_split(
        opened, split, beside, measurement, limit=limit, seed=seed, strict=strict, cache=cache
    )
    elements = Elements(
        store,
        usable,
        measurement,
        opening.scaling_of(store, values),
        batch_size=batch_size,
        seed=seed,
        shuffle=split in splits.SHUFFLED if shuffle is None else bool(shuffle),
        crop_size=None if crop_size is None else check_size("crop_size", crop_size),
        random_horizontal_flip=random_horizontal_flip,
        never_fill=opening.read_never_fill(never_fill, store, usable),
        repeat=repeat,
        drop_remainder=drop_remainder,
        clean=clean,
        index=index,
        unpaired=others,
        start_epoch=start_epoch,
        start_batch=start_batch,
    )
    if keras.backend.backend() == "tensorflow":
        return make_dataset(elements)
    return Batches(elements)


def scan_values(source, split="train", **arguments):
    """Returns the `ValueScaling` of a source: its observed values' location and scale.

    The arguments are those of `load`. For 8 and 16 bits it is the scaling by range; otherwise
    `ValueScaling.fit` of the observed values of the split.

    Example:

    >>> fields = np.random.default_rng(0).normal(280.0, 5.0, (40, 32, 32, 1)).astype("float32")
    >>> fields[:, 8:16, 8:16] = np.nan
    >>> values = keras_uai.datasets.scan_values(fields)
    >>> ds = keras_uai.datasets.load(fields, values=values, batch_size=8)
    """
    if arguments.get("values") is not None:
        return value_scaling.get(arguments["values"])
    opened = opening.make_source(source, **arguments)
    if opened.preparation.dtype in ("uint8", "uint16"):
        return value_scaling.ValueScaling(opened.preparation.dtype)
    names = ("limit", "seed", "strict", "cache")
    arguments = {name: arguments[name] for name in names if name in arguments}
    store, usable, _ = opening.open_split(opened, split, **arguments)
    images = (store.image(index) for index in usable)
    masks = (store.mask(index) for index in usable) if store.mask_channels else None
    return value_scaling.ValueScaling.fit(images, masks)


def stream(dataset):
    """Returns the batches of a data set of `load`, epoch after epoch without end.

    Each epoch has its own order. With `load(start_epoch=..., start_batch=...)` the stream goes on
    where an interrupted one stopped. Over several processes each gets its part of a batch.
    """
    return dataset.stream() if isinstance(dataset, Batches) else dataset.repeat()


def labels(dataset, indices):
    """Returns the names of images of a data set of `load` by their `index`: the paths of files.

    Args:
        dataset: what `load` returned.
        indices: integers `(N,)`, as `load(..., index=True)` puts them into batches.

    Example:

    >>> ds = keras_uai.datasets.load(
    ...     "drawn_faces", "test", image_size=16, measurement="DropPixel(0.5)", limit=2, index=True
    ... )
    >>> names = keras_uai.datasets.labels(ds, next(iter(ds))["index"])
    """
    elements = dataset.elements if isinstance(dataset, Batches) else dataset._keras_uai_elements
    return [elements.store.source.label(int(index)) for index in indices]
