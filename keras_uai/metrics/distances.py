"""Statistics -> numbers: the Fréchet and the kernel distance between two sets of features.

The third of the three steps. Everything is float64. No matrix square root is taken, which goes
complex or NaN where a covariance is singular; square roots are taken of eigenvalues of symmetric
matrices only.
"""

import numpy as np

from keras_uai.metrics.stamps import check_comparable


def frechet_distance(a, b):
    """Fréchet distance of two Gaussians: |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2)).

    Dowson and Landau (1982); on Inception's features the FID of Heusel et al. (NeurIPS 2017). The
    number depends on how many images it was made from: compare like with like.

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
    """tr((A B)^(1/2)) of the covariances of two `Statistics`.

    It is the sum of the singular values of L_a^T L_b for any A = L_a L_a^T and B = L_b L_b^T, whose
    squares are the eigenvalues of a symmetric matrix of the smaller of the two ranks. Where
    no more images than dimensions were kept, L is their centred features, and no covariance is ever
    made. Elsewhere it is a Cholesky factor with pivoting, which ends at the numerical rank and is
    far cheaper than the eigenvectors that the usual A^(1/2) needs.
    """
    from scipy import linalg

    product = _factor(a).T @ _factor(b)
    if product.shape[0] > product.shape[1]:
        product = product.T
    eigenvalues = linalg.eigvalsh(product @ product.T, check_finite=False)
    return np.sqrt(np.maximum(eigenvalues, 0.0)).sum()  # below zero is rounding


def kernel_distance(a, b, block_size=1024):
    """Kernel distance: unbiased squared MMD with the kernel (x . y / D + 1)^3; on Inception the
    KID.

    Binkowski et al. (ICLR 2018), by the block estimator that TF-GAN uses (Zaremba et al. 2013):
    both sets are cut into as many blocks of at most `block_size` images, whose estimates are
    averaged.

    Args:
        a, b: `Statistics` with features.
        block_size: images a block; None takes all in one, which has the least variance.

    Returns:
        `(distance, standard error)`, floats; the error is NaN where there is a single block. The
        distance may be negative: it is unbiased.
    """
    check_comparable(a, b, covariance=False)
    if a.features is None or b.features is None:
        raise ValueError(
            "The kernel distance needs features, and these statistics hold mean and covariance "
            "only: make them with keep_features=True. "
            f"Received: {(a if a.features is None else b).stamp}"
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


def standard_error(distance, a, b, groups=10):
    """Standard error of a distance between two sets of paired images, by the delete-group jackknife.

    Each group of images is left out of both sets in turn (Kott 2001). What depends on the number of
    images, as the Fréchet distance's bias, does not count as error: it shifts all alike.

    Args:
        distance: function of two `Statistics` that returns a float.
        a, b: `Statistics` with features, image i of one belonging to image i of the other.
        groups: how many groups; that many distances are computed.
    """
    import warnings

    if a.features is None or b.features is None or a.count != b.count or a.count < 2 * groups:
        raise ValueError(
            "The jackknife needs the features of as many images in both sets, two a group. "
            f"Received: {a.count} and {b.count} images, groups={groups}"
        )
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few images: the caller has been warned
        for group in range(groups):
            kept = np.arange(a.count) % groups != group
            found.append(distance(*(_part(statistics, kept) for statistics in (a, b))))
    return float(np.sqrt((groups - 1.0) / groups * ((found - np.mean(found)) ** 2).sum()))


def _part(statistics, kept):
    stamp = {**statistics.stamp, "images": int(kept.sum())}
    return type(statistics)(stamp, statistics.features[kept])


def _is_small(statistics):
    return statistics.features is not None and statistics.count <= statistics.dimension


def _trace(statistics):
    if _is_small(statistics):
        return (statistics.centred**2).sum()
    return np.trace(statistics.covariance)


def _factor(statistics):
    """L `(D, r)` with covariance = L L^T, r as small as is cheap to know."""
    from scipy import linalg

    if _is_small(statistics):
        return statistics.centred.T
    covariance = np.array(statistics.covariance, order="F")
    lower, pivots, rank, _ = linalg.lapack.dpstrf(covariance, lower=1, overwrite_a=1)
    factor = np.empty((len(covariance), rank))
    factor[pivots - 1] = np.tril(lower)[:, :rank]
    return factor


def _blocks(count, blocks):
    """Slices of nearly equal length, the longer ones last, as TF-GAN cuts them."""
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
