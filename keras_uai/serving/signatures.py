"""Signatures of an export as TensorFlow functions; `keras_uai.serving.export` lists them."""

import keras
import tensorflow as tf

from keras_uai.graph_checks import mask_values, observed_values, require
from keras_uai.serving import assertions, codec
from keras_uai.serving.contract import predicts_mean

_ROWS = (tf.TensorSpec((None,), "int64", "seed"), tf.TensorSpec((None,), "int32", "num_samples"))
_ORIGIN = tf.TensorSpec((None, 2), "int32", "origin")
_FILES = [tf.TensorSpec((None,), "string", name) for name in ("image_bytes", "mask_bytes")]


def build(model, contract, weights="float32"):
    """Builds the signatures of a model that computes in float32.

    Kernels are stored in the dtype `weights`, `"float32"` or `"float16"`, all else in float32.

    Returns:
        `(module, functions)`: a `tf.Module` with the weights, and `{signature: tf.function}`.
    """
    variables = model.inference_generator.weights
    module = tf.Module(name="weights")
    module.stored = [
        tf.Variable(
            tf.cast(variable.value, weights if len(variable.shape) > 1 else "float32"),
            trainable=False,
            name=variable.path,
        )
        for variable in variables
    ]
    graph = _Graph(model, contract, list(zip(variables, module.stored, strict=True)))
    functions = {
        "serving_default": _function(graph.floats, *_images(contract), *_ROWS),
        "tile": _function(graph.floats, *_images(contract), *_ROWS, _ORIGIN),
        "describe": _function(graph.describe, tf.TensorSpec((None,), "int32", "row")),
    }
    if contract.values.is_bounded and contract.image_shape[-1] in (1, 3):
        functions["image_bytes"] = _function(graph.files, *_FILES, *_ROWS)
    return module, functions


def _function(function, *input_signature):
    # Autograph has no Python control flow to translate here, and takes longer than all else.
    return tf.function(function, input_signature=input_signature, autograph=False)


def _images(contract):
    height, width, channels = contract.image_shape
    return [
        tf.TensorSpec((None, height, width, channels), "float32", "y"),
        tf.TensorSpec((None, height, width, contract.mask_channels), "float32", "mask"),
    ]


