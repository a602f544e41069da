"""`load`: one call from a name or a folder to batches of damaged images."""

import os

import keras
import numpy as np

from keras_uai import measurements
from keras_uai.datasets import splits
from keras_uai.datasets.batches import Batches
from keras_uai.datasets.elements import Elements
from keras_uai.datasets.sources import Preparation
from keras_uai.datasets.store import open_store

NAMES = ("celeb_a", "drawn_faces", "lsun/bedroom", "recipe1m")


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
    unpaired=False,
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
    """Batches of damaged images, ready for `model.fit`.

    Images are decoded, cropped and resized once, and kept as uint8. A pixel value v becomes
    `v / 127.5 - 1`, a missing pixel `measurement.tau` (0). Each image is damaged once: its mask is
    a function of its index and `seed`, the same in every epoch and on every backend.

    Args:
        name_or_path: one of `keras_uai.datasets.NAMES`, or a folder of JPEG, PNG or WebP files,
            also in folders within. An image's index is its place in the sorted list of files.
        split: "train" (85%), "withheld" (15%, for hyperparameters), "all"; or the parts of the
            supervised variants: "supervised_train" (75%), "test" (10%), and the halves of the
            former, "damaged" and "unpaired". See `keras_uai.datasets.splits`.
        image_size: side of the square images, in pixels. Default: `crop_size`; a named data set's
            own; or the images' smaller side, which must then be the same for all.
        measurement: a `Measurement`, or a string such as "Patch(90, 10)": how clean images are
            damaged. None for images that are damaged already (`mask_from`).
        batch_size: images a batch.
        seed: integer: of the split, the masks and the order.
        crop_size: side of the centred square cut out before resizing. Default: the largest.
        channels: 1 (gray) or 3 (RGB). Default: as in the files, which must agree.
        mask_from: where already damaged images say what is missing: "alpha" (alpha below 128),
            "sidecar" (NAME.mask.png or NAME_mask.png beside NAME.*, or the same path in a folder
            `masks` in or beside the folder; white = observed, black = missing), or a colour,
            "color:255,0,255" or "color:#ff00ff". After resizing, a pixel is observed only if all
            the pixels it was made from are, so that no missing value bleeds into it.
        clean: adds the clean images, for evaluation or supervision.
        unpaired: adds clean images of other scenes, as many as the batch has, from the split
            "unpaired" (with `limit`, so many of it at most). For a split that has none of these:
            "damaged", "withheld" or "test".
        index: adds the images' indices.
        shuffle: another order in each epoch, a permutation of the whole split by seed and epoch.
            Default: True for the parts one trains on, False for "withheld", "test" and "all",
            which come in the order of their indices.
        repeat: epoch after epoch without end, in full batches.
        limit: at most so many images of the split, chosen at random by `seed`.
        strict: an unreadable image is an error; else it is named in the log and skipped (indices
            and splits of the others stay the same).
        download: allows "celeb_a" to be downloaded. Nothing else here uses a network.
        data_dir: folder of the named data sets. Default: that of TensorFlow Datasets, the variable
            TFDS_DATA_DIR or `~/tensorflow_datasets`.
        cache: "memory"; or a folder, where decoded images are kept for the next run too, and used
            only while the files and these arguments are the same; or None: memory where it is
            large enough, else the folder `keras_uai` in Keras's own (`~/.keras`).
        drop_remainder: drops the last batch of an epoch where it is not full. Default: as
            `shuffle`, unless that would leave nothing.
        start_epoch: the order to begin with: a resumed run passes the number of epochs it did.

    Returns:
        A `tf.data.Dataset` of known cardinality; on other backends than TensorFlow a
        `keras.utils.PyDataset` with the same elements, kept ahead by a thread. An element is
        float32 `y` `(B, S, S, C)`, or a dict: "observation" y; "mask" `(B, S, S, 1)`, 1 = observed,
        for already damaged images, and where tau is a value that pixels can have (so that `T(y)`
        would not be exact); "clean" x, "unpaired" `(B, S, S, C)` and "index" int32 `(B,)` when asked for.

    Raises:
        ValueError: an argument that cannot be; a data set that is not there; a folder without
            images; images that do not fit together. The message says what to do.

    Example:

    >>> ds = keras_uai.datasets.load("drawn_faces", measurement="DropPixel(0.9)", batch_size=64)
    >>> ds.element_spec.shape
    TensorShape([64, 32, 32, 3])
    """
    _check_integer("batch_size", batch_size, 1)
    _check_integer("seed", seed, None)
    _check_integer("start_epoch", start_epoch, 0)
    if measurement is not None:
        measurement = measurements.get(measurement)
    _check_damage(measurement, mask_from, clean=clean, unpaired=unpaired)
    splits.check(split, limit)
    if unpaired and split not in splits.BESIDE_UNPAIRED:
        raise ValueError(
            "Clean images of other scenes go with a split that has none of them: "
            f"{', '.join(splits.BESIDE_UNPAIRED)}. Received: split={split!r}, unpaired=True"
        )
    preparation = Preparation(image_size, crop_size, channels, mask_from)
    source = make_source(name_or_path, preparation, data_dir, download)
    if measurement is not None:
        measurement.check(*source.shape[:2])
    wanted = splits.indices(source.size, split, seed, limit)
    others = splits.indices(source.size, "unpaired", seed, limit) if unpaired else wanted[:0]
    store = open_store(source, np.union1d(wanted, others), cache, strict)
    usable = store.usable(wanted)
    if mask_from is not None and not store.any_missing(usable):
        raise ValueError(
            f"No pixel of {len(usable)} images is missing. Received: {source.name}, "
            f"mask_from={mask_from!r}. Use the mask_from that these images have"
            + (" (JPEG does not keep a colour exactly: use PNG)." if "color" in mask_from else ".")
        )
    elements = Elements(
        store,
        usable,
        measurement,
        int(batch_size),
        int(seed),
        shuffle=split in splits.SHUFFLED if shuffle is None else bool(shuffle),
        repeat=repeat,
        drop_remainder=drop_remainder,
        clean=clean,
        index=index,
        unpaired=store.usable(others) if unpaired else None,
        start_epoch=int(start_epoch),
    )
    if keras.backend.backend() != "tensorflow":
        return Batches(elements)
    from keras_uai.datasets.pipeline import make_dataset

    return make_dataset(elements)


