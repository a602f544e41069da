"""Trainings that go wrong without an error: warnings where it is so, and none elsewhere."""

import itertools
import types
import warnings

import numpy as np
import pytest

from keras_uai import losses
from keras_uai.callbacks import Diagnostics
from tests.testing import observations, tiny_uai


def watching(gan_loss="hinge", history=(), steps=2000, stochastic=True):
    watch = Diagnostics(history=history)
    watch.set_model(types.SimpleNamespace(step=steps, gan_loss=gan_loss, stochastic=stochastic))
    watch.spread = 0.5
    return watch


def told(watch, rows):
    """Returns the warnings of the epochs of `rows`, `{epoch: text}`."""
    found = {}
    for epoch, logs in enumerate(rows):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            watch.on_epoch_end(epoch, logs)
        if caught:
            (found[epoch + 1],) = (str(warning.message) for warning in caught)
    return found


def adversarial(gan_loss, real, fake, prefix=""):
    """Returns the logs of a discriminator with these logits."""
    of_d, of_g = losses.get(gan_loss)
    real, fake = np.float32([real]), np.float32([fake])
    return {f"{prefix}d_loss": float(of_d(real, fake)), f"{prefix}gan_loss": float(of_g(fake))}


# -- the discriminator -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gan_loss", "real", "fake", "wins"),
    [
        ("hinge", 1.0, -1.0, True),
        ("hinge", 0.9, -0.8, False),
        ("hinge", 0.0, 0.0, False),
        ("minimax", 4.0, -4.0, True),
        ("minimax", 2.0, -2.0, False),
        ("least_squares", 1.0, 0.1, True),
        ("least_squares", 0.8, 0.2, False),
    ],
)
@pytest.mark.parametrize("prefix", ["", "imputer_"])
def test_a_discriminator_that_wins_outright(gan_loss, real, fake, wins, prefix):
    """Told once, after five epochs in which the generator does not catch up."""
    rows = [{"std": 0.1, **adversarial(gan_loss, real, fake, prefix)}] * 8
    found = told(watching(gan_loss), rows)
    assert set(found) == ({5} if wins else set())
    assert all("discriminator wins outright" in text for text in found.values())


def test_a_generator_that_catches_up_is_not_beaten():
    logits = [(9, -9 + epoch) for epoch in range(8)]
    assert told(watching(), [adversarial("hinge", *pair) for pair in logits]) == {}
    logits = [(9, -1 - epoch) for epoch in range(8)]
    (text,) = told(watching(), [adversarial("hinge", *pair) for pair in logits]).values()
    assert "d_loss was below 0.1 for 5 epochs (0 now, 2 if it" in text
    assert "gan_loss went from 1 to 5" in text
    interrupted = [adversarial("hinge", 9, -9 * (epoch != 3)) for epoch in range(8)]
    assert told(watching(), interrupted) == {}
    assert told(watching(steps=999), [adversarial("hinge", 9, -9)] * 8) == {}


# -- the samples -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("std", "arguments", "expected"),
    [
        (0.0049, {}, {5}),
        (0.0051, {}, set()),
        (0.0, {"stochastic": False}, set()),
        (0.0, {"steps": 999}, set()),
    ],
)
def test_samples_that_no_longer_differ(std, arguments, expected):
    """1% of a spread of 0.5."""
    found = told(watching(**arguments), [{"std": std}] * 7)
    assert set(found) == expected
    assert all("below 1% of that of the data (0.0049 now, 0.5" in t for t in found.values())


# -- scores ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([9, 8, 7, 6, 5, 4], {}),
        ([9, 5, 5.3, 5.3, 5.3, 5.3], {5: "5.3 after epoch 5, 5 after epoch 2"}),
        ([9, 5, 6, 6, 5.2, 6, 6, 7], {8: "7 after epoch 8, 5 after epoch 2"}),
        ([9, 5, 5.2, 5.2, 5.2, 5.2], {}),  # by less than 5%
        ([9, None, 5, None, 6, None, 7, float("nan"), 8], {9: "8 after epoch 9, 5 after epoch 3"}),
    ],
)
@pytest.mark.parametrize("name", ["val_crps", "val_mse"])
def test_validation_scores_that_get_worse(scores, expected, name):
    rows = [{"loss": 1.0} | ({} if score is None else {name: score}) for score in scores]
    found = told(watching(), rows)
    assert set(found) == set(expected)
    for epoch, text in expected.items():
        assert f"{name} gets worse: {text}, which was the best" in found[epoch]


def test_a_resumed_run_knows_its_log():
    """Whose rows are text with gaps; rows after the checkpoint are written again."""
    names = ("epoch", "val_crps")
    values = [("1", "9"), ("2", "5"), ("3", "6"), ("4", ""), ("5", "6"), ("6", "1")]
    watch = watching(history=[dict(zip(names, row, strict=True)) for row in values])
    with pytest.warns(UserWarning, match="7 after epoch 6, 5 after epoch 2"):
        watch.on_epoch_end(5, {"val_crps": 7.0})


# -- the data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["arrays", "dicts", "endless"])
def test_masks_unlike_the_measurement_are_told_before_the_first_step(form):
    model = tiny_uai("DropPixel(0.5)")
    other = tiny_uai("DropPixel(0.9)").measurement
    y, mask = observations(other, 32)
    batches = [y[:16], y[16:]]
    if form == "dicts":
        batches = [{"observation": y, "mask": mask}]
    if form == "endless":
        batches = itertools.cycle([(y,)])
    watch = Diagnostics(batches)
    watch.set_model(model)
    with pytest.warns(UserWarning, match=r"DropPixel\(p=0.5.*89.8% of the pixels.*50.0% in masks"):
        watch.on_train_begin()
    assert watch.spread == pytest.approx(y[np.any(y != 0, axis=-1)].std(), rel=1e-4)
    watch.on_train_begin()  # once
    watch = Diagnostics([observations(model.measurement, 32)[0]])
    watch.set_model(model)
    watch.on_train_begin()
