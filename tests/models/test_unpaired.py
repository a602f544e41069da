"""Unpaired: UAI's terms with a D that sees whole images of the data and of G."""

import numpy as np
import pytest
from keras import ops

from keras_uai.models import UAI, Unpaired
from tests.models.oracles import by_hand, compute_losses, constant, scored_by

UNPAIRED = np.full((2, 16, 16, 1), -0.5, "float32")


def made(cls, weights, **kwargs):
    model, data = by_hand(cls, {"z": 0.0, "y": 0.0, **weights}, generator=constant(0.75))
    return model, {**data, "unpaired": UNPAIRED}


def test_d_separates_whole_images():
    """x_tilde is 0.25 above and 0.75 below; UAI's D sees its left half only."""
    d_loss, g_loss, logs = compute_losses(*made(Unpaired, {}))
    assert (d_loss, g_loss) == pytest.approx(((1 + 0.5) + (1 + 0.5), -0.5))
    assert (logs["d_x"], logs["d_x_tilde"]) == pytest.approx((-0.5, 0.5))
    assert not {"d_y", "d_y_tilde"} & set(logs)
    logs = compute_losses(*made(UAI, {}))[2]
    assert (logs["d_y"], logs["d_y_tilde"]) == pytest.approx((0.125, 0.25))


def test_equation_7_with_whole_images():
    """On the left y_tilde is 0.25 above and 0.75 below; x_hat adds 0.75 on the right: 0.625.

    y_hat, its upper half, is wrong by 0.5 on the right.
    """
    model, data = made(Unpaired, {"y": 0.5})
    nothing = ops.zeros((2, 6))
    model.encoder.encode = lambda y, mask, training=False: (nothing, nothing)
    d_loss, g_loss, logs = compute_losses(model, data)
    assert (logs["d_x_hat"], logs["y_squared_error"]) == pytest.approx((0.625, 0.125))
    assert g_loss == pytest.approx(-0.5 + 0.5 * (-0.625 + 10 * 0.125))
    assert d_loss == pytest.approx(3.0)
    model.train_on_y_hat = True
    assert compute_losses(model, data)[0] == pytest.approx(1.5 + ((1 + 0.5) + (1 + 0.625)) / 2)


def test_equation_6_is_uais():
    """E sees G's part of the second measurement: the lower left quarter."""
    for cls in (UAI, Unpaired):
        model, data = made(cls, {"z": 1.0})
        seen = []

        def encode(y, mask, training=False, seen=seen):
            seen.extend([np.array(y), np.array(mask)])
            return ops.zeros((2, 6)), ops.zeros((2, 6))

        model.encoder.encode = encode
        compute_losses(model, data)
        y, mask = seen
        assert mask.sum() == 2 * 64
        assert (mask[:, 8:, :8] == 1).all()
        assert (y == 0.75 * mask).all()


def test_masks_tell_d_nothing():
    model, data = made(Unpaired, {})
    (_, fake_mask), (real, real_mask) = scored_by(model.discriminator, model, data)
    assert (real == UNPAIRED).all()
    assert (real_mask == 1).all()
    assert (fake_mask == 1).all()


def test_the_recommended_configuration_has_no_use_for_unpaired_images():
    with pytest.raises(ValueError, match=r"UAI\.recommended.*Received: Unpaired"):
        Unpaired.recommended((32, 32, 3), "DropPixel(0.9)")
