"""Makes the compiled model of a configuration."""

import keras

from keras_uai.training import configuration


def make_model(settings, data, skip_nonfinite=False):
    """Returns the compiled model with fresh weights, a function of `settings["seed"]`."""
    keras.config.set_dtype_policy(settings["precision"])
    keras.utils.set_random_seed(settings["seed"])
    model = configuration.MODELS[settings["model"]](
        data.image_shape,
        data.measurement,
        values=data.values,
        **configuration.model_arguments(settings),
    )
    total = total_steps(settings, data.steps_per_epoch)
    compile_model(model, settings, total, skip_nonfinite)
    return model


def compile_model(model, settings, total, skip_nonfinite=False):
    """Compiles a model for a training of `total` steps; None where the clock ends it."""
    optimizers = [
        keras.optimizers.Adam(
            learning_rate(settings, settings[f"{prefix}learning_rate"], total),
            beta_1=settings[f"{prefix}beta_1"],
            beta_2=settings[f"{prefix}beta_2"],
        )
        for prefix in ("", "discriminator_")
    ]
    jit_compile = {"auto": "auto", "true": True, "false": False}[settings["jit_compile"]]
    if keras.backend.backend() == "jax":
        jit_compile = True  # without XLA, JAX runs each operation by itself
    model.compile(
        *optimizers,
        gan_loss=settings["gan_loss"],
        loss_weights={
            name.removeprefix("lambda_"): weight
            for name, weight in settings.items()
            if name.startswith("lambda_")
        },
        gradient_accumulation_steps=settings["gradient_accumulation_steps"],
        jit_compile=jit_compile,
        skip_nonfinite=skip_nonfinite,
    )


def learning_rate(settings, rate, total):
    """Returns a Keras schedule up to `rate` where the `total` number of steps is known.

    Otherwise returns `rate`, which `loop.Budget` sets before every step.
    """
    warmup, cosine = settings["warmup_steps"], settings["schedule"] == "cosine"
    warmup = min(warmup, total // 10) if total else warmup
    if not has_schedule(settings) or not (warmup or cosine):
        return rate
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else rate,
        decay_steps=max(1, (total or warmup + 1) - warmup),
        alpha=0.0 if cosine else 1.0,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )


def has_schedule(settings):
    """Returns whether the learning rate is a function of the step alone."""
    return settings["minutes"] is None or settings["schedule"] == "constant"


def total_steps(settings, steps_per_epoch):
    """Returns the number of steps that ends the training; None where only the clock ends it."""
    limits = (settings["steps"], (settings["epochs"] or 0) * steps_per_epoch)
    return min((limit for limit in limits if limit), default=None)
