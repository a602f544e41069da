"""Which image belongs to which part of a data set: pure functions of (number of images, seed).

One random order of the indices, by `seed`, is cut into four disjoint parts:

| part | share | use |
| --- | --- | --- |
| `validation` | 15% | hyperparameters; never trained on (section 3.1 of the paper) |
| `test` | 10% | evaluation of the supervised variants (section 3.4) |
| `damaged` | half of the rest | the damaged images of the unpaired variant |
| `unpaired` | the other half | its clean images: other images than the damaged ones |

Three splits are unions of them: `train` (everything but `validation`, since without supervision
training cannot have seen what is tested), `supervised_train` (`damaged` + `unpaired`), and `all`.
"""

import numpy as np

from keras_uai.checks import check_integer
from keras_uai.datasets import hashing

_PARTS = {
    "all": ("validation", "test", "damaged", "unpaired"),
    "train": ("test", "damaged", "unpaired"),
    "validation": ("validation",),
    "supervised_train": ("damaged", "unpaired"),
    "test": ("test",),
    "damaged": ("damaged",),
    "unpaired": ("unpaired",),
}
SPLITS = tuple(_PARTS)
SHUFFLED = ("train", "supervised_train", "damaged", "unpaired")

#: Splits that share no image with `unpaired`.
BESIDE_UNPAIRED = ("damaged", "validation", "test")

_STREAM, _LIMIT_STREAM = 1, 3  # of the seed's random numbers (elements.py: 2, 4, 5, 6)


def indices(count, split, seed=0, limit=None):
    """Returns the indices of one split of `count` images, int64, ascending.

    Args:
        count: number of images in the whole data set.
        split: one of `SPLITS`.
        seed: integer. The same for all splits that are to be disjoint.
        limit: at most this many, chosen at random by `seed`. A smaller limit's images are among
            those of a larger one.

    Raises:
        ValueError: `split` is not known, or has no image.
    """
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {', '.join(SPLITS)}. Received: split={split!r}")
    if limit is not None:
        check_integer("", "limit", limit, 1)
    order = np.argsort(hashing.bits(seed, _STREAM, np.arange(count)), kind="stable")
    validation = round(0.15 * count)
    test = validation + round(0.10 * count)
    half = test + (count - test + 1) // 2
    where = {
        "validation": order[:validation],
        "test": order[validation:test],
        "damaged": order[test:half],
        "unpaired": order[half:],
    }
    chosen = np.concatenate([where[part] for part in _PARTS[split]])
    if not len(chosen):
        raise ValueError(
            f"The split must have an image. Received: split={split!r} of a data set of {count} "
            'images. Add images, or use split="all"'
        )
    if limit is not None:
        ranks = hashing.bits(seed, _LIMIT_STREAM, chosen)
        chosen = chosen[np.argsort(ranks, kind="stable")][:limit]
    return np.sort(chosen)
