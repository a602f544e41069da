"""Every flag file: a header that says what, how and what it costs; settings that resolve; a model
that builds. Nothing is trained.
"""

import functools
import os
import pathlib

import pytest

from keras_uai import measurements
from keras_uai.experiment import building, command_line, settings

FOLDER = pathlib.Path(__file__).parents[2] / "experiments" / "flagfiles"
FILES = {path.name: path for path in sorted(FOLDER.glob("*.flags"))}
NO_RUN = ("paper", "celeba", "recipe1m", "lsun_bedroom", "recommended")
RUNS = [name for name in FILES if name.removesuffix(".flags") not in NO_RUN]
NEEDS_FOLDER = ("faces_folder_drop_pixel_32.flags", "damaged_folder_32.flags")


def given(name):
    """The flags as strings: this test needs no absl."""
    lines = command_line.expand([f"--flagfile={FILES[name]}"])
    pairs = [line.removeprefix("--").partition("=")[::2] for line in lines]
    return {flag: _value(value) for flag, value in pairs}


def _value(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def resolve(name):
    flags = given(name)
    if name in NEEDS_FOLDER:
        flags["data"] = "folder"
    return settings.resolve(flags)


def test_there_is_one_for_every_data_set_and_measurement_of_the_paper():
    for data in ("celeba", "recipe1m", "lsun_bedroom"):
        for measurement in ("patch_1_32", "patch_90_10", "drop_pixel"):
            assert f"{data}_{measurement}.flags" in RUNS


@pytest.mark.parametrize("name", RUNS)
def test_header_and_settings(name):
    text = FILES[name].read_text(encoding="utf-8")
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert any(name in line and "experiments/run.py" in line for line in head) or (
        name == "quickstart.flags"
    )
    assert "Cost:" in text
    assert resolve(name)["measurement"]


@pytest.mark.parametrize("name", [n for n in RUNS if n.startswith(("celeba", "recipe", "lsun"))])
def test_the_papers_settings(name):
    resolved = resolve(name)
    assert resolved["preset"] == "paper"
    assert (resolved["batch_size"], resolved["micro_batches"]) == (512, 4)
    assert (resolved["beta_1"], resolved["beta_2"]) == (0.0, 0.99)
    assert resolved["gan_loss"] == "hinge"
    assert resolved["image_size"] == (128 if name.startswith("celeba") else 64)
    assert resolved["data"] in ("celeb_a", "recipe1m", "lsun/bedroom")
    measurement = measurements.get(resolved["measurement"])
    expected = {
        "patch_1_32": measurements.Patch(1, 32),
        "patch_90_10": measurements.Patch(90, 10),
        "drop_pixel": measurements.DropPixel(0.9),
    }
    assert measurement == next(m for key, m in expected.items() if key in name)


@functools.lru_cache
def built(arguments):
    """Models are large: one of each kind."""
    resolved = dict(arguments)
    size = resolved.pop("image_size")

    class Data:
        image_shape, steps_per_epoch = (size, size, 3), 100
        measurement = measurements.Patch(1, 8)

    flags = {**resolved, "data": "x", "measurement": "Patch(1, 8)", "steps": 10}
    return building.make_model(settings.resolve(flags), Data)


@pytest.mark.parametrize("name", RUNS)
def test_the_model_builds(name):
    resolved = resolve(name)
    if resolved["mask_from"] is None:
        size = resolved["image_size"]
        measurements.get(resolved["measurement"]).check(size, size)
    model = built((("preset", resolved["preset"]), ("image_size", resolved["image_size"])))
    assert model.compiled
    for network in ("generator", "discriminator", "encoder"):
        found = getattr(model, network).get_config()
        assert resolved[network].items() <= found.items()


def test_no_place_of_one_machine_is_named():
    for path in FILES.values():
        text = path.read_text(encoding="utf-8")
        assert os.sep + "home" not in text
        assert "--data=" + os.sep not in text
