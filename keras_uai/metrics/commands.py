"""The work behind tools/evaluate, tools/reference_statistics and tools/figures.

Each takes a dict of options, named and explained as the tool's flags; None stands for one that was
not given.
"""

import os
import platform
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import keras_uai
from keras_uai.metrics import (
    baselines,
    evaluation,
    extractors,
    figures,
    gathering,
    references,
    report,
    samplers,
)
from keras_uai.metrics.evaluation_data import EvaluationData

MODEL, OWN_MEAN = "model", "model, its own mean"
PAIRS = "model, mean of {} in antithetic pairs"
FIGURE_IMAGES, FIGURE_SAMPLES = 8, 5


def evaluate(options):
    """Scores a model, and the baselines beside it.

    Returns:
        `(result, paths)`: the dict that stands in `results.json`, and the files written.
    """
    look = options.get("look")
    if look is not None and not options["model"]:
        raise ValueError(f"Only a model looks: name one (--model). Received: --look={look} alone")
    model = samplers.load(options["model"], look) if options["model"] else None
    data = EvaluationData(options, model)
    methods = _methods(options, model)
    extractor = _extractor(options["extractor"]) if data.has_whole_images else None
    result = {
        "model": None
        if model is None
        else {"path": options["model"], "digest": model.digest, "look": look},
        "data": data.stamp(),
        "extractor": extractor and extractor.stamp(),
        "num_samples": options["num_samples"],
        "seed": options["seed"],
        "versions": _versions(),
        "methods": {},
    }
    reference = None
    if extractor is not None:
        reference, _ = references.reference(
            options["references"],
            extractor,
            data.batches,
            progress=options["progress"],
            **data.identity,
        )
        result["extractor"]["dimensions"] = reference.dimension
    made_with = {name: result[name] for name in ("data", "extractor", "seed", "versions")}
    for name, method in methods.items():
        found = gathering.gather(
            method.sampler,
            data.batches,
            _state_path(options, name),
            {**made_with, "sampler": method.digest, "num_samples": method.num_samples},
            num_samples=method.num_samples,
            seed=options["seed"],
            measurement=data.measurement,
            max_images=result["data"]["images"],
            extractor=extractor,
            progress=options["progress"] and name,
        )
        result["methods"][name] = _result(found, method, reference, extractor)
    result = {"description": describe(result), **result}
    pictures = _pictures(options, data, methods)
    return result, report.write(options["out"], result, pictures)


def reference_statistics(options):
    """Makes reference statistics of clean images, or finds them; returns `(Statistics, path)`."""
    data = EvaluationData(options, clean_only=True)
    return references.reference(
        options["references"],
        extractors.get(None if options["extractor"] == "auto" else options["extractor"]),
        data.batches,
        progress=options["progress"],
        **data.identity,
    )


def draw_figure(options):
    """Draws observations and samples, of one model in the layout of figures 4 and 5, of several a
    column each; returns the PNG's path.
    """
    paths = options["model"]
    paths = [paths] if isinstance(paths, str) else paths
    if len(paths) > 1 or options.get("names"):
        return _draw_models(options, paths)
    model = samplers.load(paths[0], options.get("look"))
    images = FIGURE_IMAGES if options["images"] is None else options["images"]
    data = EvaluationData({**options, "images": images}, model, scored=False)
    batch = data.first(None)
    y, mask, shown = batch["observation"], batch["mask"], options["num_samples"]
    seeds = evaluation.image_seeds(options["seed"], np.arange(len(y)))
    samples = model.sample(y, mask, max(shown, 10), seeds)
    clean = batch["clean"] if data.has_whole_images and options["clean"] else None
    picture = figures.sample_grid(
        y, samples, clean, max_samples=shown, uncertainty=options["uncertainty"]
    )
    figures.save_png(picture, options["out"])
    return options["out"]


def _draw_models(options, paths):
    """The same observations, those of the first model's run, through every model."""
    models = [samplers.load(path, options.get("look")) for path in paths]
    names = options.get("names") or [model.name for model in models]
    if len(names) != len(models) or len(set(names)) != len(names):
        raise ValueError(
            f"Each model needs a name of its own. Received: {len(models)} models, --names="
            f"{','.join(names)}"
        )
    images = FIGURE_IMAGES if options["images"] is None else options["images"]
    data = EvaluationData({**options, "images": images}, models[0], scored=False)
    batch = data.first(None)
    y, mask = batch["observation"], batch["mask"]
    seeds = evaluation.image_seeds(options["seed"], np.arange(len(y)))
    count = options["num_samples"]
    samples = {n: m.sample(y, mask, count, seeds) for n, m in zip(names, models, strict=True)}
    clean = batch["clean"] if data.has_whole_images and options["clean"] else None
    picture = figures.models_grid(y, samples, clean, max_samples=count)
    figures.save_png(picture, options["out"])
    return options["out"]


