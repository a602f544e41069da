"""Export of a trained model as a SavedModel for TensorFlow Serving."""

import os
import pathlib
import re
import shlex

import absl.logging
import keras

from keras_uai import files
from keras_uai.serving.contract import Contract, Limits


def export(
    model,
    path,
    format=None,
    *,
    weights="float32",
    encode=None,
    webp=True,
    limits=None,
    overwrite=False,
    name=None,
):
    """Exports the generator (the EMA generator, if the model has one) with its signatures.

    Every input has the batch dimension, so that servers may merge requests. An image's samples
    depend on the image and its seed, not on the batch. Images keep their size and units, and
    observed values come back bit-equal. The signatures, described in the export's `README.md`:

    `serving_default`: float images and masks, seeds and numbers of samples -> samples, mean, std.
    `pixels`: the same for 8-bit images, and `image_bytes` for PNG, JPEG and WebP files.
    `tile`: the same for parts of a larger image, whose noise is a crop of the image's.
    `encode`: the posterior of z, and `describe`: the contract as JSON, for clients.

    Args:
        model: an `InpaintingModel`.
        path: of the new folder. Its last part is the version: `.../serving/1`.
        format: None or `"tf_saved_model"`, the only format that holds all signatures.
        weights: `"float32"` or `"float16"`, in which kernels are stored. Arithmetic is in float32.
            Default: `"float32"`.
        encode: boolean, whether the encoder is exported. Default: if the model's loss weights
            train it.
        webp: boolean, whether the graph reads WebP, which needs TensorFlow 2.20 on the server.
            Default: True.
        limits: a `Limits`. Default: `Limits()`.
        overwrite: boolean, whether an existing version is replaced. Default: False.
        name: string, the model's name on servers. Default: from the path.

    Returns:
        The path, a string.

    Raises:
        ValueError: if `path` is no version or exists, or another argument is wrong.
        RuntimeError: on another backend than TensorFlow.
    """
    from keras_uai.serving import assets

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "Models are exported by the TensorFlow backend. Save the model (model.save) and run "
            "`KERAS_BACKEND=tensorflow tools/export --model=FILE.keras`. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    if format not in (None, "tf_saved_model"):
        raise ValueError(
            "`format` must be 'tf_saved_model': a SavedModel holds signatures with seeds, samples "
            "and image files. For a plain function of (observation, mask, style, noise), call "
            f"model.inference_generator.export(path, format={format!r}). "
            f"Received: format={format!r}"
        )
    if weights not in ("float32", "float16"):
        raise ValueError(f"`weights` must be 'float32' or 'float16'. Received: weights={weights!r}")
    path = check_path(path, overwrite)
    name = check_name(default_name(path) if name is None else name)
    contract = Contract.of(model, limits or Limits())
    encode = trains_encoder(model) if encode is None else encode
    with files.atomic_folder(path, overwrite) as draft:
        signatures = _save(_float32(model), contract, draft, weights, encode, webp)
        assets.write(pathlib.Path(draft), contract, name, signatures, webp)
    assets.write_configuration(path.parent, name)
    return str(path)


def run(options):
    """Runs the command `export`.

    Args:
        options: dict of its flags: `model`, `out`, `weights`, `encode`, `webp`, `name`, `overwrite`
            and the fields of `Limits`.

    Returns:
        The text to print.
    """
    from keras_uai import presets
    from keras_uai.serving import assets

    path = check_path(next_version(options["out"]), options["overwrite"])
    name = options["name"] or default_name(path)
    given = {field: options[field] for field in Limits.__dataclass_fields__}
    written = export(
        presets.load_model(options["model"], compile=True).model,
        path,
        limits=Limits(**{field: value for field, value in given.items() if value is not None}),
        name=name,
        **{key: options[key] for key in ("weights", "encode", "webp", "overwrite")},
    )
    size = sum(p.stat().st_size for p in pathlib.Path(written).rglob("*") if p.is_file())
    text = f"Written: {written} ({size / 1e6:.1f} MB)\n"
    kept = [file for file in ("models.config", "README.md") if not _names(path.parent / file, name)]
    if kept:
        text += f"Kept, though they do not name {name}: {', '.join(kept)}\n"
    return (
        f"{text}Run a server (the contract is in {written}/README.md):\n\n"
        f"cd {shlex.quote(str(path.parent))}\n{assets.command(name)}\n"
    )


def check_path(path, overwrite=False):
    """Returns the path of a version to write, or raises a ValueError."""
    path = pathlib.Path(os.path.abspath(os.fspath(path)))
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
    return path


def next_version(path):
    """Returns `path` if its last part is a number, else its next version."""
    path = os.path.abspath(os.fspath(path))
    if os.path.basename(path).isdecimal():
        return path
    names = os.listdir(path) if os.path.isdir(path) else []
    taken = [int(name) for name in names if name.isdecimal()]
    return os.path.join(path, str(max(taken, default=0) + 1))


def default_name(path):
    """Returns the name of a model on servers: `faces` for `faces/serving/1` and for `faces/1`."""
    folder = path.parent.parent if path.parent.name == "serving" else path.parent
    return re.sub(r"[^A-Za-z0-9_.-]", "_", folder.name).lstrip(".-") or "keras_uai"


def check_name(name):
    """Returns a name that can stand in URLs, file names and configurations, or raises."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ValueError(
            f"`name` must consist of letters, digits, '_', '-' and '.'. Received: name={name!r}"
        )
    return name


def _names(path, name):
    return name in path.read_text(encoding="utf-8")


def trains_encoder(model):
    """Whether the model's loss weights train an encoder. False for a model that is not compiled."""
    encoder = getattr(model, "encoder", None)
    return encoder is not None and model.compiled and encoder in model.generator_networks()


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
    for network in ("inference_generator", "encoder"):
        if getattr(model, network, None) is not None:
            getattr(copy, network).set_weights(getattr(model, network).get_weights())
    return copy


def _save(model, contract, folder, weights, encode, webp):
    """Writes the SavedModel; returns the names of its signatures."""
    import tensorflow as tf

    from keras_uai.serving import signatures

    module, functions = signatures.build(model, contract, weights, encode, webp)
    verbosity = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.WARNING)  # it reports names of inner tensors
    try:
        concrete = {name: f.get_concrete_function() for name, f in functions.items()}
        tf.saved_model.save(module, str(folder), signatures=concrete)
    finally:
        absl.logging.set_verbosity(verbosity)
    return list(functions)
