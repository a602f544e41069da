"""The signatures of an export as TensorFlow functions; see `keras_uai.serving.export` for what they take."""

import math

import keras
import tensorflow as tf

from keras_uai.serving import checks, encoded, resizing


class Served(tf.Module):
    """The functions that serve a model, and its weights.

    Args:
        model: an `InpaintingModel` in float32.
        weights: as in `Stored`.
        encodes: whether E is served, too.
        limits: `Limits`.
        webp: whether WebP is read.
    """

    def __init__(self, model, weights, encodes, limits, webp):
        super().__init__(name="served")
        networks = [model.sampling_generator, *([model.encoder] if encodes else [])]
        self.stored = Stored([w for network in networks for w in network.weights], weights)
        graph = _Graph(model, self.stored, limits, webp)
        channels = model.image_shape[-1]
        # Past tf.Module's tracking, or all functions would be written twice.
        vars(self)["_functions"] = {
            "serving_default": _pixels(graph.floats, channels, "float32", "float32"),
            "uint8": _pixels(graph.bytes, channels, "uint8", "uint8"),
            "image_bytes": _function(
                graph.encoded,
                [
                    tf.TensorSpec((None,), "string", "image_bytes"),
                    tf.TensorSpec((None,), "string", "mask_bytes"),
                    *_DRAWS,
                ],
            ),
        }
        if encodes:
            self._functions["encode"] = _function(
                graph.encode, _images(channels, "float32", "float32")
            )

    def functions(self):
        """`{name of a signature: TensorFlow function}`."""
        return dict(self._functions)


class Stored(tf.Module):
    """Weights of Keras layers as variables of a SavedModel: kernels one by one, all vectors and scalars in one.

    (Most of a network's variables are biases and statistics. Each would be written into a dozen places
    of the graph, and read by an operation of its own at every request.)

    Args:
        keras_weights: Keras variables.
        weights: `"float32"` or `"float16"`, the type of stored kernels. Vectors are float32 always.
    """

    def __init__(self, keras_weights, weights):
        super().__init__(name="stored")
        kernels = [w for w in keras_weights if len(w.shape) > 1]
        vectors = [w for w in keras_weights if len(w.shape) <= 1]
        vars(self)["_keras"] = kernels, vectors  # past tf.Module's tracking
        self.kernels = [
            tf.Variable(tf.cast(w.value, weights), trainable=False, name=f"kernel_{i}")
            for i, w in enumerate(kernels)
        ]
        self.vectors = tf.Variable(
            tf.concat([tf.reshape(w.value, [-1]) for w in vectors], 0),
            trainable=False,
            name="vectors",
        )

    def scope(self):
        """Inside this, the Keras layers compute with the stored weights, in float32."""
        kernels, vectors = vars(self)["_keras"]
        parts = tf.split(self.vectors, [math.prod(w.shape) for w in vectors])
        values = [
            *(tf.cast(kernel, "float32") for kernel in self.kernels),
            *(tf.reshape(part, w.shape) for part, w in zip(parts, vectors, strict=True)),
        ]
        return keras.StatelessScope(
            state_mapping=list(zip([*kernels, *vectors], values, strict=True))
        )


_DRAWS = [tf.TensorSpec((None,), "int64", "seed"), tf.TensorSpec((None,), "int32", "num_samples")]


def _images(channels, dtype, mask_dtype):
    return [
        tf.TensorSpec((None, None, None, channels), dtype, "image"),
        tf.TensorSpec((None, None, None, 1), mask_dtype, "mask"),
    ]


def _function(function, input_signature):
    # Without autograph: there is no Python control flow to translate, which takes longer than all else.
    return tf.function(function, input_signature=input_signature, autograph=False)


def _pixels(function, channels, dtype, mask_dtype):
    return _function(function, [*_images(channels, dtype, mask_dtype), *_DRAWS])


