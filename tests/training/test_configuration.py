"""Flags to one complete dict: configurations, overrides, refusals and differences."""

import inspect
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import keras_uai.cli.flags as cli_flags
from keras_uai import datasets, measurements, models, sampling
from keras_uai.training import configuration, factory
from keras_uai.training.settings import LOSS_TERMS, SETTINGS
from tests.strategies import JSON, attempt

LEAST = {"data": "drawn_faces", "measurement": "DropPixel(0.9)", "steps": 10}


def test_names_that_flags_need_before_keras_is_imported():
    assert {"InpaintingModel", *configuration.MODELS} == set(models.__all__)
    terms = {term for cls in configuration.MODELS.values() for term in cls.default_loss_weights}
    assert list(LOSS_TERMS) == sorted(terms)
    assert cli_flags.SPLITS == datasets.SPLITS


@pytest.mark.parametrize("name", configuration.MODELS)
def test_settings_of_a_model(name):
    """They are those that it takes, JSON, and resolve to themselves."""
    found = configuration.resolve({**LEAST, "model": name})
    assert json.loads(json.dumps(found)) == found
    assert configuration.resolve(found) == found
    assert configuration.differences(found, found) == []
    assert found["config"] == ("recommended" if name == "UAI" else "paper")
    cls = configuration.MODELS[name]
    taken = set(inspect.signature(cls).parameters) & set(configuration.NETWORKS)
    assert {n for n in configuration.NETWORKS if n in found} == taken
    assert all("conditional" not in found[n] for n in taken)
    weights = {n[len("lambda_") :]: v for n, v in found.items() if n.startswith("lambda_")}
    assert set(weights) == set(cls.default_loss_weights)
    if name != "UAI":
        assert weights == cls.default_loss_weights


@pytest.mark.parametrize("name", ["paper", "recommended"])
def test_both_configurations_have_every_setting(name):
    others = {f"lambda_{t}" for t in set(LOSS_TERMS) - set(models.UAI.default_loss_weights)}
    assert set(configuration.resolve({**LEAST, "config": name})) == set(SETTINGS) - others


def test_paper_is_section_3():
    paper = configuration.resolve({**LEAST, "config": "paper"})
    expected = {
        "batch_size": 512, "gradient_accumulation_steps": 4, "beta_1": 0.0, "beta_2": 0.99,
        "discriminator_beta_1": 0.0, "discriminator_beta_2": 0.99, "gan_loss": "hinge",
        "lambda_gan": 1.0, "lambda_z": 1.0, "lambda_y": 1.0, "lambda_energy": 0.0,
        "lambda_splitting": 0.0, "random_horizontal_flip": False,
    }  # fmt: skip
    assert {name: paper[name] for name in expected} == expected
    assert paper["generator"]["spectral_normalization"]
    assert not paper["generator"]["input_fill"]
    arguments = configuration.model_arguments(paper)
    assert (arguments["ema_decay"], arguments["sampler"]) == (None, sampling.OneStage())


@pytest.mark.parametrize("damage", ["DropPixel(0.9)", "Patch(1, 8, border=1)"])
def test_recommended_is_that_of_the_class(damage):
    """One configuration, from Python or from flags."""
    expected = models.UAI.recommended((32, 32, 3), damage, steps=1000)
    resolved = configuration.resolve({**LEAST, "measurement": damage, "steps": 1000})
    few = damage.startswith("Patch(1,")
    found = resolved["lambda_marginal"], expected.context_dropout
    assert found == ((1.0, 0.25) if few else (0.0, 0.0))

    class Data:
        image_shape, measurement, values = (32, 32, 3), measurements.get(damage), None
        steps_per_epoch = 100

    model = factory.make_model(resolved, Data)
    config, found = expected.get_config(), model.get_config()
    for name in ("generator", "discriminator", "encoder"):
        assert {**found.pop(name), **config.pop(name)} == resolved[name]
    assert json.dumps(found) == json.dumps(config)
    compiled, expected_compiled = model.get_compile_config(), expected.get_compile_config()
    for optimizer in ("optimizer", "discriminator_optimizer"):
        config = expected_compiled.pop(optimizer)["config"]
        found = compiled.pop(optimizer)["config"]
        config.pop("name"), found.pop("name")  # numbered
        if optimizer == "discriminator_optimizer":  # its terms are off
            config.pop("learning_rate"), found.pop("learning_rate")
        assert found == config
    assert compiled == expected_compiled


