"""The configuration of a run: one flat dict of JSON values, completed from the flags given."""

import inspect
import json

from keras_uai import losses, measurements, models, networks, sampling
from keras_uai.presets.renamed import RENAMED_FLAGS
from keras_uai.training import arguments, configs

#: Settings that neither `--config` nor a flag sets; None: not set.
DEFAULTS = {
    # Data.
    "data": None,
    "image_size": None,
    "crop_size": None,
    "center_crop": None,
    "channels": None,
    "split_seed": 0,
    "limit": None,
    "mask_from": None,
    "strict": False,
    "measurement": None,
    # Model.
    "model": "UAI",
    "config": "recommended",
    "seed": 0,
    # Compile.
    "jit_compile": "auto",
    "precision": "float32",
    # Training ends at the limit that is reached first.
    "epochs": None,
    "steps": None,
    "minutes": None,
    "steps_per_epoch": None,
    # Spread calibration after the training, of models that sample in two stages.
    "calibrate_spread": True,
    # Evaluation.
    "eval_split": "validation",
    "eval_images": 1000,
    "num_samples": 10,
    "extractor": None,
    "eval_every": 5,
    "monitor_images": 100,
    "grid_images": 8,
    "grid_samples": 4,
    "tag": None,
}

#: Flags that say where things are or what to do. They do not change the result, so `--resume`
#: accepts other values.
NOT_SETTINGS = {
    "runs": "runs",
    "resume": None,
    "dry_run": False,
    "data_dir": None,
    "download": False,
    "checkpoint_minutes": 5.0,
    "distribution": "none",
}

#: Networks whose arguments are flags; see `arguments.parse`.
NETWORKS = {
    "generator": networks.Generator,
    "discriminator": networks.Discriminator,
    "encoder": networks.Encoder,
}
#: Constructor arguments of the models that have flags of their own.
MODEL_ARGUMENTS = ("latent_dim", "ema_decay", "sampler", "seed", *NETWORKS)
# Arguments that the model sets.
_LEAVE_OUT = (
    "image_shape",
    "mask_channels",
    "measurement",
    "values",
    "latent_dim",
    "conditional",
    "name",
)

_AT_LEAST = {
    "image_size": 1, "crop_size": 1, "center_crop": 1, "channels": 1, "limit": 1, "epochs": 1, "steps": 1,
    "steps_per_epoch": 1, "batch_size": 1, "gradient_accumulation_steps": 1, "latent_dim": 1,
    "eval_images": 0, "monitor_images": 0, "eval_every": 0, "num_samples": 2,
    "grid_images": 0, "grid_samples": 1, "warmup_steps": 0,
}  # fmt: skip
_CHOICES = {
    "eval_split": ("validation", "test"),
    "schedule": ("constant", "cosine"),
    "jit_compile": ("auto", "true", "false"),
    "precision": ("float32", "mixed_float16", "mixed_bfloat16"),
}


def model_classes():
    """Returns `{name: class}` of the models that can be trained."""
    found = {name: getattr(models, name) for name in models.__all__}
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value)
        and issubclass(value, models.InpaintingModel)
        and value is not models.InpaintingModel
    }


def loss_terms():
    """Returns the names of all models' loss terms, sorted; each has a flag `lambda_NAME`."""
    return sorted({term for cls in model_classes().values() for term in cls.default_loss_weights})


def names():
    """Returns the names of the settings of all models."""
    config = (name for name in configs.PAPER if name != "loss_weights")
    return [*DEFAULTS, *config, *(f"lambda_{term}" for term in loss_terms())]


