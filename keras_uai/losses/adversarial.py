"""Adversarial losses (section 3.3): pure functions of logits that return float32 batch means."""

from keras import ops


def hinge_discriminator(real, fake):
    """`mean(relu(1 - D(y))) + mean(relu(1 + D(y_tilde)))` (Miyato et al. 2018; the default)."""
    return ops.mean(ops.relu(1.0 - _float(real))) + ops.mean(ops.relu(1.0 + _float(fake)))


def hinge_generator(fake):
    """`-mean(D(y_tilde))`."""
    return -ops.mean(_float(fake))


def minimax_discriminator(real, fake):
    """`-mean(log D(y)) - mean(log(1 - D(y_tilde)))` with `D = sigmoid(logit)` (equation 2)."""
    return ops.mean(ops.softplus(-_float(real))) + ops.mean(ops.softplus(_float(fake)))


def minimax_generator(fake):
    """`-mean(log D(y_tilde))`: the non-saturating form (Goodfellow et al. 2014)."""
    return ops.mean(ops.softplus(-_float(fake)))


def least_squares_discriminator(real, fake):
    """`(mean((D(y) - 1)^2) + mean(D(y_tilde)^2)) / 2` (Mao et al. 2017)."""
    return 0.5 * (ops.mean(ops.square(_float(real) - 1.0)) + ops.mean(ops.square(_float(fake))))


def least_squares_generator(fake):
    """`mean((D(y_tilde) - 1)^2) / 2`."""
    return 0.5 * ops.mean(ops.square(_float(fake) - 1.0))


_LOSSES = {
    "hinge": (hinge_discriminator, hinge_generator),
    "minimax": (minimax_discriminator, minimax_generator),
    "least_squares": (least_squares_discriminator, least_squares_generator),
}


def get(name):
    """Returns the discriminator's and the generator's loss of a name.

    Args:
        name: "hinge", "minimax" (non-saturating) or "least_squares".

    Returns:
        `(discriminator_loss, generator_loss)`, functions of `(real, fake)` and `(fake)`: logits.

    Raises:
        ValueError: if there is no such loss.

    Example:

    >>> discriminator_loss, generator_loss = keras_uai.losses.get("hinge")
    >>> float(discriminator_loss(real=np.array([0.5]), fake=np.array([-1.0])))
    0.5
    """
    try:
        return _LOSSES[name]
    except (KeyError, TypeError):
        raise ValueError(
            f"`gan_loss` must be one of {sorted(_LOSSES)}. Received: gan_loss={name!r}"
        ) from None


def _float(logits):
    return ops.cast(logits, "float32")
