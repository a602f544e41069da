"""`load`: one call from a name, a folder or arrays to batches of damaged images."""

import functools
import os

import keras
import numpy as np

from keras_uai import checks, files, measurements
from keras_uai import values as value_scaling
from keras_uai.datasets import arrays, geometry, splits
from keras_uai.datasets.batches import Batches
from keras_uai.datasets.elements import Elements
from keras_uai.datasets.sources import Preparation, check_size
from keras_uai.datasets.store import open_store

NAMES = ("celeb_a", "drawn_faces", "lsun/bedroom", "recipe1m")


def load(
    source,
    split="train",
    *,
    image_size=None,
    crop_size=None,
    center_crop=None,
    channels=None,
    measurement=None,
    mask_from=None,
    never_fill=None,
    mask_channels=None,
    values=None,
    batch_size=128,
    random_horizontal_flip=False,
    clean=False,
    unpaired=False,
    index=False,
    shuffle=None,
    repeat=False,
    limit=None,
    drop_remainder=None,
    seed=0,
    start_epoch=0,
    start_batch=0,
    strict=False,
    download=False,
    data_dir=None,
    cache=None,
):
    """Batches of damaged images, ready for `model.fit`.

    Images keep their size, their bit depth and their channels. Shuffled parts, for training, are
    random crops at native resolution. Parts in the order of their indices, for evaluation, are
    whole images. Each image is damaged once: the mask of the whole image is a function of its
    index and `seed`, the same in every epoch and on every backend, and is cropped with the image.
    The place of a crop and whether it is flipped are functions of seed, epoch and index.

    Args:
        source: one of `keras_uai.datasets.NAMES`; a folder of image files, also in folders within;
            an array `(N, H, W, C)` or `(N, H, W)`; a list of arrays `(H, W, C)` or `(H, W)`; or
            the path of a `.npy` or `.npz` file of such arrays. An image's index is its place in
            the list, of files in the sorted one.
        split: "train" (85%), "validation" (15%, for hyperparameters), "all"; or the parts of the
            supervised variants: "supervised_train" (75%), "test" (10%), and the halves of the
            former, "damaged" and "unpaired". See `keras_uai.datasets.splits`.
        image_size: integer: the largest centred square is resized to that side, in pixels. Or
            `(height, width)`: the largest centred window of that aspect is. Default: a named data
            set's own; nothing is resized otherwise.
        crop_size: integer or `(height, width)` of the random crops of shuffled parts, in pixels.
            Smaller images are padded with unobserved pixels. Default: whole images, which must
            then all have one size. Has no effect on parts in order.
        center_crop: integer, side of the centred square cut out before resizing. Default: none.
        channels: 1 (gray) or 3 (RGB). Default: as in the files, which must agree.
        measurement: a `Measurement`, or a string such as "Patch(90, 10)": how clean images are
            damaged. None for images that are damaged already.
        mask_from: where damaged image files say what is missing: "alpha" (alpha below 128),
            "sidecar" (NAME.mask.png or NAME_mask.png beside NAME.*, or the same path in a folder
            `masks` in or beside the folder; white = observed, black = missing), a colour,
            "color:255,0,255" or "color:#ff00ff", or "nan" (floating point TIFF). For arrays: masks
            in the form of the arrays, or `(N, H, W, 1)`, or the path of a `.npy` file of them; NaN
            and the masked values of masked arrays are always missing.
        never_fill: pixels that are neither observed nor filled, such as land in a map of the sea:
            bool array `(H, W)` for all images, or a list of one an image, 1 = never filled; or the
            path of a `.npy` file or of an image file, white = never filled.
        mask_channels: 1, or C where the channels of arrays miss independently. Default: C if they
            do, else 1.
        values: a `ValueScaling`, or the name of a dtype. Default: by the range of uint8 and uint16.
            Other dtypes need one: see `scan_values`.
        batch_size: images a batch.
        random_horizontal_flip: flips half of the crops of shuffled parts.
        clean: adds the clean images, for evaluation or supervision.
        unpaired: adds clean images of other scenes, as many as the batch has, from the split
            "unpaired" (with `limit`, so many of it at most). For a split that has none of these:
            "damaged", "validation" or "test".
        index: adds the images' indices.
        shuffle: another order in each epoch, a permutation of the whole split by seed and epoch.
            Default: True for the parts one trains on, False for "validation", "test" and "all".
        repeat: epoch after epoch without end, in full batches.
        limit: at most so many images of the split, chosen at random by `seed`.
        drop_remainder: drops the last batch of an epoch where it is not full. Default: as
            `shuffle`, unless that would leave nothing. Without shuffling, a batch holds
            consecutive images of one size, and is not full where sizes differ.
        seed: integer: of the split, the masks, the order and the crops.
        start_epoch: the epoch to begin with: a resumed run passes the number of epochs it did.
        start_batch: the batch of that epoch to begin with, when iterated or by `stream`.
        strict: an unreadable image is an error; else it is named in the log and skipped (indices
            and splits of the others stay the same).
        download: allows "celeb_a" to be downloaded. Nothing else here uses a network.
        data_dir: folder of the named data sets. Default: that of TensorFlow Datasets, the variable
            TFDS_DATA_DIR or `~/tensorflow_datasets`.
        cache: "memory"; or a folder, where decoded images are kept for the next run too, and used
            only while the files and these arguments are the same; or None: memory where it is
            large enough, else the folder `keras_uai` in Keras's own (`~/.keras`).

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
            images; images that do not fit together. The message says what to do.

    Example:

    >>> ds = keras_uai.datasets.load("drawn_faces", measurement="DropPixel(0.9)", batch_size=64)
    >>> ds.element_spec.shape
    TensorShape([64, 32, 32, 3])
    """
    for name, value, minimum in (
        ("batch_size", batch_size, 1),
        ("seed", seed, None),
        ("start_epoch", start_epoch, 0),
        ("start_batch", start_batch, 0),
    ):
        checks.check_integer("", name, value, minimum)
    if unpaired and split not in splits.BESIDE_UNPAIRED:
        splits.check(split, limit)
        raise ValueError(
            "Clean images of other scenes go with a split that has none of them: "
            f"{', '.join(splits.BESIDE_UNPAIRED)}. Received: split={split!r}, unpaired=True"
        )
    others = "unpaired" if unpaired else None
    opened = _open(
        source, split, others, image_size=image_size, center_crop=center_crop, channels=channels,
        measurement=measurement, mask_from=mask_from, mask_channels=mask_channels, values=values,
        limit=limit, seed=seed, strict=strict, download=download, data_dir=data_dir, cache=cache,
        clean=clean, unpaired=unpaired,
    )  # fmt: skip
    store, usable, others, measurement = opened
    if measurement is None and not store.source.has_masks:
        _check_damage(measurement, mask_from, {})
    elements = Elements(
        store,
        usable,
        measurement,
        _values(store, values),
        batch_size=int(batch_size),
        seed=int(seed),
        shuffle=split in splits.SHUFFLED if shuffle is None else bool(shuffle),
        crop_size=None if crop_size is None else check_size("crop_size", crop_size),
        random_horizontal_flip=random_horizontal_flip,
        never_fill=_never_fill(never_fill, store, usable),
        repeat=repeat,
        drop_remainder=drop_remainder,
        clean=clean,
        index=index,
        unpaired=others,
        start_epoch=int(start_epoch),
        start_batch=int(start_batch),
    )
    if keras.backend.backend() != "tensorflow":
        return Batches(elements)
    from keras_uai.datasets.pipeline import make_dataset

    return make_dataset(elements)


