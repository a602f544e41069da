"""The configuration of a run: one flat dict of JSON values, completed from the flags given."""

import ast
import inspect
import json
import math

from keras_uai import measurements, models, networks, sampling
from keras_uai.models import recommended
from keras_uai.training import settings as run_settings
from keras_uai.training.settings import PLACES, SETTINGS

#: The models that can be trained, `{name: class}`.
MODELS = {name: getattr(models, name) for name in run_settings.MODELS}
#: Networks whose arguments are settings of the form `width=48,attention_level=none`.
NETWORKS = {
    "generator": networks.Generator,
    "discriminator": networks.Discriminator,
    "encoder": networks.Encoder,
}
#: Constructor arguments of the models that are settings of their own.
MODEL_ARGUMENTS = ("latent_dim", "ema_decay", "sampler", "seed", *NETWORKS)
# Arguments that no flag sets.
_FIXED = {"image_shape", "mask_channels", "measurement", "values", "latent_dim", "conditional"}
_FIXED |= {"name", "dataset"}
_WORDS = {"true": True, "false": False, "none": None}


def resolve(given):
    """Completes the settings of a run.

    Args:
        given: dict of the flags that were given. The others come from `given["config"]`, then from
            the defaults.

    Returns:
        Dict of JSON values in the order of `SETTINGS`, without the flags of `PLACES`.

    Raises:
        ValueError: If the model has no such setting, or a value is invalid.
    """
    given = {n: v for n, v in given.items() if v is not None and n not in PLACES}
    for name, value in given.items():
        _check_kind(name, value)
    cls = MODELS[given.get("model", "UAI")]
    accepted = inspect.signature(cls).parameters
    weights = {f"lambda_{term}": weight for term, weight in cls.default_loss_weights.items()}
    names = [
        name
        for name in SETTINGS
        if name in accepted
        or name in weights
        or not (name in MODEL_ARGUMENTS or name.startswith("lambda_"))
    ]
    for name, value in given.items():
        if name not in names:
            raise ValueError(f"{cls.__name__} has no setting {name!r}. Received: --{name}={value}")
    given.setdefault("config", "recommended" if cls is models.UAI else "paper")
    given["measurement"] = _measurement(given, cls)
    config = {**{name: SETTINGS[name].default for name in names}, **weights}
    if given["config"] == "recommended":
        if cls is not models.UAI:
            raise ValueError(
                "--config=recommended is for UAI; other models need --config=paper. "
                f"Received: --config=recommended --model={cls.__name__}"
            )
        config |= recommended_settings(given["measurement"])
    settings = {**config, **given}
    for name in (*NETWORKS, "model_arguments"):
        if name in names:
            function = NETWORKS.get(name, cls)
            fixed = _FIXED if name in NETWORKS else {*_FIXED, *MODEL_ARGUMENTS}
            arguments = {**(config[name] or {}), **parse(given.get(name), name)}
            settings[name] = complete(arguments, function, name, fixed)
    if "sampler" in names:
        settings["sampler"] = repr(sampling.get(settings["sampler"]))
    if not settings["data"]:
        raise ValueError(
            "--data must name a data set (drawn_faces, celeb_a, ...) or a folder of images. "
            "Received: no --data"
        )
    if not (settings["epochs"] or settings["steps"] or settings["minutes"]):
        raise ValueError(
            "--minutes, --epochs or --steps must say how long to train (the first limit ends it). "
            "Received: none of them"
        )
    return json.loads(json.dumps({name: settings[name] for name in names}))


def _check_kind(name, value):
    """Raises a ValueError unless a value is of the kind of its setting."""
    kind, _, _, least = SETTINGS.get(name, (None, None, None, None))
    if isinstance(kind, tuple):
        fits, wanted = value in kind, f"one of {', '.join(kind)}"
    elif kind in (int, float):
        kinds = (int,) if kind is int else (int, float)
        low = -math.inf if least is None else least
        fits = type(value) in kinds and low <= value < math.inf
        wanted = "an integer" if kind is int else "a number"
        wanted += "" if least is None else f" of at least {least}"
    else:
        has_arguments = name in (*NETWORKS, "model_arguments")
        fits = kind is None or isinstance(value, (str, dict) if has_arguments else kind)
        wanted = "text" if kind is str else "true or false"
    if not fits:
        raise ValueError(f"--{name} must be {wanted}. Received: --{name}={value!r}")


