"""Signatures of an export as TensorFlow functions; `keras_uai.serving.export` lists them."""

import keras
import tensorflow as tf

from keras_uai.serving import assertions, codec
from keras_uai.serving.contract import predicts_mean

_ROWS = (tf.TensorSpec((None,), "int64", "seed"), tf.TensorSpec((None,), "int32", "num_samples"))
_ORIGIN = tf.TensorSpec((None, 2), "int32", "origin")


class StoredWeights(tf.Module):
    """Variables of a SavedModel.

    Args:
        weights: list of Keras variables, whose values are stored.
        dtype: string, `"float32"` or `"float16"`, in which kernels are stored. All else is float32.
    """

    def __init__(self, weights, dtype):
        super().__init__(name="weights")
        self.stored = [
            tf.Variable(
                tf.cast(weight.value, dtype if len(weight.shape) > 1 else "float32"),
                trainable=False,
                name=weight.path,
            )
            for weight in weights
        ]


def build(model, contract, weights="float32", encode=False, webp=True):
    """Builds the signatures of a model.

    Args:
        model: an `InpaintingModel` that computes in float32.
        contract: its `Contract`, with limits.
        weights: string, see `StoredWeights`. Default: `"float32"`.
        encode: boolean, whether E is served, too. Default: False.
        webp: boolean, whether WebP is read. Default: True.

    Returns:
        `(module, functions)`: a `tf.Module` with the weights, and `{signature: tf.function}`.
    """
    networks = [model.inference_generator, *([model.encoder] if encode else [])]
    keras_weights = [weight for network in networks for weight in network.weights]
    module = StoredWeights(keras_weights, weights)
    graph = _Graph(model, contract, zip(keras_weights, module.stored, strict=True), webp)
    images = _images(contract, "float32", "float32")
    functions = {
        "serving_default": _function(graph.floats, *images, *_ROWS),
        "tile": _function(graph.floats, *images, *_ROWS, _ORIGIN),
        "describe": _function(graph.describe, tf.TensorSpec((None,), "int32", "row")),
    }
    if contract.values.is_bounded:
        pixels = _images(contract, "uint8", "uint8", "pixels")
        functions["pixels"] = _function(graph.pixels, *pixels, *_ROWS)
    if contract.values.is_bounded and contract.image_shape[-1] in (1, 3):
        names = ("image_bytes", "mask_bytes")
        files = [tf.TensorSpec((None,), "string", name) for name in names]
        functions["image_bytes"] = _function(graph.files, *files, *_ROWS)
    if encode:
        functions["encode"] = _function(graph.encode, *images)
    return module, functions


def _function(function, *input_signature):
    # Autograph has no Python control flow to translate here, and takes longer than all else.
    return tf.function(function, input_signature=input_signature, autograph=False)


def _images(contract, dtype, mask_dtype, name="y"):
    height, width, channels = contract.image_shape
    return [
        tf.TensorSpec((None, height, width, channels), dtype, name),
        tf.TensorSpec((None, height, width, contract.mask_channels), mask_dtype, "mask"),
    ]