class _Graph:
    """The signatures' functions, and their common parts.

    `stored` holds pairs of a Keras variable and the variable of the SavedModel.
    """

    def __init__(self, model, contract, stored):
        self.model = model
        self.contract = contract
        self.limits = contract.limits
        self.stored = stored
        # Traced once, shared by all signatures.
        self.draw = _function(self._draw, *_images(contract), *_ROWS, _ORIGIN)

    # -- signatures ------------------------------------------------------------------------------

    def floats(self, y, mask, seed, num_samples, origin=None):
        contract, values = self.contract, self.contract.values
        y = assertions.shaped(y, "y", (None, *contract.image_shape))
        shape = [n or d for n, d in zip(y.shape, tf.unstack(tf.shape(y)), strict=True)]
        count, height, width, _ = shape
        mask = assertions.shaped(mask, "mask", (*shape[:3], contract.mask_channels))
        seed = assertions.shaped(seed, "seed", (count,))
        num_samples = assertions.shaped(num_samples, "num_samples", (count,))
        origin = tf.zeros((count, 2), "int32") if origin is None else origin
        origin = assertions.shaped(origin, "origin", (count, 2))
        checks = [
            assertions.sizes(height, width, self.limits),
            *assertions.counts(num_samples, tf.fill((count,), height * width), self.limits),
            mask_values(mask),
            observed_values(y, mask > 0.5, "y", values.is_bounded),
            require(
                tf.reduce_all(tf.equal(origin % contract.stride, 0)),
                f"`origin` must hold multiples of {contract.stride}: the row and column of `y` in "
                "a larger image.",
                origin,
            ),
        ]
        y, mask, *rows = assertions.after(checks, y, mask, seed, num_samples, origin)
        if values.is_bounded:
            return self._fill(y, mask, y, rows, lambda x: x, 1.0)
        return self._fill(y, mask, values.encode(y), rows, values.decode, values.scale)

    def files(self, image_bytes, mask_bytes, seed, num_samples):
        image_bytes = assertions.shaped(image_bytes, "image_bytes", (None,))
        count = tf.shape(image_bytes)[0]
        mask_bytes = assertions.shaped(mask_bytes, "mask_bytes", (count,))
        seed = assertions.shaped(seed, "seed", (count,))
        num_samples = assertions.shaped(num_samples, "num_samples", (count,))
        index = tf.range(count)

        def header(data, i):
            return codec.header(data, "image_bytes", i)

        headers = _map(header, (image_bytes, index), tf.TensorSpec((3,), "int32"))
        sizes = tf.cast(headers[:, :2], "int64")
        fixed = self.contract.fixed_size
        checks = [
            assertions.sizes(sizes[:, 0], sizes[:, 1], self.limits),
            *assertions.counts(num_samples, tf.reduce_prod(sizes, axis=1), self.limits),
            require(
                tf.reduce_all(tf.equal(sizes, fixed)) if fixed else True,
                f"Images must have the size of the model, {fixed} (height, width).",
                sizes,
            ),
        ]
        sizes, num_samples = assertions.after(checks, sizes, num_samples)
        most = tf.reduce_max(num_samples)
        rows = (image_bytes, mask_bytes, headers[:, 2], seed, num_samples, index)
        # Images of one size are one batch.
        different, group = tf.unique(sizes[:, 0] * 2**32 + sizes[:, 1])

        def fill(i, answers):
            at = tf.where(tf.equal(group, i))[:, 0]
            found = self._fill_files(*(tf.gather(row, at) for row in rows), most)
            return i + 1, answers.scatter(tf.cast(at, "int32"), found)

        answers = tf.TensorArray("string", count, element_shape=(None,))
        answers = tf.while_loop(lambda i, _: i < tf.size(different), fill, (0, answers))[1].stack()
        return {
            "mean_bytes": answers[:, 0],
            "std_bytes": answers[:, 1],
            "samples_bytes": answers[:, 2:],
        }

    def describe(self, row):
        return {"contract": tf.fill(tf.shape(row)[:1], self.contract.to_json())}

    # -- parts -----------------------------------------------------------------------------------

    def _fill_files(self, image_bytes, mask_bytes, largest, seed, num_samples, index, most):
        """PNGs `(N, 2 + most)` of images of one size: mean, std, samples, and empty strings."""
        channels = self.contract.image_shape[-1]

        def decode(image, mask, largest, i):
            rgba = codec.decode(image, largest)
            seen = self._observed(rgba, mask, largest, i)
            return codec.to_channels(rgba[..., :3], channels), tf.cast(seen, "float32")

        def encode(mean, std, samples, count, largest):
            images = tf.concat([mean[None], samples[:count]], axis=0)
            images = codec.encode_png(images, largest)
            std = codec.encode_png(std[None], tf.constant(65535))
            return tf.concat([images[:1], std, images[1:], tf.fill([most - count], "")], axis=0)

        y, mask = _images(self.contract)
        specs = tf.TensorSpec(y.shape[1:], "int32"), tf.TensorSpec(mask.shape[1:], "float32")
        pixels, mask = _map(decode, (image_bytes, mask_bytes, largest, index), specs)
        half = tf.cast(largest, "float32")[:, None, None, None] / 2.0

        def decoded(y):
            unit = half if y.shape.rank == 4 else half[:, None]
            return tf.cast(tf.round((tf.clip_by_value(y, -1.0, 1.0) + 1.0) * unit), "int32")

        y = tf.cast(pixels, "float32") / half - 1.0
        rows = (seed, num_samples, tf.zeros((tf.size(seed), 2), "int32"))
        found = self._fill(pixels, mask, y, rows, decoded, 1.0)
        std = tf.cast(tf.round(found["std"] * 32767.5), "int32")
        rows = (found["mean"], std, found["samples"], num_samples, largest)
        return _map(encode, rows, tf.TensorSpec((None,), "string"))

    def _observed(self, rgba, mask_bytes, largest, index):
        """The observed pixels `(h, w, M)` of a file: opaque ones, which the mask file leaves."""
        sent = tf.strings.length(mask_bytes) > 0
        opaque = rgba[..., 3:] > largest // 2
        some = require(
            sent | ~tf.reduce_all(opaque),
            "An image without transparent pixels needs a mask in `mask_bytes` (white = observed).",
            "no mask for image",
            index,
        )

        def from_file():
            header = codec.header(mask_bytes, "mask_bytes", index)
            same = require(
                tf.reduce_all(tf.equal(header[:2], tf.shape(rgba)[:2])),
                "A mask must have the size of its image.",
                header[:2],
                "for the size",
                tf.shape(rgba)[:2],
                "of image",
                index,
            )
            with tf.control_dependencies([same]):
                mask = codec.decode(mask_bytes, header[2])
            return opaque & codec.observed(mask, header[2], index)

        with tf.control_dependencies([some]):
            seen = tf.cond(sent, from_file, lambda: opaque)
        return tf.repeat(seen, self.contract.mask_channels, axis=-1)

    def _fill(self, image, mask, y, rows, decode, unit):
        """Answers to `image` `(N, H, W, C)` in its units; `y` is the same in network units.

        `decode` converts network units to the image's, of which `unit` are in one network unit.
        """
        samples, mean, std = self.draw(tf.where(mask > 0.5, y, 0.0), mask, *rows)
        return {
            "samples": tf.where(mask[:, None] > 0.5, image[:, None], decode(samples)),
            "mean": tf.where(mask > 0.5, image, decode(mean)),
            "std": tf.where(mask > 0.5, 0.0, std * tf.constant(unit, "float32")),
        }

    def _draw(self, y, mask, seed, num_samples, origin):
        """Samples `(N, K, H, W, C)`, K the largest of `num_samples`, their mean and deviation."""
        # A limit of its own: checks run at the same time.
        most = tf.minimum(tf.reduce_max(num_samples), self.limits.max_samples)
        seed = tf.cast(tf.math.floormod(seed, 2**31), "int32")
        weights = [(variable, tf.cast(stored, "float32")) for variable, stored in self.stored]
        with keras.StatelessScope(state_mapping=weights):
            samples = self.model.inference.sample(y, mask, seed, most, origin)
            mean, std = _moments(samples, num_samples)
            if predicts_mean(self.model):
                mean = self.model.inference.mean(y, mask)
        return samples, mean, std


def _map(function, rows, signature):
    return tf.map_fn(
        lambda row: function(*row), rows, fn_output_signature=signature, parallel_iterations=16
    )


def _moments(samples, num_samples):
    """Mean and standard deviation (0 for one sample) of each image's own samples, `(N, H, W, C)`."""
    own = tf.sequence_mask(num_samples, tf.shape(samples)[1], "float32")[:, :, None, None, None]
    count = tf.cast(num_samples, "float32")[:, None, None, None]
    mean = tf.reduce_sum(own * samples, axis=1) / count
    variance = tf.reduce_sum(own * tf.square(samples - mean[:, None]), axis=1)
    return mean, tf.sqrt(variance / tf.maximum(count - 1.0, 1.0))