def recommended_settings(measurement):
    """Returns the settings of `UAI.recommended` for a measurement (text) that differ from the paper's."""
    empirical = measurement.startswith("Empirical")
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
    """Lists the settings of a run that the flags given now would change.

    Returns a list of `(flag, saved value, given value)`; arguments of networks are flags of their own.
    """
    now = resolve({**saved, **{n: v for n, v in given.items() if v is not None}})
    found = []
    for name, new in now.items():
        old = saved.get(name)
        if isinstance(new, dict):
            old = old or {}
            found += [(f"{name}={n}", old.get(n), v) for n, v in new.items() if v != old.get(n)]
        elif new != old:
            found.append((name, old, new))
    return found


def model_arguments(settings):
    """Returns the constructor arguments of the model, except image shape, measurement and values."""
    found = {name: settings[name] for name in MODEL_ARGUMENTS if name in settings}
    found["ema_decay"] = settings["ema_decay"] or None
    if "sampler" in found:
        found["sampler"] = sampling.get(settings["sampler"])
    return {**found, **settings["model_arguments"]}


def empirical_arguments(text):
    """Returns the arguments in a measurement such as `"Empirical(max_masks=500)"`."""
    return parse(text.removeprefix("Empirical").strip(" ()"), "measurement")


def _measurement(given, cls):
    """Returns the measurement's canonical text: `Patch(90,10)` and `Patch(90, 10)` are the same."""
    text, mask_from = given.get("measurement"), given.get("mask_from")
    if mask_from and cls.required_images:
        raise ValueError(
            f"{cls.__name__} needs clean images, which damaged images (--mask_from) do not have. "
            f"Received: --model={cls.__name__} --mask_from={mask_from}"
        )
    if text is None and not mask_from:
        raise ValueError(
            '--measurement must say how clean images are damaged ("DropPixel(0.9)", "Patch(90, '
            '10)"), or --mask_from where damaged images have their masks (alpha, sidecar, '
            "nan, color:R,G,B). Received: neither"
        )
    text = str(text or "Empirical()").strip()
    if not (mask_from and text.startswith("Empirical")):
        return repr(measurements.get(text))
    function = measurements.Empirical.from_dataset
    found = complete(empirical_arguments(text), function, "measurement", _FIXED)
    return f"Empirical({', '.join(f'{n}={v!r}' for n, v in found.items())})"


# -- arguments on one line -------------------------------------------------------------------------


def parse(text, flag):
    """Returns the dict that a text of `name=value,name=value` stands for; copies a dict.

    Values are numbers, words, `true`, `false`, `none`, or lists of values in brackets.
    """
    if isinstance(text, dict):
        return dict(text)
    try:
        call = ast.parse(f"f({text or ''})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise ValueError("an argument without a name")
        found = {keyword.arg: _value(keyword.value) for keyword in call.keywords}
        if len(found) < len(call.keywords) or None in found:
            raise ValueError("an argument is named twice, or not at all")
        return found
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(
            f"--{flag} must be written name=value,name=value, such as --{flag}=width=48,depth=2: "
            f"{getattr(error, 'msg', error)}. Received: --{flag}={text}"
        ) from None


def _value(node):
    if isinstance(node, ast.Name):
        return _WORDS.get(node.id.lower(), node.id)
    if isinstance(node, (ast.Tuple, ast.List)):
        return [_value(element) for element in node.elts]
    value = ast.literal_eval(node)
    if not isinstance(value, (bool, int, float, str, type(None))):
        raise ValueError(f"a value of the kind {type(value).__name__}")
    return value


def complete(arguments, function, flag, leave_out):
    """Checks arguments of a function or class, and adds the defaults of all except `leave_out`.

    Raises:
        ValueError: If an argument is unknown, or its value has another type than the default.
    """
    parameters = inspect.signature(function).parameters
    defaults = {name: p.default for name, p in parameters.items() if name not in leave_out}
    for name, value in arguments.items():
        if name not in defaults:
            raise ValueError(
                f"--{flag}: {function.__name__} has no argument {name!r}; it has "
                f"{', '.join(defaults) or 'none'}. Received: {name}={value!r}"
            )
        kind = type(defaults[name])
        if kind in (bool, int, float) and type(value) not in {kind, int if kind is float else kind}:
            raise ValueError(
                f"--{flag}: `{name}` must have the type of its default, {defaults[name]!r}. "
                f"Received: {name}={value!r}"
            )
    return {**defaults, **arguments}
