"""Low-rank fills of a stack of frames: what the frames of a place have in common."""

import dataclasses

import numpy as np

ITERATIONS = 20
RANKS = (0, 1, 2, 3, 4, 6, 8)
#: Pixels that share an error, in space and in time: they count as one in the regressions.
PIXELS_ALIKE, FRAMES_ALIKE = 100.0, 3.0
#: Pixels by which the rank is chosen.
PIXELS = 20_000


@dataclasses.dataclass
class LowRank:
    """A fill of rank r: `mean[p] + sum_k scores[t, k] * loadings[p, k]`, and its uncertainty.

    Probabilistic principal components of data with gaps (Tipping and Bishop 1999) by alternating
    ridge regressions of each frame's scores and each pixel's loadings on the values seen. DINEOF
    (Beckers and Rixen 2003) iterates a truncated SVD instead. Errors of neighbouring pixels are
    alike, which the ridges allow for. The scores of a frame tend to those of its neighbours in
    time: a frame without a seen value is interpolated.

    Args:
        mean: `(H, W, C)`.
        loadings: `(H, W, C, r)`, of mean square 1.
        scores: `(T, r)`.
        covariances: `(T, r, r)` of the errors of the scores.
        noise: Standard deviation of the values around the fill.
        centre: Mean of the values.
    """

    mean: np.ndarray
    loadings: np.ndarray
    scores: np.ndarray
    covariances: np.ndarray
    noise: float
    centre: float

    @classmethod
    def fit(cls, values, seen, time, rank):
        """Fits a stack.

        Args:
            values: float32 `(T, H, W, C)`; ignored where not seen.
            seen: bool, of the shape of `values`.
            time: float `(T,)`, ascending, in any unit.
            rank: Integer of at least 0: the number of components.
        """
        count = len(values)
        s = seen.reshape(count, -1).astype("float32")
        y = np.where(s > 0, values.reshape(count, -1), np.float32(0))
        held, total = s.sum(axis=0), s.sum()
        centre = y.sum() / total
        # A pixel that is seen once is half as far from the centre as that value.
        mean = centre + (y - centre * s).sum(axis=0) / (held + 1.0)
        deviations = (y - mean) * s
        noise = np.square(deviations).sum() / total + 1e-12
        noise *= 0.1 if rank else 1.0  # a guess, from which the iteration starts
        loadings = np.zeros((y.shape[1], rank), "float32")
        scores = _first_scores(deviations, s, rank)
        weights = _neighbours(time, s.sum(axis=1))
        covariances = np.zeros((count, rank, rank), "float32")
        for _ in range(ITERATIONS if rank else 0):
            loadings = _regress(s.T, deviations.T, scores, np.full(rank, FRAMES_ALIKE * noise))
            size = np.sqrt(np.square(loadings).mean(axis=0)) + 1e-9
            loadings, scores = loadings / size, scores * size
            prior = weights @ scores
            variance = np.square(scores - prior)[s.any(axis=1)].mean(axis=0) + 1e-12
            ridge = PIXELS_ALIKE * noise / variance
            scores = _regress(s, deviations, loadings, ridge, prior)
            rest = (y - scores @ loadings.T) * s
            mean = (rest.sum(axis=0) + 0.5 * centre) / (held + 0.5)
            deviations = (y - mean) * s
            noise = np.square((deviations - scores @ loadings.T) * s).sum() / total + 1e-12
        if rank:
            covariances = PIXELS_ALIKE * noise * np.linalg.inv(_gram(s, loadings, ridge))
        found = cls(mean, loadings, scores, covariances, float(np.sqrt(noise)), float(centre))
        return found.at(values, seen)

    def at(self, values, seen):
        """Returns the fill of other pixels of the same frames, such as a tile's, by these scores.

        Args:
            values, seen: `(T, h, w, C)`; see `fit`.
        """
        count, *shape = values.shape
        s = seen.reshape(count, -1).astype("float32")
        y = np.where(s > 0, values.reshape(count, -1) - np.float32(self.centre), np.float32(0))
        x = np.concatenate([np.ones((count, 1), "float32"), self.scores], axis=1)
        rank = x.shape[1] - 1
        ridge = np.array([0.5 if rank else 1.0] + [FRAMES_ALIKE * self.noise**2] * rank)
        maps = _regress(s.T, y.T, x, ridge)
        maps = _fill_unseen(maps.reshape(*shape, rank + 1), s.any(axis=0).reshape(shape))
        mean = maps[..., 0] + np.float32(self.centre)
        return dataclasses.replace(self, mean=mean, loadings=maps[..., 1:])

    def frame(self, t, window=(slice(None), slice(None))):
        """Returns the fill of frame `t`, or of a window of it, `(h, w, C)` float32."""
        return self.mean[window] + self.loadings[window] @ self.scores[t]

    def deviation(self, t, window=(slice(None), slice(None))):
        """Returns the standard deviation of the fill's error, as `frame` does the fill."""
        loadings = self.loadings[window]
        variance = np.einsum("...k,kl,...l->...", loadings, self.covariances[t], loadings)
        return np.sqrt(variance + self.noise**2).astype("float32")