def test_flags_override_argument_by_argument():
    given = {
        "generator": "width=8,max_width=8", "lambda_energy": 0.5, "batch_size": 4,
        "sampler": "TwoStage(2)", "model_arguments": "split_ratio=(0.2,0.3),train_on_y_hat=true",
    }  # fmt: skip
    changed, config = configuration.resolve({**LEAST, **given}), configuration.resolve(LEAST)
    assert changed["generator"] == {**config["generator"], "width": 8, "max_width": 8}
    assert (changed["lambda_energy"], changed["batch_size"]) == (0.5, 4)
    assert changed["lambda_splitting"] == config["lambda_splitting"]
    assert changed["sampler"] == "TwoStage(stride=2, inflation=1.0)"
    arguments = configuration.model_arguments(changed)
    assert arguments["sampler"] == sampling.TwoStage(2)
    assert arguments["train_on_y_hat"] is True
    assert tuple(models.UAI((16, 16, 1), "DropPixel(0.5)", **arguments).split_ratio) == (0.2, 0.3)


def test_a_measurement_has_one_text():
    written = ["Patch(90,10)", "Patch(90, 10, border=4)", "Patch(n=90, k=10)"]
    found = {configuration.resolve({**LEAST, "measurement": t})["measurement"] for t in written}
    assert found == {"Patch(n=90, k=10, border=4, tau=0.0)"}
    damaged = {"data": "x", "mask_from": "alpha", "steps": 1}
    text = configuration.resolve(damaged)["measurement"]
    assert text.startswith("Empirical(max_masks=2048, ")
    text = configuration.resolve({**damaged, "measurement": "Empirical(max_masks=9)"})[
        "measurement"
    ]
    assert configuration.empirical_arguments(text)["max_masks"] == 9
    assert configuration.resolve({**damaged, "measurement": text})["measurement"] == text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": None}, "--data must name"),
        ({"measurement": None}, "--measurement must say"),
        ({"steps": None}, "--minutes, --epochs or --steps must say how long"),
        ({"steps": None, "minutes": 0.0}, "--minutes, --epochs or --steps must say how long"),
        ({"measurement": "Blur(3)"}, "Blur"),
        ({"measurement": "Empirical"}, "Received: 'Empirical'"),
        ({"generator": "wdith=3"}, "no argument 'wdith'; it has width, max_width.* wdith=3"),
        ({"generator": "image_shape=(3,3,3)"}, "no argument 'image_shape'"),
        ({"generator": "width=4.5"}, "the type of its default, 64. Received: width=4.5"),
        ({"generator": "width=true"}, "`width` must have the type"),
        ({"generator": "width=wide"}, "`width` must have the type"),
        ({"generator": "predicts_mean=none"}, "`predicts_mean` must have the type"),
        ({"model_arguments": "width=3"}, "no argument 'width'"),
        ({"model": "Paired", "config": "recommended"}, "is for UAI.*--model=Paired"),
        ({"model": "Paired", "encoder": "width=8"}, "Paired has no setting 'encoder'"),
        ({"model": "Paired", "sampler": "TwoStage(4)"}, "Paired has no setting 'sampler'"),
        ({"sampler": "ThreeStage()"}, "`sampler` must be"),
        (
            {"model": "AmbientGAN", "lambda_z": 1.0},
            "AmbientGAN has no setting 'lambda_z'. Received",
        ),
        ({"model": "AmbientGAN", "generator": "conditional=true"}, "no argument 'conditional'"),
        ({"model": "Paired", "mask_from": "alpha"}, "Paired needs clean .*--mask_from=alpha"),
        ({"model": "Unpaired", "mask_from": "sidecar"}, "Unpaired needs clean images"),
        ({"colour": "red"}, "UAI has no setting 'colour'. Received: --colour=red"),
    ],
)
def test_invalid_settings_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        configuration.resolve({**LEAST, **given})


