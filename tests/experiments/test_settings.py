"""Flags to one complete dict: presets, what overrides them, what is refused, and differences."""

import inspect
import json

import pytest

from keras_uai import measurements, models
from keras_uai.experiment import building, settings
from keras_uai.experiment.presets import PRESETS

LEAST = {"data": "drawn_faces", "measurement": "DropPixel(0.9)", "steps": 10}


@pytest.mark.parametrize("model", settings.model_classes())
def test_settings_are_json_and_resolve_to_themselves(model):
    first = settings.resolve({**LEAST, "model": model})
    assert json.loads(json.dumps(first)) == first
    assert settings.resolve(first) == first
    assert settings.differences(first, first) == []


def test_every_setting_is_there_whichever_preset():
    others = {f"lambda_{t}" for t in settings.loss_terms()} - {
        f"lambda_{t}" for t in models.UAI.default_loss_weights
    }
    for preset in PRESETS:
        assert set(settings.resolve({**LEAST, "preset": preset})) == set(settings.names()) - others


@pytest.mark.parametrize("name", settings.model_classes())
def test_every_model_has_what_it_takes_and_nothing_else(name):
    """Only UAI has a recommended configuration; the others start from the paper's."""
    resolved = settings.resolve({**LEAST, "model": name})
    assert resolved["preset"] == ("recommended" if name == "UAI" else "paper")
    cls = settings.model_classes()[name]
    taken = set(inspect.signature(cls).parameters)
    assert {n for n in settings.NETWORKS if n in resolved} == taken & set(settings.NETWORKS)
    assert all("conditional" not in resolved[n] for n in taken & set(settings.NETWORKS))
    weights = {n for n in resolved if n.startswith("lambda_")}
    assert weights == {f"lambda_{term}" for term in cls.default_loss_weights}
    if name != "UAI":
        assert settings.loss_weights(resolved) == cls.default_loss_weights


def test_paper_is_section_3():
    paper = settings.resolve({**LEAST, "preset": "paper"})
    assert (paper["batch_size"], paper["micro_batches"]) == (512, 4)
    assert (paper["beta_1"], paper["beta_2"]) == (0.0, 0.99)
    assert (paper["discriminator_beta_1"], paper["discriminator_beta_2"]) == (0.0, 0.99)
    assert paper["gan_loss"] == "hinge"
    assert [paper[f"lambda_{term}"] for term in ("gan", "z", "y")] == [1.0, 1.0, 1.0]
    assert [paper[f"lambda_{term}"] for term in ("energy", "splitting")] == [0.0, 0.0]
    assert paper["generator"]["spectral"]
    assert not paper["generator"]["fill"]
    assert settings.model_arguments(paper)["average_decay"] is None


@pytest.mark.parametrize("damage", ["DropPixel(0.9)", "Patch(1, 8, border=1)"])
def test_recommended_is_what_the_class_recommends(damage):
    """One configuration, whether it comes from Python or from a flag."""
    expected = models.UAI.recommended((32, 32, 3), damage, steps=1000)
    resolved = settings.resolve({**LEAST, "measurement": damage, "image_size": 32, "steps": 1000})
    few = damage.startswith("Patch(1,")
    assert (resolved["lambda_marginal"], expected.hide_all) == ((1.0, 0.25) if few else (0.0, 0.0))

    class Data:
        image_shape, measurement = (32, 32, 3), measurements.get(damage)
        steps_per_epoch = 100

    model = building.make_model(resolved, Data)
    config, found = expected.get_config(), model.get_config()
    for name in ("generator", "discriminator", "encoder"):
        assert {**found.pop(name), **config.pop(name)} == resolved[name]
    assert found == config
    compiled, expected_compiled = model.get_compile_config(), expected.get_compile_config()
    for optimizer in ("optimizer", "discriminator_optimizer"):
        config = expected_compiled.pop(optimizer)["config"]
        found = compiled.pop(optimizer)["config"]
        config.pop("name"), found.pop("name")  # numbered
        if optimizer == "discriminator_optimizer":  # its loss terms are off: it never moves
            config.pop("learning_rate"), found.pop("learning_rate")
        assert found == config
    assert compiled == expected_compiled


def test_flags_override_the_preset_argument_by_argument():
    given = {**LEAST, "generator": "width=8,max_width=8", "lambda_energy": 0.5, "batch_size": 4}
    changed, preset = settings.resolve(given), settings.resolve(LEAST)
    assert changed["generator"] == {**preset["generator"], "width": 8, "max_width": 8}
    assert changed["lambda_energy"] == 0.5
    assert changed["lambda_splitting"] == preset["lambda_splitting"]
    assert changed["batch_size"] == 4


