"""Loading of trained models, however they are stored."""

import dataclasses
import hashlib
import json
import os
import zipfile

from keras_uai.presets import folders, renamed, weights

#: Files of a run folder (experiments/run.py).
RUN_MODEL = "model.keras"
RUN_SETTINGS = "settings.json"


@dataclasses.dataclass
class Loaded:
    """A trained model and its origin.

    Attributes:
        model: an `InpaintingModel`.
        name: string; the model's name in tables.
        digest: string that changes with the weights.
        settings: dict of the data settings that it was trained with; `{}` where unknown.
        layout: `"fixed"` (aligned images of one size) or `"any"` (photographs of any size).
    """

    model: object
    name: str
    digest: str
    settings: dict
    layout: str


def load(name_or_path, cls=None, *, load_weights=True, compile=True, **overrides):
    """Loads a preset.

    The model holds the inference networks: the generator (the EMA generator where one was kept)
    and, if trained, the encoder. The discriminator and the optimizers are fresh.

    Args:
        name_or_path: string or path; a name of `available()`, or a preset's folder.
        cls: class that the model must be of. Default: any model.
        load_weights: bool; False gives a fresh model of the same configuration. Default: True.
        compile: bool; compiles the model as for its training. Default: True.
        **overrides: constructor arguments that differ; dicts of network arguments are merged.

    Returns:
        The model.

    Raises:
        ValueError: If there is no such preset, its class is another one, its files are damaged, or
            its weights do not fit the overrides.
    """
    folder = folders.find(name_or_path)
    saved = folders.read_json(os.path.join(folder, folders.CONFIG))
    found = folders.model_class(saved)
    wanted = cls.__name__ if cls else "InpaintingModel"
    if found is None or (cls is not None and not issubclass(found, cls)):
        raise ValueError(
            f"{wanted}.from_preset loads models of {wanted}. Received: {folder}, a preset of "
            f"{saved.get('class_name')!r}"
        )
    config = dict(saved.get("config", {}))
    for name, value in overrides.items():
        merge = isinstance(value, dict) and isinstance(config.get(name), dict)
        config[name] = {**config[name], **value} if merge else value
    renamed.check_config(saved.get("config", {}), folder)
    try:
        model = found.from_config(config)
    except TypeError as error:  # an unknown argument
        version = folders.metadata(folder).get("saved_with", {})
        raise ValueError(
            f"{found.__name__} does not take these arguments: {error}. Received: {folder}, saved "
            f"with {version}, and overrides {sorted(overrides)}"
        ) from error
    if compile and saved.get("compile_config"):
        model.compile_from_config(saved["compile_config"])
    if load_weights:
        _assign_weights(model, os.path.join(folder, folders.WEIGHTS))
    return model


def load_model(path, compile=False):
    """Loads a trained model from a preset, a run folder or a `.keras` file.

    Args:
        path: string or path; a preset's name or folder, a run's folder, or a `.keras` file.
        compile: bool; compiles the model as for its training. Default: False.

    Returns:
        A `Loaded`.

    Raises:
        ValueError: If there is no such model, or its run is not finished.

    Example:

    >>> found = presets.load_model("faces_32_drop_pixel")  # doctest: +SKIP
    >>> found.model.inpaint(y, num_samples=10)  # doctest: +SKIP
    """
    path = os.fspath(path)
    if os.path.isfile(os.path.join(path, RUN_SETTINGS)):
        file = os.path.join(path, RUN_MODEL)
        if not os.path.isfile(file):
            raise ValueError(
                f"The run has no {RUN_MODEL} yet: finish it (experiments/run.py --resume=FOLDER). "
                f"Received: {path!r}"
            )
        settings = folders.read_json(os.path.join(path, RUN_SETTINGS))["settings"]
        return _loaded(_keras_file(file, compile), path, _digest(file), settings)
    if os.path.isfile(path) and path.endswith(".keras"):
        return _loaded(_keras_file(path, compile), path.removesuffix(".keras"), _digest(path), {})
    if folders.is_preset(path) or path in folders.available():
        folder = folders.find(path)
        settings = folders.metadata(folder).get("evaluate", {})
        model = load(folder, compile=compile)
        return _loaded(model, folder, _digest(os.path.join(folder, folders.WEIGHTS)), settings)
    raise ValueError(
        "A model must be a preset's name or folder, a run's folder (experiments/run.py), or a saved "
        f"model (*.keras). The presets are {', '.join(folders.available()) or 'none'}. "
        f"Received: {path!r}"
    )


def _loaded(model, path, digest, settings):
    layout = "any" if model.image_shape[0] is None else "fixed"
    return Loaded(model, os.path.basename(os.path.normpath(path)), digest, settings, layout)


def _keras_file(path, compile):
    import keras

    from keras_uai import models

    with zipfile.ZipFile(path) as archive:
        renamed.check_config(json.loads(archive.read("config.json")).get("config", {}), path)
    model = keras.saving.load_model(path, compile=compile)
    if not isinstance(model, models.InpaintingModel):
        raise ValueError(
            f"A model must be one of keras_uai.models. Received: {path!r}, a {type(model).__name__}"
        )
    return model


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _assign_weights(model, path):
    targets = {"generator": [model.generator]}
    if model.ema_generator is not None:
        targets["generator"].append(model.ema_generator)
    for name in model.inference_networks:
        targets[name] = [getattr(model, name)]
    if "encoder" in weights.stored_networks(path):
        targets["encoder"] = [model.encoder]
    weights.read(path, targets)
