"""The work of tools/evaluate, tools/reference_statistics and tools/figures.

Each function takes a dict of options, which are the command's flags. None stands for a flag that
was not given.
"""

import dataclasses
import functools
import json
import os
import platform

import keras
import numpy as np

import keras_uai
from keras_uai import cluster, files
from keras_uai.metrics import evaluation, extractors, figures, predictors, report, statistics
from keras_uai.metrics.evaluation_data import UNDAMAGED, EvaluationData

MODEL, PREDICTED_MEAN = "model", "model, predicted mean"
FIGURE_SAMPLES = 5
UNCERTAINTY_SAMPLES = 10  # of which the uncertainty is, and the mean if the model predicts none


def evaluate(options):
    """Scores a model, and baselines beside it.

    Args:
        options: dict of the flags of tools/evaluate.

    Returns:
        `(result, paths)`: the dict that stands in `results.json`, and the files written.
    """
    if options.get("sampler") is not None and not options["model"]:
        raise ValueError(
            f"`--sampler` needs a model (--model). Received: --sampler={options['sampler']} alone"
        )
    model = predictors.load(options["model"], options.get("sampler")) if options["model"] else None
    data = EvaluationData(options, model)
    methods = _methods(options, model, data)
    crop = options.get("feature_crop", statistics.CROP) or None
    result = {
        "command": options.get("command"),
        "model": model
        and {"path": options["model"], "digest": model.digest, "inflation": model.inflation},
        "data": data.provenance(),
        "extractor": None,
        "num_samples": options["num_samples"],
        "seed": options["seed"],
        "versions": {
            "keras_uai": keras_uai.__version__,
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
            "python": platform.python_version(),
        },
        "warnings": options.get("warnings", []),
        "methods": {},
    }
    extractor = reference = None
    if data.has_whole_images and data.values.is_bounded and options["extractor"] != "none":
        extractor, reference, _ = _reference(options, data, crop)
        result["extractor"] = {
            **extractor.provenance(),
            "crop": crop,
            "images": reference.count,
            "dimensions": reference.dimension,
        }
    depends_on = {name: result[name] for name in ("data", "extractor", "seed", "versions")}
    with cluster.connect(options.get("scheduler"), options.get("workers")) as client:
        for name, method in methods.items():
            found = evaluation.run(
                method,
                data.batches(),
                options["num_samples"],
                options["seed"],
                measurement=data.measurement,
                max_images=result["data"]["images"],
                extractor=extractor,
                feature_crop=crop,
                progress=options["progress"] and name,
                total=result["data"]["images"],
                path=_state_path(options, name),
                settings={
                    **depends_on,
                    "digest": method.digest,
                    "num_samples": options["num_samples"],
                },
                parts=client and functools.partial(_parts, client, options, name, result),
            )
            result["methods"][name] = {
                "scores": found.intervals(reference),
                "num_samples": found.num_samples,
                "milliseconds_an_image": 1000.0 * found.seconds / len(found),
                "calibration": found.scores.calibration(),
            }
    result = {"description": report.describe(result), **result}
    return result, report.write(options["out"], result, _pictures(options, data, methods))


def reference_statistics(options):
    """Makes reference statistics of clean images, or finds them; returns `(Statistics, path)`."""
    data = EvaluationData({**options, "measurement": UNDAMAGED})
    return _reference(options, data, options.get("feature_crop", statistics.CROP) or None)[1:]


def draw_figure(options):
    """Draws observations and samples: of one model in the layout of figures 4 and 5, of several a
    column each; returns the path of the PNG.
    """
    models = [predictors.load(path, options["sampler"]) for path in options["model"]]
    names = options["names"] or [model.name for model in models]
    if len(names) != len(models) or len(set(names)) != len(names):
        raise ValueError(
            "Each model needs a name of its own. "
            f"Received: {len(models)} models, --names={','.join(names)}"
        )
    data = EvaluationData({**options, "images": None, "holdout": 0.0}, models[0])
    found = data.shown(options["first"], options["images"], options["seed"])
    y, shown = found["observation"], options["num_samples"]
    clean = found["clean"] if options["clean"] else None
    if len(models) > 1 or options["names"]:
        samples = [_samples(model, found, shown) for model in models]
        columns = dict(zip(names, samples, strict=True))
        picture = figures.models_grid(y, columns, clean, max_samples=shown)
    else:
        (model,) = models
        others = options["baselines"] or ()
        picture = figures.sample_grid(
            y,
            _samples(model, found, max(shown, UNCERTAINTY_SAMPLES)),
            clean,
            mean=model.mean and _one_sample(predictors.predicted_mean(model), found),
            others={name: _one_sample(predictors.baseline(name), found) for name in others},
            max_samples=shown,
            uncertainty=options["uncertainty"],
        )
    files.write_image(options["out"], picture)
    return options["out"]


