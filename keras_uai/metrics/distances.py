"""Fréchet and kernel distance between two sets of features: the third step of a distance.

Everything is float64. No matrix square root is taken, since it goes complex or NaN where a
covariance is singular.
"""

import warnings

import numpy as np

from keras_uai.metrics.statistics import Statistics, differences

# Entries of the provenance that must be the same for two statistics to be compared.
COMPARABLE = ("extractor", "weights", "resize", "image_size")


def frechet_distance(a, b):
    """Returns the Fréchet distance of two Gaussians: |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2)).

    See Dowson and Landau (1982). On Inception's features it is the FID of Heusel et al. (NeurIPS
    2017). The number depends on the number of images: compare only numbers from as many images.

    The trace of (A B)^(1/2) is the sum of the singular values of X Y^T for any A = X^T X and
    B = Y^T Y, such as the centred features.

    Args:
        a, b: `keras_uai.metrics.Statistics` from the same extractor.

    Returns:
        float, at least 0.
    """
    check_comparable(a, b)
    fewest = min(a.count, b.count)
    if fewest <= a.dimension:
        warnings.warn(
            f"{fewest:,} images have no full covariance in {a.dimension:,} dimensions "
            f"({a.dimension + 1:,} would): the Fréchet distance comes out too large, and compares "
            "only with numbers from as many images. The kernel distance has no such bias.",
            stacklevel=2,
        )
    root = np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum()
    mean = ((a.mean - b.mean) ** 2).sum()
    return float(max(mean + (a.factor**2).sum() + (b.factor**2).sum() - 2.0 * root, 0.0))


def kernel_distance(a, b, block_size=1024):
    """Returns the kernel distance: unbiased squared MMD with the kernel (x . y / D + 1)^3.

    On Inception's features it is the KID (Binkowski et al., ICLR 2018). Both sets are cut into as
    many blocks of at most `block_size` images, and the estimates are averaged (Zaremba et al.
    2013).

    Args:
        a, b: `keras_uai.metrics.Statistics` from the same extractor.
        block_size: images a block; None takes all in one, which has the least variance.

    Returns:
        `(distance, standard error)`, floats; the error of a single block is NaN. The distance is
        unbiased, and may therefore be negative.
    """
    check_comparable(a, b)
    blocks = 1 if block_size is None else -(-max(a.count, b.count) // block_size)
    if min(a.count, b.count) < 2 * blocks:
        raise ValueError(
            f"The kernel distance needs at least 2 images a block, of which there are {blocks}. "
            f"Received: {a.count} and {b.count} images, block_size={block_size}"
        )
    # From the end, so that the longer blocks are the last, as in TF-GAN.
    pairs = (np.array_split(s.features[::-1].astype("float64"), blocks) for s in (a, b))
    estimates = [_squared_mmd(x, y) for x, y in zip(*pairs, strict=True)]
    error = np.std(estimates, ddof=1) / np.sqrt(blocks) if blocks > 1 else float("nan")
    return float(np.mean(estimates)), float(error)


def _squared_mmd(x, y):
    def kernel(p, q):
        return (p @ q.T / p.shape[1] + 1.0) ** 3

    def off_diagonal_mean(k):
        return (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1.0))

    within = off_diagonal_mean(kernel(x, x)) + off_diagonal_mean(kernel(y, y))
    return within - 2.0 * kernel(x, y).mean()


def standard_error(distance, a, b, images, groups=10):
    """Returns the standard error of a distance between paired sets by the delete-group jackknife.

    Each group of images is left out of both sets in turn (Kott 2001). An error that depends on the
    number of images, as the Fréchet distance's bias, shifts all distances alike and does not count.

    Args:
        distance: function of two `Statistics` that returns a float.
        a, b: `Statistics`; row i of one belongs to row i of the other.
        images: integers, the image of each row; rows of one image stay together.
        groups: number of groups, and of distances that are computed.
    """
    images = np.unique(images, return_inverse=True)[1]
    count = int(images.max()) + 1
    if a.count != b.count or count < 2 * groups:
        raise ValueError(
            "The jackknife needs the features of the same images in both sets, two a group. "
            f"Received: {a.count} and {b.count} features of {count} images, groups={groups}"
        )
    found = []
    for group in range(groups):
        kept = images % groups != group
        found.append(distance(*(Statistics(s.provenance, s.features[kept]) for s in (a, b))))
    return float(np.sqrt((groups - 1.0) / groups * ((found - np.mean(found)) ** 2).sum()))


def check_comparable(a, b):
    """Raises a ValueError if a distance between two `Statistics` would be meaningless."""
    entries = [
        {**{name: s.provenance.get(name) for name in COMPARABLE}, "dimensions": s.dimension}
        for s in (a, b)
    ]
    if wrong := differences(*entries):
        raise ValueError(
            "Statistics must be made with the same extractor, weights and resize, from images of "
            f"the same size. Received: {'; '.join(wrong)}"
        )
