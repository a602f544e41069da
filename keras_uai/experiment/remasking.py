"""Scores without clean images: some observed pixels are hidden again, and reconstructed.

What a model is worth on pixels that nobody has seen cannot be measured; on pixels that it has not
seen it can. Scores over missing values (`mse_missing`, `mse_missing_of_mean`, `std`, `crps`,
`spread_skill`) are then scores over the pixels hidden here, and those over whole images mean
nothing.
"""

import numpy as np
from keras import ops

from keras_uai import random

HIDDEN = 0.2  # share of the observed pixels


def hide(dataset, measurement, seed=0, share=HIDDEN):
    """Batches for `metrics.evaluate` made of batches without clean images.

    Args:
        dataset: iterable of `{"observation": y, "mask": mask}` or of `y`.
        measurement: its `thin` says in which shape pixels are hidden.
        seed: which pixels are hidden is a function of it and of an image's position.
        share: of the observed pixels, about how many are hidden.

    Yields:
        `{"observation": what is left, "mask": 0 on the hidden pixels only, "clean": y}`.
    """
    position = 0
    for batch in dataset:
        batch = batch if isinstance(batch, dict) else {"observation": batch}
        y = ops.convert_to_numpy(batch["observation"])
        mask = batch.get("mask")
        mask = ops.convert_to_numpy(measurement.recover(y) if mask is None else mask)
        keys = random.key(seed, np.arange(position, position + len(y)))
        left = ops.convert_to_numpy(measurement.thin(ops.convert_to_tensor(mask), keys, share))
        position += len(y)
        observation = np.where(left > 0.5, y, np.float32(measurement.tau))
        hidden = (mask > 0.5) & (left < 0.5)
        clean = np.where(mask > 0.5, y, np.float32(0.0))
        yield {"observation": observation, "mask": 1.0 - hidden, "clean": clean}


def scored_on_hidden(sampler, measurement):
    """`sampler` for the batches of `hide`: it is shown which pixels are left, and what it puts
    where nothing is known does not count.
    """

    def sample(y, mask, num_samples=1, seed=0):
        left = ops.convert_to_numpy(measurement.recover(y))
        samples = sampler(y, left, num_samples=num_samples, seed=seed)
        unknown = (np.asarray(mask) > 0.5) & (left < 0.5)
        return np.where(unknown[:, None], np.float32(0.0), samples)

    return sample
