import numpy as np
import pytest

from keras_uai.datasets import splits

PARTS = ("validation", "test", "damaged", "unpaired")


@pytest.mark.parametrize("count", [7, 501, 10_000])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_image_is_in_exactly_one_part(count, seed):
    def part(*names):
        return np.sort(np.concatenate([splits.indices(count, name, seed) for name in names]))

    assert np.array_equal(part(*PARTS), np.arange(count))
    assert np.array_equal(part("all"), np.arange(count))
    assert np.array_equal(part("train"), part("test", "damaged", "unpaired"))
    assert np.array_equal(part("supervised_train"), part("damaged", "unpaired"))


def test_sizes_are_the_papers():
    sizes = {split: len(splits.indices(8080, split)) for split in splits.SPLITS}
    assert sizes == {
        "all": 8080,
        "train": 6868,
        "validation": 1212,  # exactly 15%
        "supervised_train": 6060,
        "test": 808,  # exactly 10%
        "damaged": 3030,
        "unpaired": 3030,
    }
    assert len(splits.indices(1003, "validation")) == round(0.15 * 1003)


def test_uniform_by_index_and_a_function_of_the_seed():
    times = np.zeros(200)
    for seed in range(400):
        validation = splits.indices(200, "validation", seed)
        assert (np.diff(validation) > 0).all()
        times[validation] += 1
    assert np.array_equal(validation, splits.indices(200, "validation", 399))
    # Each index is in it binomially often: mean 60, standard deviation 7.1.
    assert times.mean() == 60
    assert np.abs(times - 60).max() < 5 * np.sqrt(400 * 0.15 * 0.85)
    assert 5.5 < times.std() < 9


def test_limits_are_nested_random_parts():
    large = splits.indices(1000, "train", 0, limit=200)
    small = splits.indices(1000, "train", 0, limit=50)
    assert len(large) == 200
    assert np.isin(small, large).all()
    assert np.isin(large, splits.indices(1000, "train", 0)).all()
    assert large.max() > 900  # not the first files
    share = np.isin(large, splits.indices(1000, "test", 0)).mean()
    assert share < 0.3  # not the test images first
    assert len(splits.indices(10, "all", 0, limit=99)) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"split": "withheld"},
            "must be one of all, train, validation.*Received: split='withheld'",
        ),
        ({"split": ["train"]}, r"split=\['train'\]"),
        ({"split": "train", "limit": 0}, "limit=0"),
        ({"split": "train", "limit": 2.5}, "limit=2.5"),
        ({"split": "train", "limit": True}, "limit=True"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        splits.indices(100, **arguments)


def test_an_empty_split_is_an_error():
    with pytest.raises(ValueError, match="'validation' of a data set of 2 images"):
        splits.indices(2, "validation")
