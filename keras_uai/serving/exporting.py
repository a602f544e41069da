"""Writes a trained model as a SavedModel that TensorFlow Serving loads."""

import os
import pathlib
import re
import shutil
import tempfile

import absl.logging
import keras

from keras_uai.serving.limits import Limits


def export(
    model,
    path,
    weights="float32",
    encode=None,
    webp=True,
    limits=None,
    overwrite=False,
    name=None,
):
    """Exports the generator (its average, where the model keeps one) with all that serves it.

    Every input of every signature has the batch dimension, so that servers may merge requests; the
    same image and seed give the same samples in any batch.

    `serving_default`: `image` float32 `(N, h, w, C)` in [-1, 1], `mask` float32 `(N, h, w, 1)`, `seed`
        int64 `(N,)`, `num_samples` int32 `(N,)` -> `samples` `(N, K, h, w, C)`, `mean` `(N, h, w, C)`,
        `std` `(N, h, w)`. K is the largest `num_samples` of the batch; sample k of an image depends on
        its seed and k only. `mean` is the generator's own where it predicts one, else that of the
        image's samples; `std` is that of the image's samples, a mean over channels, 0 for one sample.
    `uint8`: the same with uint8 `image`, `mask` (white = observed), `samples` and `mean`.
    `image_bytes`: `image_bytes` and `mask_bytes` strings `(N,)` (PNG, JPEG, WebP; an empty mask: the
        alpha channel), `seed`, `num_samples` -> PNGs `samples_bytes` `(N, K)`, `mean_bytes`,
        `std_bytes` `(N,)` (white = 1) at each image's size, and `samples`, `mean`, `std` at the model's.
    `encode`: `image`, `mask` -> `mean`, `log_variance` `(N, latent_dim)` of z.

    Images of another size than the model's are resized in and answers resized back, see
    `keras_uai.serving.resizing`; observed pixels come back as they were sent.

    Args:
        model: an `InpaintingModel`.
        path: of the new folder, whose name is the version: `.../serving/1`.
        weights: `"float32"`, or `"float16"`: kernels are stored in half the bytes; arithmetic stays
            float32.
        encode: whether E is exported, too. `None`: where the model's loss weights train it.
        webp: whether the graph reads WebP, for which a server needs TensorFlow 2.20.
        limits: a `Limits`.
        overwrite: whether a version that is there is replaced.
        name: what servers call the model. Default: from the path.

    Returns:
        the path, a string.

    Raises:
        ValueError: a path that is no version, or is there already; arguments that cannot be.
        RuntimeError: on another backend than TensorFlow.
    """
    from keras_uai.serving import companions

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "Models are exported by the TensorFlow backend. Save the model (model.save) and run "
            "`KERAS_BACKEND=tensorflow tools/export --model=FILE.keras`. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    if weights not in ("float32", "float16"):
        raise ValueError(f'`weights` is "float32" or "float16". Received: weights={weights!r}')
    path = check_path(path, overwrite)
    name = check_name(default_name(path) if name is None else name)
    limits = Limits() if limits is None else limits
    if encode is None:
        encode = trains_encoder(model)
    if encode and getattr(model, "encoder", None) is None:
        raise ValueError(
            f"A {type(model).__name__} has no encoder. Received: encode={encode!r}; leave it out"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden and not a number: servers that watch the folder do not see it.
    draft = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        signatures = _write(_float32(model), draft, weights, encode, webp, limits)
        companions.write(draft, model, name, signatures, webp, limits)
        _move(draft, path, overwrite)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    companions.write_configuration(path.parent, name)
    return str(path)


def check_path(path, overwrite=False):
    """The path of a version that can be written, or a ValueError."""
    path = pathlib.Path(os.path.abspath(os.fspath(path)))
    if not (
        path.name.isascii() and path.name.isdigit() and str(int(path.name)) == path.name != "0"
    ):
        raise ValueError(
            "The last part of an export's path is its version, a positive integer: servers load the "
            f"largest. Use {str(path / '1')!r}. Received: path={str(path)!r}"
        )
    if path.exists() and not overwrite:
        taken = [int(p.name) for p in path.parent.iterdir() if p.name.isdecimal()]
        raise ValueError(
            f"This version is there already. Use {str(path.parent / str(max(taken) + 1))!r}, or "
            f"overwrite=True. Received: path={str(path)!r}"
        )
    return path


def default_name(path):
    """`faces` for `faces/serving/1` and for `faces/1`."""
    folder = path.parent.parent if path.parent.name == "serving" else path.parent
    return re.sub(r"[^A-Za-z0-9_.-]", "_", folder.name).lstrip(".-") or "keras_uai"


def check_name(name):
    """A name that stands in URLs, file names and configurations as it is, or a ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ValueError(
            "A served model's name is made of letters, digits, '_', '-' and '.'. "
            f"Received: name={name!r}"
        )
    return name


def trains_encoder(model):
    """Whether the model's loss weights train E; a model that was not compiled is not known to."""
    encoder = getattr(model, "encoder", None)
    return encoder is not None and model.compiled and encoder in model.generator_side()


def _float32(model):
    """The model itself, or one that computes in float32 with the same weights."""
    if keras.config.dtype_policy().name == "float32" and _computes_in_float32(model):
        return model
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        copy = type(model).from_config(model.get_config())
    finally:
        keras.config.set_dtype_policy(policy)
    for network in ("generator", "generator_average", "encoder"):
        if getattr(model, network, None) is not None:
            getattr(copy, network).set_weights(getattr(model, network).get_weights())
    return copy


def _computes_in_float32(model):
    return all(layer.compute_dtype == "float32" for layer in model.generator._flatten_layers())


def _write(model, folder, weights, encode, webp, limits):
    import tensorflow as tf

    from keras_uai.serving import slimming
    from keras_uai.serving.signatures import Served

    served = Served(model, weights, encode, limits, webp)
    signatures = {n: f.get_concrete_function() for n, f in served.functions().items()}
    verbosity = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.WARNING)  # it talks about names of inner tensors
    try:
        tf.saved_model.save(served, str(folder), signatures=signatures)
    finally:
        absl.logging.set_verbosity(verbosity)
    slimming.slim(folder)
    return list(signatures)


def _move(draft, path, overwrite):
    old = None
    if overwrite and path.exists():
        old = path.with_name(f".{path.name}-old-{os.getpid()}")
        path.rename(old)
    draft.chmod(0o755)  # temporary folders are their owner's alone; a server may be someone else
    draft.rename(path)
    if old is not None:
        shutil.rmtree(old)