def resolve(given):
    """Completes the settings of a run.

    Args:
        given: dict of the flags that were given. The others come from `given["config"]`, then from
            `DEFAULTS`.

    Returns:
        Dict of JSON values in a fixed order, without the flags of `NOT_SETTINGS`.

    Raises:
        ValueError: If a flag is unknown or its value is invalid.
    """
    given = {n: v for n, v in given.items() if v is not None and n not in NOT_SETTINGS}
    for name in given:
        if name not in names():
            now = f" It is now {RENAMED_FLAGS[name]}." if RENAMED_FLAGS.get(name) else ""
            raise ValueError(f"There is no setting {name!r}.{now} Received: {name}={given[name]!r}")
    cls = _choice("model", given.get("model", DEFAULTS["model"]), model_classes())
    given.setdefault("config", "recommended" if cls is models.UAI else "paper")
    _choice("config", given["config"], configs.NAMES)
    config = configs.get(given["config"], given.get("measurement"))
    weights = {**cls.default_loss_weights, **config.pop("loss_weights")}
    settings = {**DEFAULTS, **config, **given}
    accepted = inspect.signature(cls).parameters
    for name, network in NETWORKS.items():
        if name not in accepted:
            del settings[name]  # `_check_model` refuses it where it was given
            continue
        chosen = arguments.parse(given.get(name), name)
        arguments.complete(chosen, network, name, _LEAVE_OUT)
        settings[name] = {**arguments.complete(config[name], network, name, _LEAVE_OUT), **chosen}
    if "sampler" in accepted:
        settings["sampler"] = repr(sampling.get(settings["sampler"]))
    else:
        settings.pop("sampler")
    settings["model_arguments"] = _model_arguments(cls, config, given)
    for term in cls.default_loss_weights:
        settings[f"lambda_{term}"] = float(given.get(f"lambda_{term}", weights[term]))
    _check_data(settings)
    _check_model(cls, given, settings)
    _check_numbers(settings)
    settings = {name: settings[name] for name in sorted(settings, key=_place)}
    return json.loads(json.dumps(settings))


def differences(saved, given):
    """Lists the flags given now that differ from a run's saved settings.

    Args:
        saved: dict of `resolve`.
        given: dict of the flags given now.

    Returns:
        List of `(flag, saved value, given value)`.
    """
    found = []
    for name, value in given.items():
        if value is None or name in NOT_SETTINGS:
            continue
        if name in (*NETWORKS, "model_arguments"):
            for argument, new in arguments.parse(value, name).items():
                old = saved.get(name, {}).get(argument)
                if new != old:
                    found.append((f"{name}={argument}", old, new))
            continue
        if name == "measurement":
            value = _measurement_text(value)
        elif name == "sampler":
            value = repr(sampling.get(value))
        value = list(value) if isinstance(value, tuple) else value
        if value != saved.get(name):
            found.append((name, saved.get(name), value))
    return found


def model_arguments(settings):
    """Returns the constructor arguments of the model, except image shape, measurement and values."""
    cls = model_classes()[settings["model"]]
    accepted = inspect.signature(cls).parameters
    found = {name: settings[name] for name in MODEL_ARGUMENTS if name in accepted}
    found["ema_decay"] = settings["ema_decay"] or None
    if "sampler" in found:
        found["sampler"] = sampling.get(settings["sampler"])
    return {**found, **settings["model_arguments"]}


def loss_weights(settings):
    """Returns the `loss_weights` of `compile`."""
    cls = model_classes()[settings["model"]]
    return {term: settings[f"lambda_{term}"] for term in cls.default_loss_weights}


def empirical_arguments(text):
    """Returns the arguments in a measurement such as `"Empirical(max_masks=500)"`."""
    inside = text.strip().removeprefix("Empirical").strip().removeprefix("(").removesuffix(")")
    return arguments.parse(inside, "measurement")


# -- checks ----------------------------------------------------------------------------------------


def _model_arguments(cls, config, given):
    """Completes the arguments of the model that have no flags of their own."""
    leave_out = (*_LEAVE_OUT, *MODEL_ARGUMENTS)
    chosen = arguments.parse(given.get("model_arguments"), "model_arguments")
    accepted = inspect.signature(cls).parameters
    known = {n: v for n, v in config.get("model_arguments", {}).items() if n in accepted}
    return arguments.complete({**known, **chosen}, cls, "model_arguments", leave_out)


