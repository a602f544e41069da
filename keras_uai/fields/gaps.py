"""Gaps to hide observed values with: those of other frames, laid over a frame."""

import numpy as np
from scipy import ndimage

#: Gaps tried for a frame, and those of them that fit, of which the best is taken.
TRIES, FITTING = 24, 4
#: A gap fits if it hides between these shares of a frame's observed values.
LEAST, MOST = 0.02, 0.7


def hide(observed, fillable, seed, share=1.0):
    """Hides observed values of a stack as its own gaps do.

    The gaps of a frame are those of another, at the same place or, every other time, shifted and
    mirrored. Of several, the one is taken whose hidden values are about as far from what remains
    seen as missing values are: gaps on top of gaps would be harder than the data's. A stack with
    too few gaps of its own is given blocks of random sizes.

    Args:
        observed: bool `(T, H, W, M)`.
        fillable: bool `(T, H, W, M)`: False where a value never exists, such as on land.
        seed: Integer or tuple of integers.
        share: Share of the frames in which values are hidden; at least one frame.

    Returns:
        bool `(T, H, W, M)`: observed values to hide.
    """
    rng = np.random.default_rng(seed)
    hidden = np.zeros_like(observed)
    missing = fillable & ~observed
    frames = np.flatnonzero(observed.any(axis=(1, 2, 3)))
    sources = np.flatnonzero(missing.mean(axis=(1, 2, 3)) > 0.005)
    wanted = [_distance(missing[t], observed[t]) for t in np.intersect1d(sources, frames)[:50]]
    wanted = np.median(wanted) if wanted else None
    count = min(len(frames), max(1, round(share * len(frames))))
    for t in rng.choice(frames, count, replace=False):
        found = []
        for i in range(TRIES):
            gap = _gap(missing, sources, rng, i >= TRIES // 2) & observed[t]
            hides = gap.sum() / observed[t].sum()
            if 0 < hides < 1:
                found.append((abs(np.log(hides / np.clip(hides, LEAST, MOST))), gap))
            if sum(not off for off, _ in found) == FITTING:
                break
        if not found:
            continue
        least = min(off for off, _ in found)
        gaps = [gap for off, gap in found if off == least]
        if wanted is None or len(gaps) == 1:
            hidden[t] = gaps[0]
            continue
        distances = [_distance(gap, observed[t] & ~gap) for gap in gaps]
        hidden[t] = gaps[int(np.argmin(np.abs(np.log(np.array(distances) / wanted))))]
    return hidden


def _gap(missing, sources, rng, blocks):
    """Returns a gap `(H, W, M)`: that of a frame with gaps, or blocks."""
    if blocks or not len(sources):
        return _blocks(missing.shape[1:], rng)
    gap = missing[rng.choice(sources)]
    return _moved(gap, rng) if len(sources) < 3 or rng.random() < 0.5 else gap


def _distance(gap, seen):
    """Returns the mean distance in pixels of a gap's pixels to the nearest seen one."""
    gap, seen = gap.any(axis=-1), seen.any(axis=-1)
    distance = ndimage.distance_transform_edt(~seen)
    return float(distance[gap].mean()) if gap.any() and seen.any() else max(gap.shape)


def _moved(gap, rng):
    """Shifts (around the edges) and mirrors a gap."""
    gap = gap[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    shift = [int(rng.integers(side)) for side in gap.shape[:2]]
    return np.roll(gap, shift, axis=(0, 1))


def _blocks(shape, rng):
    """Returns a gap of a few rectangles with sides of 3% to 30% of the frame's."""
    gap = np.zeros(shape, bool)
    for _ in range(rng.integers(1, 6)):
        sides = [max(1, int(side * rng.uniform(0.03, 0.3))) for side in shape[:2]]
        top, left = (
            int(rng.integers(max(1, n - side + 1)))
            for n, side in zip(shape[:2], sides, strict=True)
        )
        gap[top : top + sides[0], left : left + sides[1]] = True
    return gap
