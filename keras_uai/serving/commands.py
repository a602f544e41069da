"""The work behind tools/export."""

import os
import shlex

from keras_uai.metrics import samplers
from keras_uai.serving import companions, exporting
from keras_uai.serving.limits import Limits

_LIMITS = tuple(Limits.__dataclass_fields__)


def export(options):
    """Exports the model that `options` (the tool's flags) name; returns what to print."""
    path = exporting.check_path(_version(options["out"]), options["overwrite"])
    name = options["name"] or exporting.default_name(path)
    limits = Limits(**{n: options[n] for n in _LIMITS if options[n] is not None})
    model = load(options["model"])
    written = exporting.export(
        model,
        path,
        weights=options["weights"],
        encode=options["encode"],
        webp=options["webp"],
        limits=limits,
        overwrite=options["overwrite"],
        name=name,
    )
    size = sum(
        os.path.getsize(os.path.join(root, file))
        for root, _, files in os.walk(written)
        for file in files
    )
    folder = os.path.dirname(written)
    text = f"Written: {written} ({size / 1e6:.1f} MB)\n"
    kept = companions.of_others(folder, name)
    if kept:
        text += f"Kept as they were, without a word of {name}: {', '.join(kept)}\n"
    return (
        f"{text}Serve it ({written}/README.md says what it takes):\n\n"
        f"cd {shlex.quote(folder)}\n{companions.command(name)}\n"
    )


def load(path):
    """A trained model, compiled where it was saved so: its loss weights say whether E is served.

    Args:
        path: a run's folder (experiments/run.py), a saved model (`*.keras`), or a preset's folder or
            name.

    Raises:
        ValueError: where there is no such thing.
    """
    import keras

    from keras_uai import models
    from keras_uai.models import preset_files

    file = path
    if os.path.isfile(os.path.join(path, samplers.RUN_SETTINGS)):
        file = os.path.join(path, samplers.RUN_MODEL)
        if not os.path.isfile(file):
            raise ValueError(
                f"This run has no {samplers.RUN_MODEL} yet: let it finish (experiments/run.py "
                f"--resume). Received: {path!r}"
            )
    if file.endswith(".keras") and os.path.isfile(file):
        model = keras.saving.load_model(file)
        if not isinstance(model, models.InpaintingModel):
            raise ValueError(
                "Only models that reconstruct can be exported, those of keras_uai.models. "
                f"Received: {path!r}, a {type(model).__name__}"
            )
        return model
    if preset_files.is_preset(path) or path in preset_files.available():
        return models.InpaintingModel.from_preset(path)
    raise ValueError(
        "A model is a run's folder (experiments/run.py), a saved model (*.keras), or a preset's "
        f"folder or name. Received: {path!r}"
    )


def _version(out):
    """`out` itself where its last part is a version, else the next version in it."""
    out = os.path.abspath(out)
    if os.path.basename(out).isdecimal():
        return out
    taken = [int(n) for n in os.listdir(out) if n.isdecimal()] if os.path.isdir(out) else []
    return os.path.join(out, str(max(taken, default=0) + 1))
