"""Flags to one complete dict: configurations, overrides, refusals and differences."""

import inspect
import json

import pytest

from keras_uai import measurements, models, sampling
from keras_uai.training import configuration, factory, settings

LEAST = {"data": "drawn_faces", "measurement": "DropPixel(0.9)", "steps": 10}


@pytest.mark.parametrize("model", settings.model_classes())
def test_settings_are_json_and_resolve_to_themselves(model):
    first = configuration.resolve({**LEAST, "model": model})
    assert json.loads(json.dumps(first)) == first
    assert configuration.resolve(first) == first
    assert configuration.differences(first, first) == []


def test_both_configurations_have_every_setting():
    others = {f"lambda_{t}" for t in settings.loss_terms()} - {
        f"lambda_{t}" for t in models.UAI.default_loss_weights
    }
    expected = set(settings.every()) - others
    for name in settings.SETTINGS["config"].choices:
        assert set(configuration.resolve({**LEAST, "config": name})) == expected


@pytest.mark.parametrize("name", settings.model_classes())
def test_a_model_has_the_settings_that_it_takes(name):
    """Only UAI has a recommended configuration; the others start from the paper's."""
    resolved = configuration.resolve({**LEAST, "model": name})
    assert resolved["config"] == ("recommended" if name == "UAI" else "paper")
    cls = settings.model_classes()[name]
    taken = set(inspect.signature(cls).parameters)
    networks = set(configuration.NETWORKS)
    assert {n for n in networks if n in resolved} == taken & networks
    assert all("conditional" not in resolved[n] for n in taken & networks)
    weights = {n for n in resolved if n.startswith("lambda_")}
    assert weights == {f"lambda_{term}" for term in cls.default_loss_weights}
    if name != "UAI":
        assert configuration.loss_weights(resolved) == cls.default_loss_weights


def test_paper_is_section_3():
    paper = configuration.resolve({**LEAST, "config": "paper"})
    assert (paper["batch_size"], paper["gradient_accumulation_steps"]) == (512, 4)
    assert (paper["beta_1"], paper["beta_2"]) == (0.0, 0.99)
    assert (paper["discriminator_beta_1"], paper["discriminator_beta_2"]) == (0.0, 0.99)
    assert paper["gan_loss"] == "hinge"
    assert [paper[f"lambda_{term}"] for term in ("gan", "z", "y")] == [1.0, 1.0, 1.0]
    assert [paper[f"lambda_{term}"] for term in ("energy", "splitting")] == [0.0, 0.0]
    assert paper["generator"]["spectral_normalization"]
    assert not paper["generator"]["input_fill"]
    assert not paper["random_horizontal_flip"]
    arguments = configuration.model_arguments(paper)
    assert arguments["ema_decay"] is None
    assert arguments["sampler"] == sampling.OneStage()


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
    given = {**LEAST, "generator": "width=8,max_width=8", "lambda_energy": 0.5, "batch_size": 4}
    changed, config = configuration.resolve(given), configuration.resolve(LEAST)
    assert changed["generator"] == {**config["generator"], "width": 8, "max_width": 8}
    assert changed["lambda_energy"] == 0.5
    assert changed["lambda_splitting"] == config["lambda_splitting"]
    assert changed["batch_size"] == 4


def test_model_arguments_and_sampler():
    text = "split_ratio=(0.2,0.3),train_on_y_hat=true"
    given = {**LEAST, "model_arguments": text, "sampler": "TwoStage(2)"}
    resolved = configuration.resolve(given)
    assert resolved["sampler"] == "TwoStage(stride=2, inflation=1.0)"
    arguments = configuration.model_arguments(resolved)
    assert arguments["sampler"] == sampling.TwoStage(2)
    assert arguments["train_on_y_hat"] is True
    model = models.UAI((16, 16, 1), "DropPixel(0.5)", **arguments)
    assert tuple(model.split_ratio) == (0.2, 0.3)


