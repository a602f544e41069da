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
    _check_shape(y, model)
    if data.get("mask") is None:
        mask = model.measurement.recover(y)
    else:
        mask = ops.cast(data["mask"], "float32")
        y = model.measurement(y, mask)  # hides values under the mask from the model
    batch = {"y": y, "mask": mask}
    for name in ("clean", "unpaired"):
        if data.get(name) is not None:
            batch[name] = ops.cast(data[name], "float32")
    return batch


def _check_shape(y, model):
    shape = tuple(y.shape[1:])
    fits = len(shape) == 3 and all(
        want is None or got is None or want == got
        for want, got in zip(model.image_shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Observations must have the shape (N, {', '.join(map(str, model.image_shape))}). "
            f"Received: observations of shape {tuple(y.shape)}"
        )
