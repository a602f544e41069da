"""UAIR and Splitting: their terms by hand."""

import pytest

from keras_uai import measurements
from keras_uai.models import UAIR, Splitting
from tests.models.oracles import LEFT, by_hand, compute_losses, mean_plus, observed_by
from tests.testing import observations, same_bits, tiny


def test_uairs_terms_by_hand():
    """G(y) = 0.125 + 0.5; y_tilde, its left half, is 0.3125 on average: G(y_tilde) = 0.8125."""
    model, data = by_hand(UAIR, generator=mean_plus(0.5))
    d_loss, g_loss, logs = compute_losses(model, data)
    error = (0.8125 - 0.625) ** 2
    assert d_loss == pytest.approx((1 - 0.125) + (1 + 0.3125))
    assert g_loss == pytest.approx(0.5 * -0.3125 + 1.0 * error)
    assert (logs["d_y"], logs["d_y_tilde"]) == pytest.approx((0.125, 0.3125))
    assert logs["y_tilde_squared_error"] == pytest.approx(error)


@pytest.mark.parametrize(
    ("off", "expected"), [("gan", 0.1875**2), ("squared_error", 0.5 * -0.3125)]
)
def test_uairs_terms_one_by_one(off, expected):
    model, data = by_hand(UAIR, {off: 0.0}, generator=mean_plus(0.5))
    g_loss, logs = compute_losses(model, data)[1:]
    assert set(logs) == set(model.log_names()) - {"std"}
    assert g_loss == pytest.approx(expected)


def test_splitting_by_hand():
    """G sees the upper left quarter and answers 0.0625 + 0.5; the upper right one is scored."""
    model, data = by_hand(Splitting, {"splitting": 2.0}, generator=mean_plus(0.5))
    model.measurement.split = lambda mask, keys, share: mask * LEFT
    d_loss, g_loss, logs = compute_losses(model, data)
    error = (0.5625 - 0.25) ** 2
    assert logs == pytest.approx({"splitting_loss": error, "g_loss": 2 * error})
    assert (d_loss, g_loss) == (0.0, pytest.approx(2 * error))
    assert model.discriminator_networks(every=True) == []


def test_splitting_hides_by_its_arguments():
    options = {"split_ratio": (0.3, 0.4), "split_by_measurement": 0.5, "context_dropout": 0.3}
    model = tiny(Splitting, **options)
    model.compile()
    y, mask = observations(model.measurement, 40)
    keys = model.step_keys(40)
    expected = measurements.split_mask(model.measurement, mask, keys, (0.3, 0.4), 0.5, 0.3)
    ((y_seen, mask_seen),) = observed_by(model.generator, model, y, keys)
    same_bits(mask_seen, expected)
    same_bits(y_seen, y * mask_seen + 0.0)
