"""How the learning rate goes with the training: constant or cosine, after a linear warm-up."""

import math

import keras


def factor(schedule, step, warmup_steps, progress):
    """What the learning rate is multiplied with.

    Args:
        schedule: `"constant"`, or `"cosine"`: half a wave from 1 to 0 (Loshchilov and Hutter 2017).
        step: updates done so far.
        warmup_steps: updates over which it rises linearly from 0.
        progress: share of the training done, in [0, 1].
    """
    value = 1.0
    if schedule == "cosine":
        value = 0.5 * (1.0 + math.cos(math.pi * min(1.0, max(0.0, progress))))
    return value * min(1.0, (step + 1) / warmup_steps) if warmup_steps else value


class FollowBudget(keras.callbacks.Callback):
    """Sets the learning rates of both optimizers before every step (on JAX, every tenth).

    For trainings that end by the clock, whose number of steps nobody knows beforehand; the others
    have a Keras schedule in their optimizers, see `building.learning_rate`.

    Args:
        settings: the run's.
        clock: a `training.Clock`.
    """

    def __init__(self, settings, clock):
        super().__init__()
        self.settings, self.clock = settings, clock

    def on_train_batch_begin(self, batch, logs=None):
        settings, clock = self.settings, self.clock
        if keras.backend.backend() == "jax":  # its state must come back first, which takes time
            if clock.steps % 10:
                return
            self.model.jax_state_sync()
        now = factor(settings["schedule"], clock.steps, settings["warmup_steps"], clock.progress())
        self.model.optimizer.learning_rate = settings["learning_rate"] * now
        rate = settings["discriminator_learning_rate"] * now
        self.model.discriminator_optimizer.learning_rate = rate