class _Graph:
    """What the signatures do, between checked inputs and answers."""

    def __init__(self, model, stored, limits, webp):
        self.model, self.stored, self.limits, self.webp = model, stored, limits, webp
        self.height, self.width, self.channels = model.image_shape
        self.tau = float(model.measurement.tau)
        shape = (None, self.height, self.width)
        # Traced once: the signatures share them.
        self.draw = _function(
            self._draw,
            [
                tf.TensorSpec((*shape, self.channels), "float32"),
                tf.TensorSpec((*shape, 1), "float32"),
                *_DRAWS,
            ],
        )
        self.fill = _pixels(self._fill, self.channels, "float32", "float32")

    # -- signatures ----------------------------------------------------------------------------------------------

    def floats(self, image, mask, seed, num_samples):
        image, mask = checks.images(image, mask, self.channels, self.limits)
        seed, num_samples = self._draws(tf.shape(image)[0], seed, num_samples)
        pixels = self._pixels(tf.shape(image)[1], tf.shape(image)[2])
        ready = [*checks.observed(image, mask), *checks.counts(num_samples, pixels, self.limits)]
        return self.fill(*checks.passed(ready, image, mask, seed, num_samples))

    def bytes(self, image, mask, seed, num_samples):
        image, mask = checks.images(image, mask, self.channels, self.limits)
        seed, num_samples = self._draws(tf.shape(image)[0], seed, num_samples)
        pixels = self._pixels(tf.shape(image)[1], tf.shape(image)[2])
        ready = checks.counts(num_samples, pixels, self.limits)
        image, mask, num_samples = checks.passed(ready, image, mask, num_samples)
        observed = tf.cast(encoded.observed(mask), "float32")
        found = self.fill(encoded.to_float(image), observed, seed, num_samples)
        return {n: v if n == "std" else encoded.to_uint8(v) for n, v in found.items()}

    def encoded(self, image_bytes, mask_bytes, seed, num_samples):
        image_bytes = checks.forget_shape(image_bytes)
        check = checks.require(
            tf.equal(tf.size(tf.shape(image_bytes)), 1) & (tf.size(image_bytes) > 0),
            "`image_bytes` must hold at least one encoded image, shape (N,).",
            tf.shape(image_bytes),
        )
        (image_bytes,) = checks.after([check], [image_bytes], [(None,)])
        count = tf.shape(image_bytes)[0]
        mask_bytes = checks.vector(mask_bytes, count, "mask_bytes")
        seed, num_samples = self._draws(count, seed, num_samples)
        images = encoded.Images(image_bytes, mask_bytes, self.channels, self.limits, self.webp)
        pixels = self._pixels(images.heights, images.widths)
        ready = checks.counts(num_samples, pixels, self.limits)
        (num_samples,) = checks.passed(ready, num_samples)
        y, mask = images.map(
            lambda image, mask: resizing.observe(image, mask, self._size, self.tau),
            [(self.height, self.width, self.channels), (self.height, self.width, 1)],
            "float32",
        )
        samples, mean = self.draw(y, mask, seed, num_samples)
        answers = images.map(
            lambda image, mask, *drawn: _png(self._finish(image, mask, *drawn)),
            [(None,), (), ()],
            "string",
            samples,
            mean,
            num_samples,
        )
        names = ("samples_bytes", "mean_bytes", "std_bytes")
        return {
            **dict(zip(names, answers, strict=True)),
            "samples": samples,
            "mean": mean,
            "std": std(samples, num_samples),
        }

    def encode(self, image, mask):
        image, mask = checks.images(image, mask, self.channels, self.limits)
        image, mask = checks.passed(checks.observed(image, mask), image, mask)
        y, mask = resizing.observe(image, mask, self._size, self.tau)
        with self.stored.scope():
            mean, log_variance = self.model.encoder.encode(y, mask)
        return {"mean": mean, "log_variance": log_variance}

    # -- parts ---------------------------------------------------------------------------------------------------

    @property
    def _size(self):
        return self.height, self.width

    def _draws(self, count, seed, num_samples):
        return checks.vector(seed, count, "seed"), checks.vector(num_samples, count, "num_samples")

    def _pixels(self, height, width):
        own = tf.constant(self.height * self.width, "int64")
        return tf.maximum(tf.cast(height, "int64") * tf.cast(width, "int64"), own)

    def _fill(self, image, mask, seed, num_samples):
        y, seen = resizing.observe(image, mask, self._size, self.tau)
        return self._finish(image, mask, *self.draw(y, seen, seed, num_samples), num_samples)

    def _draw(self, y, mask, seed, num_samples):
        """Samples `(N, K, H, W, C)` and mean `(N, H, W, C)` at the model's size, K the largest number."""
        # A limit of its own: servers run what does not depend on a check at the same time as the check.
        most = tf.minimum(tf.reduce_max(num_samples), self.limits.max_samples)
        seed = tf.cast(tf.math.floormod(seed, 2**31), "int32")  # as `inpaint` has it
        with self.stored.scope():
            features = self.model.sampling_generator.observe(y, mask)
            samples = self.model.sample(y, mask, seed, most, features)
            if self.model.generator.predicts_mean:
                mean = self.model.own_mean(y, mask, features)
            else:
                mean = _mean(samples, num_samples)[:, 0]
        return samples, mean

    def _finish(self, image, mask, samples, mean, num_samples):
        """Answers at the images' own size, with their observed pixels."""
        height, width = tf.shape(image)[1], tf.shape(image)[2]
        samples = resizing.answer(samples, height, width)
        mean = resizing.answer(mean[:, None], height, width)[:, 0]
        samples = tf.where(mask[:, None] > 0.5, image[:, None], samples)
        mean = tf.where(mask > 0.5, image, mean)
        return {"samples": samples, "mean": mean, "std": std(samples, num_samples)}


def std(samples, num_samples):
    """Standard deviation of each image's own samples, mean over channels, `(N, h, w)`; 0 for one sample."""
    weight = _weight(samples, num_samples)
    variance = tf.reduce_sum(weight * tf.square(samples - _mean(samples, num_samples)), axis=1)
    count = tf.reshape(tf.cast(num_samples, "float32"), (-1, 1, 1, 1))
    return tf.reduce_mean(tf.sqrt(variance / tf.maximum(count - 1.0, 1.0)), axis=-1)


def _mean(samples, num_samples):
    weight = _weight(samples, num_samples)
    return tf.reduce_sum(weight * samples, axis=1, keepdims=True) / tf.reduce_sum(
        weight, axis=1, keepdims=True
    )


def _weight(samples, num_samples):
    """1 for the samples an image asked for, 0 for those that others in the batch did, `(N, K, 1, 1, 1)`."""
    mine = tf.range(tf.shape(samples)[1])[None, :] < num_samples[:, None]
    return tf.cast(mine, "float32")[:, :, None, None, None]


def _png(found):
    """PNGs of answers: samples `(N, K)`, mean `(N,)`, std `(N,)` (white = 1, the most there is)."""
    samples, mean = encoded.to_uint8(found["samples"]), encoded.to_uint8(found["mean"])
    deviation = tf.cast(tf.round(tf.minimum(found["std"], 1.0) * 255.0), "uint8")[..., None]
    return [
        tf.raw_ops.EncodePng(image=pixels, compression=encoded.COMPRESSION)
        for pixels in (samples, mean, deviation)
    ]
