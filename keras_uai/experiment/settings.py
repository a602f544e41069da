"""A run's settings: one flat dict of JSON values, complete, made of the flags that were given."""

import inspect
import json

from keras_uai import losses, measurements, models, networks
from keras_uai.experiment import checks, compact
from keras_uai.experiment.presets import PRESETS
from keras_uai.models import InpaintingModel, recommended

#: What neither the preset nor a flag says. None: not set.
DEFAULTS = {
    # data
    "data": None,
    "image_size": None,
    "crop_size": None,
    "channels": None,
    "split_seed": 0,
    "limit": None,
    "mask_from": None,
    "strict": False,
    "measurement": None,
    # model
    "model": "UAI",
    "preset": "recommended",
    "seed": 0,
    # compile
    "jit_compile": "auto",
    "precision": "float32",
    # training ends at whichever limit is reached first
    "epochs": None,
    "steps": None,
    "minutes": None,
    "steps_per_epoch": None,
    # after the training, where the model takes a second look
    "fit_look": True,
    # evaluation
    "eval_split": "withheld",
    "eval_images": 1000,
    "num_samples": 10,
    "extractor": None,
    "eval_every": 5,
    "monitor_images": 100,
    "grid_images": 8,
    "grid_samples": 4,
    # the run
    "tag": None,
}

#: Flags that say where things are or what to do, and not what is computed: `--resume` lets them
#: change. (Any number of devices computes the same.)
NOT_SETTINGS = {
    "runs": "runs",
    "resume": None,
    "dry_run": False,
    "data_dir": None,
    "download": False,
    "checkpoint_minutes": 5.0,
    "distribution": "none",
}

#: The networks whose arguments are flags, written as `compact.parse` reads them.
NETWORKS = {
    "generator": networks.Generator,
    "discriminator": networks.Discriminator,
    "encoder": networks.Encoder,
}
_LEAVE_OUT = ("image_shape", "measurement", "latent_dim", "conditional", "name")

#: Constructor arguments of the models that have flags of their own.
MODEL_ARGUMENTS = ("latent_dim", "average_decay", "seed", *NETWORKS)


def model_classes():
    """`{name: class}` of the models that can be trained, all of `keras_uai.models`."""
    found = {name: getattr(models, name) for name in models.__all__}
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value)
        and issubclass(value, InpaintingModel)
        and value is not InpaintingModel
    }


def loss_terms():
    """All names of loss terms of any model, sorted: there is a flag `lambda_NAME` for each."""
    return sorted({term for cls in model_classes().values() for term in cls.default_loss_weights})


def default_preset(cls):
    """The preset that a model starts from where none is given: the recommended one is `UAI`'s."""
    return DEFAULTS["preset"] if cls is models.UAI else "paper"


def names():
    """The names of all settings of any model."""
    preset = (name for name in PRESETS["paper"] if name != "loss_weights")
    return [*DEFAULTS, *preset, *(f"lambda_{term}" for term in loss_terms())]


def resolve(given):
    """The complete settings.

    Args:
        given: dict of the flags that were given, by name; others come from `given["preset"]`, then
            from `DEFAULTS`.

    Returns:
        dict of JSON values in a fixed order, without the flags of `NOT_SETTINGS`.

    Raises:
        ValueError: a flag is unknown, or its value cannot be; the message names both.
    """
    given = {n: v for n, v in given.items() if v is not None and n not in NOT_SETTINGS}
    cls = checks.choice("model", given.get("model", DEFAULTS["model"]), model_classes())
    given.setdefault("preset", default_preset(cls))
    preset = dict(checks.choice("preset", given["preset"], PRESETS))
    if given["preset"] == "recommended":
        preset = _for_measurement(preset, given.get("measurement"))
    weights = {**cls.default_loss_weights, **preset.pop("loss_weights")}
    for name in given:
        if name not in names():
            raise ValueError(f"There is no setting of this name. Received: {name}={given[name]!r}")
    settings = {**DEFAULTS, **preset, **given}
    for name, network in NETWORKS.items():
        if name not in inspect.signature(cls).parameters:
            del settings[name]  # `_check_model` refuses it where it was given
            continue
        chosen = _complete(compact.parse(given.get(name), name), network, name)
        settings[name] = {**_complete(preset[name], network, name, full=True), **chosen}
    settings["model_arguments"] = _model_arguments(cls, preset, given)
    for term in cls.default_loss_weights:
        settings[f"lambda_{term}"] = float(given.get(f"lambda_{term}", weights[term]))
    _check_data(settings)
    _check_model(cls, given, settings)
    checks.check_numbers(settings)
    settings = {name: settings[name] for name in sorted(settings, key=_place)}
    return json.loads(json.dumps(settings))


def differences(saved, given):
    """What was given now and differs from a run's saved settings.

    Args:
        saved: dict of `resolve`.
        given: the flags given now, as for `resolve`. Those that were not given cannot differ.

    Returns:
        list of `(flag, saved value, given value)`.
    """
    found = []
    for name, value in given.items():
        if value is None or name in NOT_SETTINGS:
            continue
        if name in (*NETWORKS, "model_arguments"):
            for argument, new in compact.parse(value, name).items():
                old = saved.get(name, {}).get(argument)
                if new != old:
                    found.append((f"{name}={argument}", old, new))
            continue
        value = _measurement_text(value) if name == "measurement" else value
        if _plain(value) != saved.get(name):
            found.append((name, saved.get(name), _plain(value)))
    return found


