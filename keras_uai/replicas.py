"""Several replicas that train as one device with the same global batch: what each knows of the others.

On TensorFlow a step runs once a replica of a `tf.distribute` strategy, each on its part of the batch. Elsewhere (JAX's
sharded arrays) a step sees the whole batch, and all here is trivial.
"""

import keras


def count():
    """How many replicas train together; 1 outside of a strategy's scope and of its replicas."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def place(images):
    """Where this replica's part of the global batch lies.

    Args:
        images: number of images of the part, an integer or scalar tensor. Parts need not be equally large.

    Returns:
        `(first, share)`: the place of the part's first image in the batch, and the share of the batch's images that
        the part has. `(0, 1.0)` where there is one replica only.
    """
    if count() == 1:
        return 0, 1.0
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:  # within a scope, but not on a replica
        return 0, 1.0
    replicas, index = context.num_replicas_in_sync, context.replica_id_in_sync_group
    mine = tf.one_hot(index, replicas) * tf.cast(images, "float32")
    images_of = context.all_reduce(tf.distribute.ReduceOp.SUM, mine)
    before = tf.cast(tf.range(replicas) < index, "float32")
    first = tf.cast(tf.reduce_sum(images_of * before), "int32")
    return first, tf.cast(images, "float32") / tf.reduce_sum(images_of)


def any_of(flag):
    """Whether the scalar boolean `flag` is true on any replica."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(flag, "float32")) > 0.0


def check_compile(model, optimizers):
    """Raises ValueError where a model is compiled so that its replicas could not train as one device."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    strategy = model.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        return
    inside = tf.distribute.get_strategy() is strategy
    if not inside or any(o._distribution_strategy is not strategy for o in optimizers):
        raise ValueError(
            "A model for several replicas is made and compiled, and its optimizers are made, in the strategy's scope: "
            "with strategy.scope(): model = ...; model.compile(...). Received: compile, or an optimizer, outside of it"
        )
    for optimizer in optimizers:
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        for name in ("clipnorm", "global_clipnorm", "clipvalue", "gradient_accumulation_steps"):
            if getattr(optimizer, name, None):
                raise ValueError(
                    f"Keras applies an optimizer's `{name}` to each replica's gradients alone, so that replicas would "
                    "not train as one device does. Leave it out (for accumulation there is compile(micro_batches=K)). "
                    f"Received: {type(optimizer).__name__}({name}={getattr(optimizer, name)!r}) on "
                    f"{strategy.num_replicas_in_sync} replicas"
                )
