"""Names of version 0.1 and their successors, for error messages."""

#: Constructor arguments of models.
RENAMED = {
    "average_decay": "ema_decay",
    "discriminate_y_hat": "train_on_y_hat",
    "hide": "split_ratio",
    "hide_by_mask": "split_by_measurement",
    "hide_all": "context_dropout",
    "look_cell": "sampler",
    "look_gain": "sampler",
    "micro_batches": "gradient_accumulation_steps",
    "energy_patches": None,
    "energy_spread": None,
}

#: Flags of all commands, or a flag with one value.
RENAMED_FLAGS = {
    **RENAMED,
    "preset=paper": "config=paper",
    "preset=recommended": "config=recommended",
    "split=withheld": "split=validation",
    "look": 'sampler, such as --sampler="TwoStage(4, 1.2)"',
    "fit_look": "calibrate_spread",
    "flip": "random_horizontal_flip",
}


def check_config(config, path):
    """Raises a ValueError where the config of a model, read from `path`, is of version 0.1."""
    old = [f"{name!r} is now {RENAMED[name]!r}" for name in config if RENAMED.get(name)]
    if old:
        raise ValueError(
            "The model was saved by keras_uai 0.1; train it again, or load it with that version: "
            f"{', '.join(old)}. Received: {path}"
        )
