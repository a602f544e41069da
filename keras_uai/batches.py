"""The forms in which data reaches a model: arrays, data sets, and single batches in a step."""

import inspect
import itertools
import sys

import keras
import numpy as np
from keras import ops

from keras_uai import checks
from keras_uai.measurements.comparison import MOST, check_masks

#: Batches whose masks are compared, at most.
FIRST = 8

_HOW = {
    "clean": ("the clean images behind its observations", "clean=True"),
    "unpaired": (
        "clean images of other scenes than its observations",
        'split="damaged", unpaired=True',
    ),
}


# -- before the step -------------------------------------------------------------------------------


def checked(data, model):
    """Returns `data` of `fit`, `evaluate` or `predict` so that wrong images or masks are refused.

    Args:
        data: Array or tensor, or a dict with "observation" and, where known, "mask", "clean" and
            "unpaired": taken as `InpaintingModel.inpaint` takes arrays. Generators and
            `keras.utils.PyDataset`s of these are checked batch by batch, and so are
            `tf.data.Dataset`s, on the host. Other iterables are returned as they are.
        model: An `InpaintingModel`.

    Raises:
        ValueError: for wrong arrays. What comes out of a `tf.data.Dataset` raises a
            `tf.errors.InvalidArgumentError` when it is reached.
    """
    tf = sys.modules.get("tensorflow")
    if tf is not None and isinstance(data, tf.data.Dataset):
        return data.map(_checks_of(model)).prefetch(1)
    if isinstance(data, keras.utils.PyDataset):
        return _CheckedDataset(data, model)
    if inspect.isgenerator(data):
        return (checked(batch, model) for batch in data)
    if isinstance(data, tuple) and data:
        return (checked(data[0], model), *data[1:])
    if isinstance(data, dict) and "observation" in data:
        return {**data, **_checked_arrays(data, model)}
    return checked({"observation": data}, model) if hasattr(data, "dtype") else data


def _checked_arrays(data, model):
    settings = (model.image_shape, model.measurement.mask_channels, model.values)
    y, mask = checks.check_images(
        data["observation"],
        data.get("mask"),
        *settings,
        name="observation",
        tau=model.measurement.tau,
    )
    found = {"observation": y, "mask": mask}
    for name in ("clean", "unpaired"):
        if data.get(name) is not None:
            found[name], seen = checks.check_images(data[name], None, *settings, name=name)
            if not seen.all():
                raise ValueError(f"`{name}` must have no missing value. Received: NaN or a mask")
    return found


class _CheckedDataset(keras.utils.PyDataset):
    """A `PyDataset` whose batches are checked."""

    def __init__(self, dataset, model):
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self.dataset = dataset
        self.model = model

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def __getitem__(self, index):
        return checked(self.dataset[index], self.model)

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()


def _checks_of(model):
    """Returns a function for `tf.data` that hands a batch on once its values are checked."""
    import tensorflow as tf

    from keras_uai import graph_checks

    tau, bounded = model.measurement.tau, model.values.is_bounded

    @tf.autograph.experimental.do_not_convert
    def check(*element):
        first = element[0]
        data = first if isinstance(first, dict) else {"observation": first}
        check_batch(data, model)
        y, mask, required = data["observation"], data.get("mask"), []
        seen = tf.constant(True)
        if mask is not None:
            observed = (1.0, 255.0, 65535.0) if mask.dtype.is_integer else (1.0,)
            mask = tf.cast(mask, "float32")
            required.append(graph_checks.mask_values(mask, observed))
            mask = mask[..., None] if mask.shape.rank == 3 else mask
            seen = mask > 0.5
        if y.dtype.is_floating:
            y = tf.cast(y, "float32")
            seen = seen & ~tf.math.is_nan(y) & (y != tau if mask is None else True)
            required.append(graph_checks.observed_values(y, seen, "observation", bounded))
        with tf.control_dependencies(required):
            first = tf.nest.map_structure(tf.identity, first)
        return (first, *element[1:]) if len(element) > 1 else first

    return check


def compared(data, model):
    """Returns `data` of `checked` so that the masks of its first images are compared, once a model.

    A warning says where they are unlike those of the model's measurement; see
    `measurements.check_masks`. The batches of a `tf.data.Dataset` are compared on their way to the
    model, those of generators and `PyDataset`s before the first step. Of other iterables none are,
    nor are batches with "seen", which need no measurement.
    """
    tf = sys.modules.get("tensorflow")
    first = _FirstMasks(model)
    if model.masks_compared:
        return data
    if tf is not None and isinstance(data, tf.data.Dataset):
        return data.enumerate().map(first.in_graph).prefetch(1)
    if isinstance(data, keras.utils.PyDataset):
        for index in range(min(FIRST, data.num_batches or FIRST)):
            if not model.masks_compared:
                first.add(data[index])
    elif inspect.isgenerator(data):
        batches = []
        for batch in itertools.islice(data, FIRST):
            batches.append(batch)
            first.add(batch)
            if model.masks_compared:
                break
        return (batch for batch in itertools.chain(batches, data))
    elif isinstance(data, (dict, tuple)):
        first.add(data)
    return data


