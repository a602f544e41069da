"""Oracles that several tests of models share: losses in NumPy, and networks with known answers."""

import numpy as np
from keras import ops

from keras_uai.measurements import Empirical
from tests.testing import array, tiny

#: Masks of 16 x 16 pixels: the left half observed, and the upper half.
LEFT = np.zeros((1, 16, 16, 1), "float32")
LEFT[:, :, :8] = 1
TOP = np.zeros((1, 16, 16, 1), "float32")
TOP[:, :8] = 1
#: The clean image of `by_hand`: this value everywhere.
X = 0.25


def gan_losses(name, real, fake):
    """Computes `(d_loss, gan_loss)` in NumPy."""
    if name == "hinge":
        return np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(), -fake.mean()
    if name == "minimax":
        d = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
        return d, np.log1p(np.exp(-fake)).mean()
    return 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(), 0.5 * ((fake - 1) ** 2).mean()


def by_hand(cls, weights=None, count=2, **networks):
    """Returns a compiled model whose losses can be computed by hand, and a batch of equal images.

    Images are `X` everywhere and observed in the upper half. Every fresh mask shows the left half.
    D's logit of an image is its mean, missing pixels included. `networks` gives the generators'
    answers, functions of y, by name.
    """
    model = tiny(cls, Empirical(LEFT[..., 0]), (16, 16, 1))
    model.compile(loss_weights=weights)
    for name in ("discriminator", "imputer_discriminator"):
        if hasattr(model, name):
            getattr(model, name).score = lambda x, mask, training=False: ops.mean(x, (1, 2, 3))
    for name, answer in networks.items():
        network = getattr(model, name)
        network.observe = lambda y, mask, training=False: {"y": y}
        network.decode = lambda features, style, noise, training=False, answer=answer: answer(
            features["y"]
        )
    x = np.full((count, 16, 16, 1), X, "float32")
    data = {"observation": x * TOP, "mask": np.repeat(TOP, count, axis=0), "clean": x}
    return model, data


def constant(value):
    """Returns a generator's answer: `value` everywhere."""
    return lambda y: ops.zeros_like(y) + value


def mean_plus(value):
    """Returns a generator's answer: the mean of its input plus `value`."""
    return lambda y: ops.zeros_like(y) + ops.mean(y, (1, 2, 3), keepdims=True) + value


def compute_losses(model, data, keys=None):
    """Computes a batch's losses at the present step: `(d_loss, g_loss, logs)`, floats."""
    batch = model.unpack(data, training=True)
    keys = model.step_keys(len(batch["y"])) if keys is None else keys
    d_loss, g_loss, logs = model.compute_losses(batch, keys, training=True)
    return float(d_loss), float(g_loss), {name: float(value) for name, value in logs.items()}


def observed_by(network, model, data, keys=None):
    """Returns the `(y, mask)` of each call of `network.observe` in a step."""
    seen, original = [], network.observe

    def observe(y, mask, training=False):
        seen.append((array(y), array(mask)))
        return original(y, mask, training=training)

    network.observe = observe
    compute_losses(model, data, keys)
    network.observe = original
    return seen


def scored_by(network, model, data):
    """Returns the `(x, mask)` of each call of `network.score` in a step; logits are means."""
    seen = []

    def score(x, mask, training=False):
        seen.append((array(x), array(mask)))
        return ops.mean(x, (1, 2, 3))

    network.score = score
    compute_losses(model, data)
    return seen