def describe(result):
    """What was measured, in words: images, damage, samples, extractor, seeds."""
    data, extractor = result["data"], result["extractor"]
    text = (
        f"{data['images']:,} images of {data['dataset']} ({data['split']}, seed {data['seed']}), "
        f"{data['image_size']}, {data['measurement'] or 'damaged as they are'}"
    )
    if data["holdout"]:
        text += f"; scored on about {data['holdout']:.0%} of the observed pixels, which were hidden"
    text += f"; {result['num_samples']} samples an image, seed {result['seed']}."
    if extractor:
        text += (
            f" Distances: {extractor['extractor']} (weights {extractor['weights']}, resize "
            f"{extractor['resize']}), {data['images']:,} reconstructions against the clean images."
        )
        if data["images"] <= extractor["dimensions"]:
            text += (
                f" So few images have no full covariance in {extractor['dimensions']:,} dimensions:"
                " the Fréchet distance is too large, and compares only with one of as many images."
            )
    return f"{text} ± is half of the 95% interval over images."


def _extractor(name):
    return None if name == "none" else extractors.get(None if name == "auto" else name)


class _Method(NamedTuple):
    """What is scored: a sampler, what names its weights, and how many samples of an image are taken."""

    sampler: Callable
    digest: str
    num_samples: int = 1
    stochastic: bool = False


def _methods(options, model):
    """`{name: _Method}`."""
    found = {}
    if model is not None:
        count = options["num_samples"]
        found[MODEL] = _Method(model.sample, model.digest, count, model.stochastic)
        if model.mean is not None:
            found[OWN_MEAN] = _Method(_mean_sampler(model.mean), model.digest)
        if options.get("pairs"):
            if model.pairs is None:
                raise ValueError(
                    "--pairs needs one of our models, with z: antithetic samples have z and -z. "
                    f"Received: --model={options['model']}"
                )
            found[PAIRS.format(count)] = _Method(_mean_of(model.pairs, count), model.digest)
    for name in options["baselines"]:
        found[name] = _Method(baselines.as_sampler(name), name)
    if not found:
        raise ValueError(
            "What is to be evaluated? Name a --model or --baselines. Received: neither"
        )
    return found


def _mean_sampler(mean):
    return lambda y, mask, num_samples=1, seed=0: mean(y, mask)[:, None]


def _mean_of(sample, count):
    def sampler(y, mask, num_samples=1, seed=0):
        return sample(y, mask, num_samples=count, seed=seed).mean(axis=1, keepdims=True)

    return sampler


def _state_path(options, name):
    name = "".join(c if c.isalnum() else "_" for c in name)
    path = os.path.join(options["out"], "state", f"{name}.npz")
    if options["restart"] and os.path.exists(path):
        os.remove(path)
    return path


def _result(found, method, reference, extractor):
    """What `results.json` says of a method."""
    scores = report.method_scores(found, method.stochastic)
    if extractor is not None:
        scores |= report.method_distances(found.features, reference, extractor)
        if found.mean_features is not None:
            of_mean = report.method_distances(found.mean_features, reference, extractor)
            scores |= {f"{name}_of_mean": score for name, score in of_mean.items()}
    return {
        "scores": scores,
        "num_samples": method.num_samples,
        "milliseconds_an_image": 1000.0 * found.seconds / len(found.scores),
        "calibration": report.calibration_result(found),
    }


def _pictures(options, data, methods):
    if not options["grid"]:
        return {}
    batch = data.first(options["grid"])
    y, mask = batch["observation"], batch["mask"]
    seeds = evaluation.image_seeds(options["seed"], np.arange(len(y)))
    clean = batch["clean"] if data.has_whole_images else None
    found = {name: m.sampler(y, mask, m.num_samples, seeds) for name, m in methods.items()}
    one = {name: samples[:, 0] for name, samples in found.items()}
    pictures = {"methods": figures.comparison_grid(y, one, clean)}
    if MODEL in found:
        pictures["samples"] = figures.sample_grid(
            y, found[MODEL], clean, max_samples=FIGURE_SAMPLES
        )
    return pictures


def _versions():
    import keras

    return {
        "keras_uai": keras_uai.__version__,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "python": platform.python_version(),
    }
