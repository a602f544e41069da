"""`tools/benchmark metrics`: the Fréchet distance against TF-GAN and scipy.

All implementations see the same random features, whose spectrum falls like a network's.
"""

import warnings

import numpy as np

from benchmarks import timing
from keras_uai.metrics import Statistics, frechet_distance

_PROVENANCE = {"extractor": "random", "weights": "0", "resize": "none", "image_size": "none"}


def run(options):
    """Measures sets of `options["images"]` images in `options["dimensions"]` dimensions."""
    a, b = (features(options["images"], options["dimensions"], seed) for seed in (0, 1))
    cases = {
        "ours": lambda: frechet_distance(_kept(a), _kept(b)),
        "TF-GAN": _tf_gan(a, b),
    }
    if options["scipy"]:
        cases["scipy sqrtm"] = _scipy(a, b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few images: the values are not used
        values, seconds = timing.in_turn(cases, options["repeats"])
    reference = values["TF-GAN"]
    rows = {
        name: {
            "value": values[name],
            "relative_difference_from_tf_gan": abs(values[name] - reference) / abs(reference),
            **timing.summary(seconds[name]),
            "ratio_to_tf_gan": timing.ratio(seconds[name], seconds["TF-GAN"]),
        }
        for name in cases
    }
    return {
        "benchmark": "metrics",
        "settings": {n: options[n] for n in ("images", "dimensions", "repeats")},
        **timing.machine(("numpy", "scipy", "tensorflow", "tensorflow-gan")),
        "rows": rows,
    }


def table(result):
    """Returns the result as text."""
    settings = result["settings"]
    lines = [
        f"Fréchet distance, {settings['images']:,} images each, {settings['dimensions']:,} "
        f"dimensions, float64, {settings['repeats']} runs in turn",
        f"{'':20s}{'median s':>10s}{'from':>8s}{'to':>8s}{'x TF-GAN':>10s}{'difference':>12s}",
    ]
    for name, row in result["rows"].items():
        lines.append(
            f"{name:20s}{row['median']:10.2f}{row['low']:8.2f}{row['high']:8.2f}"
            f"{row['ratio_to_tf_gan']:10.2f}{row['relative_difference_from_tf_gan']:12.1e}"
        )
    return "\n".join(lines)


def features(images, dimensions, seed):
    """Draws positive features with a falling spectrum, float32 `(images, dimensions)`."""
    common = np.random.default_rng(1000).normal(size=(dimensions, dimensions))
    common *= (np.arange(1, dimensions + 1) ** -0.75)[:, None]
    random = np.random.default_rng(seed)
    rows = random.normal(size=(images, dimensions)) @ common * (1.0 + 0.1 * seed)
    return np.maximum(rows, 0).astype("float32")


def _kept(rows):
    return Statistics({**_PROVENANCE, "images": len(rows)}, rows)


def _tf_gan(a, b):
    import tensorflow as tf

    from keras_uai import tfgan

    distance = tfgan.eval.frechet_classifier_distance_from_activations
    x, y = (tf.constant(rows, "float64") for rows in (a, b))
    return lambda: float(distance(x, y))


def _scipy(a, b):
    from scipy import linalg

    def distance():
        x, y = a.astype("float64"), b.astype("float64")
        cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
        root = linalg.sqrtm(cov_x @ cov_y)
        difference = x.mean(axis=0) - y.mean(axis=0)
        return float(difference @ difference + np.trace(cov_x + cov_y) - 2 * np.trace(root).real)

    return distance