def make_source(name_or_path, preparation, data_dir=None, download=False):
    """The source of a name or a folder; see `load`."""
    from keras_uai.datasets import celeb_a, drawn_faces, folder, lsun, recipe1m

    if name_or_path == drawn_faces.NAME:
        return drawn_faces.DrawnFacesSource(preparation)
    for module in (celeb_a, lsun, recipe1m):
        if name_or_path == module.NAME:
            where = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
            where = os.path.abspath(os.path.expanduser(os.fspath(where)))
            return module.make_source(preparation, where, download)
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise ValueError(
            "A data set is given by its name or by the path of a folder. "
            f"Received: {name_or_path!r} (of type {type(name_or_path).__name__})"
        )
    if not os.path.isdir(os.path.expanduser(os.fspath(name_or_path))):
        raise ValueError(
            "There is neither a data set of that name nor such a folder. Received: "
            f"{os.fspath(name_or_path)!r} (as a folder: "
            f"{os.path.abspath(os.path.expanduser(os.fspath(name_or_path)))}). "
            f"Use one of: {', '.join(NAMES)}; or the path of a folder of images."
        )
    return folder.FolderSource(name_or_path, preparation)


def _check_integer(name, value, least):
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not integer or (least is not None and value < least):
        at_least = "" if least is None else f" of at least {least}"
        raise ValueError(f"`{name}` must be an integer{at_least}. Received: {name}={value!r}")


def _check_damage(measurement, mask_from, **wanted):
    if measurement is None and mask_from is None:
        raise ValueError(
            "Clean images need a measurement that damages them, and damaged ones a place to find "
            "their masks. Received: measurement=None, mask_from=None. Use for example "
            'measurement="DropPixel(0.9)", or mask_from="alpha" (or "sidecar", or '
            '"color:255,0,255") for images that are damaged already.'
        )
    if measurement is not None and mask_from is not None:
        raise ValueError(
            "Images that are damaged already have their masks. Received: "
            f"measurement={measurement!r}, mask_from={mask_from!r}. Use one of the two; a model "
            "can learn the damage by keras_uai.measurements.Empirical.from_dataset."
        )
    for name in (name for name, value in wanted.items() if value and mask_from is not None):
        raise ValueError(
            f"There are no clean images of damaged ones. Received: {name}=True, "
            f"mask_from={mask_from!r}. Use {name}=False."
        )
