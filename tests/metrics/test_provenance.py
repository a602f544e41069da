"""File names hold every entry; what does not compare is refused, too few images are said."""

import warnings

import numpy as np
import pytest

from keras_uai.metrics import Statistics, provenance

ENTRIES = {
    "extractor": "efficientnet_lite0",
    "weights": "409d28f93551",
    "resize": "bilinear-224",
    "image_size": "64x64x3",
    "dataset": "faces",
    "split": "validation",
    "seed": 0,
    "images": 40,
}


def made(dimension=4, **changes):
    entries = {**ENTRIES, **changes}
    rows = np.random.default_rng(0).normal(size=(entries["images"], dimension))
    return Statistics(entries, rows)


def test_the_file_name_holds_everything():
    name = provenance.file_name(ENTRIES)
    assert name == (
        "faces-validation-seed0-40images-64x64x3-efficientnet_lite0-bilinear-224-409d28f93551.npz"
    )
    changes = {"weights": "1", "resize": "none", "image_size": "1x1x1", "dataset": "a", "seed": 1}
    others = {provenance.file_name({**ENTRIES, key: value}) for key, value in changes.items()}
    assert (
        len(others | {name, provenance.file_name({**ENTRIES, "measurement": "Patch(90, 10)"})}) == 7
    )


def test_a_file_name_is_one_name():
    name = provenance.file_name({**ENTRIES, "dataset": "../my faces/é:*"})
    assert not set(name) & set("/\\:* ")


@pytest.mark.parametrize("name", provenance.COMPARABLE)
def test_what_does_not_compare_is_refused(name):
    provenance.check_comparable(made(), made(dataset="other", split="train", seed=7))
    with pytest.raises(ValueError, match=f"same extractor.*Received: {name} is"):
        provenance.check_comparable(made(), made(**{name: "another"}))


def test_dimensions_must_agree():
    with pytest.raises(ValueError, match="4 and 3 dimensions"):
        provenance.check_comparable(made(), made(dimension=3))


def test_too_few_images_are_warned_of_with_the_number():
    with pytest.warns(UserWarning, match=r"4 images have no full covariance in 4 .*\(5 would\)"):
        provenance.check_comparable(made(images=4), made())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        provenance.check_comparable(made(images=5), made())
        provenance.check_comparable(made(images=4), made(), covariance=False)
