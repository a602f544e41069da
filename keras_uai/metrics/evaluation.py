"""`evaluate`: a sampler and a data set with clean images in, scores out."""

import numpy as np

from keras_uai import random
from keras_uai.measurements.base import Measurement
from keras_uai.metrics import checks
from keras_uai.metrics.scores import Scores


def evaluate(
    sampler, dataset, num_samples=10, seed=0, *, measurement=None, max_images=None, progress=False
):
    """Scores a sampler on damaged images whose clean originals are known.

    Args:
        sampler: callable `(y, mask, num_samples, seed) -> (N, num_samples, H, W, C)` in [-1, 1],
            where `seed` is an int64 array `(N,)`, one number an image: `model.inpaint`, or
            `baselines.as_sampler("nearest")`.
        dataset: iterable of batches `{"observation": y, "clean": x}`, with `"mask"` where masks are
            explicit; images `(N, H, W, C)` float in [-1, 1].
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
        scores.update(batch["clean"], batch["samples"], batch["mask"])
    return scores.result()


def sample_batches(
    sampler,
    dataset,
    num_samples=10,
    seed=0,
    measurement=None,
    max_images=None,
    progress=False,
    first=0,
):
    """Yields `{"observation", "mask", "clean", "samples", "position"}`, numpy, batch by batch.

    Args:
        first: position of the data set's first image, where a part has been evaluated before.
        Others: see `evaluate`.
    """
    position, total = first, None if max_images is None else max_images - first
    with _bar(progress, total) as bar:
        for batch in dataset:
            room = None if max_images is None else max_images - position
            if room is not None and room <= 0:
                break
            batch = unpack(batch, measurement, room)
            count = len(batch["clean"])
            positions = np.arange(position, position + count)
            samples = sampler(
                batch["observation"], batch["mask"], num_samples, image_seeds(seed, positions)
            )
            samples = checks.samples("samples", samples, batch["clean"].shape, num_samples)
            yield {**batch, "samples": samples, "position": positions}
            position += count
            bar.update(count)
    if position == first:
        raise ValueError("The data set is empty: there is nothing to score. Received: no batch.")


def unpack(batch, measurement=None, limit=None):
    """`{"observation", "mask", "clean"}` of a batch, checked, numpy, at most `limit` images."""
    if not isinstance(batch, dict) or "observation" not in batch or "clean" not in batch:
        found = sorted(batch) if isinstance(batch, dict) else type(batch).__name__
        raise ValueError(
            'Scores need batches {"observation": y, "clean": x} (and "mask" where masks are '
            f"explicit): load the data set with clean=True. Received: {found}"
        )
    clean = checks.images("clean", checks.to_numpy(batch["clean"])[:limit])
    y = checks.images("observation", checks.to_numpy(batch["observation"])[:limit])
    if y.shape != clean.shape:
        raise ValueError(
            "`observation` and `clean` must have the same shape. "
            f"Received: observation of shape {y.shape}, clean of shape {clean.shape}"
        )
    if "mask" in batch:
        mask = checks.to_numpy(batch["mask"])[:limit]
    else:
        mask = checks.to_numpy((measurement or Measurement()).recover(y))
    return {"observation": y, "mask": checks.mask("mask", mask, y.shape), "clean": clean}


def image_seeds(seed, positions):
    """One seed an image, int64 `(N,)` in [0, 2^31), from `seed` and the images' positions."""
    keys = random.key(int(seed), np.asarray(positions, dtype="uint32"))
    return (checks.to_numpy(keys)[:, 0] >> 1).astype("int64")


def _bar(progress, total):
    from tqdm import tqdm

    return tqdm(total=total, unit="image", disable=not progress)