def test_differences_name_flag_saved_and_given_value():
    saved = configuration.resolve({**LEAST, "config": "paper"})
    given = {"measurement": "DropPixel(p=0.9)", "steps": 10, "generator": "width=64"}
    assert configuration.differences(saved, {**given, "sampler": "OneStage()"}) == []
    changed = {"batch_size": 7, "measurement": "Patch(1, 8)", "generator": "width=9,depth=1"}
    assert set(configuration.differences(saved, changed)) == {
        ("batch_size", 512, 7),
        ("measurement", "DropPixel(p=0.9, tau=0.0)", "Patch(n=1, k=8, border=4, tau=0.0)"),
        ("generator=width", 64, 9),
    }


def test_places_are_no_settings():
    given = {**LEAST, "runs": "elsewhere", "data_dir": "there", "download": True}
    assert configuration.resolve(given) == configuration.resolve(LEAST)
    assert configuration.differences(configuration.resolve(LEAST), given) == []


# -- arguments on one line -------------------------------------------------------------------------


def test_every_kind_of_value():
    text = "width=48,rate=1e-3,a=true,b=False,c=none,kind=group,d=(1,none),e=-2"
    expected = {"width": 48, "rate": 1e-3, "a": True, "b": False, "c": None, "kind": "group"}
    expected |= {"d": [1, None], "e": -2}
    assert configuration.parse(text, "generator") == expected
    assert configuration.parse(None, "x") == configuration.parse("", "x") == {}


@pytest.mark.parametrize(
    "text", ["width", "width=", "=3", "width 48", "width=1,,=2", "3=4", "a=1)+f(b=2", "a=(1"]
)
def test_other_text_is_quoted(text):
    with pytest.raises(ValueError, match="--generator must be written name=value") as error:
        configuration.parse(text, "generator")
    assert f"--generator={text}" in str(error.value)


#: Parts of the arguments of networks, measurements and samplers.
WORDS = """width max_width levels = , 8 32 none true 1e999 - ( ) [ ] ' Patch DropPixel TwoStage 0.5
 10 {1:2} b'x' 1j ... **{} \0 # := lambda nan""".split()  # noqa: SIM905
TEXTS = st.text(max_size=9) | st.lists(st.sampled_from(WORDS), max_size=9).map("".join)
NAMES = st.sampled_from(("width", "max_width", "levels", "depth", "space_to_depth", "latent_dim"))
PAIRS = st.tuples(NAMES, st.sampled_from(WORDS)).map("=".join)
TEXTS |= st.lists(PAIRS, max_size=3).map(",".join)


def values_of(name):
    """Values of a setting, three of four of its kind."""
    kind = SETTINGS[name].kind
    known = {int: st.integers(-1, 9), float: st.floats(), bool: st.booleans(), str: TEXTS}
    right = st.sampled_from(kind) if isinstance(kind, tuple) else known[kind]
    return st.tuples(st.just(name), st.one_of(right, right, right, TEXTS | JSON))


@given(st.lists(st.sampled_from(list(SETTINGS)).flatmap(values_of), max_size=3).map(dict))
@example({"generator": "width=8)(max_width=9"})
@example({"generator": "width=8,width=9"})
@example({"generator": "levels=" + "-" * 90_000 + "1"})
@example({"measurement": "DropPixel(" + "[" * 99 + "]" * 99 + ")"})
@example({"encoder": "levels=b'3'"})
@example({"image_size": 10**999, "learning_rate": float("nan")})
@example({"model": []})
def test_any_values_are_settings_or_say_why_not(given_):
    """Accepted settings resolve to themselves, contain the given ones, and are JSON."""
    found = attempt(configuration.resolve, {**LEAST, **given_})
    if found is None:
        return
    assert configuration.resolve(json.loads(json.dumps(found))) == found
    for name, value in given_.items():
        if value is not None and not isinstance(value, (str, dict)):
            assert found[name] == value
