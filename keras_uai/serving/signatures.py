"""The signatures of an export as TensorFlow functions; see `keras_uai.serving.export` for what they take."""

import keras
import tensorflow as tf

from keras_uai.serving import checks, encoded, resizing


class Served(tf.Module):
    """The weights of a model's networks as variables, and the functions that serve it.

    Args:
        model: an `InpaintingModel` in float32.
        weights: `"float32"` or `"float16"`, the type of stored kernels. Vectors (biases, statistics)
            are float32 always. All arithmetic is float32.
        encodes: whether E is served, too.
        limits: `Limits`.
        webp: whether WebP is read.
    """

    def __init__(self, model, weights, encodes, limits, webp):
        super().__init__(name="served")
        networks = [model.sampling_generator, *([model.encoder] if encodes else [])]
        keras_weights = [w for network in networks for w in network.weights]
        self.stored = [
            tf.Variable(
                tf.cast(w.value, weights if len(w.shape) > 1 else "float32"),
                trainable=False,
                name=w.path.replace("/", "_"),
            )
            for w in keras_weights
        ]
        graph = _Graph(model, list(zip(keras_weights, self.stored, strict=True)), limits, webp)
        channels = model.image_shape[-1]
        # Past tf.Module's tracking, or all functions would be written twice.
        vars(self)["_functions"] = {
            "serving_default": _pixels(graph.floats, channels, "float32", "float32"),
            "uint8": _pixels(graph.bytes, channels, "uint8", "uint8"),
            "image_bytes": tf.function(
                graph.encoded,
                input_signature=[
                    tf.TensorSpec((None,), "string", "image_bytes"),
                    tf.TensorSpec((None,), "string", "mask_bytes"),
                    *_DRAWS,
                ],
            ),
        }
        if encodes:
            self._functions["encode"] = tf.function(
                graph.encode, input_signature=_images(channels, "float32", "float32")
            )

    def signatures(self):
        """`{name: concrete function}`."""
        return {name: f.get_concrete_function() for name, f in self._functions.items()}


_DRAWS = [tf.TensorSpec((None,), "int64", "seed"), tf.TensorSpec((None,), "int32", "num_samples")]


def _images(channels, dtype, mask_dtype):
    return [
        tf.TensorSpec((None, None, None, channels), dtype, "image"),
        tf.TensorSpec((None, None, None, 1), mask_dtype, "mask"),
    ]


def _pixels(function, channels, dtype, mask_dtype):
    return tf.function(function, input_signature=[*_images(channels, dtype, mask_dtype), *_DRAWS])


class _Graph:
    """What the signatures do, between checked inputs and answers."""

    def __init__(self, model, weights, limits, webp):
        self.model, self.weights, self.limits, self.webp = model, weights, limits, webp
        self.height, self.width, self.channels = model.image_shape
        self.tau = float(model.measurement.tau)
        shape = (None, self.height, self.width)
        # Traced once: the signatures share it.
        self.draw = tf.function(
            self._draw,
            input_signature=[
                tf.TensorSpec((*shape, self.channels), "float32"),
                tf.TensorSpec((*shape, 1), "float32"),
                *_DRAWS,
            ],
        )

    # -- signatures ----------------------------------------------------------------------------------------------

    def floats(self, image, mask, seed, num_samples):
        image, mask = checks.images(image, mask, self.channels, self.limits)
        seed, num_samples = self._draws(tf.shape(image)[0], seed, num_samples)
        pixels = self._pixels(tf.shape(image)[1], tf.shape(image)[2])
        ready = [*checks.observed(image, mask), *checks.counts(num_samples, pixels, self.limits)]
        with tf.control_dependencies(ready):
            return self._fill(tf.identity(image), tf.identity(mask), seed, num_samples)

    def bytes(self, image, mask, seed, num_samples):
        image, mask = checks.images(image, mask, self.channels, self.limits)
        seed, num_samples = self._draws(tf.shape(image)[0], seed, num_samples)
        pixels = self._pixels(tf.shape(image)[1], tf.shape(image)[2])
        with tf.control_dependencies(checks.counts(num_samples, pixels, self.limits)):
            observed = tf.cast(encoded.observed(mask), "float32")
            found = self._fill(encoded.to_float(image), observed, seed, num_samples)
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
        with tf.control_dependencies(checks.counts(num_samples, pixels, self.limits)):
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
        with tf.control_dependencies(checks.observed(image, mask)):
            y, mask = resizing.observe(tf.identity(image), mask, self._size, self.tau)
        with self._weights():
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

    def _weights(self):
        """The Keras model computes with the stored weights inside this scope."""
        return keras.StatelessScope(
            state_mapping=[(w, tf.cast(stored, "float32")) for w, stored in self.weights]
        )

    def _draw(self, y, mask, seed, num_samples):
        """Samples `(N, K, H, W, C)` and mean `(N, H, W, C)` at the model's size, K the largest number."""
        most = tf.reduce_max(num_samples)
        seed = tf.cast(tf.math.floormod(seed, 2**31), "int32")  # as `inpaint` has it
        with self._weights():
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
