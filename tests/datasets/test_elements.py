import numpy as np
import pytest

from keras_uai.datasets.elements import KnownMasks, normalize
from keras_uai.measurements import DropPixel
from tests.datasets.images import elements, folder_of_noise, noise


@pytest.fixture
def pixels(tmp_path):
    return folder_of_noise(tmp_path, 23, size=8)


def test_normalize_is_exact_and_never_zero():
    values = normalize(np.arange(256, dtype="uint8"))
    assert values.dtype == np.float32
    assert values[0] == -1
    assert values[255] == 1
    assert (values != 0).all()
    assert np.array_equal(np.rint((values + 1) * 127.5), np.arange(256))


def test_an_epoch_is_a_permutation_by_seed_and_epoch(tmp_path, pixels):
    shuffled = elements(tmp_path, DropPixel(0.5), shuffle=True)
    orders = [shuffled.order(epoch) for epoch in range(5)]
    for order in orders:
        assert np.array_equal(np.sort(order), np.arange(23))
    assert len({order.tobytes() for order in orders}) == 5
    again = elements(tmp_path, DropPixel(0.5), shuffle=True)
    assert np.array_equal(again.order(3), orders[3])
    other = elements(tmp_path, DropPixel(0.5), shuffle=True, seed=6)
    assert not np.array_equal(other.order(3), orders[3])
    assert np.array_equal(elements(tmp_path, DropPixel(0.5)).order(3), np.arange(23))


def test_orders_are_uniform(tmp_path, pixels):
    """Over many epochs each image comes first about equally often."""
    shuffled = elements(tmp_path, DropPixel(0.5), shuffle=True)
    first = np.bincount([shuffled.order(epoch)[0] for epoch in range(2300)], minlength=23)
    assert ((first - 100) ** 2 / 100).sum() < 65  # chi-square with 22 degrees: p < 5e-6


def test_a_large_order_is_still_a_permutation(tmp_path, pixels):
    """Only indices are shuffled: a million images cost 16 MB, whatever their size."""
    shuffled = elements(tmp_path, DropPixel(0.5), shuffle=True)
    shuffled.indices = np.arange(10**6)
    order = shuffled.order(0)
    assert np.array_equal(np.bincount(order), np.ones(10**6))
    # Neighbours in the order come from all over: no window of a buffer limits how far they moved.
    assert abs(np.abs(order - np.arange(10**6)).mean() / 10**6 - 1 / 3) < 0.002


def test_unpaired_indices_are_permutations_by_seed_and_epoch(tmp_path, pixels):
    """9 clean images beside 14 damaged ones in batches of 4: each once before one comes twice."""
    damaged, clean = np.arange(14), np.arange(14, 23)
    both = elements(tmp_path, DropPixel(0.5), indices=damaged, shuffle=True)
    both.unpaired = clean

    def epoch(number):
        return np.concatenate([both.unpaired_indices(number, i, 4) for i in range(3)])

    epochs = [epoch(number) for number in range(4)]
    for order in epochs:
        assert np.array_equal(np.sort(order[:9]), clean)
        assert len(np.unique(order[9:])) == 3
        assert np.isin(order, clean).all()
    assert len({order.tobytes() for order in epochs}) == 4
    assert np.array_equal(epoch(2), epochs[2])
    assert len(both.unpaired_indices(0, 3, 2)) == 2  # a last batch that is not full
    assert np.array_equal(np.sort(both.order(1)), damaged)
    both.seed = 6
    assert not np.array_equal(epoch(2), epochs[2])


def test_masks_are_remembered():
    known = KnownMasks(np.array([2, 5, 9]), 3)
    masks = (noise(0, 3, 9, 1).reshape(3, 3, 3, 1) > 90).astype("float32")
    none, found = known.lookup(np.array([5]))
    assert not found
    assert none.shape == (0, 3, 3, 1)
    assert known.keep(np.array([9, 2]), masks[:2]) is not None
    assert not known.lookup(np.array([9, 5]))[1]
    found, complete = known.lookup(np.array([2, 9, 2]))
    assert complete
    assert found.dtype == np.float32
    assert np.array_equal(found, masks[[1, 0, 1]])