def scan_values(source, split="train", **arguments):
    """Returns the `ValueScaling` of a source: its observed values' location and scale.

    Args:
        source, split: see `load`.
        **arguments: those that are given to `load`; the others are ignored.

    Returns:
        For 8 and 16 bits the scaling by range, without decoding. Else `ValueScaling.fit` of the
        observed values of the split.

    Example:

    >>> fields = np.random.default_rng(0).normal(280.0, 5.0, (40, 32, 32, 1)).astype("float32")
    >>> fields[:, 8:16, 8:16] = np.nan
    >>> values = keras_uai.datasets.scan_values(fields)
    >>> ds = keras_uai.datasets.load(fields, values=values, batch_size=8)
    """
    if arguments.get("values") is not None:
        return value_scaling.get(arguments["values"])
    names = ("image_size", "center_crop", "channels", "measurement", "mask_from", "mask_channels")
    names += ("limit", "seed", "strict", "download", "data_dir", "cache")
    arguments = {name: arguments[name] for name in names if name in arguments}
    made = make_source(source, **arguments)
    if made.preparation.dtype in ("uint8", "uint16"):
        return value_scaling.ValueScaling(made.preparation.dtype)
    store, usable, _, _ = _open(made, split, None, **arguments)
    images = (store.image(index) for index in usable)
    masks = (store.mask(index) for index in usable) if store.mask_channels else None
    return value_scaling.ValueScaling.fit(images, masks)


