"""A finished run's folder, and what `tools/evaluate` said of it, as a preset."""

import os
import shlex

import keras

from keras_uai import datasets, models
from keras_uai.experiment import run_folder
from keras_uai.experiment.data import train_split
from keras_uai.metrics import report
from keras_uai.metrics.commands import MODEL, OWN_MEAN, PAIRS
from keras_uai.metrics.evaluation_data import DATA
from keras_uai.metrics.report import RESULTS

#: Licences of the named data sets.
LICENCES = {
    "drawn_faces": "none needed: drawn by keras_uai itself (Apache-2.0)",
    "celeb_a": "CelebA: non-commercial research only",
    "lsun/bedroom": "LSUN: research only",
    "recipe1m": "Recipe1M: research only, by agreement",
}
# Of an evaluation: what the numbers owe their value to, without the paths of this machine.
_STAMPS = ("data", "extractor", "num_samples", "seed", "versions")


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
        run: a finished run's folder (experiments/run.py).
        path: the preset's folder; its last part is its name.
        description: one line.
        evaluation: the folder that `tools/evaluate` wrote of the run; without it, the scores are the run's own, which
            have no intervals.
        data_name: what to call the data; the run's, or the name of its folder, by default.
        licence: of the data; known for named data sets.
        note: a sentence on the data.
        limits: further sentences for the model card.
        serving, float16, overwrite: see `save_to_preset`.

    Returns:
        the path.

    Raises:
        ValueError: the run is not finished, or something is not said; the message says what.
    """
    for name in (run_folder.SETTINGS, run_folder.MODEL, run_folder.SCORES):
        if not os.path.isfile(os.path.join(run, name)):
            raise ValueError(
                f"A preset is made of a finished run (experiments/run.py --resume finishes it). Received: {run}, "
                f"which has no {name}"
            )
    record = run_folder.read_json(os.path.join(run, run_folder.SETTINGS))
    scores = run_folder.read_json(os.path.join(run, run_folder.SCORES))
    settings = record["settings"]
    data = settings["data"]
    licence = licence or LICENCES.get(data)
    if not licence:
        raise ValueError(
            "Under which licence are the images? A preset says so (--licence). "
            f"Received: images of the folder {os.path.basename(os.path.normpath(data))}, and no licence"
        )
    model = keras.saving.load_model(os.path.join(run, run_folder.MODEL))
    _restore_learning_rates(model, settings)
    name = os.path.basename(os.path.abspath(path))
    metadata = {
        "description": description,
        "data": {
            "name": data_name or os.path.basename(os.path.normpath(data)),
            "licence": licence,
            **({"note": note} if note else {}),
        },
        "limits": list(limits),
        "training": _training(settings, record, scores),
        "evaluate": _evaluate_with(settings),
        "scores": _scores(name, settings, scores, evaluation),
    }
    return model.save_to_preset(
        path, report.plain(metadata), serving=serving, float16=float16, overwrite=overwrite
    )


def _training(settings, record, scores):
    return {
        "split": train_split(settings),
        **{name: scores[name] for name in ("steps", "images_seen", "minutes", "seed")},
        "command": portable(record.get("command")),
        "hardware": record["hardware"],
        "versions": record["versions"],
        "settings": {**settings, "data": portable_data(settings["data"])},
    }


def portable_data(data):
    """A data set's name, or the last part of a folder's path: what says something on other machines."""
    return data if data in datasets.NAMES else os.path.basename(os.path.normpath(data))


def portable(command):
    """A command line with the last part of every path that begins at the root."""
    if not command:
        return None
    words = []
    for word in shlex.split(command):
        flag, equals, value = word.rpartition("=") if word.startswith("-") else ("", "", word)
        value = os.path.expanduser(value)
        value = os.path.basename(os.path.normpath(value)) if os.path.isabs(value) else value
        words.append(shlex.quote(f"{flag}{equals}{value}"))
    return " ".join(words)


def _evaluate_with(settings):
    """The settings that `tools/evaluate --preset` starts from: those of the data. A folder has to be named again."""
    return {
        name: None if name == "data" and settings[name] not in datasets.NAMES else settings[name]
        for name in DATA
    }


def _scores(name, settings, scores, evaluation):
    if evaluation is None:
        what = scores["data"]
        methods = {
            method: {
                "num_samples": found["num_samples"],
                "scores": {key: {"value": value} for key, value in found.items()},
            }
            for method, found in scores["scores"].items()
        }
        images = next(iter(scores["scores"].values()), {}).get("images", 0)
        what = {**what, "data": portable_data(what["data"])}
        return {
            "description": f"{images:,} {what['split']} images, {settings['measurement']}; scored by the run itself.",
            "methods": methods,
            "data": what,
        }
    path = os.path.join(evaluation, RESULTS)
    if not os.path.isfile(path):
        raise ValueError(
            f"The folder of an evaluation (tools/evaluate --out) holds a {RESULTS}. Received: {evaluation}"
        )
    result = run_folder.read_json(path)
    methods = {
        method: {key: found[key] for key in ("num_samples", "scores", "milliseconds_an_image")}
        for method, found in result["methods"].items()
    }
    stamps = {stamp: result[stamp] for stamp in _STAMPS}
    return {
        "description": result["description"],
        "reproduce": _command(name, settings, result),
        "methods": methods,
        **stamps,
    }


def _command(name, settings, result):
    """What scores the preset as `result` has it."""
    pairs = PAIRS.format(result["num_samples"])
    baselines = [m for m in result["methods"] if m not in (MODEL, OWN_MEAN, pairs)]
    data = [] if settings["data"] in datasets.NAMES else ["--data=FOLDER"]
    given = {
        "split": result["data"]["split"],
        "images": result["data"]["images"],
        "num_samples": result["num_samples"],
        "seed": result["seed"],
        "extractor": (result["extractor"] or {}).get("extractor", "none"),
        "baselines": ",".join(baselines),
        "out": "evaluation",
    }
    flags = [f"--{flag}={value}" for flag, value in given.items()]
    flags += ["--pairs"] if pairs in result["methods"] else []
    return " ".join(["tools/evaluate", f"--preset={name}", *data, *flags])


def _restore_learning_rates(model, settings):
    """Where the clock ended the training, the rates have fallen: a preset's compile begins anew."""
    for optimizer, side in (
        (model.optimizer, ""),
        (model.discriminator_optimizer, "discriminator_"),
    ):
        # Mixed float16's loss scale is an optimizer around another one.
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if not isinstance(
            optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule
        ):
            optimizer.learning_rate = settings[f"{side}learning_rate"]


def describe(path):
    """What was made, for whoever ran the command: files and their sizes."""
    lines = [f"Preset: {path}"]
    total = 0
    for folder, _, names in sorted(os.walk(path)):
        for name in sorted(names):
            size = os.path.getsize(os.path.join(folder, name))
            total += size
            lines.append(
                f"  {os.path.relpath(os.path.join(folder, name), path):45s}{size:>12,} bytes"
            )
    presets = models.InpaintingModel.presets
    known = os.path.basename(os.path.abspath(path)) in presets
    how = "by its name" if known else "by its path"
    return "\n".join([*lines, f"  {'all':45s}{total:>12,} bytes", f"from_preset finds it {how}."])
