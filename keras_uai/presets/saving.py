"""Saving a model as a preset."""

import os

import keras

from keras_uai import files
from keras_uai.presets import card, folders, weights
from keras_uai.version import __version__


def save(model, folder, metadata=None, *, serving=True, float16=True, overwrite=False):
    """Saves a model as a preset.

    The folder appears when it is complete, and not at all where something fails.

    Args:
        model: an `InpaintingModel`.
        folder: path of the preset; its last part is its name.
        metadata: dict of JSON values to keep: `"description"` (one line), `"data"` (`{"name",
            "licence", "note"}`), `"training"`, `"scores"`, `"limits"` (list of sentences). The model
            card is written from it. Layout, image shape, parameters and versions are added.
        serving: bool; also exports a SavedModel, which needs TensorFlow. Default: True.
        float16: bool; see `weights.write`. Default: True.
        overwrite: bool; replaces a preset of that name. Default: False.

    Returns:
        The folder as a string.

    Raises:
        ValueError: If there is a preset and not `overwrite`, or something that is no preset.
    """
    folder = os.path.normpath(os.fspath(folder))
    if os.path.lexists(folder) and not (overwrite and folders.is_preset(folder)):
        raise ValueError(
            "`folder` must be new, or a preset that overwrite=True replaces. Received: "
            f"{folder}, overwrite={overwrite}"
        )
    name = os.path.basename(os.path.abspath(folder))
    networks = _inference_networks(model)
    config = {
        "class_name": keras.saving.get_registered_name(type(model)),
        "config": model.get_config(),
        "compile_config": model.get_compile_config(),
    }
    kernels = "float16" if float16 else "float32"
    metadata = {
        **(metadata or {}),
        "class": type(model).__name__,
        "image_shape": list(model.image_shape),
        # "fixed": aligned images of one size; "any": photographs of any size.
        "layout": "any" if model.image_shape[0] is None else "fixed",
        "measurement": repr(model.measurement),
        "learned_from": "clean images, too" if model.required_images else "damaged images only",
        "parameters": {name: network.count_params() for name, network in networks.items()},
        "kernels": kernels,
        "saved_with": {"keras_uai": __version__, "keras": keras.__version__},
    }
    options = {"indent": 2, "allow_nan": False, "ensure_ascii": False}
    with files.atomic_folder(folder) as draft:
        path = os.path.join(draft, folders.WEIGHTS)
        weights.write(path, networks, float16)
        config["weights_sha256"] = weights.digest(path)
        files.write_json(os.path.join(draft, folders.CONFIG), config, **options)
        files.write_json(os.path.join(draft, folders.METADATA), metadata, **options)
        text = card.render(name, metadata, serving)
        files.atomic_write(os.path.join(draft, "README.md"), text)
        if serving:
            model.export(os.path.join(draft, "serving", "1"), weights=kernels, name=name)
    return folder


def _inference_networks(model):
    """Returns `{name: network}` of the networks that inference needs.

    These are the EMA generator (without one, the generator), the networks that the class names, and
    the encoder where it was trained. The encoder of a model that is not compiled is kept.
    """
    networks = {"generator": model.inference_generator}
    for name in model.inference_networks:
        networks[name] = getattr(model, name)
    encoder = getattr(model, "encoder", None)
    trained = not model.compiled or any(part is encoder for part in model.generator_networks())
    if encoder is not None and trained:
        networks["encoder"] = encoder
    return networks
