"""Masks of data beside those of a measurement: what differs is told, what is alike is not."""

import re

import numpy as np
import pytest

from keras_uai.measurements import DropPixel, Empirical, Patch, mask_differences
from tests.testing import array

INDICES = np.arange(64)


def halves(count, shares=(0.5,), channels=1):
    """Masks that miss an outer part of their rows, at random the first or the last ones."""
    generator = np.random.default_rng(0)
    masks = np.ones((count, 32, 32, channels), "float32")
    for mask in masks:
        for channel in range(channels):
            missing = int(32 * generator.choice(shares))
            rows = slice(missing) if generator.random() < 0.5 else slice(32 - missing, None)
            mask[rows, :, channel] = 0
    return masks


MASKS = {
    "half of the pixels": array(DropPixel(0.5).masks(INDICES, 32, 32)),
    "0.9 of the pixels": array(DropPixel(0.9).masks(INDICES, 32, 32)),
    "patches": array(Patch(5, 8).masks(INDICES, 32, 32)),
    "halves": halves(64),
    "parts": halves(64, np.linspace(0.1, 0.9, 9)),
    "parts of channels": halves(64, np.linspace(0.1, 0.9, 9), 2),
    "a channel": np.concatenate([halves(64), np.ones((64, 32, 32, 1))], axis=-1),
}


@pytest.mark.parametrize(
    ("measurement", "name", "found"),
    [
        (DropPixel(0.5), "half of the pixels", {}),
        (DropPixel(0.9), "0.9 of the pixels", {}),
        (DropPixel(0.55), "half of the pixels", {}),  # odds of 1.2
        (Patch(5, 8), "patches", {}),
        (Empirical(halves(300, np.linspace(0.1, 0.9, 9))), "parts", {}),
        (Empirical(halves(300, np.linspace(0.1, 0.9, 9), 2)), "parts of channels", {}),
        (DropPixel(0.9), "half of the pixels", {"pixels": (50, 90), "smaller": (50, 90)}),
        (DropPixel(0.9), "patches", {"pixels": (77, 90), "larger": (97, 90)}),
        (DropPixel(0.5), "halves", {"larger": (97.9, 50)}),
        (Empirical(MASKS["halves"]), "half of the pixels", {"smaller": (50, 97.9)}),
        (Empirical(MASKS["a channel"][:32]), "a channel", {}),
        (Empirical(np.ones((1, 32, 32))), "halves", {"pixels": (50, 0)}),
        (DropPixel(0.9), "nothing", {"pixels": (0, 90)}),
    ],
)
def test_what_differs_is_told_with_both_numbers(measurement, name, found):
    mask = MASKS[name] if name != "nothing" else np.ones((64, 32, 32, 1))
    sentences = mask_differences(measurement, mask)
    assert len(sentences) == len(found), sentences
    for sentence, (word, numbers) in zip(sentences, found.items(), strict=True):
        assert word in sentence
        percents = [float(v) for v in re.findall(r"([\d.]+)%", sentence)]
        assert percents == pytest.approx(numbers, abs=1.5)


def test_channels_are_compared_one_by_one():
    measurement = Empirical(halves(64, channels=2))
    (sentence,) = mask_differences(measurement, MASKS["a channel"])
    assert sentence.startswith("0.0% of the pixels of channel 1 are missing in the data, 50")


@pytest.mark.parametrize("seed", range(10))
def test_chance_is_no_difference(seed):
    """A bank of very different masks, and a few of the same kind."""
    masks = halves(64, np.linspace(0.1, 0.9, 9))
    few = np.random.default_rng(seed).permutation(masks)[:12]
    assert mask_differences(Empirical(masks), few, seed) == []


def test_of_few_masks_nothing_is_said():
    assert mask_differences(DropPixel(0.9), MASKS["halves"][:7]) == []
