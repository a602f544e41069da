"""Names of version 0.1 and their successors, for error messages."""

#: Constructor arguments of models, and flags of experiments/run.py.
RENAMED = {
    "average_decay": "ema_decay",
    "discriminate_y_hat": "train_on_y_hat",
    "hide": "split_ratio",
    "hide_by_mask": "split_by_measurement",
    "hide_all": "context_dropout",
    "look_cell": "sampler=TwoStage(stride, inflation)",
    "look_gain": "sampler=TwoStage(stride, inflation)",
    "flip": "random_horizontal_flip, an argument of datasets.load",
    "micro_batches": "gradient_accumulation_steps",
    "energy_patches": None,
    "energy_spread": None,
}

#: Arguments of networks.
RENAMED_OF_NETWORKS = {
    "stem": "space_to_depth",
    "lean": "efficient_resampling",
    "spectral": "spectral_normalization",
    "attention_size": "attention_level",
    "fill": "input_fill=push_pull",
    "anchor": "residual_conditioning",
    "noise_cell": "min_noise_stride",
    "modulation_scales": "modulation=scale_shift or modulation=shift",
    "sees_mask": "mask_input",
}

#: Flags of all commands.
RENAMED_FLAGS = {
    **RENAMED,
    "look_cell": "sampler",
    "look_gain": "sampler",
    "look": 'sampler, such as --sampler="TwoStage(4, 1.2)"',
    "fit_look": "calibrate_spread",
    "flip": "random_horizontal_flip",
}

#: Values of flags that are now others: `{(flag, value): new}`.
RENAMED_VALUES = {
    ("preset", "paper"): "--config=paper",
    ("preset", "recommended"): "--config=recommended",
    ("split", "withheld"): "--split=validation",
    ("eval_split", "withheld"): "--eval_split=validation",
}


def explain(name, table):
    """Returns `"'hide' is now 'split_ratio'"`; `"'energy_patches' is gone"` without a successor."""
    new = table[name]
    return f"{name!r} is gone" if new is None else f"{name!r} is now {new!r}"


def check_config(config, path):
    """Raises a ValueError where the config of a model was saved by version 0.1.

    Args:
        config: dict, the model's saved config.
        path: where it was read, for the message.
    """
    old = [explain(name, RENAMED) for name in config if name in RENAMED]
    if old:
        raise ValueError(
            "The model was saved by keras_uai 0.1; train it again, or load it with that version: "
            f"{', '.join(old)}. Received: {path}"
        )
