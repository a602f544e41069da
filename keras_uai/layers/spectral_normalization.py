"""Spectrally normalized convolution and dense layers (Miyato et al., ICLR 2018; section 2.4).

`keras.layers.SpectralNormalization` overwrites the kernel at every training call: no gradient flows
through sigma, weights move without an optimizer step, and the calls of one step see different
weights. Here the raw kernel W is the trainable weight, and `W / sigma` is a differentiable function
of W. The vector `u` of the power iteration moves only in `advance_power_iteration()`, which the
model calls once a step. Every call of a step thus uses the same weights.
"""

import keras
from keras import ops

_EPSILON = 1e-12


class _SpectralLayer(keras.layers.Layer):
    """Kernel, bias and sigma of the two layers below."""

    def __init__(self, use_bias=True, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def _add_weights(self, kernel_shape):
        # autocast=False: sigma is float32 under mixed precision, too.
        self.kernel = self.add_weight(
            shape=kernel_shape, initializer=self.kernel_initializer, name="kernel", autocast=False
        )
        self.u = self.add_weight(
            shape=(kernel_shape[-1],),
            initializer="random_normal",
            trainable=False,
            name="u",
            autocast=False,
        )
        if self.use_bias:
            self.bias = self.add_weight(shape=(kernel_shape[-1],), initializer="zeros", name="bias")

    def _power_iteration(self):
        """One round from the stored `u`: the matrix W (fan-in x filters), unit vectors v and u."""
        matrix = ops.reshape(self.kernel, (-1, self.kernel.shape[-1]))
        fixed = ops.stop_gradient(matrix)
        v = _unit(ops.matmul(fixed, ops.expand_dims(self.u, -1)))
        u = _unit(ops.matmul(ops.transpose(fixed), v))
        return matrix, v, u

    def sigma(self):
        """Spectral norm of W as a matrix of fan-in x filters: float32, differentiable in W."""
        matrix, v, u = self._power_iteration()
        return ops.sum(ops.stop_gradient(v) * ops.matmul(matrix, ops.stop_gradient(u)))

    def normalized_kernel(self):
        """`W / sigma(W)` in the layer's compute dtype."""
        return ops.cast(self.kernel / self.sigma(), self.compute_dtype)

    def advance_power_iteration(self):
        """Advances `u` by one power iteration."""
        _, _, u = self._power_iteration()
        self.u.assign(ops.stop_gradient(u[:, 0]))

    def get_config(self):
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("keras_uai")
class SpectralConv2D(_SpectralLayer):
    """Convolution with kernel `W / sigma(W)`, stride 1 and `"same"` padding.

    Args:
        filters: integer, number of output channels.
        kernel_size: integer, side of the square kernel.
        use_bias: boolean, whether to add a bias. Defaults to `True`.
        kernel_initializer: initializer of W. Defaults to `"glorot_uniform"`.

    Call arguments:
        x: `(N, H, W, C)`.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.filters = int(filters)
        self.kernel_size = int(kernel_size)

    def build(self, input_shape):
        self._add_weights((self.kernel_size, self.kernel_size, input_shape[-1], self.filters))

    def call(self, x):
        x = ops.conv(x, self.normalized_kernel(), padding="same")
        # ops.add, not +: TensorFlow then fuses the gradient of the bias.
        return ops.add(x, self.bias) if self.use_bias else x

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "kernel_size": self.kernel_size}


@keras.saving.register_keras_serializable("keras_uai")
class SpectralDense(_SpectralLayer):
    """Dense layer with kernel `W / sigma(W)`.

    Args:
        units: integer, length of the output.
        use_bias: boolean, whether to add a bias. Defaults to `True`.
        kernel_initializer: initializer of W. Defaults to `"glorot_uniform"`.

    Call arguments:
        x: `(N, D)`.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = int(units)

    def build(self, input_shape):
        self._add_weights((input_shape[-1], self.units))

    def call(self, x):
        x = ops.matmul(x, self.normalized_kernel())
        return x + self.bias if self.use_bias else x

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def conv2d(filters, kernel_size, spectral_normalization, **kwargs):
    """Creates a `SpectralConv2D`, or a `keras.layers.Conv2D` with the same defaults.

    Args:
        filters: integer, number of output channels.
        kernel_size: integer, side of the square kernel.
        spectral_normalization: boolean, which of the two to create.
        **kwargs: further arguments of the layer.

    Example:

    >>> print(keras_uai.layers.conv2d(8, 3, False)(np.zeros((1, 5, 7, 3))).shape)
    (1, 5, 7, 8)
    """
    if spectral_normalization:
        return SpectralConv2D(filters, kernel_size, **kwargs)
    return keras.layers.Conv2D(filters, kernel_size, padding="same", **kwargs)


def advance_power_iterations(model):
    """Advances the power iteration of every spectrally normalized layer of `model` once.

    It walks `model.layers` and nested models. A layer takes part by having a method
    `advance_power_iteration()`; a layer made of layers forwards the call to them.

    Args:
        model: a built `keras.Model`.
    """
    advance_layers({id(layer): layer for layer in _inner_layers(model)}.values())


def advance_layers(layers):
    """Calls `advance_power_iteration()` on those of `layers` that have it."""
    for layer in layers:
        if hasattr(layer, "advance_power_iteration"):
            layer.advance_power_iteration()


def _inner_layers(model):
    """The layers of `model`, with nested models replaced by their layers."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _inner_layers(layer)
        else:
            yield layer


def _unit(x):
    return x / (ops.norm(x) + _EPSILON)