def _check_model(cls, given, settings):
    accepted = inspect.signature(cls).parameters
    for name in MODEL_ARGUMENTS:
        if name in given and name not in accepted:
            raise ValueError(f"{cls.__name__} takes no --{name}. Received: --{name}={given[name]}")
    for name in given:
        term = name.removeprefix("lambda_")
        if term != name and term not in cls.default_loss_weights:
            raise ValueError(
                f"{cls.__name__} has the loss terms {', '.join(cls.default_loss_weights)}. "
                f"Received: --{name}={given[name]}"
            )
    if settings["config"] == "recommended" and cls is not models.UAI:
        raise ValueError(
            "--config=recommended is for UAI; other models need --config=paper. "
            f"Received: --config=recommended --model={cls.__name__}"
        )
    if settings["mask_from"] and cls.required_images:
        raise ValueError(
            f"{cls.__name__} needs clean images, which damaged images (--mask_from) do not have. "
            f"Received: --model={cls.__name__} --mask_from={settings['mask_from']}. Use a model "
            "without them (UAI, UAIR, Splitting, MisGAN, AmbientGAN), or --measurement."
        )
    losses.get(settings["gan_loss"])


def _check_data(settings):
    if not settings["data"]:
        raise ValueError(
            "--data must name a data set (drawn_faces, celeb_a, ...) or a folder of images. "
            "Received: no --data"
        )
    if settings["measurement"] is None and settings["mask_from"]:
        settings["measurement"] = "Empirical()"
    if settings["measurement"] is None:
        raise ValueError(
            '--measurement must say how clean images are damaged ("DropPixel(0.9)", "Patch(90, '
            '10)"), or --mask_from where damaged images have their masks (alpha, sidecar, '
            "color:R,G,B). Received: neither"
        )
    settings["measurement"] = _measurement_text(settings["measurement"])
    if settings["measurement"].startswith("Empirical") and not settings["mask_from"]:
        raise ValueError(
            "Empirical takes the masks of damaged images: --mask_from must be alpha, sidecar or "
            f"color:R,G,B. Received: --measurement={settings['measurement']} without --mask_from"
        )


def _check_numbers(settings):
    for name, minimum in _AT_LEAST.items():
        value = settings[name]
        if value is not None and (not isinstance(value, int) or value < minimum):
            raise ValueError(
                f"--{name} must be an integer of at least {minimum}. Received: --{name}={value!r}"
            )
    for name in ("learning_rate", "discriminator_learning_rate", "minutes"):
        value = settings[name]
        if value is not None and not value > 0:
            raise ValueError(f"--{name} must be positive. Received: --{name}={value!r}")
    if settings["batch_size"] % settings["gradient_accumulation_steps"]:
        raise ValueError(
            "--batch_size must be a multiple of --gradient_accumulation_steps. Received: "
            f"--batch_size={settings['batch_size']} "
            f"--gradient_accumulation_steps={settings['gradient_accumulation_steps']}"
        )
    if not (settings["epochs"] or settings["steps"] or settings["minutes"]):
        raise ValueError(
            "--minutes, --epochs or --steps must say how long to train (the first limit ends it). "
            "Received: none of them"
        )
    for name, known in _CHOICES.items():
        _choice(name, settings[name], known)


def _choice(name, value, known):
    if value not in known:
        raise ValueError(f"--{name} must be one of {', '.join(known)}. Received: --{name}={value}")
    return known[value] if isinstance(known, dict) else value


def _measurement_text(text):
    """The canonical text of a measurement: `Patch(90,10)` and `Patch(90, 10)` are the same."""
    if not str(text).strip().startswith("Empirical"):
        return repr(measurements.get(text))
    function = measurements.Empirical.from_dataset
    found = arguments.complete(empirical_arguments(text), function, "measurement", ("dataset",))
    return f"Empirical({', '.join(f'{n}={v!r}' for n, v in found.items())})"


def _place(name):
    """Sorts data, model, losses, and everything else."""
    first, rest = [*DEFAULTS], [*configs.PAPER, *DEFAULTS]
    first = first[: first.index("seed")]
    if name in first:
        return (0, first.index(name), name)
    if name in MODEL_ARGUMENTS:
        return (1, MODEL_ARGUMENTS.index(name), name)
    if name == "gan_loss" or name.startswith("lambda_"):
        return (2, 0, name)
    return (3, rest.index(name), name)
