"""From the arguments of `load` to decoded images: the source, its split, and how values scale."""

import functools
import os

import numpy as np

from keras_uai import checks, files, measurements
from keras_uai import values as value_scaling
from keras_uai.datasets import arrays, drawn_faces, folder, named, splits
from keras_uai.datasets.sources import Preparation
from keras_uai.datasets.store import open_store

NAMES = ("celeb_a", "drawn_faces", "lsun/bedroom", "recipe1m")


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
    scaling = None if values is None else value_scaling.get(values)
    dtype = scaling.dtype if scaling and scaling.is_bounded else None
    preparation = Preparation(image_size, center_crop, channels, mask_from, dtype)
    is_path = isinstance(source, (str, os.PathLike))
    if not is_path and not isinstance(source, (list, tuple)) and not hasattr(source, "ndim"):
        raise ValueError(
            "`source` must be the name of a data set, a path, an array or a list of arrays. "
            f"Received: {source!r} (of type {type(source).__name__})"
        )
    if not is_path or os.fspath(source).lower().endswith(arrays.EXTENSIONS):
        return arrays.ArraySource(source, preparation, mask_channels)
    if source == drawn_faces.NAME:
        return drawn_faces.DrawnFacesSource(preparation)
    if source in named.MAKERS:
        where = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
        where = os.path.abspath(os.path.expanduser(os.fspath(where)))
        return named.MAKERS[source](preparation, where, download)
    path = os.path.abspath(os.path.expanduser(os.fspath(source)))
    if not os.path.isdir(path):
        raise ValueError(
            "There is neither a data set of that name nor such a folder. Received: "
            f"{os.fspath(source)!r} (as a folder: {path}). Use one of: {', '.join(NAMES)}; or the "
            "path of a folder of images."
        )
    return folder.FolderSource(path, preparation)


def open_split(
    source, split, beside=None, measurement=None, *, limit=None, seed=0, strict=False, cache=None
):
    """Decodes the images of a split, and of a second one `beside` it.

    Returns:
        `(store, indices, others)`: a `Store`, and the usable images of both splits, int64
        ascending; None where there is no second one.
    """
    wanted = splits.indices(source.size, split, seed, limit)
    others = splits.indices(source.size, beside, seed, limit) if beside else wanted[:0]
    store = open_store(source, np.union1d(wanted, others), cache, strict)
    usable, others = store.usable(wanted), store.usable(others)
    for name, found in ((split, usable), (beside, others)):
        if name and not len(found):
            raise ValueError(
                f"An image of the split must be usable. Received: none of {name!r} of {source.name}"
            )
    if measurement is not None:
        if measurement.mask_channels not in (1, store.channels):
            raise ValueError(
                "A measurement must damage all channels together, or each of the images'. "
                f"Received: {measurement.mask_channels} channels of masks, images of "
                f"{store.channels}"
            )
        for height, width in np.unique(store.sizes(usable), axis=0).tolist():
            measurement.check(height, width)
    elif store.mask_channels and all(store.mask(index).all() for index in usable):
        raise ValueError(
            f"No pixel of {len(usable)} images is missing. Received: {source.name}, "
            f"mask_from={source.preparation.mask_from!r}. Use the mask_from that these images have"
        )
    return store, usable, others if beside else None


def scaling_of(store, values):
    """Returns the `ValueScaling` of the images in a store; see `keras_uai.datasets.load`."""
    found = value_scaling.get(store.dtype.name if values is None else values)
    if values is None and not found.is_bounded:
        raise ValueError(
            f"Images of {store.dtype} need a scaling of their values. Received: values=None. Use "
            'values=keras_uai.datasets.scan_values(...), or values="float32" for images that are '
            "in network units ([-1, 1]) already"
        )
    if found.is_bounded and found.dtype != store.dtype.name:
        raise ValueError(
            f"`values` must fit the images. Received: values={values} for images of {store.dtype}"
        )
    return found


def read_never_fill(never_fill, store, usable):
    """Returns a function from an index to bool `(H, W, 1)`, True = never filled, or None."""
    if never_fill is None:
        return None
    if isinstance(never_fill, (str, os.PathLike)):
        path = os.path.expanduser(os.fspath(never_fill))
        is_array = path.lower().endswith(".npy")
        never_fill = (
            files.read_arrays(path)
            if is_array
            else files.mask_from_pixels(*files.decode_image(path))
        )
    shared = hasattr(never_fill, "ndim") and never_fill.ndim == 2

    @functools.lru_cache(maxsize=256)
    def prepared(index):
        never = np.asarray(never_fill if shared else never_fill[index])
        never = checks.is_observed(never, "never_fill").reshape(*never.shape[:2], 1)
        return ~store.source.preparation.apply(~never)  # where any pixel under it is

    for index in usable[:1]:
        never, size = prepared(0 if shared else int(index)), tuple(store.sizes(index).tolist())
        if never.shape[:2] != size:
            raise ValueError(
                "`never_fill` must have the images' height and width. Received: "
                f"{never.shape[:2]}, images of {size}"
            )
    return lambda index: prepared(0 if shared else int(index))


def check_damage(source, measurement, mask_from, wants_clean):
    """Returns the `Measurement` that damages a source, or None where its images are damaged.

    Raises:
        ValueError: neither or both say what is missing, or clean images of damaged ones are wanted.
    """
    measurement = None if measurement is None else measurements.get(measurement)
    if not source.has_masks:
        if measurement is None:
            raise ValueError(
                "Clean images need a measurement that damages them, and damaged ones a place to "
                "find their masks. Received: measurement=None, mask_from=None. Use for example "
                'measurement="DropPixel(0.9)", or mask_from="alpha" (or "sidecar", or '
                '"color:255,0,255") for images that are damaged already'
            )
        return measurement
    given = f"mask_from={mask_from!r}" if isinstance(mask_from, str) else "missing values in arrays"
    if measurement is not None:
        raise ValueError(
            "Images that are damaged already have their masks. Received: "
            f"measurement={measurement!r}, {given}. Use one of the two; a model can learn the "
            "damage by keras_uai.measurements.Empirical.from_dataset"
        )
    if wants_clean:
        raise ValueError(
            "There are no clean images of damaged ones. Received: clean=True or unpaired=True, "
            f"{given}"
        )
    return None
