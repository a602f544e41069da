"""What every measurement shares: the operator F, the recovered mask T(y), and keyed masks."""

import ast
import inspect
import math

import keras
import numpy as np
from keras import ops

from keras_uai import random

THIN = 0x5448  # keeps what `thin` draws apart from a mask drawn with the same key


class Measurement:
    """How an image is damaged: the operator F of equation 1 and a distribution of masks p_M.

    `F(x, mask) = x * mask + tau * (1 - mask)`. A subclass draws masks in `sample(keys, height,
    width)`, a pure function of its keys: one image, one key, one mask, whatever the batch, the
    backend or the day.

    `mask` is always float32 `(N, H, W, 1)` with 1 = observed and 0 = missing; images are float
    `(N, H, W, C)`.

    Args:
        tau: the value that missing pixels take, in the images' units ([-1, 1]).
    """

    def __init__(self, tau=0.0):
        self.tau = float(tau)
        if not math.isfinite(self.tau):
            raise ValueError(
                f"`tau` must be finite, or T(y) could not find it. Received: tau={tau!r}"
            )

    # -- what a subclass says --------------------------------------------------------------------

    def check(self, height, width):
        """Raises ValueError where masks of `height` x `width` cannot be drawn.

        Models call it in their constructor, `masks` before it draws.
        """

    def sample(self, keys, height, width):
        """Draws one mask a key.

        Args:
            keys: uint32 `(N, 2)`, see `keras_uai.random.key`.
            height, width: integers.

        Returns:
            float32 `(N, height, width, 1)`, 1 = observed.
        """
        raise TypeError(f"{type(self).__name__} draws no masks. Received: a call of `sample`.")

    def thin(self, mask, keys, fraction):
        """Hides about `fraction` of the observed pixels, in shapes like those of the damage.

        Used by the losses that score a reconstruction on observed pixels it was not shown. Here
        each observed pixel is hidden independently; `Patch` hides squares, `Empirical` holes.

        Args:
            mask: float `(N, H, W, 1)`.
            keys: uint32 `(N, 2)`.
            fraction: float or float tensor `(N,)` in [0, 1].

        Returns:
            float `(N, H, W, 1)`, at most `mask` everywhere.
        """
        u = random.uniform(random.fold_in(keys, THIN), tuple(mask.shape[1:3]) + (1,))
        fraction = ops.reshape(ops.cast(fraction, u.dtype), (-1, 1, 1, 1))
        return mask * ops.cast(u >= fraction, mask.dtype)

    # -- what every measurement does -------------------------------------------------------------

    def masks(self, indices, height, width, seed=0):
        """The masks of the images with these indices: every image is damaged once (section 3.1).

        Args:
            indices: integers `(N,)` below 2**32, each the position of an image in its data set.
            height, width: of the images.
            seed: an integer; another one damages every image anew.

        Returns:
            float32 `(N, height, width, 1)`.
        """
        self.check(height, width)
        indices = ops.reshape(ops.convert_to_tensor(indices), (-1,))
        return self.sample(random.key(int(seed), indices), height, width)

    def __call__(self, x, mask):
        """`F(x, mask)` of equation 1, for `x` `(N, H, W, C)` and `mask` `(N, H, W, 1)`.

        Observed pixels stay bit-equal, the others become tau whatever they were: selected, not
        multiplied, because where sensors fail the data often hold NaN.
        """
        return ops.where(ops.cast(mask, x.dtype) > 0.5, x, ops.cast(self.tau, x.dtype))

    def recover(self, y):
        """`T(y)`: 0 where all channels of `y` equal tau, else 1. Float `(N, H, W, 1)` of y's dtype.

        Exact for images decoded from 8 bits as `v / 127.5 - 1`, which is never 0. Where the user
        has the mask, that one is to be used instead.
        """
        return ops.cast(ops.any(ops.not_equal(y, self.tau), axis=-1, keepdims=True), y.dtype)

    def get_config(self):
        return {"tau": self.tau}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self).__name__, repr(sorted(self.get_config().items(), key=str))))


def check_integer(owner, name, value, minimum):
    """`value` as an int, or a ValueError that names it: the constructors' shared check."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < minimum:
        raise ValueError(
            f"{owner}: `{name}` must be an integer of at least {minimum}. "
            f"Received: {name}={value!r}"
        )
    return int(value)


def get(identifier):
    """A `Measurement` from one, from its config, or from a string such as `"DropPixel(0.9)"`.

    Raises:
        ValueError: if `identifier` is none of these.
    """
    from keras_uai import measurements

    if isinstance(identifier, Measurement):
        return identifier
    if isinstance(identifier, dict):
        measurement = keras.saving.deserialize_keras_object(identifier)
        if isinstance(measurement, Measurement):
            return measurement
    if isinstance(identifier, str):
        known = {"Patch": measurements.Patch, "DropPixel": measurements.DropPixel}
        return _parse(identifier, known)
    raise ValueError(
        "A measurement is a keras_uai.measurements.Measurement, its config, or a string such as "
        f'"Patch(90, 10)". Received: {identifier!r} (of type {type(identifier).__name__})'
    )


def _parse(text, known):
    """`Name(argument, name=argument, ...)` with literal arguments."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        build = known[call.func.id]
        args = [ast.literal_eval(arg) for arg in call.args]
        kwargs = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
        inspect.signature(build).bind(*args, **kwargs)
    except (SyntaxError, AttributeError, KeyError, ValueError, TypeError) as error:
        raise ValueError(
            "A measurement is written as one of: Patch(n, k), Patch(n, k, border=b), DropPixel(p). "
            f"Received: {text!r}"
        ) from error
    return build(*args, **kwargs)
