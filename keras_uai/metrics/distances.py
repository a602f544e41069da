"""Fréchet and kernel distance between two sets of features: statistics to numbers.

This is the third step of a distance. Everything is float64. No matrix square root is taken, since
it goes complex or NaN where a covariance is singular. Square roots are taken only of eigenvalues of
symmetric matrices.
"""

import numpy as np

from keras_uai.metrics.provenance import check_comparable


def frechet_distance(a, b):
    """Returns the Fréchet distance of two Gaussians: |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2)).

    See Dowson and Landau (1982). On Inception's features it is the FID of Heusel et al. (NeurIPS
    2017). The number depends on the number of images: compare only numbers from as many images.

    Args:
        a, b: `keras_uai.metrics.statistics.Statistics` from the same extractor.

    Returns:
        float, at least 0.
    """
    check_comparable(a, b)
    trace = trace_sqrt_product(a, b)
    mean = ((a.mean - b.mean) ** 2).sum()
    distance = mean + _trace(a) + _trace(b) - 2.0 * trace
    return float(max(distance, 0.0))


def trace_sqrt_product(a, b):
    """Returns tr((A B)^(1/2)) of the covariances of two `Statistics`.

    It is the sum of the singular values of L_a^T L_b for any A = L_a L_a^T and B = L_b L_b^T. Their
    squares are the eigenvalues of a symmetric matrix of the smaller of the two ranks. If no more
    images than dimensions were kept, L is their centred features, and no covariance is made.
    Otherwise it is a Cholesky factor with pivoting, which ends at the numerical rank and is far
    cheaper than the eigenvectors that A^(1/2) needs.
    """
    from scipy import linalg

    product = _factor(a).T @ _factor(b)
    if product.shape[0] > product.shape[1]:
        product = product.T
    eigenvalues = linalg.eigvalsh(product @ product.T, check_finite=False)
    return np.sqrt(np.maximum(eigenvalues, 0.0)).sum()  # below zero is rounding


def kernel_distance(a, b, block_size=1024):
    """Returns the kernel distance: unbiased squared MMD with the kernel (x . y / D + 1)^3.

    On Inception's features it is the KID (Binkowski et al., ICLR 2018). Both sets are cut into as
    many blocks of at most `block_size` images, and the estimates are averaged (Zaremba et al.
    2013).

    Args:
        a, b: `Statistics` with features.
        block_size: images a block; None takes all in one, which has the least variance.

    Returns:
        `(distance, standard error)`, floats; the error of a single block is NaN. The distance is
        unbiased, and may therefore be negative.
    """
    check_comparable(a, b, covariance=False)
    if a.features is None or b.features is None:
        raise ValueError(
            "The kernel distance needs statistics with features (keep_features=True). "
            f"Received: mean and covariance of {(a if a.features is None else b).provenance}"
        )
    blocks = 1 if block_size is None else -(-max(a.count, b.count) // block_size)
    if min(a.count, b.count) < 2 * blocks:
        raise ValueError(
            f"The kernel distance needs at least 2 images a block, of which there are {blocks}. "
            f"Received: {a.count} and {b.count} images, block_size={block_size}"
        )
    estimates = [
        _squared_mmd(a.features[rows_a], b.features[rows_b])
        for rows_a, rows_b in zip(_blocks(a.count, blocks), _blocks(b.count, blocks), strict=True)
    ]
    error = np.std(estimates, ddof=1) / np.sqrt(blocks) if blocks > 1 else float("nan")
    return float(np.mean(estimates)), float(error)


def standard_error(distance, a, b, images=None, groups=10):
    """Returns the standard error of a distance between paired sets by the delete-group jackknife.

    Each group of images is left out of both sets in turn (Kott 2001). An error that depends on the
    number of images, as the Fréchet distance's bias, shifts all distances alike and does not count.

    Args:
        distance: function of two `Statistics` that returns a float.
        a, b: `Statistics` with features; row i of one belongs to row i of the other.
        images: integers, the image of each row; rows of one image stay together. Default: each row
            is an image.
        groups: number of groups, and of distances that are computed.
    """
    import warnings

    images = np.arange(a.count) if images is None else np.unique(images, return_inverse=True)[1]
    count = int(images.max()) + 1
    if a.features is None or b.features is None or a.count != b.count or count < 2 * groups:
        raise ValueError(
            "The jackknife needs the features of the same images in both sets, two a group. "
            f"Received: {a.count} and {b.count} features of {count} images, groups={groups}"
        )
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few images: the caller has been warned
        for group in range(groups):
            kept = images % groups != group
            found.append(distance(*(_part(statistics, kept) for statistics in (a, b))))
    return float(np.sqrt((groups - 1.0) / groups * ((found - np.mean(found)) ** 2).sum()))


def _part(statistics, kept):
    provenance = {**statistics.provenance, "images": int(kept.sum())}
    return type(statistics)(provenance, statistics.features[kept])


def _is_small(statistics):
    return statistics.features is not None and statistics.count <= statistics.dimension


def _trace(statistics):
    if _is_small(statistics):
        return (statistics.centred**2).sum()
    return np.trace(statistics.covariance)


def _factor(statistics):
    """Returns L `(D, r)` with covariance = L L^T, r the numerical rank."""
    from scipy import linalg

    if _is_small(statistics):
        return statistics.centred.T
    covariance = np.array(statistics.covariance, order="F")
    lower, pivots, rank, _ = linalg.lapack.dpstrf(covariance, lower=1, overwrite_a=1)
    factor = np.empty((len(covariance), rank))
    factor[pivots - 1] = np.tril(lower)[:, :rank]
    return factor


def _blocks(count, blocks):
    """Returns slices of nearly equal length, the longer ones last, as TF-GAN cuts them."""
    short, longer = divmod(count, blocks)
    sizes = [short] * (blocks - longer) + [short + 1] * longer
    ends = np.cumsum(sizes)
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _squared_mmd(x, y):
    x, y = x.astype("float64"), y.astype("float64")

    def kernel(p, q):
        return (p @ q.T / p.shape[1] + 1.0) ** 3

    def off_diagonal_mean(k):
        return (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1.0))

    within = off_diagonal_mean(kernel(x, x)) + off_diagonal_mean(kernel(y, y))
    return within - 2.0 * kernel(x, y).mean()
