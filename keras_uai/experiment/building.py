"""From settings to a compiled model."""

import keras

from keras_uai.experiment import settings as settings_module


def make_model(settings, data):
    """The compiled model, with fresh weights that depend on `settings["seed"]` only.

    Args:
        settings: dict of `settings.resolve`.
        data: the run's `data.Data`.
    """
    keras.config.set_dtype_policy(settings["precision"])
    keras.utils.set_random_seed(settings["seed"])
    cls = settings_module.model_classes()[settings["model"]]
    model = cls(data.image_shape, data.measurement, **settings_module.model_arguments(settings))
    total = total_steps(settings, data.steps_per_epoch)
    optimizers = [
        keras.optimizers.Adam(
            learning_rate(settings, settings[f"{side}learning_rate"], total),
            beta_1=settings[f"{side}beta_1"],
            beta_2=settings[f"{side}beta_2"],
        )
        for side in ("", "discriminator_")
    ]
    jit_compile = {"auto": "auto", "true": True, "false": False}[settings["jit_compile"]]
    if keras.backend.backend() == "jax":
        jit_compile = True  # XLA is all there is: without it each operation would run by itself
    model.compile(
        *optimizers,
        gan_loss=settings["gan_loss"],
        loss_weights=settings_module.loss_weights(settings),
        micro_batches=settings["micro_batches"],
        jit_compile=jit_compile,
    )
    return model


def learning_rate(settings, rate, total):
    """A Keras schedule where the number of steps is known, else the rate that
    `learning_rate.FollowBudget` then changes.
    """
    warmup, cosine = settings["warmup_steps"], settings["schedule"] == "cosine"
    warmup = min(warmup, total // 10) if total else warmup
    if not by_schedule(settings) or not (warmup or cosine):
        return rate
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else rate,
        decay_steps=max(1, (total or warmup + 1) - warmup),
        alpha=0.0 if cosine else 1.0,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )


def by_schedule(settings):
    """Whether the learning rate is a function of the step alone."""
    return settings["minutes"] is None or settings["schedule"] == "constant"


def total_steps(settings, steps_per_epoch):
    """Where the training ends by number of steps; None where only the clock ends it."""
    limits = [settings["steps"]]
    if settings["epochs"]:
        limits.append(settings["epochs"] * steps_per_epoch)
    return min((limit for limit in limits if limit), default=None)
