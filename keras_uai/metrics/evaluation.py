"""Evaluation of one predictor on damaged images whose true values are known, in one loop."""

import math
import os
import time
import warnings

import numpy as np

from keras_uai.metrics import checks, distances, extractors, predictors, statistics
from keras_uai.metrics.batches import image_seeds, unpacked
from keras_uai.metrics.scores import Scores
from keras_uai.metrics.statistics import Statistics
from keras_uai.progress import bar

SAVE_SECONDS = 30.0
NORMAL_95 = 1.959964
JACKKNIFE_FROM = 100  # images: with fewer, the intervals would say more of chance than of error


def evaluate(
    predictor, dataset, num_samples=10, seed=0, *, reference=None, kernel=False, **options
):
    """Scores a predictor on damaged images whose true values are known.

    Args:
        predictor: a model of `keras_uai.models`; the name of a baseline; a `Predictor`; or a
            function `(y, mask, num_samples, seed) -> (N, num_samples, H, W, C)`, where `seed` is an
            int64 array `(N,)`, one number an image.
        dataset: iterable of batches `{"observation": y, "clean": x}`, with `"mask"` where masks are
            explicit, `"known"` where x is known in part only (see `metrics.holdout`), and
            `"never_fill"` where pixels are neither to be filled nor scored. Images `(N, H, W, C)`
            are float in network units. Batches may differ in H, W and N.
        num_samples: samples an image, K. The paper: 10.
        seed: integer. With the image's position in the data set it makes the image's own seed, so
            that samples do not depend on the batch size.
        reference: `Statistics` of true images, or their file. Default: those of the data set.
        kernel: whether to add the kernel distance.
        measurement: its `recover` finds masks that are not explicit. Default: the model's, or
            missing is where all channels are 0.
        max_images: number of images to use. Default: all. The paper: 1,000 for `std`.
        extractor: of the features for distances; see `extractors.get`. Default: no distances.
        feature_crop: side of the windows of large images that are compared, see
            `statistics.windows`; None for whole images. Default: 64.
        needs_clean: False scores the spread alone where batches have no `"clean"`. Default: True.
        progress: whether to show a progress bar, or the text before it. Default: False.

    Returns:
        dict of floats: the scores of `keras_uai.metrics.scores`, distances under the names of the
        extractor, and `images` and `num_samples`.

    Example:

    >>> import numpy as np
    >>> x = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype("float32")
    >>> mask = np.random.default_rng(1).integers(0, 2, (4, 16, 16, 1)).astype("float32")
    >>> batches = [{"observation": x * mask, "mask": mask, "clean": x}]
    >>> scores = keras_uai.metrics.evaluate("nearest", batches)
    >>> scores["mse"] < scores["mse_missing"]
    True
    """
    options = {"clean_features": reference is None, **options}
    return run(predictor, dataset, num_samples, seed, **options).result(reference, kernel)


def run(
    predictor,
    dataset,
    num_samples=10,
    seed=0,
    *,
    measurement=None,
    max_images=None,
    extractor=None,
    feature_crop=statistics.CROP,
    clean_features=False,
    needs_clean=True,
    progress=False,
    total=None,
    path=None,
    settings=None,
    parts=None,
):
    """Evaluates a predictor, or continues an interrupted evaluation; returns an `Evaluation`.

    Args:
        clean_features: whether to extract the features of true images, too.
        total: number of images for the progress bar, where it is known.
        path: `.npz` file of the state, saved every 30 seconds and at the end. Default: none.
        settings: dict of JSON-able values that the numbers depend on. A file of other settings is
            refused.
        parts: function of the number of images that are done; returns an iterable of lists of what
            `run_part` returns for the others. Default: they are evaluated here.
        Others: see `evaluate`.
    """
    predictor = predictors.get(predictor)
    extractor = None if extractor is None else extractors.get(extractor)
    found = Evaluation(predictor, num_samples, extractor, feature_crop, clean_features)
    if path and os.path.exists(path):
        found.load(path, settings)
    saved = time.monotonic()
    measurement = measurement or predictor.measurement
    with bar(progress, total and total - len(found)) as shown:
        if parts is not None:
            states = [state for part in parts(len(found)) for state in part]
            for state in sorted(states, key=lambda state: state[0]):
                found.extend(*state)
            dataset = ()
        for batch in unpacked(dataset, measurement, len(found), max_images, needs_clean):
            count = len(batch["observation"])
            found.add(batch, image_seeds(seed, len(found) + np.arange(count)))
            shown.update(count)
            if path and time.monotonic() - saved > SAVE_SECONDS:
                found.save(path, settings)
                saved = time.monotonic()
    if not len(found):
        raise ValueError("`dataset` must hold at least one image. Received: no batch")
    if path:
        found.save(path, settings)
    return found


