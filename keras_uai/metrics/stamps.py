"""Stamps: what a number or a file of statistics owes its value to, a dict of JSON-able values."""

import re
import warnings

# What must be the same for two statistics to be compared.
COMPARABLE = ("extractor", "weights", "resize", "image_size")


def file_name(stamp):
    """A file name with everything a stamp holds, such as
    `faces-withheld-seed0-1200images-64x64x3-efficientnet_lite0-bilinear-224-409d28f93551.npz`.
    """
    known = (
        "dataset", "split", "seed", "images", "content", "image_size",
        "extractor", "resize", "weights",
    )  # fmt: skip
    parts = [str(stamp[name]) for name in known if name in stamp and name not in ("seed", "images")]
    at = sum(name in stamp for name in ("dataset", "split"))
    parts[at:at] = [f"seed{stamp['seed']}"] * ("seed" in stamp) + [f"{stamp['images']}images"]
    parts += [f"{name}={stamp[name]}" for name in sorted(stamp) if name not in known]
    return re.sub(r"[^\w.=-]+", "_", "-".join(parts)) + ".npz"


def differences(stamp, expected):
    """Where a stamp differs from what was expected, in words."""
    return [
        f"{name} is {stamp.get(name)!r} and not {value!r}"
        for name, value in expected.items()
        if stamp.get(name) != value
    ]


def check_comparable(a, b, covariance=True):
    """Raises ValueError where a distance between two `Statistics` would mean nothing.

    With `covariance`, it warns where there are too few images for a meaningful one.
    """
    wrong = [
        f"{name} is {a.stamp.get(name)!r} and {b.stamp.get(name)!r}"
        for name in COMPARABLE
        if a.stamp.get(name) != b.stamp.get(name)
    ]
    if wrong or a.dimension != b.dimension:
        wrong = wrong or [f"they have {a.dimension} and {b.dimension} dimensions"]
        raise ValueError(
            "These statistics cannot be compared: make both with the same extractor, weights and "
            f"resize from images of the same size. Received: {'; '.join(wrong)}"
        )
    fewest = min(a.count, b.count)
    if covariance and fewest <= a.dimension:
        warnings.warn(
            f"{fewest:,} images have no full covariance in {a.dimension:,} dimensions "
            f"({a.dimension + 1:,} would): the Fréchet distance comes out too large, and compares "
            "only with numbers from as many images. The kernel distance has no such bias.",
            stacklevel=3,
        )