class _Graph:
    """The signatures' functions, and their common parts.

    `stored` holds pairs of a Keras variable and the variable of the SavedModel.
    """

    def __init__(self, model, contract, stored, webp):
        self.model = model
        self.contract = contract
        self.limits = contract.limits
        self.values = contract.values
        self.stored = list(stored)
        self.webp = webp
        images = _images(contract, "float32", "float32")
        # Traced once, shared by all signatures.
        self.draw = _function(self._draw, *images, *_ROWS, _ORIGIN)

    # -- signatures ------------------------------------------------------------------------------

    def floats(self, y, mask, seed, num_samples, origin=None):
        y, mask, rows = self._checked(y, mask, seed, num_samples, origin)
        checks = assertions.observed(y, mask, self.values.is_bounded)
        y, mask = assertions.after(checks, y, mask)
        if self.values.is_bounded:
            return self._fill(y, mask, y, rows, lambda x: x, 1.0)
        values = self.values
        return self._fill(y, mask, values.encode(y), rows, values.decode, values.scale)

    def pixels(self, pixels, mask, seed, num_samples):
        values = self.values.of("uint8")
        pixels, mask, rows = self._checked(pixels, mask, seed, num_samples)
        pixels, mask = assertions.after(assertions.byte_masks(mask), pixels, mask)
        seen = tf.cast(mask > 0, "float32")
        return self._fill(pixels, seen, values.encode(pixels), rows, values.decode, 127.5)

    def files(self, image_bytes, mask_bytes, seed, num_samples):
        image_bytes = assertions.forget_shape(image_bytes)
        some = assertions.require(
            tf.equal(tf.rank(image_bytes), 1) & (tf.size(image_bytes) > 0),
            "`image_bytes` must hold at least one encoded image, shape (N,).",
            tf.shape(image_bytes),
        )
        (image_bytes,) = assertions.after([some], image_bytes)
        image_bytes = tf.ensure_shape(image_bytes, (None,))
        count = tf.shape(image_bytes)[0]
        mask_bytes = assertions.rows(mask_bytes, count, "mask_bytes")
        seed = assertions.rows(seed, count, "seed")
        num_samples = assertions.rows(num_samples, count, "num_samples")
        index = tf.range(count)

        def header(item):
            data, i = item
            return self._fitting(codec.header(data, "image_bytes", i, self.limits, self.webp))

        headers = _map(header, (image_bytes, index), tf.TensorSpec((3,), "int32"))
        sizes = tf.cast(headers[:, 0], "int64") * tf.cast(headers[:, 1], "int64")
        checks = assertions.counts(num_samples, sizes, self.limits)
        (num_samples,) = assertions.after(checks, num_samples)
        most = tf.reduce_max(num_samples)
        answers = (
            tf.TensorSpec((None,), "string"),
            tf.TensorSpec((), "string"),
            tf.TensorSpec((), "string"),
        )
        rows = (image_bytes, mask_bytes, headers, seed, num_samples, index)
        # One by one: images of a batch may differ in size.
        found = _map(lambda item: self._file(*item, most), rows, answers)
        return dict(zip(("samples_bytes", "mean_bytes", "std_bytes"), found, strict=True))

    def describe(self, row):
        return {"contract": tf.fill(tf.shape(row)[:1], self.contract.to_json())}

    def encode(self, y, mask):
        y, mask = assertions.images(y, mask, self.contract)
        y, mask = assertions.after(assertions.observed(y, mask, self.values.is_bounded), y, mask)
        y = y if self.values.is_bounded else self.values.encode(y)
        with self._stored_weights():
            mean, log_variance = self.model.encoder.encode(tf.where(mask > 0.5, y, 0.0), mask)
        return {"mean": mean, "log_variance": log_variance}

    # -- parts -----------------------------------------------------------------------------------

    def _checked(self, image, mask, seed, num_samples, origin=None):
        """`image`, `mask`, and `(seed, num_samples, origin)`, of which every image has a row."""
        image, mask = assertions.images(image, mask, self.contract)
        count = tf.shape(image)[0]
        seed = assertions.rows(seed, count, "seed")
        num_samples = assertions.rows(num_samples, count, "num_samples")
        if origin is None:
            origin = tf.zeros((count, 2), "int32")
        else:
            origin = assertions.rows(origin, count, "origin", width=2)
            stride = self.model.inference_generator.stride
            multiples = assertions.require(
                tf.reduce_all(tf.equal(origin % stride, 0)),
                f"`origin` must hold multiples of {stride}: the row and column of `y` in a larger "
                "image.",
                origin,
            )
            (origin,) = assertions.after([multiples], origin)
        pixels = tf.shape(image)[1] * tf.shape(image)[2]
        checks = assertions.counts(num_samples, pixels, self.limits)
        image, mask, num_samples = assertions.after(checks, image, mask, num_samples)
        return image, mask, (seed, num_samples, origin)

    def _fitting(self, header):
        """The header of an image, which must have the model's size if that is fixed."""
        size = self.contract.fixed_size
        if size is None:
            return header
        check = assertions.require(
            tf.reduce_all(tf.equal(header[:2], size)),
            f"Images must have the size of the model, {size[0]} x {size[1]} (height x width).",
            header[:2],
        )
        return assertions.after([check], header)[0]

    def _file(self, data, mask_data, header, seed, num_samples, index, most):
        """PNGs of one file's samples (as many as `most`, empty beyond its own), mean and std."""
        largest = header[2]
        rgba, has_alpha = codec.decode(data, "image_bytes", index, largest, self.webp)
        mask = self._file_mask(rgba, has_alpha, mask_data, largest, index)
        channels = self.contract.image_shape[-1]
        size = self.contract.fixed_size or (None, None)
        pixels = tf.ensure_shape(codec.to_channels(rgba[..., :3], channels), (*size, channels))
        half = tf.cast(largest, "float32") / 2.0
        mask = tf.ensure_shape(tf.cast(mask, "float32"), (*size, self.contract.mask_channels))[None]
        rows = (seed[None], num_samples[None], tf.zeros((1, 2), "int32"))

        def decoded(y):
            return tf.cast(tf.round((tf.clip_by_value(y, -1.0, 1.0) + 1.0) * half), "int32")

        y = tf.cast(pixels, "float32") / half - 1.0
        found = self._fill(pixels[None], mask, y[None], rows, decoded, 1.0)
        std = tf.cast(tf.round(tf.minimum(found["std"][0], 1.0) * 65535.0), "int32")
        samples = codec.encode_png(found["samples"][0], largest)
        padding = tf.fill([most - num_samples], "")
        return (
            tf.concat([samples, padding], axis=0),
            codec.encode_png(found["mean"][0], largest),
            codec.encode_png(std, tf.constant(65535)),
        )

    def _file_mask(self, rgba, has_alpha, mask_data, largest, index):
        """The observed pixels `(h, w, M)` of a file: opaque ones, which the mask file leaves."""
        sent = tf.strings.length(mask_data) > 0
        some = assertions.require(
            sent | has_alpha,
            "An image without alpha channel needs a mask in `mask_bytes` (white = observed). "
            "The image:",
            index,
        )
        opaque = rgba[..., 3:] > largest // 2

        def from_file():
            header = codec.header(mask_data, "mask_bytes", index, self.limits, self.webp)
            same = assertions.require(
                tf.reduce_all(tf.equal(header[:2], tf.shape(rgba)[:2])),
                "A mask must have the size of its image.",
                header[:2],
                "for an image of",
                tf.shape(rgba)[:2],
                "The image:",
                index,
            )
            with tf.control_dependencies([same]):
                found, _ = codec.decode(mask_data, "mask_bytes", index, header[2], self.webp)
                return opaque & codec.observed(found, header[2], index)

        with tf.control_dependencies([some]):
            seen = tf.cond(sent, from_file, lambda: opaque)
        return tf.repeat(seen, self.contract.mask_channels, axis=-1)

    def _fill(self, image, mask, y, rows, decode, unit):
        """Answers in the image's units, with its observed values.

        Args:
            image: `(N, H, W, C)` in the caller's units.
            mask: float32 `(N, H, W, M)`.
            y: `image` in network units.
            rows: `(seed, num_samples, origin)`.
            decode: function from network units to the caller's.
            unit: float or one a channel, the caller's units in a network unit.
        """
        seed, num_samples, origin = rows
        y = tf.where(mask > 0.5, y, 0.0)
        samples, mean = self.draw(y, mask, seed, num_samples, origin)
        std = _std(samples, num_samples) * tf.constant(unit, "float32")
        return {
            "samples": tf.where(mask[:, None] > 0.5, image[:, None], decode(samples)),
            "mean": tf.where(mask > 0.5, image, decode(mean)),
            "std": tf.where(mask > 0.5, 0.0, std),
        }

    def _stored_weights(self):
        """A scope in which the Keras layers compute with the stored weights."""
        mapping = [(weight, tf.cast(stored, "float32")) for weight, stored in self.stored]
        return keras.StatelessScope(state_mapping=mapping)

    def _draw(self, y, mask, seed, num_samples, origin):
        """Samples `(N, K, H, W, C)` and mean `(N, H, W, C)`, K the largest of `num_samples`."""
        # A limit of its own: checks run at the same time.
        most = tf.minimum(tf.reduce_max(num_samples), self.limits.max_samples)
        seed = tf.cast(tf.math.floormod(seed, 2**31), "int32")
        with self._stored_weights():
            samples = self.model.sample(y, mask, seed, most, origin)
            if predicts_mean(self.model):
                mean = self.model.mean(y, mask)
            else:
                mean = _mean(samples, num_samples)[:, 0]
        return samples, mean


def _map(function, rows, signature):
    return tf.map_fn(function, rows, fn_output_signature=signature, parallel_iterations=16)


def _std(samples, num_samples):
    """Standard deviation of each image's own samples, `(N, H, W, C)`; 0 for one sample."""
    weight = _weight(samples, num_samples)
    variance = tf.reduce_sum(weight * tf.square(samples - _mean(samples, num_samples)), axis=1)
    count = tf.reshape(tf.cast(num_samples, "float32"), (-1, 1, 1, 1))
    return tf.sqrt(variance / tf.maximum(count - 1.0, 1.0))


def _mean(samples, num_samples):
    weight = _weight(samples, num_samples)
    total = tf.reduce_sum(weight, axis=1, keepdims=True)
    return tf.reduce_sum(weight * samples, axis=1, keepdims=True) / total


def _weight(samples, num_samples):
    """1 for an image's own samples, 0 for those beyond, `(N, K, 1, 1, 1)`."""
    own = tf.range(tf.shape(samples)[1])[None, :] < num_samples[:, None]
    return tf.cast(own, "float32")[:, :, None, None, None]
