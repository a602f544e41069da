"""Checks that many tests share: layers, serialization, precision, fresh processes, tiny models.

Import from here: `from tests.testing import run_layer_test`.
"""

import builtins
import contextlib
import errno
import inspect
import io
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import keras_uai
from tests import forks
from tests.forks import ROOT

#: The smallest networks that have every part: two levels (8 and 4 pixels of a 16 x 16 image).
TINY = {"width": 8, "max_width": 16, "space_to_depth": 2}


def array(x, dtype=None):
    """A tensor, variable or array as a numpy array of its own."""
    x = x.value if isinstance(x, keras.Variable) else x
    return np.array(x.numpy() if hasattr(x, "numpy") else ops.convert_to_numpy(x), dtype=dtype)


def same_bits(a, b):
    """Asserts that two arrays are equal to the last bit (NaN and the sign of 0 included)."""
    a, b = array(a), array(b)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes(), f"largest difference: {np.abs(a - b).max()}"


@contextlib.contextmanager
def read_only(folder):
    """Makes a folder read-only, as a file system mounted so: permissions do not stop root."""
    above = os.path.abspath(folder)
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def refuse(module, name, is_write=lambda *args, **kwargs: True):
        call = getattr(module, name)

        def refusing(path, *args, **kwargs):
            inside = not isinstance(path, int) and os.path.abspath(path).startswith(above)
            if inside and is_write(*args, **kwargs):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
            return call(path, *args, **kwargs)

        patch.setattr(module, name, refusing)

    with pytest.MonkeyPatch.context() as patch:
        for module in (builtins, io):
            refuse(module, "open", lambda mode="r", *args, **kwargs: set(mode) & set("wax+"))
        refuse(os, "open", lambda flags, *args, **kwargs: flags & writing)
        for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):
            refuse(os, name)
        yield


def images(count, shape=(16, 16, 3), seed=0):
    """Images decoded from random 8-bit values: float32 `(count, *shape)` in [-1, 1], never 0."""
    v = np.random.default_rng(seed).integers(0, 256, (count, *shape))
    return (v / 127.5 - 1.0).astype("float32")


def tiny(cls, measurement="DropPixel(0.5)", image_shape=(16, 16, 3), networks=None, **kwargs):
    """A model of one level (4 x 4) that steps fast; `networks` are arguments of all its networks.

    Group norm unless told otherwise, so that images do not mix, and one noise map.
    """
    settings = {**TINY, "space_to_depth": 4, "normalization": "group", **(networks or {})}
    plain = {**settings, "attention_level": None}
    parts = {
        "generator": {**plain, "noise_channels": 1},
        "discriminator": plain,
        "encoder": settings,
    }
    taken = inspect.signature(cls).parameters
    arguments = {n: {**v, **kwargs.pop(n, {})} for n, v in parts.items() if n in taken}
    return cls(image_shape, measurement, **arguments, **{"latent_dim": 6, **kwargs})


def tiny_uai(measurement="DropPixel(0.5)", image_shape=(16, 16, 3), networks=None, **kwargs):
    """`tiny` of `UAI`."""
    return tiny(keras_uai.models.UAI, measurement, image_shape, networks, **kwargs)


def observations(measurement, count, shape=(16, 16, 3), seed=0):
    """`(y, mask)` of random images damaged by `measurement`, numpy."""
    mask = np.array(measurement.masks(np.arange(count), *shape[:2], seed=seed))
    return np.array(measurement(ops.convert_to_tensor(images(count, shape, seed)), mask)), mask


