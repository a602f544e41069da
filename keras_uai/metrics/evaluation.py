"""`evaluate`: a sampler and clean images in, scores out; `holdout` where no image is clean."""

import numpy as np

from keras_uai import random
from keras_uai.measurements.base import Measurement
from keras_uai.metrics import checks
from keras_uai.metrics.progress import bar
from keras_uai.metrics.scores import Scores

_HOLDOUT = 0x484F4C44  # keeps the held-out pixels' random numbers apart from the masks'


def evaluate(
    sampler, dataset, num_samples=10, seed=0, *, measurement=None, max_images=None, progress=False
):
    """Scores a sampler on damaged images whose clean originals are known.

    Args:
        sampler: callable `(y, mask, num_samples, seed) -> (N, num_samples, H, W, C)` in [-1, 1],
            where `seed` is an int64 array `(N,)`, one number an image: `model.inpaint`, or
            `baselines.as_sampler("nearest")`.
        dataset: iterable of batches `{"observation": y, "clean": x}`, with `"mask"` where masks are
            explicit and `"known"` where x is known in part only (see `holdout`); images
            `(N, H, W, C)` float in [-1, 1].
        num_samples: samples an image, K. The paper: 10.
        seed: integer; with the image's position in the data set it makes the image's own seed, so
            that the samples do not depend on the batch size.
        measurement: whose `recover` finds masks that are not explicit; missing = 0 in all channels
            by default.
        max_images: stop after so many. The paper: 1,000 for `std`.
        progress: whether to show a progress bar.

    Returns:
        dict of the scores of `keras_uai.metrics.scores`, and `images` and `num_samples`.
    """
    scores = Scores()
    for batch in sample_batches(
        sampler, dataset, num_samples, seed, measurement, max_images, progress
    ):
        scores.update(batch["clean"], batch["samples"], batch["mask"], batch.get("known"))
    return scores.result()


def holdout(dataset, measurement, fraction=0.1, seed=0):
    """Makes damaged images without clean originals fit for evaluation: hides a part of the pixels.

    About `fraction` of each image's observed pixels are hidden, in the shape `measurement` damages
    images; what was hidden is known and can be scored. The numbers are of images damaged a little
    more than the data set's, and compare models on one data set.

    Args:
        dataset: batches of y, or of `{"observation": y, "mask": mask}`.
        measurement: `keras_uai.measurements.Measurement`; hides by its `thin`.
        fraction: in (0, 1).
        seed: integer; with the image's position it says which pixels are hidden.

    Returns:
        an iterable of batches for `evaluate`, as often as `dataset` can be gone through.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"`fraction` must lie in (0, 1). Received: fraction={fraction!r}")
    return _Holdout(dataset, measurement, fraction, seed)


class _Holdout:
    def __init__(self, dataset, measurement, fraction, seed):
        self.dataset, self.measurement = dataset, measurement
        self.fraction, self.seed = fraction, seed

    def __iter__(self):
        position = 0
        for batch in self.dataset:
            found = unpack(batch, self.measurement, needs_clean=False)
            y, mask = found["observation"], found["mask"]
            keys = random.key(
                self.seed, _HOLDOUT, np.arange(position, position + len(y), dtype="uint32")
            )
            left = checks.to_numpy(self.measurement.thin(mask, keys, self.fraction))
            position += len(y)
            observation = np.where(left > 0.5, y, np.float32(self.measurement.tau))
            yield {"observation": observation, "mask": left, "clean": y, "known": mask}


def sample_batches(
    sampler,
    dataset,
    num_samples=10,
    seed=0,
    measurement=None,
    max_images=None,
    progress=False,
    first=0,
    needs_clean=True,
):
    """Yields batches with their samples, numpy: `"observation"`, `"mask"`, `"samples"`,
    `"position"`, and where the data set has them `"clean"` and `"known"`.

    Args:
        first: position of the data set's first image, where a part has been evaluated before.
        needs_clean: whether batches without clean images are an error.
        progress: whether to show a progress bar, or a text to show before it.
        Others: see `evaluate`.
    """
    position, total = first, None if max_images is None else max_images - first
    with bar(progress, total) as advance:
        for batch in dataset:
            room = None if max_images is None else max_images - position
            if room is not None and room <= 0:
                break
            batch = unpack(batch, measurement, room, needs_clean)
            y = batch["observation"]
            positions = np.arange(position, position + len(y))
            samples = sampler(y, batch["mask"], num_samples, image_seeds(seed, positions))
            samples = checks.samples("samples", samples, y.shape, num_samples)
            yield {**batch, "samples": samples, "position": positions}
            position += len(y)
            advance(len(y))
    if position == first:
        raise ValueError("The data set is empty: there is nothing to score. Received: no batch.")


def unpack(batch, measurement=None, limit=None, needs_clean=True):
    """`{"observation", "mask"}`, and where they are there `"clean"` and `"known"`, of a batch:
    checked, numpy, at most `limit` images.
    """
    if not isinstance(batch, dict) and not needs_clean:
        batch = {"observation": batch[0] if isinstance(batch, (tuple, list)) else batch}
    wanted = {"observation", "clean"} if needs_clean else {"observation"}
    if not isinstance(batch, dict) or not wanted <= set(batch):
        found = sorted(batch) if isinstance(batch, dict) else type(batch).__name__
        raise ValueError(
            'Scores need batches {"observation": y, "clean": x} (and "mask" where masks are '
            "explicit): load the data set with clean=True, or hide pixels of damaged images with "
            f"keras_uai.metrics.holdout. Received: {found}"
        )
    y = checks.images("observation", checks.to_numpy(batch["observation"])[:limit])
    if batch.get("mask") is not None:
        mask = checks.to_numpy(batch["mask"])[:limit]
    else:
        mask = checks.to_numpy((measurement or Measurement()).recover(y))
    found = {"observation": y, "mask": checks.mask("mask", mask, y.shape)}
    if batch.get("clean") is not None:
        found["clean"] = checks.images("clean", checks.to_numpy(batch["clean"])[:limit])
        if y.shape != found["clean"].shape:
            raise ValueError(
                "`observation` and `clean` must have the same shape. Received: observation of "
                f"shape {y.shape}, clean of shape {found['clean'].shape}"
            )
    if batch.get("known") is not None:
        known = checks.to_numpy(batch["known"])[:limit]
        found["known"] = checks.mask("known", known, y.shape)
    return found


def image_seeds(seed, positions):
    """One seed an image, int64 `(N,)` in [0, 2^31), from `seed` and the images' positions."""
    keys = random.key(int(seed), np.asarray(positions, dtype="uint32"))
    return (checks.to_numpy(keys)[:, 0] >> 1).astype("int64")
