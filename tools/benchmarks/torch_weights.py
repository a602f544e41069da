"""Weights of the Keras networks in the PyTorch ones, so that the two can be shown to be the same."""

import numpy as np
import torch
from keras import ops
from torch.nn.utils.parametrize import is_parametrized

_UP = 2  # the factor of every pixel shuffle


def copy(network, module):
    """Copies the weights of a Keras network into the module of the same architecture, layer by layer.

    Raises:
        ValueError: if a weight of either is left over, or shapes differ.
    """
    layers = {layer.name: layer for layer in network._flatten_layers(include_self=False)}
    copied = set()
    with torch.no_grad():
        for name, part in _parts(module):
            copied |= _copy_layer(layers[name], part)
    left = {v.path for v in network.trainable_variables} - copied
    if left:
        raise ValueError(f"PyTorch's {type(module).__name__} has no {sorted(left)}.")


def count(module):
    """Number of trainable values."""
    return sum(p.numel() for p in module.parameters())


def _parts(module):
    """`(Keras name, part)` of the top-level layers, without the containers."""
    for name, part in module.named_children():
        if name in ("observer", "decoder", "path"):
            yield from part.named_children()
        else:
            yield name, part


def _copy_layer(layer, part, shuffled=False):
    """Copies one Keras layer and what it is made of; the paths of the variables that it took."""
    kind = type(part).__name__.removeprefix("Parametrized")
    if kind == "ResidualBlock":
        up = part.resample == "up"
        found = set()
        for i in range(2):
            found |= _copy_layer(layer.norms[i], part.norms[i])
            found |= _copy_layer(layer.convs[i], part.convs[i], up and not i)
            if len(part.modulations):
                found |= _copy_layer(layer.modulations[i].affine, part.modulations[i])
        if part.shortcut is not None:
            found |= _copy_layer(layer.shortcut, part.shortcut, up)
        return found
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
    kernel, order = ops.convert_to_numpy(layer.kernel.value), np.arange(layer.kernel.shape[-1])
    if shuffled:  # our channels are (i, j, c), PyTorch's (c, i, j)
        order = order.reshape(_UP * _UP, -1).T.reshape(-1)
    kernel = kernel[..., order]
    if kind == "Conv2d":
        kernel = kernel.transpose(3, 2, 0, 1)
    else:
        kernel = _dense(kernel, layer.name)
    weight = torch.from_numpy(np.ascontiguousarray(kernel))
    if is_parametrized(part, "weight"):
        part.parametrizations.weight.original.copy_(weight)
        parts = part.parametrizations.weight[0]
        parts._u.copy_(_tensor(layer.u)[order.copy()])
        matrix = weight.flatten(1)
        parts._v.copy_(torch.nn.functional.normalize(matrix.T @ parts._u, dim=0, eps=1e-12))
        parts._u.copy_(torch.nn.functional.normalize(matrix @ parts._v, dim=0, eps=1e-12))
    else:
        part.weight.copy_(weight)
    if part.bias is None:
        return {layer.kernel.path}
    part.bias.copy_(_tensor(layer.bias)[order.copy()])
    return {layer.kernel.path, layer.bias.path}


def _dense(kernel, name):
    """A dense kernel; those of E's heads read a flattened map, (h, w, c) here and (c, h, w) there."""
    if name in ("mean", "log_variance"):
        side = 4
        kernel = kernel.reshape(side, side, -1, kernel.shape[-1]).transpose(2, 0, 1, 3)
        kernel = kernel.reshape(-1, kernel.shape[-1])
    return kernel.T


def _tensor(variable):
    return torch.from_numpy(np.array(ops.convert_to_numpy(variable.value)))
