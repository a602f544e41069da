"""Saving a model as a preset."""

import os

import keras

from keras_uai import files
from keras_uai.presets import card, folders, weights

_JSON = {"indent": 2, "allow_nan": False, "ensure_ascii": False}


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
    _check_free(folder, overwrite)
    name = os.path.basename(os.path.abspath(folder))
    networks = inference_networks(model)
    config = {
        "class_name": keras.saving.get_registered_name(type(model)),
        "config": model.get_config(),
        "compile_config": model.get_compile_config(),
    }
    metadata = {**(metadata or {}), **_describe(model, networks, float16)}
    with files.atomic_folder(folder) as draft:
        files.write_json(os.path.join(draft, folders.CONFIG), config, **_JSON)
        weights.write(os.path.join(draft, folders.WEIGHTS), networks, float16)
        files.write_json(os.path.join(draft, folders.METADATA), metadata, **_JSON)
        with open(os.path.join(draft, folders.CARD), "w", encoding="utf-8") as file:
            file.write(card.render(name, metadata, serving))
        if serving:
            from keras_uai.serving import export

            export(
                model,
                os.path.join(draft, folders.SERVING),
                weights="float16" if float16 else "float32",
                encode="encoder" in networks,
                name=name,
            )
    return folder


def inference_networks(model):
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


def _check_free(folder, overwrite):
    if os.path.lexists(folder) and not folders.is_preset(folder):
        raise ValueError(
            f"`folder` must be new, or a preset to overwrite; it is neither. Received: {folder}"
        )
    if os.path.lexists(folder) and not overwrite:
        raise ValueError(
            f"There is a preset already; overwrite=True replaces it. Received: {folder}"
        )


def _describe(model, networks, float16):
    from keras_uai import __version__

    return {
        "class": type(model).__name__,
        "image_shape": list(model.image_shape),
        # "fixed": aligned images of one size; "any": photographs of any size.
        "layout": "any" if model.image_shape[0] is None else "fixed",
        "measurement": repr(model.measurement),
        "learned_from": "clean images, too" if model.required_images else "damaged images only",
        "parameters": {name: network.count_params() for name, network in networks.items()},
        "kernels": "float16" if float16 else "float32",
        "saved_with": {"keras_uai": __version__, "keras": keras.__version__},
    }
