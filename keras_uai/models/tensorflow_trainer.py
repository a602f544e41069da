"""The training step on TensorFlow: one tape over a shared forward pass, two gradients from it.

On several replicas of a `tf.distribute` strategy each runs the step on its part of the global
batch. Together they compute the step of one device on the whole batch: an image's noise depends on
its place in the global batch, losses are weighted by the parts' shares and gradients summed, and
batch norm takes its statistics from all parts. Two things stay within a part: which images the
`"marginal"` term pairs, and `std` in the logs.
"""

import keras
import tensorflow as tf

from keras_uai import distribute
from keras_uai.models.finite import is_finite, restore, snapshot


def train_step(model, data):
    """Updates D, G and E once. Returns the logs."""
    batch = model.unpack(data, training=True)
    count = tf.shape(batch["y"])[0]
    if distribute.num_replicas() > 1:
        message = "A batch must have an image for each replica. Drop the remainder."
        tf.debugging.assert_positive(count, message)
    first, share = distribute.batch_slice(count)
    keys = model.step_keys(count, first)
    before = snapshot(model)
    if model.gradient_accumulation_steps == 1:
        gradients, logs = _gradients(model, batch, keys, share)
    else:
        gradients, logs = _accumulate(model, batch, keys, count, share)
    finite = is_finite(logs, model.updates(), gradients)
    if distribute.num_replicas() > 1:
        finite = tf.logical_not(distribute.any_replica(tf.logical_not(finite)))
    for (optimizer, variables), gradient in zip(model.updates(), gradients, strict=True):
        if variables:
            optimizer.apply(_finite_together(optimizer, gradient), variables)
    model.after_update()
    restore(before, finite)
    return _logs(model.update_metrics(logs, share, finite))


def test_step(model, data):
    """Scores a batch. Returns the logs."""
    batch = model.unpack(data)
    images = count = tf.shape(batch["y"])[0]
    first, _ = distribute.batch_slice(count)
    if distribute.num_replicas() > 1:
        batch = tf.nest.map_structure(_at_least_one, batch)
        count = tf.maximum(count, 1)
    logs = model.inference.scores(batch, model.evaluation_keys(count, first))
    return _logs(model.update_metrics(logs, images))


def compile_function(model, function):
    """Returns `function` as a graph that accepts inputs of any size."""
    del model
    return tf.function(function, autograph=False, reduce_retracing=True)


def _gradients(model, batch, keys, share=1.0):
    """Gradients of d_loss for D, of g_loss for G and E, and the logs.

    Losses are scaled by `share`: summed over replicas, the gradients are those of the global batch.
    """
    updates = model.updates()
    with tf.GradientTape(persistent=True) as tape:
        *totals, logs = model.compute_losses(batch, keys, training=True)
        scaled = [
            optimizer.scale_loss(loss * share)
            for (optimizer, _), loss in zip(updates, totals, strict=True)
        ]
    # Zeros for a weight that no active term reaches: sums over parts of a batch need numbers.
    zero = tf.UnconnectedGradients.ZERO
    gradients = [
        tape.gradient(loss, [v.value for v in variables], unconnected_gradients=zero)
        if variables
        else []
        for (_, variables), loss in zip(updates, scaled, strict=True)
    ]
    return gradients, logs


def _accumulate(model, batch, keys, count, share):
    """Means over K equal parts of the batch; memory holds one part's activations at a time.

    Every K-th image belongs to a part, so that the parts do not depend on the number of replicas.
    """
    parts = model.gradient_accumulation_steps
    message = f"The batch size must be a multiple of gradient_accumulation_steps={parts}."
    tf.debugging.assert_equal(count % parts, 0, f"{message} Drop the remainder.")
    batch = {**batch, "keys": keys}
    shapes = {name: v.shape[1:] for name, v in batch.items()}
    stacked = {
        name: tf.reshape(v, tf.concat([[count // parts, parts], tf.shape(v)[1:]], 0))
        for name, v in batch.items()
    }

    def part_gradients(index):
        part = {
            name: tf.ensure_shape(v[:, index], [None, *shapes[name]]) for name, v in stacked.items()
        }
        part_keys = part.pop("keys")
        return _gradients(model, part, part_keys, share)

    def body(index, total):
        return index + 1, tf.nest.map_structure(tf.add, total, part_gradients(index))

    if distribute.num_replicas() == 1:
        start = (tf.constant(1), part_gradients(0))
        _, total = tf.while_loop(lambda i, _: i < parts, body, start, parallel_iterations=1)
    else:  # replicas cannot exchange statistics from within a loop
        total = part_gradients(0)
        for index in range(1, parts):
            with tf.control_dependencies(tf.nest.flatten(total)):
                _, total = body(index, total)
    return tf.nest.map_structure(lambda v: v / parts, total)


def _finite_together(optimizer, gradients):
    """Under loss scaling a step is skipped on all replicas or on none."""
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if distribute.num_replicas() == 1 or not scales:
        return gradients
    bad = distribute.any_replica(tf.logical_not(optimizer.check_finite(gradients)))
    return [tf.where(bad, tf.cast(float("nan"), g.dtype), g) for g in gradients]


def _logs(logs):
    """Logs of shape (1,) over several workers: Keras averages them along an axis there."""
    strategy = tf.distribute.get_strategy()
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return {name: tf.reshape(value, (1,)) for name, value in logs.items()}
    return logs


def _at_least_one(v):
    """Returns `v` `(N, ...)`, or one image of zeros where N is 0."""
    missing = tf.maximum(0, 1 - tf.shape(v)[0])
    return tf.concat([v, tf.zeros(tf.concat([[missing], tf.shape(v)[1:]], 0), v.dtype)], 0)
