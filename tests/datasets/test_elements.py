import numpy as np
import pytest

from keras_uai.measurements import DropPixel
from tests.datasets.images import elements, folder_of_noise, noise, normalized, save


@pytest.fixture
def pixels(tmp_path):
    return folder_of_noise(tmp_path, 23, size=8)


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


def test_unpaired_indices_are_permutations_by_seed_and_epoch(tmp_path, pixels):
    """9 clean images beside 14 damaged ones in batches of 4: each once before one comes twice."""
    damaged, clean = np.arange(14), np.arange(14, 23)
    both = elements(tmp_path, DropPixel(0.5), indices=damaged, shuffle=True)
    both.unpaired = clean

    def epoch(number):
        return np.concatenate([both.unpaired_indices(number, i, 4)[0] for i in range(3)])

    epochs = [epoch(number) for number in range(4)]
    for order in epochs:
        assert np.array_equal(np.sort(order[:9]), clean)
        assert len(np.unique(order[9:])) == 3
        assert np.isin(order, clean).all()
    assert len({order.tobytes() for order in epochs}) == 4
    assert np.array_equal(epoch(2), epochs[2])
    assert len(both.unpaired_indices(0, 3, 2)[0]) == 2  # a last batch that is not full
    assert np.array_equal(np.sort(both.order(1)), damaged)
    both = elements(tmp_path, DropPixel(0.5), indices=damaged, shuffle=True, seed=6)
    both.unpaired = clean
    assert not np.array_equal(epoch(2), epochs[2])


# -- crops -----------------------------------------------------------------------------------------


@pytest.fixture
def mixed(tmp_path):
    """Four images of different sizes; one is smaller than the crops of 6 x 7."""
    pixels = [noise(i, *size) for i, size in enumerate([(9, 20), (12, 7), (4, 11), (30, 8)])]
    for i, image in enumerate(pixels):
        save(tmp_path / f"{i}.png", image)
    return pixels


def crops_of(made, epochs=1):
    return [made.make(epoch, n) for epoch in range(epochs) for n in range(made.num_batches)]


def test_crops_are_windows_of_the_damaged_image(tmp_path, mixed):
    """Of its pixels and of its one mask, padded with unobserved pixels, here and there mirrored."""
    made = elements(
        tmp_path,
        DropPixel(0.4),
        2,
        shuffle=True,
        crop_size=(6, 7),
        index=True,
        random_horizontal_flip=True,
    )
    seen, flipped = {}, set()
    for batch in crops_of(made, 40):
        assert batch["observation"].shape == (2, 6, 7, 3)
        for y, mask, index in zip(
            batch["observation"], batch["mask"], batch["index"].tolist(), strict=True
        ):
            height, width = mixed[index].shape[:2]
            whole = np.asarray(DropPixel(0.4).masks([index], height, width, seed=5))[0]
            image = np.where(whole > 0.5, normalized(mixed[index]), 0.0)
            pad = (0, max(0, 6 - height)), (0, max(0, 7 - width)), (0, 0)
            image, whole = np.pad(image, pad), np.pad(whole, pad)
            places = [
                (top, left, step)
                for top in range(image.shape[0] - 5)
                for left in range(image.shape[1] - 6)
                for step in (1, -1)
                if np.array_equal(image[top : top + 6, left : left + 7][:, ::step], y)
                and np.array_equal(whole[top : top + 6, left : left + 7][:, ::step], mask)
            ]
            assert len(places) == 1
            seen.setdefault(index, set()).add(places[0][:2])
            flipped.add(places[0][2])
    assert flipped == {1, -1}
    assert {index: len(found) > 5 for index, found in seen.items()} == {
        0: True,
        1: True,
        2: False,
        3: True,
    }


def test_crops_are_functions_of_seed_epoch_and_index(tmp_path, mixed):
    """In whatever batch an image travels, and from whatever epoch a run goes on."""
    arguments = {"shuffle": True, "crop_size": (6, 7), "index": True}

    def by_index(made, epoch):
        found = {}
        for number in range(made.num_batches):
            batch = made.make(epoch, number)
            for row, index in enumerate(batch["index"].tolist()):
                found[index] = batch["observation"][row].tobytes()
        return found

    one = by_index(elements(tmp_path, DropPixel(0.4), 1, **arguments), 3)
    other = by_index(elements(tmp_path, DropPixel(0.4), 4, **arguments), 3)
    assert one == other
    assert one != by_index(elements(tmp_path, DropPixel(0.4), 4, **arguments), 4)
    assert one != by_index(elements(tmp_path, DropPixel(0.4), 4, seed=6, **arguments), 3)


