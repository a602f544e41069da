"""UAIR and Splitting: their terms by hand."""

import pytest

from keras_uai.models import UAIR, Splitting
from tests.models.oracles import LEFT, by_hand, mean_plus, objective


def test_uairs_terms_by_hand():
    """G(y) = 0.125 + 0.5 everywhere; y_tilde is that on the left, 0.3125 on average, so G(y_tilde) = 0.8125."""
    model, data = by_hand(UAIR, generator=mean_plus(0.5))
    d_loss, g_loss, logs = objective(model, data)
    error = (0.8125 - 0.625) ** 2
    assert d_loss == pytest.approx((1 - 0.125) + (1 + 0.3125))
    assert g_loss == pytest.approx(0.5 * -0.3125 + 1.0 * error)
    assert (logs["d_y"], logs["d_y_tilde"]) == pytest.approx((0.125, 0.3125))
    assert logs["y_tilde_squared_error"] == pytest.approx(error)


@pytest.mark.parametrize("off", ["gan", "squared_error"])
def test_uairs_terms_one_by_one(off):
    model, data = by_hand(UAIR, {off: 0.0}, generator=mean_plus(0.5))
    g_loss, logs = objective(model, data)[1:]
    assert set(logs) == set(model.log_names()) - {"std", "mse", "mse_mean"}
    assert g_loss == pytest.approx(0.1875**2 if off == "gan" else 0.5 * -0.3125)


def test_splitting_by_hand():
    """Seen: the upper left quarter; scored: the upper right one, where G says 0.0625 + 0.5."""
    model, data = by_hand(Splitting, {"splitting": 2.0}, generator=mean_plus(0.5))
    model.measurement.thin = lambda mask, keys, share: mask * LEFT
    d_loss, g_loss, logs = objective(model, data)
    error = (0.5625 - 0.25) ** 2
    assert logs == pytest.approx({"splitting_loss": error, "g_loss": 2 * error})
    assert (d_loss, g_loss) == (0.0, pytest.approx(2 * error))
    assert model.discriminator_side(every=True) == []


def test_splitting_hides_the_share_it_is_told():
    model, data = by_hand(Splitting, generator=mean_plus(0.5))
    model.hide = (0.2, 0.4)
    shares = []
    thin = model.measurement.thin
    model.measurement.thin = lambda mask, keys, share: (
        shares.append(share) or thin(mask, keys, share)
    )
    for _ in range(20):
        objective(model, data)
        model.step.assign(model.step + 1)
    shares = [float(s) for share in shares for s in share]
    assert 0.2 <= min(shares) < 0.25
    assert 0.35 < max(shares) < 0.4