def test_model_arguments():
    given = {**LEAST, "model_arguments": "hide=(0.2,0.3),discriminate_y_hat=true"}
    arguments = settings.model_arguments(settings.resolve(given))
    assert arguments["hide"] == [0.2, 0.3]
    assert arguments["discriminate_y_hat"] is True
    model = models.UAI((16, 16, 1), "DropPixel(0.5)", **arguments)
    assert model.hide == (0.2, 0.3)


def test_damaged_images_have_the_empirical_measurement():
    resolved = settings.resolve({"data": "x", "mask_from": "alpha", "steps": 1})
    assert resolved["measurement"] == "Empirical(max_masks=2048, tau=0.0)"
    text = settings.resolve({**resolved, "measurement": "Empirical(max_masks=9)"})["measurement"]
    assert settings.empirical_arguments(text) == {"max_masks": 9, "tau": 0.0}


def test_one_way_of_writing_a_measurement():
    written = ["Patch(90,10)", "Patch(90, 10, border=4)", "Patch(n=90, k=10)"]
    found = {settings.resolve({**LEAST, "measurement": text})["measurement"] for text in written}
    assert found == {"Patch(n=90, k=10, border=4, tau=0.0)"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": None}, "Which images"),
        ({"measurement": None}, "How are the images damaged"),
        ({"steps": None}, "How long is the training"),
        ({"measurement": "Blur(3)"}, "Blur"),
        ({"measurement": "Empirical"}, "say where these have them: --mask_from"),
        ({"preset": "best"}, "--preset is one of paper, recommended. Received: --preset=best"),
        ({"model": "GAN"}, "--model is one of .*UAI"),
        ({"schedule": "linear"}, "--schedule is one of constant, cosine"),
        ({"gan_loss": "wasserstein"}, "hinge"),
        ({"batch_size": 10, "micro_batches": 4}, "multiple of --micro_batches"),
        ({"batch_size": 0}, "--batch_size is an integer of at least 1. Received: 0"),
        ({"learning_rate": -1.0}, "--learning_rate is above 0"),
        ({"minutes": 0.0}, "--minutes is above 0"),
        ({"generator": "wdith=3"}, "no argument 'wdith'"),
        ({"generator": "image_shape=(3,3,3)"}, "no argument 'image_shape'"),
        ({"model_arguments": "width=3"}, "no argument 'width'"),
        ({"model": "Paired", "preset": "recommended"}, "is for UAI.*--model=Paired"),
        ({"model": "Paired", "encoder": "width=8"}, "Paired takes no --encoder"),
        ({"model": "AmbientGAN", "lambda_z": 1.0}, "AmbientGAN has the loss terms gan. Received"),
        ({"model": "AmbientGAN", "generator": "conditional=true"}, "no argument 'conditional'"),
        (
            {"model": "Paired", "measurement": None, "mask_from": "alpha"},
            "Paired is trained with clean images.*--mask_from=alpha",
        ),
        (
            {"model": "Unpaired", "measurement": None, "mask_from": "sidecar"},
            "Unpaired is trained with clean images.*--mask_from=sidecar",
        ),
        ({"eval_split": "train"}, "--eval_split is one of withheld, test"),
        ({"colour": "red"}, "no setting of this name. Received: colour='red'"),
    ],
)
def test_what_cannot_be_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        settings.resolve({**LEAST, **given})


def test_differences_name_flag_saved_and_given_value():
    saved = settings.resolve({**LEAST, "preset": "paper"})
    given = {"measurement": "DropPixel(p=0.9)", "steps": 10, "generator": "width=64"}
    assert settings.differences(saved, given) == []
    changed = {"batch_size": 7, "measurement": "Patch(1, 8)", "generator": "width=9,stem=1"}
    assert settings.differences(saved, changed) == [
        ("batch_size", 512, 7),
        ("measurement", "DropPixel(p=0.9, tau=0.0)", "Patch(n=1, k=8, border=4, tau=0.0)"),
        ("generator=width", 64, 9),
    ]


def test_places_are_no_settings():
    given = {**LEAST, "runs": "elsewhere", "data_dir": "there", "download": True}
    assert settings.resolve(given) == settings.resolve(LEAST)
    assert settings.differences(settings.resolve(LEAST), given) == []
