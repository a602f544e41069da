"""Provenance: all that a number or a file of statistics depends on, a dict of JSON-able values."""

import re
import warnings

# Entries that must be the same for two statistics to be compared.
COMPARABLE = ("extractor", "weights", "resize", "image_size")


def file_name(provenance):
    """Returns a file name that holds every entry.

    For example `faces-validation-seed0-90images-64x64x3-efficientnet_lite0-bilinear-224-409d.npz`.
    """
    order = ("dataset", "split", "seed", "images", "content", "image_size", "extractor", "resize")
    order += ("weights",)
    words = {"seed": "seed{}", "images": "{}images"}
    parts = [words.get(n, "{}").format(provenance[n]) for n in order if n in provenance]
    parts += [f"{name}={provenance[name]}" for name in sorted(provenance) if name not in order]
    return re.sub(r"[^\w.=-]+", "_", "-".join(parts)) + ".npz"


def differences(provenance, expected):
    """Returns the differences between a provenance and the expected entries, as texts."""
    return [
        f"{name} is {provenance.get(name)!r} and not {value!r}"
        for name, value in expected.items()
        if provenance.get(name) != value
    ]


def check_comparable(a, b, covariance=True):
    """Raises a ValueError if a distance between two `Statistics` would be meaningless.

    With `covariance`, it warns of too few images for a full one.
    """
    wrong = [
        f"{name} is {a.provenance.get(name)!r} and {b.provenance.get(name)!r}"
        for name in COMPARABLE
        if a.provenance.get(name) != b.provenance.get(name)
    ]
    if wrong or a.dimension != b.dimension:
        wrong = wrong or [f"they have {a.dimension} and {b.dimension} dimensions"]
        raise ValueError(
            "Statistics must be made with the same extractor, weights and resize, from images of "
            f"the same size. Received: {'; '.join(wrong)}"
        )
    fewest = min(a.count, b.count)
    if covariance and fewest <= a.dimension:
        warnings.warn(
            f"{fewest:,} images have no full covariance in {a.dimension:,} dimensions "
            f"({a.dimension + 1:,} would): the Fréchet distance comes out too large, and compares "
            "only with numbers from as many images. The kernel distance has no such bias.",
            stacklevel=3,
        )