def model_arguments(settings):
    """The constructor arguments that the settings stand for, beside image shape and measurement."""
    cls = model_classes()[settings["model"]]
    accepted = inspect.signature(cls).parameters
    arguments = {name: settings[name] for name in MODEL_ARGUMENTS if name in accepted}
    arguments["average_decay"] = settings["average_decay"] or None
    return {**arguments, **settings["model_arguments"]}


def loss_weights(settings):
    """The `loss_weights` of `compile`."""
    cls = model_classes()[settings["model"]]
    return {term: settings[f"lambda_{term}"] for term in cls.default_loss_weights}


# -- checks ---------------------------------------------------------------------------------------


def _for_measurement(preset, text):
    """The recommended preset, as it is recommended for the measurement."""
    if text is None or str(text).strip().startswith("Empirical"):
        return preset
    arguments, weights = recommended.for_measurement(measurements.get(text))
    return {
        **preset,
        "model_arguments": {**preset["model_arguments"], **arguments},
        "loss_weights": {**preset["loss_weights"], **weights},
    }


def _complete(arguments, function, flag, full=False):
    """`arguments` checked; with `full`, all that the function has."""
    leave_out = (*_LEAVE_OUT, *(MODEL_ARGUMENTS if flag == "model_arguments" else ()))
    complete = compact.complete(arguments, function, flag, leave_out)
    return complete if full else arguments


def _model_arguments(cls, preset, given):
    """What the model takes beyond the arguments with flags of their own, complete."""
    chosen = compact.parse(given.get("model_arguments"), "model_arguments")
    _complete(chosen, cls, "model_arguments")
    accepted = inspect.signature(cls).parameters
    of_preset = {n: v for n, v in preset.get("model_arguments", {}).items() if n in accepted}
    return _complete({**of_preset, **chosen}, cls, "model_arguments", full=True)


def _check_model(cls, given, settings):
    accepted = inspect.signature(cls).parameters
    for name in MODEL_ARGUMENTS:
        if name in given and name not in accepted:
            raise ValueError(f"{cls.__name__} takes no --{name}. Received: --{name}={given[name]}")
    for name in given:
        if (
            name.startswith("lambda_")
            and name.removeprefix("lambda_") not in cls.default_loss_weights
        ):
            raise ValueError(
                f"{cls.__name__} has the loss terms {', '.join(cls.default_loss_weights)}. "
                f"Received: --{name}={given[name]}"
            )
    if settings["preset"] == "recommended" and cls is not models.UAI:
        raise ValueError(
            "What --preset=recommended recommends is for UAI; the other models start from "
            f"--preset=paper. Received: --preset=recommended --model={cls.__name__}"
        )
    if settings["mask_from"] and (cls.needs_clean or cls.needs_unpaired):
        raise ValueError(
            f"{cls.__name__} is trained with clean images, and there are none of images that are "
            f"damaged already. Received: --model={cls.__name__} --mask_from={settings['mask_from']}. Use "
            "a model that needs none (UAI, UAIR, Splitting, MisGAN, AmbientGAN), or --measurement with clean images."
        )
    losses.get(settings["gan_loss"])


def _check_data(settings):
    if not settings["data"]:
        raise ValueError(
            "Which images? Give --data=NAME (drawn_faces, celeb_a, ...) or --data=FOLDER. "
            "Received: no --data"
        )
    if settings["measurement"] is None and settings["mask_from"]:
        settings["measurement"] = "Empirical()"
    if settings["measurement"] is None:
        raise ValueError(
            'How are the images damaged? Give --measurement="DropPixel(0.9)" or "Patch(90, 10)" '
            "for clean images, or --mask_from=alpha (sidecar, color:R,G,B) for damaged ones. "
            "Received: neither"
        )
    settings["measurement"] = _measurement_text(settings["measurement"])
    empirical = settings["measurement"].startswith("Empirical")
    if empirical and not settings["mask_from"]:
        raise ValueError(
            "Empirical takes the masks of damaged images; say where these have them: --mask_from="
            f"alpha, sidecar or color:R,G,B. Received: --measurement={settings['measurement']}"
        )


def empirical_arguments(text):
    """The arguments of `Empirical.from_dataset` in a measurement `"Empirical(max_masks=500)"`."""
    inside = text.strip().removeprefix("Empirical").strip().removeprefix("(").removesuffix(")")
    return compact.parse(inside.replace(" ", ""), "measurement")


def _measurement_text(text):
    """A measurement's one way of being written, so that `Patch(90,10)` equals `Patch(90, 10)`."""
    if str(text).strip().startswith("Empirical"):
        arguments = compact.complete(
            empirical_arguments(text),
            measurements.Empirical.from_dataset,
            "measurement",
            ("dataset",),
        )
        return f"Empirical({', '.join(f'{n}={v!r}' for n, v in arguments.items())})"
    return repr(measurements.get(text))


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


_ORDER = [*DEFAULTS][: [*DEFAULTS].index("seed")]


def _place(name):
    """Data, model, losses, the rest: the order of the printed dict."""
    if name in _ORDER:
        return (0, _ORDER.index(name), name)
    if name in MODEL_ARGUMENTS:
        return (1, MODEL_ARGUMENTS.index(name), name)
    if name in ("gan_loss",) or name.startswith("lambda_"):
        return (2, 0, name)
    rest = [*PRESETS["paper"], *DEFAULTS]
    return (3, rest.index(name), name)
