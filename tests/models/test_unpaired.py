"""Unpaired: UAI's terms with a D that sees whole images of the data and of G."""

import numpy as np
import pytest
from keras import ops

from keras_uai.models import UAI, Unpaired
from tests.models.oracles import by_hand, constant, masks_shown, objective

UNPAIRED = np.full((2, 16, 16, 1), -0.5, "float32")


def made(cls, weights, **kwargs):
    model, data = by_hand(cls, {"z": 0.0, "y": 0.0, **weights}, generator=constant(0.75))
    return model, {**data, "unpaired": UNPAIRED}


def test_the_game_is_between_whole_images():
    """x_tilde is 0.25 above and 0.75 below; UAI's D sees its left half only."""
    d_loss, g_loss, logs = objective(*made(Unpaired, {}))
    assert (d_loss, g_loss) == pytest.approx(((1 + 0.5) + (1 + 0.5), -0.5))
    assert (logs["d_x"], logs["d_x_tilde"]) == pytest.approx((-0.5, 0.5))
    assert not {"d_y", "d_y_tilde"} & set(logs)
    logs = objective(*made(UAI, {}))[2]
    assert (logs["d_y"], logs["d_y_tilde"]) == pytest.approx((0.125, 0.25))


def test_equation_7_with_whole_images():
    """y_tilde: 0.25 above, 0.75 below, on the left; x_hat: the same, and 0.75 on the right, 0.625 on average.

    y_hat, the upper half of it, is wrong by 0.5 on the right.
    """
    model, data = made(Unpaired, {"y": 0.5})
    nothing = ops.zeros((2, 6))
    model.encoder.encode = lambda y, mask, training=False: (nothing, nothing)
    d_loss, g_loss, logs = objective(model, data)
    assert (logs["d_x_hat"], logs["y_squared_error"]) == pytest.approx((0.625, 0.125))
    assert g_loss == pytest.approx(-0.5 + 0.5 * (-0.625 + 10 * 0.125))
    assert d_loss == pytest.approx(3.0)
    model.discriminate_y_hat = True
    assert objective(model, data)[0] == pytest.approx(1.5 + ((1 + 0.5) + (1 + 0.625)) / 2)


def test_equation_6_is_uais():
    """E sees what G invented of the second measurement: the lower left quarter."""
    for cls in (UAI, Unpaired):
        model, data = made(cls, {"z": 1.0})
        seen = []

        def encode(y, mask, training=False, seen=seen):
            seen.extend([np.array(y), np.array(mask)])
            return ops.zeros((2, 6)), ops.zeros((2, 6))

        model.encoder.encode = encode
        objective(model, data)
        y, mask = seen
        assert mask.sum() == 2 * 64
        assert (mask[:, 8:, :8] == 1).all()
        assert (y == 0.75 * mask).all()


def test_a_d_that_sees_masks_learns_nothing_from_them():
    model, data = made(Unpaired, {})
    seen = masks_shown(model, "discriminator", data)
    assert len(seen) == 2
    assert all((mask == 1).all() for mask in seen)


def test_unpaired_images_are_mirrored_like_the_others():
    """Half of them: else D could tell the data by their direction."""
    model, data = by_hand(Unpaired, {"z": 0.0, "y": 0.0}, count=40, generator=constant(0.0))
    model.flip = True
    ramp = np.linspace(-1, 1, 16, dtype="float32").reshape(1, 1, 16, 1)
    shown = []
    model.discriminator.score = lambda x, mask, training=False: (
        shown.append(np.array(x)) or ops.mean(x, (1, 2, 3))
    )
    objective(model, {**data, "unpaired": np.tile(ramp, (40, 16, 1, 1))})
    rises = shown[0][:, 0, -1, 0] > 0
    assert 8 < rises.sum() < 32


def test_what_is_recommended_would_not_look_at_unpaired_images():
    with pytest.raises(ValueError, match=r"UAI\.recommended.*Received: Unpaired"):
        Unpaired.recommended((32, 32, 3), "DropPixel(0.9)")
