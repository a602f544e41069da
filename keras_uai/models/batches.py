"""Batch unpacking: the forms in which data reaches a model."""

from keras import ops

_HOW = {
    "clean": ("the clean images behind its observations", "clean=True"),
    "unpaired": (
        "clean images of other scenes than its observations",
        'split="damaged", unpaired=True',
    ),
}


def unpack(data, model, required=()):
    """Returns a batch as a dict of float32 `y`, `mask` and, where given, `clean` and `unpaired`.

    Args:
        data: y `(N, H, W, C)` in network units, 0 where missing; or a dict with `observation` and,
            where known, `mask`, `clean` and `unpaired`; or a tuple of one of these.
        model: An `InpaintingModel`.
        required: Names that the dict must have.

    Raises:
        ValueError: if `data` has another form or shape.
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
    if "observation" not in data:
        raise ValueError(
            f"A batch must be y, or a dict with 'observation'. Received: a dict with {sorted(data)}"
        )
    for name in required:
        if data.get(name) is None:
            images, how = _HOW[name]
            raise ValueError(
                f"{type(model).__name__} is trained with supervision: a batch must hold {images} under "
                f"'{name}' (datasets.load(..., {how})). Received: a batch with {sorted(data)}"
            )
    y = ops.cast(data["observation"], "float32")
    _check_shape("Observations", y.shape, model.image_shape)
    if data.get("mask") is None:
        mask = model.measurement.recover(y)
    else:
        mask = ops.cast(ops.cast(data["mask"], "float32") > 0.5, "float32")
        _check_shape("Masks", mask.shape, (*y.shape[1:3], model.measurement.mask_channels))
        y = model.measurement(y, mask)  # hides values under the mask from the model
    batch = {"y": y, "mask": mask}
    for name in ("clean", "unpaired"):
        if data.get(name) is not None:
            batch[name] = ops.cast(data[name], "float32")
    return batch


def _check_shape(name, shape, wanted):
    """Raises a ValueError if the static `shape` is not `(N, *wanted)`; None fits any side."""
    given = tuple(shape[1:])
    fits = len(given) == 3 and all(
        want is None or got is None or want == got for want, got in zip(wanted, given, strict=True)
    )
    if not fits:
        raise ValueError(
            f"{name} must have the shape (N, {', '.join(map(str, wanted))}). "
            f"Received: {name.lower()} of shape {tuple(shape)}"
        )


def check_sides(shape, stride):
    """Raises a ValueError unless the sides of a training batch are multiples of `stride` pixels."""
    if any(side is not None and side % stride for side in shape[1:3]):
        raise ValueError(
            f"Training needs images whose sides are multiples of {stride} pixels, the generator's "
            f"stride: use datasets.load(..., crop_size=). Received: shape {tuple(shape)}"
        )