def choose_rank(values, seen, time, hide, rounds=4):
    """Chooses the rank with the least squared error on hidden values.

    Args:
        values, seen, time: See `LowRank.fit`.
        hide: Function of an integer; returns which values to hide, bool of the shape of `seen`.
        rounds: Number of times that values are hidden.

    Returns:
        The rank: the least whose root-mean-square error is within 1% of the smallest.
    """
    count, height, width, _ = values.shape
    step = max(1, round((height * width / PIXELS) ** 0.5))
    cut = (slice(None), slice(None, None, step), slice(None, None, step))
    y, ranks = values[cut], [rank for rank in RANKS if rank <= count // 2]
    squares = np.zeros(len(ranks))
    for i in range(rounds):
        hidden = (hide(i) & seen)[cut]
        shown = seen[cut] & ~hidden
        if not (hidden.any() and shown.any()):
            continue
        for j, rank in enumerate(ranks):
            found = LowRank.fit(y, shown, time, rank)
            for t in np.flatnonzero(hidden.any(axis=(1, 2, 3))):
                error = (found.frame(t) - y[t])[hidden[t]].astype("float64")
                squares[j] += np.square(error).sum()
    return ranks[int(np.argmax(squares <= 1.02 * squares.min()))]


def _first_scores(deviations, s, rank):
    """The leading left singular vectors of the frames, weighted alike, of mean square 1."""
    weighted = deviations / np.sqrt(np.maximum(s.mean(axis=1, keepdims=True), 0.05))
    _, vectors = np.linalg.eigh((weighted @ weighted.T).astype("float64"))
    return (len(s) ** 0.5 * vectors[:, ::-1][:, :rank]).astype("float32")


def _regress(s, y, x, ridge, prior=0.0):
    """Ridge regression of each row of `y` on the rows of `x` that `s` selects, towards `prior`."""
    target = y @ x + ridge * prior
    return np.linalg.solve(_gram(s, x, ridge), target[..., None])[..., 0].astype("float32")


def _gram(s, x, ridge):
    """Returns the matrices `(N, r, r)` of the normal equations of `_regress`."""
    rank = x.shape[1]
    squares = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    return (s @ squares).reshape(-1, rank, rank) + np.diag(ridge).astype("float32")


def _neighbours(time, held):
    """Returns weights `(T, T)` by which the scores of other frames predict a frame's."""
    time = np.asarray(time, "float64")
    scale = float(np.median(np.diff(time))) if len(time) > 1 else 1.0
    near = np.exp(-np.abs(time[:, None] - time) / max(scale, 1e-9)) * (held > 0)
    np.fill_diagonal(near, 0.0)
    return (near / np.maximum(near.sum(axis=1, keepdims=True), 1e-9)).astype("float32")


def _fill_unseen(maps, seen):
    """Fills maps `(H, W, C, k)` in space where `seen` `(H, W, C)` is false."""
    if seen.all():
        return maps
    from keras_uai.layers import PushPull

    height, width = seen.shape[:2]
    mask = np.broadcast_to(seen[..., None], maps.shape).reshape(1, height, width, -1)
    filled = PushPull()(maps.reshape(mask.shape), mask.astype("float32"))
    return np.asarray(filled).reshape(maps.shape)
