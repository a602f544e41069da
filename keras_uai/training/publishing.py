"""Makes a preset of a finished run and of its evaluation."""

import os
import shlex

from keras_uai import datasets, files, presets
from keras_uai.training import data as training_data
from keras_uai.training import run_folder
from keras_uai.training.evaluation import FOLDER

#: Licences of the named data sets.
LICENCES = {
    "drawn_faces": "none needed: drawn by keras_uai itself (Apache-2.0)",
    "celeb_a": "CelebA: non-commercial research only",
    "lsun/bedroom": "LSUN: research only",
    "recipe1m": "Recipe1M: research only, by agreement",
}
# Parts of an evaluation that say how the numbers came about, without absolute paths.
_PROVENANCE = ("data", "extractor", "num_samples", "seed", "versions")


def publish(
    run,
    path,
    *,
    description,
    evaluation=None,
    data_name=None,
    licence=None,
    note=None,
    limits=(),
    serving=True,
    float16=True,
    overwrite=False,
):
    """Makes a preset of a run.

    Args:
        run: path of a finished run (experiments/run.py).
        path: path of the preset; its last part is its name.
        description: string; one line.
        evaluation: path of the folder that `tools/evaluate` wrote. Default: the run's own.
        data_name: string. Default: the run's data set, or the name of its folder.
        licence: string; required for image folders.
        note: string; a sentence on the data.
        limits: list of further sentences for the model card.
        serving, float16, overwrite: see `presets.save`.

    Returns:
        The path.

    Raises:
        ValueError: If the run is not finished, or something is missing.
    """
    for name in (run_folder.SETTINGS, run_folder.MODEL, run_folder.SCORES):
        if not os.path.isfile(os.path.join(run, name)):
            raise ValueError(
                "`run` must be a finished run (experiments/run.py --resume finishes it). "
                f"Received: {run}, which has no {name}"
            )
    record = files.read_json(os.path.join(run, run_folder.SETTINGS))
    scores = files.read_json(os.path.join(run, run_folder.SCORES))
    settings = record["settings"]
    licence = licence or LICENCES.get(settings["data"])
    if not licence:
        raise ValueError(
            "`licence` (--licence) is required for image folders. "
            f"Received: the folder {portable_data(settings['data'])} without a licence"
        )
    model = presets.load_model(run, compile=True).model
    _restore_learning_rates(model, settings)
    name = os.path.basename(os.path.abspath(path))
    metadata = {
        "description": description,
        "data": {
            "name": data_name or portable_data(settings["data"]),
            "licence": licence,
            **({"note": note} if note else {}),
        },
        "limits": list(limits),
        "training": _training(settings, record, scores),
        "evaluate": _data_settings(settings),
        "scores": _scores(name, settings, evaluation or _own_evaluation(run)),
    }
    return presets.save(
        model, path, metadata, serving=serving, float16=float16, overwrite=overwrite
    )


def portable_data(data):
    """Returns a data set's name, or the last part of a folder's path."""
    return data if data in datasets.NAMES else os.path.basename(os.path.normpath(data))


def portable(command):
    """Returns a command line in which absolute paths are reduced to their last part."""
    if not command:
        return None
    words = []
    for word in shlex.split(command):
        flag, equals, value = word.rpartition("=") if word.startswith("-") else ("", "", word)
        value = os.path.expanduser(value)
        value = os.path.basename(os.path.normpath(value)) if os.path.isabs(value) else value
        words.append(shlex.quote(f"{flag}{equals}{value}"))
    return " ".join(words)


def describe(path):
    """Returns the preset's files and their sizes as text."""
    lines, total = [f"Preset: {path}"], 0
    for folder, _, names in sorted(os.walk(path)):
        for name in sorted(names):
            file = os.path.join(folder, name)
            size = os.path.getsize(file)
            total += size
            lines.append(f"  {os.path.relpath(file, path):45s}{size:>12,} bytes")
    known = os.path.basename(os.path.abspath(path)) in presets.available()
    how = "by its name" if known else "by its path"
    return "\n".join([*lines, f"  {'all':45s}{total:>12,} bytes", f"from_preset finds it {how}."])


def _training(settings, record, scores):
    return {
        "split": training_data.train_split(settings),
        **{name: scores[name] for name in ("steps", "images_seen", "minutes", "seed")},
        "command": portable(record.get("command")),
        "hardware": record["hardware"],
        "versions": record["versions"],
        "settings": {**settings, "data": portable_data(settings["data"])},
    }


def _data_settings(settings):
    """The data settings that `tools/evaluate --preset` starts from; a folder must be named again."""
    named = settings["data"] in datasets.NAMES
    names = ("split_seed", "image_size", "channels", "measurement", "mask_from")
    names = (*names, "data", "center_crop") if named else names
    return {name: settings[name] for name in names}


def _own_evaluation(run):
    path = os.path.join(run, FOLDER)
    return path if os.path.isdir(path) else None


def _scores(name, settings, evaluation):
    """The scores of an evaluation, how they came about, and the command that reproduces them."""
    if evaluation is None:
        return {}
    from keras_uai.metrics import report

    path = os.path.join(evaluation, report.RESULTS)
    if not os.path.isfile(path):
        raise ValueError(
            f"`evaluation` must be a folder of tools/evaluate, with {report.RESULTS}. "
            f"Received: {evaluation}"
        )
    result = files.read_json(path)
    keys = ("num_samples", "scores", "milliseconds_an_image")
    return {
        "description": result["description"],
        "reproduce": _evaluate_command(name, settings, result),
        "methods": {
            method: {key: found[key] for key in keys if key in found}
            for method, found in result["methods"].items()
        },
        **{part: result[part] for part in _PROVENANCE},
    }


def _evaluate_command(name, settings, result):
    """The command that scores the preset as `result` does."""
    from keras_uai.metrics import commands

    of_model = (commands.MODEL, commands.PREDICTED_MEAN)
    flags = {
        "split": result["data"]["split"],
        "images": result["data"]["images"],
        "num_samples": result["num_samples"],
        "seed": result["seed"],
        "extractor": (result["extractor"] or {}).get("extractor", "none"),
        "baselines": ",".join(m for m in result["methods"] if m not in of_model),
        "out": "evaluation",
    }
    words = ["tools/evaluate", f"--preset={name}"]
    if settings["data"] not in datasets.NAMES:
        crop = settings["center_crop"]
        words += ["--data=FOLDER", *([f"--center_crop={crop}"] if crop else [])]
    return " ".join([*words, *(f"--{flag}={value}" for flag, value in flags.items())])


def _restore_learning_rates(model, settings):
    """Resets the rates of a training that the clock ended: they have fallen towards 0."""
    for optimizer, prefix in (
        (model.optimizer, ""),
        (model.discriminator_optimizer, "discriminator_"),
    ):
        # Mixed float16 wraps each optimizer in one that scales losses.
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        rate = optimizer.get_config()["learning_rate"]
        if isinstance(rate, float):
            optimizer.learning_rate = settings[f"{prefix}learning_rate"]