def stream(dataset):
    """Returns the batches of a data set of `load`, epoch after epoch without end.

    Each epoch has its own order. With `load(start_epoch=..., start_batch=...)` the stream goes on
    where an interrupted one stopped. Over several processes each gets its part of a batch.
    """
    return dataset.stream() if isinstance(dataset, Batches) else dataset.repeat()


def make_source(
    source,
    *,
    image_size=None,
    center_crop=None,
    channels=None,
    mask_from=None,
    mask_channels=None,
    values=None,
    data_dir=None,
    download=False,
    **others,
):
    """Returns the source of a name, a folder or arrays; see `load`."""
    from keras_uai.datasets import celeb_a, drawn_faces, folder, lsun, recipe1m

    dtype = None if values is None else value_scaling.get(values)
    dtype = dtype.dtype if dtype is not None and dtype.is_bounded else None
    preparation = Preparation(image_size, center_crop, channels, mask_from, dtype)
    is_path = isinstance(source, (str, os.PathLike))
    if not is_path or os.fspath(source).lower().endswith(arrays.EXTENSIONS):
        if not is_path and not isinstance(source, (list, tuple)) and not hasattr(source, "ndim"):
            raise ValueError(
                "`source` must be the name of a data set, a path, an array or a list of arrays. "
                f"Received: {source!r} (of type {type(source).__name__})"
            )
        return arrays.ArraySource(source, preparation, mask_channels)
    if source == drawn_faces.NAME:
        return drawn_faces.DrawnFacesSource(preparation)
    for module in (celeb_a, lsun, recipe1m):
        if source == module.NAME:
            where = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
            where = os.path.abspath(os.path.expanduser(os.fspath(where)))
            return module.make_source(preparation, where, download)
    if not os.path.isdir(os.path.expanduser(os.fspath(source))):
        raise ValueError(
            "There is neither a data set of that name nor such a folder. Received: "
            f"{os.fspath(source)!r} (as a folder: "
            f"{os.path.abspath(os.path.expanduser(os.fspath(source)))}). "
            f"Use one of: {', '.join(NAMES)}; or the path of a folder of images."
        )
    return folder.FolderSource(source, preparation)


