"""What can be evaluated: trained models, however they are stored, as samplers."""

import dataclasses
import functools
import json
import os
from collections.abc import Callable

import numpy as np

from keras_uai import backend
from keras_uai.metrics.extractors.base import file_digest, weights_digest

RUN_MODEL, RUN_SETTINGS = "model.keras", "settings.json"  # in a run's folder


@dataclasses.dataclass
class Sampler:
    """Something that reconstructs images, and what is known of it.

    Args:
        name: what to call it in tables.
        sample: `(y, mask, num_samples, seed) -> (N, num_samples, H, W, C)`.
        digest: changes with its weights.
        measurement: what it was trained for, or None where that is not known.
        image_shape: `(H, W, C)` it takes, or None.
        mean: `(y, mask) -> (N, H, W, C)`, its own mean in one pass, or None.
        pairs: `sample` with antithetic pairs, or None.
        stochastic: whether samples of an image may differ.
        settings: of the run that trained it; {} where that is not known.
    """

    name: str
    sample: Callable
    digest: str
    measurement: object = None
    image_shape: tuple | None = None
    mean: Callable | None = None
    pairs: Callable | None = None
    stochastic: bool = True
    settings: dict = dataclasses.field(default_factory=dict)


def load(path, look=None):
    """A trained model as a `Sampler`.

    Args:
        path: a run's folder (experiments/run.py), a saved model (`*.keras`), a preset's folder or
            name, or a SavedModel's folder (such as `saved_models/NAME/serving/1`).
        look: how it is to look (`set_look`) in place of its own way: `"none"`, `"CELL"` or `"CELL,GAIN"`.

    Raises:
        ValueError: where there is no such thing, or it cannot look so.
    """
    path = os.fspath(path)
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        if look is not None:
            raise ValueError(
                f"A SavedModel looks as it was exported. Received: look={look!r} for {path!r}"
            )
        return _saved_model(path)
    model, *known = _find(path)
    if look is not None:
        _set_look(model, look)
    return of_model(model, *known)


def _find(path):
    """The model there, its name, digest and settings."""
    from keras_uai.models import preset_files

    if os.path.isfile(os.path.join(path, RUN_SETTINGS)):
        return _run(path)
    if os.path.isfile(path) and path.endswith(".keras"):
        return _keras_model(path), _stem(path), file_digest(path), {}
    if preset_files.is_preset(path) or path in preset_files.available():
        return _preset(path)
    raise ValueError(
        "A model is a run's folder (experiments/run.py), a saved model (*.keras), a preset's "
        f"folder or name, or a SavedModel's folder. Received: {path!r}"
    )


def of_model(model, name, digest, settings=None):
    """A `keras_uai.models` model as a `Sampler`."""
    if model.look_cell is not None:
        digest = f"{digest} look {model.look_cell},{model.look_gain:.6g}"
    return Sampler(
        name,
        model.inpaint,
        digest,
        model.measurement,
        tuple(model.image_shape),
        model.mean if model.generator.predicts_mean else None,
        functools.partial(model.inpaint, antithetic=True) if model.stochastic else None,
        model.stochastic,
        settings or {},
    )


def _set_look(model, look):
    cell, _, gain = look.partition(",")
    try:
        cell = None if cell == "none" else int(cell)
        gain = float(gain) if gain else getattr(model, "look_gain", 1.0)
    except ValueError:
        raise ValueError(
            f'A look is "none", "CELL" or "CELL,GAIN", such as "4,1.8". Received: look={look!r}'
        ) from None
    if not hasattr(model, "set_look"):
        raise ValueError(
            f"Only UAI takes a second look. Received: look={look!r} for a {type(model).__name__}"
        )
    model.set_look(cell, gain)


def _run(folder):
    path = os.path.join(folder, RUN_MODEL)
    if not os.path.isfile(path):
        raise ValueError(
            f"This run has no {RUN_MODEL} yet: let it finish (experiments/run.py --resume). "
            f"Received: {folder!r}"
        )
    with open(os.path.join(folder, RUN_SETTINGS), encoding="utf-8") as file:
        settings = json.load(file)["settings"]
    name = os.path.basename(os.path.normpath(folder))
    return _keras_model(path), name, file_digest(path), settings


def _keras_model(path):
    import keras

    from keras_uai import models  # noqa: F401 (registers the classes)

    model = keras.saving.load_model(path, compile=False)
    if not callable(getattr(model, "inpaint", None)):
        raise ValueError(
            "Only models that reconstruct can be evaluated, those of keras_uai.models. "
            f"Received: {path!r}, a {type(model).__name__}"
        )
    return model


def _preset(path):
    from keras_uai import models
    from keras_uai.models import preset_files

    folder = preset_files.find(path)
    model = models.InpaintingModel.from_preset(folder, compile=False)
    settings = preset_files.read_json(folder, preset_files.METADATA).get("evaluate", {})
    name = os.path.basename(os.path.normpath(folder))
    return model, name, weights_digest(model.get_weights()), settings


def _saved_model(path):
    """The signature `serving_default`: image, mask and a seed an image -> samples."""
    tf = backend.tensorflow("A SavedModel is run by TensorFlow")
    module = tf.saved_model.load(path)
    signature = module.signatures["serving_default"]
    inputs = signature.structured_input_signature[1]

    def sample(y, mask, num_samples, seed):
        values = {"image": y, "mask": mask, "seed": seed, "num_samples": num_samples}
        feed = {}
        for name, spec in inputs.items():
            value = np.asarray(values[name.removesuffix("s") if name != "num_samples" else name])
            if value.ndim == 0 and spec.shape.rank == 1:
                value = np.full(len(y), value)
            feed[name] = tf.cast(tf.convert_to_tensor(value), spec.dtype)
        return signature(**feed)["samples"].numpy()

    sample.module = module
    return Sampler(_stem(path), sample, file_digest(path))


def _stem(path):
    return os.path.splitext(os.path.basename(os.path.normpath(path)))[0]