class _FirstMasks:
    """Compares the masks of the first batches with those of the model's measurement."""

    def __init__(self, model):
        self.model = model
        self.masks = []

    def add(self, data):
        if self.model.masks_compared:
            return
        first = data[0] if isinstance(data, tuple) else data
        if not isinstance(first, dict):
            first = {"observation": first}
        if first.get("seen") is not None:
            self.model.masks_compared = True
            return
        given = ("observation", "mask")
        first = {name: first[name][:MOST] for name in given if first.get(name) is not None}
        mask = ops.convert_to_numpy(unpack(first, self.model)["mask"])
        if self.masks and mask.shape[1:] != self.masks[0].shape[1:]:
            return
        self.masks.append(mask)
        masks = np.concatenate(self.masks)
        found = check_masks(self.model.measurement, masks)
        self.model.masks_compared = bool(found) or len(masks) >= MOST

    def in_graph(self, index, *element):
        """Takes one of the first batches of a `tf.data.Dataset` on the host; for `map`."""
        import tensorflow as tf

        first = element[0] if isinstance(element[0], dict) else {"observation": element[0]}
        names = [name for name in ("observation", "mask", "seen") if name in first]

        def add(index, *arrays):
            if index == len(self.masks):  # not again in the next epoch
                self.add(dict(zip(names, arrays, strict=True)))
            return True

        def look():
            return tf.numpy_function(add, [index, *(first[name] for name in names)], tf.bool)

        tf.cond(index < FIRST, look, lambda: True)
        return element if len(element) > 1 else element[0]


# -- in the step -----------------------------------------------------------------------------------


def unpack(data, model, required=()):
    """Returns a batch as a dict of float32 `y`, `mask` and, where given, `clean`, `unpaired`, `seen`.

    Args:
        data: y `(N, H, W, C)`: floats in network units, `measurement.tau` or NaN where missing, or
            integers as `model.values` scales them; or a dict with `observation` and, where known,
            `mask`, `clean`, `unpaired` and `seen`; or a tuple of one of these. `seen`, of the shape
            of `mask`, is 0 where an observed value is to be hidden and scored; by default, the
            model chooses.
        model: An `InpaintingModel`.
        required: Names that the dict must have.

    Raises:
        ValueError: if `data` has another form, shape or dtype. Values are not checked here.
    """
    if isinstance(data, (tuple, list)):
        data, *rest = data
        if any(part is not None for part in rest):
            raise ValueError(
                "A batch must be y, or a dict with 'observation' and 'mask', 'clean' or 'unpaired' "
                f"beside it. Received: a tuple of {1 + len(rest)}"
            )
    if not isinstance(data, dict):
        data = {"observation": data}
    for name in required:
        if data.get(name) is None:
            images, how = _HOW[name]
            raise ValueError(
                f"{type(model).__name__} is trained with supervision: a batch must hold {images} under "
                f"'{name}' (datasets.load(..., {how})). Received: a batch with {sorted(data)}"
            )
    check_batch(data, model)
    channels = model.measurement.mask_channels
    y = _network_units(data["observation"], model.values)
    known = ops.logical_not(ops.isnan(y))
    if channels == 1:
        known = ops.all(known, axis=-1, keepdims=True)
    if data.get("mask") is None:
        mask = model.measurement.recover(y)
    else:
        mask = ops.cast(ops.cast(data["mask"], "float32") > 0.5, "float32")
        mask = mask[..., None] if len(mask.shape) == 3 else mask
    mask = mask * ops.cast(known, "float32")
    batch = {"y": model.measurement(y, mask), "mask": mask}  # hides values under the mask
    for name in ("clean", "unpaired"):
        if data.get(name) is not None:
            batch[name] = _network_units(data[name], model.values)
    if data.get("seen") is not None:
        batch["seen"] = mask * ops.cast(data["seen"], "float32")
    return batch


def check_batch(data, model):
    """Raises a ValueError unless the shapes and dtypes of a batch, a dict, are the model's."""
    if "observation" not in data:
        raise ValueError(
            f"A batch must be y, or a dict with 'observation'. Received: a dict with {sorted(data)}"
        )
    for name in ("observation", "clean", "unpaired"):
        if data.get(name) is not None:
            _check_shape(data[name].shape, model.image_shape, name)
            known = name != "observation" or data.get("mask") is not None
            dtype = keras.backend.standardize_dtype(data[name].dtype)
            if "float" not in dtype:
                checks.check_dtype(dtype, model.values, name, known)
    for name in ("mask", "seen"):
        if data.get(name) is not None:
            shape = tuple(data[name].shape)
            shape = (*shape, 1) if len(shape) == 3 else shape
            channels = 1 if shape[-1:] == (1,) else model.measurement.mask_channels
            _check_shape(shape, (*data["observation"].shape[1:3], channels), name)


def _check_shape(shape, wanted, name):
    """Of several replicas, some may have no image of a batch."""
    checks.check_shape((shape[0] or None, *shape[1:]) if len(shape) else (), wanted, name)


def _network_units(images, values):
    dtype = keras.backend.standardize_dtype(images.dtype)
    return ops.cast(images if "float" in dtype else values.of(dtype).encode(images), "float32")


def check_sides(shape, stride):
    """Raises a ValueError unless the sides of a training batch are multiples of `stride` pixels."""
    if any(side is not None and side % stride for side in shape[1:3]):
        raise ValueError(
            f"Training needs images whose sides are multiples of {stride} pixels, the generator's "
            f"stride: use datasets.load(..., crop_size=). Received: shape {tuple(shape)}"
        )