def run_part(index, count, done, predictor, dataset, num_samples, seed, max_images, **options):
    """Evaluates every `count`-th batch from the one at `index` on; returns a state for each.

    Args:
        index, count: integers.
        done: number of images to leave out.
        Others: see `run`.
    """
    measurement, states, first = options.pop("measurement"), [], done
    for i, batch in enumerate(unpacked(dataset, measurement, done, max_images)):
        if i % count == index:
            found = Evaluation(predictor, num_samples, first=first, **options)
            found.add(batch, image_seeds(seed, first + np.arange(len(batch["observation"]))))
            states.append(found.state())
        first += len(batch["observation"])
    return states


class Evaluation:
    """Scores and features of one predictor, image by image; `run` makes it.

    Attributes:
        scores: `Scores`.
        features: dict of lists of arrays `(n, D)`: `"sample"` (the first one), `"mean"` (of all, if
            there are several) and `"clean"`.
        seconds: time spent on sampling.
    """

    def __init__(self, predictor, num_samples, extractor, feature_crop, clean_features, first=0):
        self.predictor = predictor
        self.first = first  # position of the first image in the data set
        self.num_samples = num_samples if predictor.stochastic else 1
        self.extractor = extractor
        self.feature_crop = feature_crop
        self.scores = Scores(predictor.is_bounded, predictor.stochastic)
        kinds = ["sample"] + ["mean"] * (self.num_samples > 1) + ["clean"] * clean_features
        self.features = {kind: [] for kind in kinds} if extractor else {}
        self.seconds = 0.0
        self._sizes = set()
        self._images = []  # of each feature vector

    def __len__(self):
        return len(self.scores)

    def add(self, batch, seeds):
        """Samples and scores a batch of `unpacked`; `seeds` `(N,)` are those of its images."""
        y, mask = batch["observation"], batch["mask"]
        begun = time.monotonic()
        samples = self.predictor.sample(y, mask, num_samples=self.num_samples, seed=seeds)
        shape = (len(y), self.num_samples, *y.shape[1:])
        samples = checks.images("samples", samples, shape, self.predictor.is_bounded)
        self.seconds += time.monotonic() - begun
        if self.features:
            self._extract(batch, samples)
        self.scores.update(batch.get("clean"), samples, mask, batch["known"])

    def _extract(self, batch, samples):
        clean, known = batch.get("clean"), batch["known"]
        if batch["is_partial"] or (clean is None and "clean" in self.features):
            raise ValueError(
                "A distance needs whole true images: pass `reference` statistics, or load the data "
                "set with its clean images. Received: batches "
                + ("that are known in part" if batch["is_partial"] else 'without "clean"')
            )
        mean = samples.mean(axis=1, dtype="float32")
        images = {"sample": samples[:, 0], "mean": mean, "clean": clean}
        first = self.first + len(self)
        windows = statistics.windows(batch["mask"], first, self.feature_crop, known)
        for kind, features in self.features.items():
            whole = images[kind] if known is None else np.where(known > 0.5, images[kind], clean)
            parts = np.stack([whole[window] for window in windows])
            features.append(statistics.extract(self.extractor, parts))
        self._sizes.add(parts.shape[1:])
        self._images += [first + image for image, *_ in windows]

    def state(self):
        """Returns what `extend` adds to another evaluation, as plain arrays."""
        table = self.scores.image_table()
        return self.first, table, self.features, self._sizes, self._images, self.seconds

    def extend(self, first, table, features, sizes, images, seconds):
        """Adds the images of another evaluation's `state`; `first` must be the next image."""
        if first != len(self):
            raise ValueError(f"Image {len(self)} must come next. Received: first={first}")
        self.scores.extend(table, self.num_samples)
        for kind, found in self.features.items():
            found.extend(features[kind])
        self._sizes |= sizes
        self._images += images
        self.seconds += seconds

    def statistics(self, kind="sample"):
        """Returns `Statistics` of the features `"sample"`, `"mean"` or `"clean"`."""
        size = statistics.size_text(self._sizes)
        known = {"image_size": size, "images": len(self._images)}
        features = np.concatenate(self.features[kind])
        return Statistics({**self.extractor.provenance(), **known}, features)

    def result(self, reference=None, kernel=False):
        """Returns all scores as a dict of floats; see `evaluate`."""
        found = self.scores.result()
        if self.features:
            if isinstance(reference, (str, os.PathLike)):
                reference = Statistics.load(reference)
            reference = self.statistics("clean") if reference is None else reference
            samples = self.statistics()
            found[self.extractor.frechet_name] = distances.frechet_distance(reference, samples)
            if kernel:
                found[self.extractor.kernel_name] = distances.kernel_distance(reference, samples)[0]
        return found

    def intervals(self, reference=None):
        """Returns `{score: {"value", "low", "high"}}` with 95% intervals over images.

        Those of scores are bootstrapped, those of distances to `reference`, `Statistics` of the
        same true images, jackknifed. Distances of fewer than `JACKKNIFE_FROM` images have none.
        """
        values = self.scores.result()
        found = {
            name: {"value": values[name], "low": low, "high": high}
            for name, (low, high) in self.scores.bootstrap().items()
        }
        if reference is None or not self.features:
            return found
        measures = {
            self.extractor.frechet_name: distances.frechet_distance,
            self.extractor.kernel_name: lambda a, b: distances.kernel_distance(a, b, None)[0],
        }
        for kind, suffix in {"sample": "", "mean": "_of_mean"}.items():
            if kind not in self.features:
                continue
            features = self.statistics(kind)
            for name, measure in measures.items():
                half = math.nan
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of few images: the description says so
                    value = measure(features, reference)
                    if len(self) >= JACKKNIFE_FROM:
                        error = distances.standard_error(measure, features, reference, self._images)
                        half = NORMAL_95 * error
                found[name + suffix] = {"value": value, "low": value - half, "high": value + half}
        return found

    def save(self, path, settings):
        """Writes the state, whole or not at all."""
        header = {
            "settings": settings or {},
            "seconds": self.seconds,
            "sizes": sorted(self._sizes),
        }
        arrays = {f"scores/{name}": v for name, v in self.scores.image_table().items()}
        arrays |= {f"features/{kind}": np.concatenate(v) for kind, v in self.features.items()}
        arrays["images"] = np.array(self._images, "int64")
        statistics.save_arrays(path, header, arrays)

    def load(self, path, settings):
        """Reads the state that `save` wrote; raises a ValueError if it is of other settings."""
        kind = "the state of an evaluation: remove it, and begin anew"
        names = (
            "settings",
            "seconds",
            "sizes",
            "images",
            *(f"features/{k}" for k in self.features),
        )
        header, arrays = statistics.load_arrays(path, kind, *names)
        if wrong := statistics.differences(header["settings"], settings or {}):
            raise ValueError(
                "An evaluation with other settings was begun here. Choose another folder (--out), "
                f"or begin anew (--restart). Received: {path}, in which {'; '.join(wrong)}"
            )
        table = {n.removeprefix("scores/"): v for n, v in arrays.items() if n.startswith("scores/")}
        self.scores.extend(table, self.num_samples)
        self.features = {kind: [arrays[f"features/{kind}"]] for kind in self.features}
        self.seconds = header["seconds"]
        self._sizes = {tuple(size) for size in header["sizes"]}
        self._images = arrays["images"].tolist()