def test_damaged_images_have_the_empirical_measurement():
    resolved = configuration.resolve({"data": "x", "mask_from": "alpha", "steps": 1})
    assert resolved["measurement"].startswith("Empirical(max_masks=2048, ")
    given = {**resolved, "measurement": "Empirical(max_masks=9)"}
    text = configuration.resolve(given)["measurement"]
    assert configuration.empirical_arguments(text)["max_masks"] == 9
    assert configuration.resolve({**resolved, "measurement": text})["measurement"] == text


def test_a_measurement_has_one_text():
    written = ["Patch(90,10)", "Patch(90, 10, border=4)", "Patch(n=90, k=10)"]
    found = {configuration.resolve({**LEAST, "measurement": t})["measurement"] for t in written}
    assert found == {"Patch(n=90, k=10, border=4, tau=0.0)"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": None}, "--data must name"),
        ({"measurement": None}, "--measurement must say"),
        ({"steps": None}, "--minutes, --epochs or --steps must say how long"),
        ({"measurement": "Blur(3)"}, "Blur"),
        ({"measurement": "Empirical"}, "--mask_from must be alpha"),
        ({"config": "best"}, "--config must be one of paper, recommended. Received: --config=best"),
        ({"model": "GAN"}, "--model must be one of .*UAI"),
        ({"schedule": "linear"}, "--schedule must be one of constant, cosine"),
        ({"gan_loss": "wasserstein"}, "hinge"),
        (
            {"batch_size": 10, "gradient_accumulation_steps": 4},
            "multiple of --gradient_accumulation_steps",
        ),
        ({"batch_size": 0}, "--batch_size must be an integer of at least 1"),
        ({"learning_rate": -1.0}, "--learning_rate must be positive"),
        ({"minutes": 0.0}, "--minutes must be positive"),
        ({"generator": "wdith=3"}, "no argument 'wdith'"),
        ({"generator": "image_shape=(3,3,3)"}, "no argument 'image_shape'"),
        ({"generator": "attention_size=8"}, "'attention_size' is now 'attention_level'"),
        ({"model_arguments": "width=3"}, "no argument 'width'"),
        ({"model_arguments": "hide=(0.1,0.5)"}, "'hide' is now 'split_ratio'"),
        ({"model": "Paired", "config": "recommended"}, "is for UAI.*--model=Paired"),
        ({"model": "Paired", "encoder": "width=8"}, "Paired takes no --encoder"),
        ({"model": "Paired", "sampler": "TwoStage(4)"}, "Paired takes no --sampler"),
        ({"sampler": "ThreeStage()"}, "`sampler` must be"),
        ({"model": "AmbientGAN", "lambda_z": 1.0}, "AmbientGAN has the loss terms gan. Received"),
        ({"model": "AmbientGAN", "generator": "conditional=true"}, "no argument 'conditional'"),
        (
            {"model": "Paired", "measurement": None, "mask_from": "alpha"},
            "Paired needs clean images.*--mask_from=alpha",
        ),
        (
            {"model": "Unpaired", "measurement": None, "mask_from": "sidecar"},
            "Unpaired needs clean images.*--mask_from=sidecar",
        ),
        ({"eval_split": "train"}, "--eval_split must be one of validation, test"),
        ({"colour": "red"}, "There is no setting 'colour'. Received: colour='red'"),
        ({"micro_batches": 2}, "It is now gradient_accumulation_steps"),
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
    assert configuration.differences(saved, changed) == [
        ("batch_size", 512, 7),
        ("measurement", "DropPixel(p=0.9, tau=0.0)", "Patch(n=1, k=8, border=4, tau=0.0)"),
        ("generator=width", 64, 9),
    ]


def test_places_are_no_settings():
    given = {**LEAST, "runs": "elsewhere", "data_dir": "there", "download": True}
    assert configuration.resolve(given) == configuration.resolve(LEAST)
    assert configuration.differences(configuration.resolve(LEAST), given) == []