def _open(source, split, others, *, measurement=None, limit=None, seed=0, strict=False, cache=None,
          clean=False, unpaired=False, **arguments):  # fmt: skip
    """The store, the usable images of the split and of the split `others`, and the measurement."""
    mask_from = arguments.get("mask_from")
    if measurement is not None:
        measurement = measurements.get(measurement)
    splits.check(split, limit)
    if not hasattr(source, "decode"):
        source = make_source(source, **arguments)
    if source.is_stored:
        _check_damage(measurement, mask_from, {"clean": clean, "unpaired": unpaired})
    elif source.has_masks:
        given = "an array" if mask_from is None else "`mask_from`"
        _check_damage(
            measurement, f"{given} with missing values", {"clean": clean, "unpaired": unpaired}
        )
    wanted = splits.indices(source.size, split, seed, limit)
    beside = splits.indices(source.size, others, seed, limit) if others else wanted[:0]
    store = open_store(source, np.union1d(wanted, beside), cache, strict)
    usable = store.usable(wanted)
    if measurement is not None:
        if measurement.mask_channels not in (1, store.channels):
            raise ValueError(
                "A measurement must damage all channels together, or each of the images'. Received: "
                f"{measurement.mask_channels} channels of masks, images of {store.channels}"
            )
        for height, width in {tuple(size) for size in store.sizes(usable).tolist()}:
            measurement.check(height, width)
    elif store.mask_channels and not store.any_missing(usable):
        raise ValueError(
            f"No pixel of {len(usable)} images is missing. Received: {source.name}, mask_from="
            f"{mask_from!r}. Use the mask_from that these images have"
        )
    return store, usable, store.usable(beside) if others else None, measurement


def _values(store, values):
    """The `ValueScaling` of the images in a store."""
    if values is not None:
        values = value_scaling.get(values)
        if values.is_bounded and values.dtype != store.dtype.name:
            raise ValueError(
                f"`values` must fit the images. Received: values={values} for images of "
                f"{store.dtype}"
            )
        return values
    values = value_scaling.ValueScaling(store.dtype)
    if not values.is_bounded:
        raise ValueError(
            f"Images of {store.dtype} need a scaling of their values. Received: values=None. Use "
            'values=keras_uai.datasets.scan_values(...), or values="float32" for images that are '
            "in network units ([-1, 1]) already"
        )
    return values


def _never_fill(never_fill, store, usable):
    """A function from an index to bool `(H, W, 1)`, True = never filled; None where there is none."""
    if never_fill is None:
        return None
    if isinstance(never_fill, (str, os.PathLike)):
        path = os.path.expanduser(os.fspath(never_fill))
        is_array = path.lower().endswith(".npy")
        never_fill = np.load(path) if is_array else files.mask_from_pixels(*files.read_image(path))
    shared = hasattr(never_fill, "ndim") and never_fill.ndim == 2

    @functools.lru_cache(maxsize=1 if shared else 256)
    def prepared(index):
        never = np.asarray(never_fill if shared else never_fill[index])
        never = checks.is_observed(never, "never_fill").reshape(*never.shape[:2], 1)
        window = store.source.preparation.window(*never.shape[:2])
        size = store.source.preparation.image_size or window
        # Never filled where any pixel under it is.
        return ~geometry.resize_observed(~geometry.center_crop(never, *window), *size)

    found = (lambda index: prepared(0)) if shared else (lambda index: prepared(int(index)))
    for index in usable[:1] if len(usable) else ():
        never, size = found(index), tuple(store.sizes(index).tolist())
        if never.shape[:2] != size:
            raise ValueError(
                f"`never_fill` must have the images' height and width. Received: {never.shape[:2]}, "
                f"images of {size}"
            )
    return found


def _check_damage(measurement, mask_from, wanted):
    if measurement is None and mask_from is None:
        raise ValueError(
            "Clean images need a measurement that damages them, and damaged ones a place to find "
            "their masks. Received: measurement=None, mask_from=None. Use for example "
            'measurement="DropPixel(0.9)", or mask_from="alpha" (or "sidecar", or '
            '"color:255,0,255") for images that are damaged already'
        )
    if measurement is not None and mask_from is not None:
        raise ValueError(
            "Images that are damaged already have their masks. Received: "
            f"measurement={measurement!r}, mask_from={mask_from!r}. Use one of the two; a model "
            "can learn the damage by keras_uai.measurements.Empirical.from_dataset"
        )
    for name in (name for name, value in wanted.items() if value and mask_from is not None):
        raise ValueError(
            f"There are no clean images of damaged ones. Received: {name}=True, "
            f"mask_from={mask_from!r}. Use {name}=False"
        )