@contextlib.contextmanager
def eagerly():
    """TensorFlow's functions run without graphs: for tests whose few steps take less than tracing.

    A fixture, too. Graphs are the subject of others: `test_tensorflow_step`, `test_saving`, ...
    """
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def run_python(code, timeout=300, **environment):
    """Standard output of a fresh Python process that imports this checkout and must end well."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    assert not done.returncode, done.stderr
    return done.stdout


def run_on_jax(code):
    """Standard output of Python code on the JAX backend, where TensorFlow is not installed."""
    done = forks.run("-c", code, backend="jax")
    assert not done.returncode, done.stderr
    return done.stdout


# -- serialization --------------------------------------------------------------------------------


def constructor_arguments(cls):
    """`{name: default}` of all arguments of a constructor, those passed on by `**kwargs` included.

    Keras's own (`dtype`, `trainable`, ...) do not count: Keras tests them.
    """
    arguments = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        if base.__module__.startswith("keras."):
            break
        parameters = inspect.signature(base.__init__).parameters.values()
        for p in parameters:
            if p.name != "self" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                arguments.setdefault(p.name, p.default)
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return arguments


def run_serialization_test(cls, arguments, attributes=None):
    """Every constructor argument, set to something else than its default, survives `get_config`.

    Through `from_config`, and through Keras's serialization and JSON. Attributes are compared, not
    configs, so that an argument which `get_config` forgets is found out.

    Args:
        cls: the class.
        arguments: a value other than the default for *each* argument of the constructor.
        attributes: `{argument: function of the object}` where the attribute is not called like the
            argument or is not to be compared by `==`.

    Returns:
        the object that came back through JSON.
    """
    names = constructor_arguments(cls)
    missing = set(names) - set(arguments) - {"name"}
    assert not missing, f"the test sets no value for {sorted(missing)}"
    for name, value in arguments.items():
        default = names.get(name, inspect.Parameter.empty)
        assert default is inspect.Parameter.empty or _plain(value) != _plain(default), (
            f"the test leaves {name} at its default {default!r}"
        )
    attributes = attributes or {}
    original = cls(**arguments)
    text = json.dumps(keras.saving.serialize_keras_object(original))
    revived = keras.saving.deserialize_keras_object(json.loads(text))
    for copy in (cls.from_config(original.get_config()), revived):
        assert type(copy) is cls
        for name in arguments:
            read = attributes.get(name, lambda o, name=name: getattr(o, name))
            got, wanted = _plain(read(copy)), _plain(read(original))
            assert got == wanted, f"{name}: {got!r} came back for {wanted!r}"
            if name not in attributes:
                assert wanted == _plain(arguments[name]), f"{name} is not what was given"
        assert _plain(copy.get_config()) == _plain(original.get_config())
    return revived


def _plain(value):
    """`value` with tuples as lists and Keras objects as their configs, for comparison."""
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "get_config"):
        return {"class": type(value).__name__, "config": _plain(value.get_config())}
    return value


# -- layers ---------------------------------------------------------------------------------------


def run_layer_test(cls, arguments, input_shapes, output_shape, trainable, non_trainable=0):
    """What every layer must do, with inputs of `input_shapes` (a shape, or several; no batch axis).

    It has the given number of weights, none of which moves in a call; its output has `output_shape`
    for any batch size, as `compute_output_shape` and a symbolic call say; its weights move to a
    copy made from its config, which then computes the same, also where height and width of maps
    are unknown beforehand.
    """
    several = isinstance(input_shapes[0], (tuple, list))
    shapes = [tuple(s) for s in (input_shapes if several else [input_shapes])]
    layer = cls(**arguments)
    inputs = [noise(3, *s, seed=i) for i, s in enumerate(shapes)]
    output = layer(*inputs)
    assert layer.built
    assert len(layer.trainable_variables) == trainable
    assert len(layer.non_trainable_variables) == non_trainable
    before = layer.get_weights()
    for batch in (1, 3):
        result = layer(*(x[:batch] for x in inputs))
        assert tuple(result.shape) == (batch, *output_shape)
    for a, b in zip(before, layer.get_weights(), strict=True):
        same_bits(a, b)
    assert layer.compute_output_shape(*((None, *s) for s in shapes)) == (None, *output_shape)

    # As part of a functional model, and with the weights of another instance.
    symbols = [keras.Input(s) for s in shapes]
    copy = cls.from_config(layer.get_config())
    model = keras.Model(symbols if several else symbols[0], copy(*symbols))
    assert model.output.shape == (None, *output_shape)
    copy.set_weights(before)
    got = model(inputs if several else inputs[0])
    np.testing.assert_allclose(got, output, atol=1e-6)

    # As part of a functional model of maps of any size, in a graph of unknown sizes.
    free = [(None, None, s[-1]) if len(s) == 3 else s for s in shapes]
    symbols = [keras.Input(s) for s in free]
    copy = cls.from_config(layer.get_config())
    model = keras.Model(symbols, copy(*symbols))
    wanted = (None, None, output_shape[-1]) if len(output_shape) == 3 else output_shape
    assert model.output.shape == (None, *wanted)
    copy.set_weights(before)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        signature = [[tf.TensorSpec((None, *s)) for s in free]]
        model = tf.function(model, input_signature=signature, autograph=False)
    np.testing.assert_allclose(model(inputs), output, atol=1e-5)
    return layer


def run_precision_test(cls, arguments, input_shapes, tolerance=2e-2):
    """Under mixed_float16 a layer keeps float32 weights, returns float16, and is about right."""
    several = isinstance(input_shapes[0], (tuple, list))
    shapes = input_shapes if several else [input_shapes]
    inputs = [noise(2, *s, seed=i) for i, s in enumerate(shapes)]
    full = cls(**arguments)
    expected = np.array(full(*inputs))
    half = cls(**{**arguments, "dtype": "mixed_float16"})
    half(*inputs)
    assert all(v.dtype == "float32" for v in half.variables)
    half.set_weights(full.get_weights())
    output = half(*inputs)
    assert keras.backend.standardize_dtype(output.dtype) == "float16"
    scale = np.abs(expected).max()
    np.testing.assert_allclose(np.array(output, "float32"), expected, atol=tolerance * scale)


def noise(*shape, seed=0):
    """Standard normal values: float32 of `shape`."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")