def test_places_of_crops_are_uniform(tmp_path):
    save(tmp_path / "0.png", np.broadcast_to(np.arange(8, dtype="uint8")[:, None, None], (8, 4, 1)))
    made = elements(tmp_path, DropPixel(0.0), 1, shuffle=True, crop_size=(4, 4))
    tops = [
        int(np.rint((made.make(e, 0)["observation"][0, 0, 0, 0] + 1) * 127.5)) for e in range(500)
    ]
    counts = np.bincount(tops, minlength=5)
    assert ((counts - 100) ** 2 / 100).sum() < 23  # chi-square with 4 degrees: p < 1.3e-4


def test_crops_without_an_observed_pixel_are_avoided(tmp_path):
    alpha = np.zeros((40, 40, 1), "uint8")
    alpha[:8] = 255
    save(tmp_path / "0.png", np.dstack([noise(0, 40, 40), alpha]))
    made = elements(tmp_path, batch_size=1, shuffle=True, crop_size=(4, 4))
    shown = np.mean([made.make(epoch, 0)["mask"].any() for epoch in range(200)])
    assert shown > 0.7  # 8 attempts of 11 in 37; one would show 0.3


def test_parts_in_order_are_whole_and_grouped_by_size(tmp_path):
    sizes = [(5, 6), (5, 6), (7, 4), (5, 6), (5, 6), (5, 6)]
    for i, size in enumerate(sizes):
        save(tmp_path / f"{i}.png", noise(i, *size))
    made = elements(
        tmp_path, DropPixel(0.4), 2, crop_size=(4, 4), index=True, random_horizontal_flip=True
    )
    batches = crops_of(made)
    assert [batch["index"].tolist() for batch in batches] == [[0, 1], [2], [3, 4], [5]]
    assert [batch["observation"].shape[1:3] for batch in batches] == [
        sizes[i] for i in (0, 2, 3, 5)
    ]
    assert made.signature["observation"] == ((None, None, None, 3), "float32")
    image = np.asarray(
        DropPixel(0.4)(normalized(noise(2, 7, 4)), DropPixel(0.4).masks([2], 7, 4, 5))
    )
    assert np.array_equal(batches[1]["observation"], image)
    with pytest.raises(ValueError, match="to be repeated"):
        elements(tmp_path, DropPixel(0.4), 2, repeat=True)


def test_clean_images_are_not_padded(tmp_path, mixed):
    arguments = {"shuffle": True, "crop_size": (6, 7)}
    with pytest.raises(ValueError, match="Clean images must be at least as large as the crops"):
        elements(tmp_path, DropPixel(0.4), 1, clean=True, **arguments)
    with pytest.raises(ValueError, match="Clean images must be at least"):
        elements(tmp_path, DropPixel(0.4), 1, unpaired=np.array([2]), indices=[0, 1], **arguments)
    made = elements(
        tmp_path, DropPixel(0.4), 2, clean=True, indices=[0, 1], unpaired=np.array([3]), **arguments
    )
    for batch in crops_of(made, 5):
        shown = batch["observation"] != 0
        assert np.array_equal(batch["observation"][shown], batch["clean"][shown])
        for crop in batch["unpaired"]:
            windows = [
                normalized(mixed[3][t : t + 6, left : left + 7])
                for t in range(25)
                for left in (0, 1)
            ]
            assert any(np.array_equal(window, crop) for window in windows)


def test_masks_are_drawn_once(tmp_path, pixels):
    made = elements(tmp_path, DropPixel(0.5))
    draw, drawn = made.drawn._draw, []
    made.drawn._draw = lambda indices, *rest: drawn.extend(indices) or draw(indices, *rest)
    crops_of(made, 2)
    assert sorted(drawn) == list(range(23))
