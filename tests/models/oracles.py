"""What several tests of models compare with: losses in numpy, and networks that answer what was agreed."""

import numpy as np
from keras import ops

from keras_uai.measurements import Empirical
from tests.testing import tiny

#: Masks of 16 x 16: the left half observed, and the upper half.
LEFT, TOP = np.zeros((2, 1, 16, 16, 1), "float32")
LEFT[:, :, :8], TOP[:, :8] = 1, 1
#: The clean image of `by_hand`: this value everywhere.
X = 0.25


def gan_losses(name, real, fake):
    """`(D's loss, G's loss)` in numpy."""
    if name == "hinge":
        return np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(), -fake.mean()
    if name == "minimax":
        d = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
        return d, np.log1p(np.exp(-fake)).mean()
    return 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(), 0.5 * ((fake - 1) ** 2).mean()


def by_hand(cls, weights=None, count=2, **networks):
    """A compiled model with networks that can be computed by hand, and a batch of `count` equal images.

    Images are `X` everywhere, observed in the upper half; every fresh mask shows the left half. D's logit of an image
    is its mean, missing pixels included. `networks` says what generators answer: a function of y, by name.
    """
    model = tiny(cls, Empirical(LEFT[..., 0]), (16, 16, 1))
    model.compile(loss_weights=weights)
    for name in ("discriminator", "imputer_discriminator"):
        if hasattr(model, name):
            getattr(model, name).score = lambda x, mask, training=False: ops.mean(x, (1, 2, 3))
    for name, answer in networks.items():
        network = getattr(model, name)
        network.observe = lambda y, mask, training=False: [y]
        network.decode = lambda features, z, training=False, answer=answer: answer(features[0])
    x = np.full((count, 16, 16, 1), X, "float32")
    data = {"observation": x * TOP, "mask": np.repeat(TOP, count, axis=0), "clean": x}
    return model, data


def constant(value):
    """A generator's answer: `value` everywhere."""
    return lambda y: ops.zeros_like(y) + value


def mean_plus(value):
    """A generator's answer: the mean of what it is shown, and `value`."""
    return lambda y: ops.zeros_like(y) + ops.mean(y, (1, 2, 3), keepdims=True) + value


def objective(model, data):
    """`objective` of a batch at the present step: two losses and logs, floats."""
    batch = model.unpack(data, training=True)
    keys = model.step_keys(len(batch["y"]))
    d_loss, g_loss, logs = model.objective(batch, keys, training=True)
    return float(d_loss), float(g_loss), {name: float(value) for name, value in logs.items()}


def masks_shown(model, network, data):
    """The masks that a step shows this D of the model; its logits are the mean of what it judges."""
    seen = []
    getattr(model, network).score = lambda x, mask, training=False: (
        seen.append(np.array(mask)) or ops.mean(x, (1, 2, 3))
    )
    objective(model, data)
    return seen
