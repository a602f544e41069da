"""Loading of trained models, however they are stored."""

import contextlib
import dataclasses
import json
import os
import zipfile

import keras

from keras_uai import files, renamed
from keras_uai.models import InpaintingModel
from keras_uai.presets import folders, hubs, weights

#: Files of a run folder (experiments/run.py).
RUN_MODEL = "model.keras"
RUN_SETTINGS = "settings.json"


@dataclasses.dataclass
class Loaded:
    """A trained model and its origin."""

    model: InpaintingModel
    name: str  # in tables
    digest: str  # changes with the weights
    settings: dict  # data settings that it was trained with; {} where unknown


def load(name_or_path, cls=InpaintingModel, *, load_weights=True, compile=True, **overrides):
    """Loads a preset.

    The model holds the inference networks: the generator (the EMA generator where one was kept)
    and, if trained, the encoder. The discriminator and the optimizers are fresh.

    Args:
        name_or_path: string or path; a name of `available()`, a preset's folder, or a model on a
            hub: `"hf://owner/name"`, `"kaggle://owner/model/keras/variation"`.
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
    path = os.path.join(folder, folders.CONFIG)
    saved = files.read_json(path, "class_name", "config")
    config = _dict(saved["config"], path)
    renamed.check_config(config, folder)
    found = keras.saving.get_registered_object(str(saved.get("class_name")))
    if not isinstance(found, type) or not issubclass(found, cls):
        raise ValueError(
            f"{cls.__name__}.from_preset loads models of {cls.__name__}. Received: {folder}, a "
            f"preset of {saved.get('class_name')!r}"
        )
    for name, value in overrides.items():
        merge = isinstance(value, dict) and isinstance(config.get(name), dict)
        config[name] = {**config[name], **value} if merge else value
    try:
        model = found.from_config(config)
        if compile and saved.get("compile_config"):
            model.compile_from_config(saved["compile_config"])
    except Exception as error:  # edited arguments fail in many ways, in Keras and its backends
        version = folders.metadata(folder).get("saved_with", {})
        raise ValueError(
            f"{found.__name__} does not take these arguments: {error}. Received: {folder}, saved "
            f"with {version}, and overrides {sorted(overrides)}"
        ) from error
    if load_weights:
        path = os.path.join(folder, folders.WEIGHTS)
        stored = weights.read(path, saved.get("weights_sha256"))
        # The encoder is there if it was trained.
        names = ["generator", *model.inference_networks, *({"encoder"} & set(stored))]
        for name in names:
            weights.assign(getattr(model, name), stored.get(name, {}), name, path)
        if model.ema_generator is not None:
            weights.assign(model.ema_generator, stored["generator"], "generator", path)
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
    settings = {}
    if os.path.isfile(os.path.join(path, RUN_SETTINGS)):
        file = os.path.join(path, RUN_MODEL)
        if not os.path.isfile(file):
            raise ValueError(
                f"The run has no {RUN_MODEL} yet: finish it (experiments/run.py --resume=FOLDER). "
                f"Received: {path!r}"
            )
        settings = files.read_json(os.path.join(path, RUN_SETTINGS), "settings")["settings"]
        model = _keras_file(file, compile)
    elif os.path.isfile(path) and path.endswith(".keras"):
        file = path
        model = _keras_file(file, compile)
    elif folders.is_preset(path) or path in folders.available() or hubs.is_uri(path):
        folder = folders.find(path)
        file = os.path.join(folder, folders.WEIGHTS)
        settings = folders.metadata(folder).get("evaluate", {})
        model = load(folder, compile=compile)
    else:
        raise ValueError(
            "A model must be a preset's name or folder, a run's folder (experiments/run.py), or a "
            f"saved model (*.keras). The presets are {', '.join(folders.available()) or 'none'}. "
            f"Received: {path!r}{folders.did_you_mean(path)}"
        )
    name = os.path.basename(os.path.normpath(path)).removesuffix(".keras")
    return Loaded(model, name, weights.digest(file)[:12], _dict(settings, path))


def _dict(value, path):
    if not isinstance(value, dict):
        raise ValueError(
            f"The settings of a model must be a JSON object. Received: {value!r} in {path}"
        )
    return value


@contextlib.contextmanager
def opened(path):
    """Yields the archive of a `.keras` file, all of whose parts are whole.

    Raises:
        ValueError: the file is damaged, or cannot be used inside; the message names it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"its part {damaged} is damaged")
            yield archive
    except Exception as error:  # damaged files and edited arguments fail in many ways
        raise ValueError(
            f"The saved model must be whole, and of this version. Received: {path}: {error}"
        ) from error


def _keras_file(path, compile):
    with opened(path) as archive:
        renamed.check_config(json.loads(archive.read("config.json"))["config"], path)
        model = keras.saving.load_model(path, compile=compile)
    if not isinstance(model, InpaintingModel):
        raise ValueError(
            f"A model must be one of keras_uai.models. Received: {path!r}, a {type(model).__name__}"
        )
    return model
