"""Makes a preset of a finished run and of its evaluation."""

import os
import re
import shlex

from keras_uai import datasets, files, presets
from keras_uai.metrics import commands, report
from keras_uai.training import factory, run_folder
from keras_uai.training.data import train_split
from keras_uai.training.evaluation import FOLDER

#: Licences of the named data sets.
LICENCES = {
    "drawn_faces": "none needed: drawn by keras_uai itself (Apache-2.0)",
    "celeb_a": "CelebA: non-commercial research only",
    "lsun/bedroom": "LSUN: research only",
    "recipe1m": "Recipe1M: research only, by agreement",
}


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
    **options,
):
    """Makes a preset of a finished run; returns its path.

    The arguments are the flags of `tools/make_preset`; `options` are those of `presets.save`.

    Raises:
        ValueError: If the run is not finished, or something is missing.
    """
    for name in (run_folder.SETTINGS, run_folder.MODEL, run_folder.SCORES):
        if not os.path.isfile(os.path.join(run, name)):
            raise ValueError(
                "`run` must be a finished run (experiments/run.py --resume finishes it). "
                f"Received: {run}, which has no {name}"
            )
    names = ("settings", "hardware", "versions")
    record = files.read_json(os.path.join(run, run_folder.SETTINGS), *names)
    length = ("steps", "images_seen", "minutes", "seed")
    scores = files.read_json(os.path.join(run, run_folder.SCORES), *length)
    settings = record["settings"]
    named = settings["data"] in datasets.NAMES
    if not named:  # absolute paths are left out
        settings["data"] = os.path.basename(os.path.normpath(settings["data"]))
    licence = licence or LICENCES.get(settings["data"])
    if not licence:
        raise ValueError(
            "`licence` (--licence) is required for image folders. "
            f"Received: the folder {settings['data']} without a licence"
        )
    model = presets.load_model(run).model
    # The clock may have ended the training: its learning rates have fallen towards 0.
    factory.compile_model(model, settings, scores["steps"])
    known = ("split_seed", "image_size", "channels", "measurement", "mask_from")
    known += ("data", "center_crop") if named else ()  # a folder must be named again
    metadata = {
        "description": description,
        "data": {"name": data_name or settings["data"], "licence": licence, "note": note},
        "limits": list(limits),
        "training": {
            "split": train_split(settings),
            **{name: scores[name] for name in length},
            "command": portable(record.get("command")),
            **{name: record[name] for name in ("hardware", "versions")},
            "settings": settings,
        },
        "evaluate": {name: settings[name] for name in known},
        "scores": _scores(path, run, evaluation, settings, named),
    }
    return presets.save(model, path, metadata, **options)


def portable(command):
    """Returns a command line in which absolute paths are reduced to their last part."""
    words = (re.sub(r"(^|=)[/~](.*/)?(?=.)", r"\1", word) for word in shlex.split(command or ""))
    return shlex.join(words)


def _scores(path, run, evaluation, settings, named):
    """The scores of an evaluation, how they came about, and the command that reproduces them."""
    folder = evaluation or os.path.join(run, FOLDER)
    file = os.path.join(folder, report.RESULTS)
    if not os.path.isfile(file):
        if evaluation is None:  # --eval_images=0
            return {}
        raise ValueError(
            f"`evaluation` must be a folder of tools/evaluate, with {report.RESULTS}. "
            f"Received: {evaluation}"
        )
    names = ("data", "description", "extractor", "methods", "num_samples", "seed", "versions")
    result = files.read_json(file, *names)
    data = result["data"]
    of_model = (commands.MODEL, commands.PREDICTED_MEAN)
    flags = {
        "preset": os.path.basename(os.path.abspath(path)),
        **({} if named else {"data": "FOLDER"}),
        **({"center_crop": settings["center_crop"]} if settings["center_crop"] else {}),
        **({"mask_from": settings["mask_from"]} if settings["mask_from"] else {}),
        **({"clean_data": "CLEAN"} if settings["mask_from"] and not data["holdout"] else {}),
        "split": data["split"],
        "images": data["images"],
        "num_samples": result["num_samples"],
        "seed": result["seed"],
        "extractor": (result["extractor"] or {}).get("extractor", "none"),
        "baselines": ",".join(m for m in result["methods"] if m not in of_model),
        "out": "evaluation",
    }
    keys = ("num_samples", "scores", "milliseconds_an_image")
    return {
        "description": result["description"],
        "reproduce": " ".join(["tools/evaluate", *(f"--{n}={v}" for n, v in flags.items())]),
        "methods": {
            method: {key: found[key] for key in keys if key in found}
            for method, found in result["methods"].items()
        },
        **{n: result[n] for n in names if n not in ("description", "methods")},
    }
