"""Spectrally normalised convolution and dense layers (Miyato et al., ICLR 2018; section 2.4).

`keras.layers.SpectralNormalization` overwrites the kernel at every training call: no gradient flows
through sigma, weights move without an optimizer step, and calls within one step see different
weights. Here the raw kernel W is the trainable weight, `W / sigma` is computed in the call as a
differentiable function of W, and the power iteration's vector `u` moves only in `advance()`, which
the model calls once a step: every call of a step uses the same weights.
"""

import keras
from keras import ops

_EPSILON = 1e-12


class _SpectralLayer(keras.layers.Layer):
    """Kernel, bias and sigma; a subclass says what to do with the normalised kernel."""

    def __init__(self, use_bias=True, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def _add_weights(self, kernel_shape):
        # autocast=False: sigma is computed in float32 under mixed precision, too.
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
        """The spectral norm of W as a matrix of fan-in x filters: float32, differentiable in W."""
        matrix, v, u = self._power_iteration()
        v, u = ops.stop_gradient(v), ops.stop_gradient(u)
        return ops.sum(v * ops.matmul(matrix, u))

    def normalized_kernel(self):
        """`W / sigma(W)` in the layer's compute dtype."""
        return ops.cast(self.kernel / self.sigma(), self.compute_dtype)

    def advance(self):
        """Moves `u` one power iteration on. The model calls this once a step, after the updates."""
        self.u.assign(ops.stop_gradient(self._power_iteration()[2][:, 0]))

    def get_config(self):
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("keras_uai")
class SpectralConv2D(_SpectralLayer):
    """Convolution with stride 1, `"same"` padding and kernel `W / sigma(W)`.

    Input `(N, H, W, C)`, output `(N, H, W, filters)`.

    Args:
        filters: number of output channels.
        kernel_size: side of the square kernel.
        use_bias: whether to add a bias.
        kernel_initializer: initializer of the raw kernel.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.filters = int(filters)
        self.kernel_size = int(kernel_size)

    def build(self, input_shape):
        self._add_weights((self.kernel_size, self.kernel_size, input_shape[-1], self.filters))

    def call(self, x):
        x = ops.conv(x, self.normalized_kernel(), padding="same")
        # ops.add, not +: TensorFlow then has the bias's gradient from the convolution's.
        return ops.add(x, self.bias) if self.use_bias else x

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "kernel_size": self.kernel_size}


@keras.saving.register_keras_serializable("keras_uai")
class SpectralDense(_SpectralLayer):
    """Dense layer with kernel `W / sigma(W)`; `(N, D)` to `(N, units)`."""

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


def advance_power_iterations(model):
    """Calls `advance()` on every spectrally normalised layer of `model`, however deep."""
    for layer in model._flatten_layers():
        if isinstance(layer, _SpectralLayer):
            layer.advance()


def conv2d(filters, kernel_size, spectral, **kwargs):
    """`SpectralConv2D` or `keras.layers.Conv2D` with the same defaults."""
    if spectral:
        return SpectralConv2D(filters, kernel_size, **kwargs)
    return keras.layers.Conv2D(filters, kernel_size, padding="same", **kwargs)


def _unit(x):
    return x / (ops.norm(x) + _EPSILON)
