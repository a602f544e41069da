"""Data parallelism: the share of the global batch that one replica computes.

On TensorFlow each replica of a `tf.distribute` strategy runs a step on its part of the batch. On
JAX a step sees the whole (sharded) batch, and every function here returns the value for one
replica.
"""

import keras


def num_replicas():
    """Number of replicas that train together: an integer, 1 outside of a strategy's scope."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def batch_slice(num_images):
    """Locates this replica's part of the global batch.

    Args:
        num_images: number of images in the part, an integer or scalar tensor. Parts may differ.

    Returns:
        `(first, share)`: the index of the part's first image in the global batch, and the part's
        fraction of the batch. `(0, 1.0)` with a single replica.
    """
    if num_replicas() == 1:
        return 0, 1.0
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:  # within a strategy's scope, but not on a replica
        return 0, 1.0
    replicas, index = context.num_replicas_in_sync, context.replica_id_in_sync_group
    own = tf.one_hot(index, replicas) * tf.cast(num_images, "float32")
    counts = context.all_reduce(tf.distribute.ReduceOp.SUM, own)
    before = tf.cast(tf.range(replicas) < index, "float32")
    first = tf.cast(tf.reduce_sum(counts * before), "int32")
    return first, tf.cast(num_images, "float32") / tf.reduce_sum(counts)


def any_replica(flag):
    """Whether the scalar boolean `flag` is true on any replica. TensorFlow only."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(flag, "float32")) > 0.0


def check_compile(model, optimizers):
    """Raises a `ValueError` if the replicas could not train as one device does."""
    if keras.backend.backend() != "tensorflow":
        return
    strategy = model.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        return
    variables = [*model.variables, *(optimizer.iterations for optimizer in optimizers)]
    if not all(strategy.extended.variable_created_in_scope(v.value) for v in variables):
        raise ValueError(
            "A model for several replicas, and its optimizers, must be created and compiled in "
            "the strategy's scope: `with strategy.scope(): model = ...; model.compile(...)`. "
            "Received: a model, or an optimizer, created outside of the scope"
        )
    for optimizer in optimizers:
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        for name in ("clipnorm", "global_clipnorm", "clipvalue", "gradient_accumulation_steps"):
            if getattr(optimizer, name, None):
                raise ValueError(
                    f"`{name}` must not be set on the optimizer of a model for several replicas: "
                    "Keras applies it to each replica's gradients separately. To accumulate "
                    "gradients use compile(gradient_accumulation_steps=K). "
                    f"Received: {type(optimizer).__name__}({name}={getattr(optimizer, name)!r}) on "
                    f"{strategy.num_replicas_in_sync} replicas"
                )
