"""Which image belongs to which part of a data set: pure functions of (number of images, seed).

One random order of the indices, by `seed`, is cut into parts, so the parts below the line are
disjoint by construction and every image is in exactly one of them:

| part | share | what for |
| --- | --- | --- |
| `validation` | 15% | hyperparameters; never trained on (section 3.1 of the paper) |
| `test` | 10% | evaluation of the supervised variants (section 3.4) |
| `damaged` | half of the rest | the damaged images of the unpaired variant |
| `unpaired` | the other half | its clean images: other images than the damaged ones |

and these are unions of them: `train` = everything but `validation` (85%: without supervision there
is nothing to test on that training could have seen, section 3.1), `supervised_train` = `damaged`
+ `unpaired` (75%), `all`.
"""

import numpy as np

from keras_uai.datasets import hashing

VALIDATION = 0.15
TEST = 0.10

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

#: What a model may be shown beside the clean images of `unpaired`: parts without any of them.
BESIDE_UNPAIRED = ("damaged", "validation", "test")

_STREAM, _LIMIT_STREAM = 1, 3  # of the seed's random numbers (orders: 2, 4)


def indices(count, split, seed=0, limit=None):
    """Returns the indices of one split of `count` images, ascending.

    Args:
        count: number of images in the whole data set.
        split: one of `SPLITS`.
        seed: integer. The same for all splits that are to be disjoint.
        limit: take at most this many, chosen at random (by `seed`): those of a smaller limit are
            among those of a larger.

    Returns:
        int64 array, ascending, without repetition.

    Raises:
        ValueError: `split` is not known, or has no image.
    """
    check(split, limit)
    order = hashing.permutation(count, seed, _STREAM)
    validation = round(VALIDATION * count)
    test = validation + round(TEST * count)
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
            f"The split has no image. Received: split={split!r} of a data set of {count} images. "
            'Add images, or use split="all".'
        )
    if limit is not None:
        ranks = hashing.bits(seed, _LIMIT_STREAM, chosen)
        chosen = chosen[np.argsort(ranks, kind="stable")][:limit]
    return np.sort(chosen)


def check(split, limit=None):
    """Raises a ValueError for an unknown split or a `limit` that is not positive."""
    if split not in SPLITS:
        raise ValueError(
            f"Unknown split. Received: split={split!r}. Use one of: {', '.join(SPLITS)}."
        )
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 1:
        raise ValueError(
            "`limit`, the number of images to use at most, must be a positive integer or None. "
            f"Received: limit={limit!r}"
        )
