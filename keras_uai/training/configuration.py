"""The configuration of a run: one flat dict of JSON values, completed from the flags given."""

import inspect
import json

from keras_uai import losses, measurements, models, networks, sampling
from keras_uai.models import recommended
from keras_uai.presets.renamed import RENAMED_FLAGS
from keras_uai.training import arguments
from keras_uai.training.settings import PLACES, SETTINGS, every, model_classes

#: Networks whose arguments are settings; see `arguments.parse`.
NETWORKS = {
    "generator": networks.Generator,
    "discriminator": networks.Discriminator,
    "encoder": networks.Encoder,
}
#: Constructor arguments of the models that are settings of their own.
MODEL_ARGUMENTS = ("latent_dim", "ema_decay", "sampler", "seed", *NETWORKS)
# Arguments that no flag sets.
_FIXED = ("image_shape", "mask_channels", "measurement", "values", "latent_dim", "conditional")
_FIXED = (*_FIXED, "name")


def resolve(given):
    """Completes the settings of a run.

    Args:
        given: dict of the flags that were given. The others come from `given["config"]`, then from
            the defaults.

    Returns:
        Dict of JSON values in the order of `settings.every`, without the flags of `PLACES`.

    Raises:
        ValueError: If a flag is unknown or its value is invalid.
    """
    given = {n: v for n, v in given.items() if v is not None and n not in PLACES}
    known = every()
    for name in given:
        if name not in known:
            now = f" It is now {RENAMED_FLAGS[name]}." if RENAMED_FLAGS.get(name) else ""
            raise ValueError(f"There is no setting {name!r}.{now} Received: {name}={given[name]!r}")
    cls = _choice("model", given.get("model", "UAI"), model_classes())
    accepted = inspect.signature(cls).parameters
    given.setdefault("config", "recommended" if cls is models.UAI else "paper")
    _choice("config", given["config"], SETTINGS["config"].choices)
    config = {n: setting.default for n, setting in SETTINGS.items()}
    config |= {f"lambda_{term}": weight for term, weight in cls.default_loss_weights.items()}
    if given["config"] == "recommended":
        config |= recommended_settings(given.get("measurement"))
    settings = {**config, **given}
    _check_model(cls, given, settings)
    for name in MODEL_ARGUMENTS:
        if name not in accepted:
            settings.pop(name)
    for name in set(NETWORKS) & set(settings):
        settings[name] = _complete(given, config, NETWORKS[name], name, _FIXED)
    if "sampler" in settings:
        settings["sampler"] = repr(sampling.get(settings["sampler"]))
    settings["model_arguments"] = _complete(
        given, config, cls, "model_arguments", (*_FIXED, *MODEL_ARGUMENTS)
    )
    for term in cls.default_loss_weights:
        settings[f"lambda_{term}"] = float(settings[f"lambda_{term}"])
    _check_data(settings)
    _check_values(settings)
    return json.loads(json.dumps({n: settings[n] for n in known if n in settings}))


def recommended_settings(measurement):
    """Returns the settings of `UAI.recommended` that differ from the paper's.

    Args:
        measurement: text of a measurement, which some of them depend on; None for none.
    """
    if measurement is not None:
        empirical = str(measurement).strip().startswith("Empirical")
        measurement = None if empirical else measurements.get(measurement)
    model = recommended.arguments(measurement, {})
    weights = recommended.compile_arguments(measurement)["loss_weights"]
    return {
        **{name: value for name, value in model.items() if name in SETTINGS},
        **{f"lambda_{term}": weight for term, weight in weights.items()},
        "model_arguments": {n: v for n, v in model.items() if n not in SETTINGS},
        "random_horizontal_flip": True,
        "learning_rate": recommended.LEARNING_RATE,
        "discriminator_learning_rate": recommended.DISCRIMINATOR_LEARNING_RATE,
        "beta_1": recommended.BETA_1,
        "beta_2": recommended.BETA_2,
        "schedule": "cosine",
        "warmup_steps": recommended.WARMUP_STEPS,
        "batch_size": recommended.BATCH_SIZE,
        "gradient_accumulation_steps": 1,
    }


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
        if value is None or name in PLACES:
            continue
        if name in (*NETWORKS, "model_arguments"):
            old = saved.get(name, {})
            for argument, new in arguments.parse(value, name).items():
                if new != old.get(argument):
                    found.append((f"{name}={argument}", old.get(argument), new))
            continue
        if name == "measurement":
            value = _measurement_text(value)
        elif name == "sampler":
            value = repr(sampling.get(value))
        if value != saved.get(name):
            found.append((name, saved.get(name), value))
    return found


def model_arguments(settings):
    """Returns the constructor arguments of the model, except image shape, measurement and values."""
    found = {name: settings[name] for name in MODEL_ARGUMENTS if name in settings}
    found["ema_decay"] = settings["ema_decay"] or None
    if "sampler" in found:
        found["sampler"] = sampling.get(settings["sampler"])
    return {**found, **settings["model_arguments"]}


def loss_weights(settings):
    """Returns the `loss_weights` of `compile`."""
    prefix = "lambda_"
    return {n.removeprefix(prefix): v for n, v in settings.items() if n.startswith(prefix)}


def empirical_arguments(text):
    """Returns the arguments in a measurement such as `"Empirical(max_masks=500)"`."""
    inside = text.strip().removeprefix("Empirical").strip().removeprefix("(").removesuffix(")")
    return arguments.parse(inside, "measurement")


# -- checks ----------------------------------------------------------------------------------------


def _complete(given, config, function, name, leave_out):
    """Completes the arguments in the setting `name`: those given, the config's, the defaults."""
    chosen = arguments.parse(given.get(name), name)
    arguments.complete(chosen, function, name, leave_out)
    accepted = inspect.signature(function).parameters
    base = {n: v for n, v in dict(config[name] or {}).items() if n in accepted}
    return arguments.complete({**base, **chosen}, function, name, leave_out)


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


def _check_values(settings):
    for name, setting in SETTINGS.items():
        value = settings.get(name)
        if value is None:
            continue
        if setting.choices:
            _choice(name, value, setting.choices)
        if setting.least is not None and (not isinstance(value, int) or value < setting.least):
            raise ValueError(
                f"--{name} must be an integer of at least {setting.least}. "
                f"Received: --{name}={value!r}"
            )
    for name in ("learning_rate", "discriminator_learning_rate", "minutes"):
        if settings[name] is not None and not settings[name] > 0:
            raise ValueError(f"--{name} must be positive. Received: --{name}={settings[name]!r}")
    batch, parts = (settings[name] for name in ("batch_size", "gradient_accumulation_steps"))
    if batch % parts:
        raise ValueError(
            "--batch_size must be a multiple of --gradient_accumulation_steps. "
            f"Received: --batch_size={batch} --gradient_accumulation_steps={parts}"
        )
    if not (settings["epochs"] or settings["steps"] or settings["minutes"]):
        raise ValueError(
            "--minutes, --epochs or --steps must say how long to train (the first limit ends it). "
            "Received: none of them"
        )


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