def _parts(client, options, name, result, done):
    """Yields lists of states of a method's images, which workers evaluate; see `evaluation.run`."""
    count = max(1, len(client.nthreads()))
    images, has_features = result["data"]["images"], result["extractor"] is not None
    given = (count, done, json.dumps(options), name, images, has_features)
    for _, future in cluster.submitted(client, _evaluate_part, range(count), *given):
        yield future.result()


def _evaluate_part(index, count, done, options, name, images, has_features):
    options, data, methods = _prepared(options)
    extractor = options["extractor"]
    return evaluation.run_part(
        index,
        count,
        done,
        methods[name],
        data.batches(),
        options["num_samples"],
        options["seed"],
        images,
        measurement=data.measurement,
        extractor=extractors.get(None if extractor == "auto" else extractor)
        if has_features
        else None,
        feature_crop=options.get("feature_crop", statistics.CROP) or None,
        clean_features=False,
    )


@functools.lru_cache(maxsize=1)
def _prepared(options):
    """Returns options (from JSON), data and methods; once in a worker."""
    options = json.loads(options)
    model = predictors.load(options["model"], options.get("sampler")) if options["model"] else None
    data = EvaluationData(options, model)
    return options, data, _methods(options, model, data)


def _reference(options, data, crop):
    """Returns the extractor, the statistics of the clean images, and their file."""
    name = options["extractor"]
    extractor = extractors.get(None if name == "auto" else name)
    known = {"crop": crop, "progress": options["progress"], **data.identity}
    return extractor, *statistics.reference(
        options["references"], extractor, data.batches(), **known
    )


def _methods(options, model, data):
    """Returns `{name: Predictor}`."""
    found = {}
    if model is not None:
        found[MODEL] = model
        if model.mean is not None:
            found[PREDICTED_MEAN] = predictors.predicted_mean(model)
    for name in options["baselines"]:
        found[name] = dataclasses.replace(predictors.baseline(name), values=data.values)
    if not found:
        raise ValueError("`--model` or `--baselines` must name a method. Received: neither")
    return found


def _state_path(options, name):
    name = "".join(c if c.isalnum() else "_" for c in name)
    path = os.path.join(options["out"], "state", f"{name}.npz")
    if options["restart"] and os.path.exists(path):
        os.remove(path)
    return path


def _pictures(options, data, methods):
    if not options["grid"]:
        return {}
    found = data.shown(0, options["grid"], options["seed"])
    y, clean = found["observation"], found["clean"]
    samples = {
        name: _samples(method, found, options["num_samples"] if method.stochastic else 1)
        for name, method in methods.items()
    }
    first = {name: [of_image[0] for of_image in images] for name, images in samples.items()}
    pictures = {"methods": figures.sample_grid(y, None, clean, others=first)}
    if MODEL in samples:
        own = samples[MODEL]
        pictures["samples"] = figures.sample_grid(y, own, clean, max_samples=FIGURE_SAMPLES)
    return pictures


def _samples(model, found, num_samples):
    """Returns the samples of images of `EvaluationData.shown`, a list of `(K, H, W, C)`."""
    given = zip(found["observation"], found["mask"], found["seeds"], strict=True)
    return [
        model.sample(y[None], mask[None], num_samples=num_samples, seed=np.array([seed]))[0]
        for y, mask, seed in given
    ]


def _one_sample(model, found):
    """Returns a sample of each image, a list of `(H, W, C)`."""
    return [samples[0] for samples in _samples(model, found, 1)]
