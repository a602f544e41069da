"""Copies the weights of the Keras networks into PyTorch's, to show that they are the same."""

import numpy as np
import torch
from keras import ops
from torch.nn.utils.parametrize import is_parametrized

_UP = 2  # factor of every pixel shuffle


def copy(network, module):
    """Copies the weights of a Keras network, layer by layer.

    Args:
        network: `Generator`, `Discriminator` or `Encoder` of keras_uai.
        module: The PyTorch module of the same architecture.

    Raises:
        ValueError: if a weight of the Keras network is left over, or shapes differ.
    """
    models = [network.observer, network.decoder] if hasattr(network, "decoder") else [network]
    layers = {layer.name: layer for model in models for layer in model.layers}
    copied = set()
    with torch.no_grad():
        for name, part in _parts(module):
            copied |= _copy_layer(layers[name], part)
    left = {v.path for v in network.trainable_variables} - copied
    if left:
        raise ValueError(f"PyTorch's {type(module).__name__} has no {sorted(left)}.")


def count(module):
    """Returns the number of trainable values."""
    return sum(p.numel() for p in module.parameters())


def _parts(module):
    """Yields `(Keras name, part)` of the top-level layers, without the containers."""
    for name, part in module.named_children():
        if name in ("observer", "decoder", "down"):
            yield from part.named_children()
        else:
            yield name, part


def _copy_layer(layer, part, shuffled=False):
    """Copies a Keras layer and its parts; returns the paths of the copied variables.

    Args:
        layer: The Keras layer.
        part: The PyTorch module.
        shuffled: Whether a pixel shuffle follows. Our channels are then `(i, j, c)`, PyTorch's
            `(c, i, j)`.
    """
    kind = type(part).__name__.removeprefix("Parametrized")
    if kind == "ResidualBlock":
        return _copy_block(layer, part)
    if kind == "SelfAttention":
        part.gamma.copy_(_tensor(layer.gamma))
        pairs = ((getattr(layer, n), getattr(part, n)) for n in ("query", "key", "value", "out"))
        return {layer.gamma.path}.union(*(_copy_layer(*pair) for pair in pairs))
    if kind == "BatchNorm2d":
        part.running_mean.copy_(_tensor(layer.moving_mean))
        part.running_var.copy_(_tensor(layer.moving_variance))
        if not part.affine:
            return set()
        part.weight.copy_(_tensor(layer.gamma))
        part.bias.copy_(_tensor(layer.beta))
        return {layer.gamma.path, layer.beta.path}
    kernel = ops.convert_to_numpy(layer.kernel)
    order = np.arange(kernel.shape[-1])
    if shuffled:
        order = order.reshape(_UP * _UP, -1).T.reshape(-1)
    axes = (3, 2, 0, 1) if kind == "Conv2d" else (1, 0)
    weight = torch.from_numpy(np.ascontiguousarray(kernel[..., order].transpose(axes)))
    if is_parametrized(part, "weight"):
        part.parametrizations.weight.original.copy_(weight)
        power = part.parametrizations.weight[0]
        matrix = weight.flatten(1)
        u = _tensor(layer.u)[order.copy()]
        power._v.copy_(torch.nn.functional.normalize(matrix.T @ u, dim=0, eps=1e-12))
        power._u.copy_(torch.nn.functional.normalize(matrix @ power._v, dim=0, eps=1e-12))
    else:
        part.weight.copy_(weight)
    if part.bias is None:
        return {layer.kernel.path}
    part.bias.copy_(_tensor(layer.bias)[order.copy()])
    return {layer.kernel.path, layer.bias.path}


def _copy_block(layer, part):
    up = part.resample == "up"
    copied = set()
    for i in range(2):
        copied |= _copy_layer(layer.norms[i], part.norms[i])
        copied |= _copy_layer(layer.convs[i], part.convs[i], up and not i)
        if len(part.modulations):
            copied |= _copy_layer(layer.modulations[i].affine, part.modulations[i])
    if part.shortcut is not None:
        copied |= _copy_layer(layer.shortcut, part.shortcut, up)
    return copied


def _tensor(variable):
    return torch.from_numpy(np.array(ops.convert_to_numpy(variable)))
