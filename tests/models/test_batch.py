"""What is hidden from G, against fresh masks drawn one after the other from the same keys."""

import numpy as np
import pytest

from keras_uai import models, random
from keras_uai.measurements import Empirical
from keras_uai.models import purposes
from tests.testing import array, observations, same_bits, tiny, tiny_uai

COUNT = 40
HALVES = np.stack([np.rot90(np.repeat([0, 1], 8)[:, None] * np.ones(16), k) for k in range(4)])


def by_hand(model, mask, keys, share):
    """`(mask_seen, images hidden by a fresh mask)`: all that the first fitting one of 8 masks misses, else thinned."""
    low, high = model.hide
    seen = array(model.hide_some(mask, mask, keys, low, high)[1])
    keys_of = random.fold_in(keys, purposes.HIDE_MASK)
    tries = [
        array(model.measurement.sample(random.fold_in(keys_of, attempt), *mask.shape[1:3])) * mask
        for attempt in range(8)
    ]
    u, hidden_by_mask = array(random.uniform(random.fold_in(keys, purposes.HIDE_CHOICE), ())), 0
    for i in np.flatnonzero(u < share):
        for both in tries:
            if low <= 1 - both[i].sum() / max(1, mask[i].sum()) <= 0.75:
                seen[i], hidden_by_mask = both[i], hidden_by_mask + 1
                break
    return seen, hidden_by_mask


@pytest.mark.parametrize(
    ("measurement", "share", "expected"),
    [
        ("Patch(9, 4, border=1)", 1.0, 39),
        ("Patch(9, 4, border=1)", 0.5, 18),
        ("Patch(1, 4, border=1)", 1.0, 32),  # two single patches often miss each other
        ("DropPixel(0.9)", 1.0, 6),  # nor do few pixels
        (Empirical(HALVES), 1.0, 39),  # one half hides itself not at all, its opposite wholly
    ],
    ids=str,
)
def test_a_fresh_mask_hides_all_that_it_misses(measurement, share, expected):
    model = tiny_uai(measurement)
    y, mask = observations(model.measurement, COUNT)
    y[0], mask[0] = 0, 0  # nothing was observed: nothing can be hidden
    keys = model.step_keys(COUNT)
    y_seen, mask_seen = model.hide_some(y, mask, keys, *model.hide, share)
    seen, hidden_by_mask = by_hand(model, mask, keys, share)
    same_bits(mask_seen, seen)
    same_bits(y_seen, np.where(seen == 1, y, np.float32(0)))
    assert hidden_by_mask == expected


@pytest.mark.parametrize("name", ["UAI", "Splitting"])
def test_g_is_shown_what_is_left(name):
    """Where every mask observes another half, G sees a quarter."""
    model = tiny(getattr(models, name), Empirical(HALVES), hide_by_mask=1.0)
    model.compile(loss_weights={"splitting": 1.0})
    y, mask = observations(model.measurement, 8)
    seen, original = [], model.generator.observe

    def observe(y, mask, training=False):
        seen.append(array(mask))
        return original(y, mask, training=training)

    model.generator.observe = observe
    model.objective(model.unpack({"observation": y, "mask": mask}), model.step_keys(8), True)
    same_bits(seen[0], by_hand(model, mask, model.step_keys(8), 1.0)[0])
    assert np.median(seen[0].mean((1, 2, 3))) == 0.25
