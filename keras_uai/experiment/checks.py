"""Checks of settings that need to know nothing but the settings."""


def check_numbers(settings):
    """Raises ValueError where a number or a choice of the settings cannot be."""
    at_least = {
        "image_size": 1, "crop_size": 1, "channels": 1, "limit": 1, "epochs": 1, "steps": 1,
        "steps_per_epoch": 1, "batch_size": 1, "micro_batches": 1, "latent_dim": 1,
        "eval_images": 0, "monitor_images": 0, "eval_every": 0, "num_samples": 2,
        "grid_images": 0, "grid_samples": 1, "warmup_steps": 0,
    }  # fmt: skip
    for name, minimum in at_least.items():
        value = settings[name]
        if value is not None and (not isinstance(value, int) or value < minimum):
            raise ValueError(f"--{name} is an integer of at least {minimum}. Received: {value!r}")
    for name in ("learning_rate", "discriminator_learning_rate", "minutes"):
        value = settings[name]
        if value is not None and not value > 0:
            raise ValueError(f"--{name} is above 0. Received: --{name}={value!r}")
    if settings["batch_size"] % settings["micro_batches"]:
        raise ValueError(
            "--batch_size must be a multiple of --micro_batches. Received: batch_size="
            f"{settings['batch_size']}, micro_batches={settings['micro_batches']}"
        )
    if not (settings["epochs"] or settings["steps"] or settings["minutes"]):
        raise ValueError(
            "How long is the training? Give --minutes, --epochs or --steps (it ends at whichever "
            "is reached first). Received: none of them"
        )
    choice("eval_split", settings["eval_split"], ("withheld", "test"))
    choice("schedule", settings["schedule"], ("constant", "cosine"))
    choice("jit_compile", settings["jit_compile"], ("auto", "true", "false"))
    choice("precision", settings["precision"], ("float32", "mixed_float16", "mixed_bfloat16"))


def choice(name, value, known):
    """`known[value]` (or `value`, of a tuple), or an error that lists the choices."""
    if value not in known:
        raise ValueError(f"--{name} is one of {', '.join(known)}. Received: --{name}={value}")
    return known[value] if isinstance(known, dict) else value
