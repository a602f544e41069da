"""Export of a trained model as a SavedModel for TensorFlow Serving."""

import os
import pathlib
import re

import keras

from keras_uai import files
from keras_uai.serving import assets
from keras_uai.serving.contract import Contract, Limits


def export(
    model,
    path,
    format="tf_saved_model",
    *,
    weights="float32",
    limits=None,
    overwrite=False,
    name=None,
):
    """Exports the generator (the EMA generator, if the model has one) with its signatures.

    `serving_default`: float images and masks, seeds and numbers of samples -> samples, mean, std.
    `image_bytes`: the same for PNG and JPEG files.
    `tile`: the same for parts of a larger image, whose noise is a crop of the image's.
    `describe`: the contract as JSON, for clients.

    They are described in the export's `README.md`. Images keep their size and units. Every input
    has the batch dimension, so that servers may merge requests; an image's samples depend on the
    image and its seed, not on the batch.

    Args:
        model: an `InpaintingModel`.
        path: of the new folder. Its last part is the version: `.../serving/1`.
        format: string, `"tf_saved_model"`, the only format that holds all signatures.
        weights: `"float32"` or `"float16"`, in which kernels are stored. Arithmetic is in float32.
            Default: `"float32"`.
        limits: a `Limits`. Default: `Limits()`.
        overwrite: boolean, whether an existing version is replaced. Default: False.
        name: string, the model's name on servers. Default: from the path, such as `faces` for
            `faces/serving/1` and for `faces/1`.

    Returns:
        The path, a string.

    Raises:
        ValueError: if `path` is no version or exists, or another argument is wrong.
        OSError: if the disk is full, or cannot be written.
        RuntimeError: on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "Models are exported by the TensorFlow backend. Save the model (model.save) and run "
            "`KERAS_BACKEND=tensorflow tools/export --model=FILE.keras`. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    if format != "tf_saved_model":
        raise ValueError(
            "`format` must be 'tf_saved_model'. For a plain function of (observation, mask, style, "
            f"noise), call model.inference_generator.export(path, format={format!r}). "
            f"Received: format={format!r}"
        )
    if weights not in ("float32", "float16"):
        raise ValueError(f"`weights` must be 'float32' or 'float16'. Received: weights={weights!r}")
    path = pathlib.Path(os.path.abspath(path))
    if not re.fullmatch(r"[1-9][0-9]*", path.name):
        raise ValueError(
            "The last part of `path` must be a version, a positive integer: servers load the "
            f"largest. Use {str(path / '1')!r}. Received: path={str(path)!r}"
        )
    if path.exists() and not overwrite:
        raise ValueError(
            f"This version exists. Use {next_version(path.parent)!r}, or overwrite=True. "
            f"Received: path={str(path)!r}"
        )
    import tensorflow as tf

    from keras_uai.serving import signatures

    contract = Contract.of(model, limits or Limits())
    with files.atomic_folder(path) as draft:
        module, functions = signatures.build(_float32(model), contract, weights)
        concrete = {name: function.get_concrete_function() for name, function in functions.items()}
        try:
            tf.saved_model.save(module, draft, signatures=concrete)
            assets.write(pathlib.Path(draft), contract, name_on_servers(path, name), functions)
        except tf.errors.OpError as error:  # TensorFlow's own for a full disk
            raise OSError(f"The export cannot be written: {error.message}") from error
    return str(path)


def next_version(path):
    """Returns `path` if its last part is a number, else its next version."""
    path = os.path.abspath(path)
    if os.path.basename(path).isdecimal():
        return path
    names = os.listdir(path) if os.path.isdir(path) else []
    taken = [int(name) for name in names if name.isdecimal()]
    return os.path.join(path, str(max(taken, default=0) + 1))


def name_on_servers(path, name=None):
    """Returns a name for URLs and file names: `name`, or one from the path of the version."""
    folder = path.parent.parent if path.parent.name == "serving" else path.parent
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name or folder.name).lstrip(".-") or "keras_uai"


def _float32(model):
    """The model, or a copy with the same weights that computes in float32."""
    policy = keras.config.dtype_policy()
    if policy.name == "float32":
        return model
    keras.config.set_dtype_policy("float32")
    try:
        copy = type(model).from_config(model.get_config())
    finally:
        keras.config.set_dtype_policy(policy)
    copy.inference_generator.set_weights(model.inference_generator.get_weights())
    return copy
