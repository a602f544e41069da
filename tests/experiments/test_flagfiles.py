"""Every flag file: a header with experiment, command and cost; valid settings; a model that builds.

Nothing is trained.
"""

import functools
import json
import os
import pathlib
import re

import numpy as np
import pytest

from experiments import paper_tables
from keras_uai import measurements
from keras_uai.cli import flags
from keras_uai.training import configuration, factory
from tests.experiments.in_process import values

FOLDER = pathlib.Path(__file__).parents[2] / "experiments" / "flagfiles"
FILES = {path.relative_to(FOLDER).as_posix(): path for path in sorted(FOLDER.glob("**/*.flags"))}
#: The cells of Tables 1 and 2, by the name of their file.
CELLS = {
    f"tables/{size}/{cell.flagfile}": (size, cell)
    for size in (32, 128)
    for cell in paper_tables.every()
    if cell.row != "baselines"
}
RIVALS = ("rivals_32", "rivals_adversarial_32")
NO_RUN = ("paper", "celeba", "recipe1m", "lsun_bedroom", "recommended", "photographs", *RIVALS)
RUNS = [
    name
    for name in FILES
    if name.removesuffix(".flags") not in NO_RUN
    and (not name.startswith("tables/") or name in CELLS)
]
NEEDS_FOLDER = (
    "faces_folder_drop_pixel_32.flags",
    "faces_folder_small_patches_32.flags",
    "faces_folder_one_patch_32.flags",
    "damaged_folder_32.flags",
    *(name for name in RUNS if name.startswith("photographs_")),
)


def given(name):
    """The flags without absl."""
    return values(flags.expand([f"--flagfile={FILES[name]}"]))


def resolve(name):
    found = given(name)
    if name in NEEDS_FOLDER or name.startswith("tables/32/"):
        found["data"] = "folder"
    return configuration.resolve(found)


def test_there_is_one_for_every_data_set_and_measurement_of_the_paper():
    for data in ("celeba", "recipe1m", "lsun_bedroom"):
        for measurement in ("patch_1_32", "patch_90_10", "drop_pixel"):
            assert f"{data}_{measurement}.flags" in RUNS


@pytest.mark.parametrize("name", RUNS)
def test_header_and_settings(name):
    text = FILES[name].read_text(encoding="utf-8")
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert any(f"flagfiles/{name}" in line and "experiments/run.py" in line for line in head) or (
        name == "quickstart.flags"
    )
    assert "Cost:" in text
    assert resolve(name)["measurement"]


PAPER = [n for n in RUNS if n.startswith(("celeba", "recipe", "lsun", "tables/128/"))]


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_settings(name):
    resolved = resolve(name)
    assert resolved["config"] == "paper"
    assert (resolved["batch_size"], resolved["gradient_accumulation_steps"]) == (512, 4)
    assert (resolved["beta_1"], resolved["beta_2"]) == (0.0, 0.99)
    assert resolved["gan_loss"] == "hinge"
    assert resolved["image_size"] == (64 if name.startswith(("recipe", "lsun")) else 128)
    assert resolved["data"] in ("celeb_a", "recipe1m", "lsun/bedroom")
    measurement = measurements.get(resolved["measurement"])
    expected = {
        "patch_1_32": measurements.Patch(1, 32),
        "one_patch": measurements.Patch(1, 32),
        "patch_90_10": measurements.Patch(90, 10),
        "small_patch": measurements.Patch(90, 10),
        "drop_pixel": measurements.DropPixel(0.9),
    }
    assert measurement == next(m for key, m in expected.items() if key in name)


# -- the tables' cells ---------------------------------------------------------------------------


def test_there_is_one_for_every_cell():
    assert set(CELLS) <= set(FILES)
    assert len(CELLS) == 2 * 3 * 7


@pytest.mark.parametrize("name", CELLS)
def test_a_cells_header_says_its_cost_and_the_papers_numbers(name):
    size, cell = CELLS[name]
    text = FILES[name].read_text(encoding="utf-8")
    assert re.search(r"^# Cost: about [\d.]+ (minute|hour|day)s? on ", text, re.M)
    fid, mse, std = paper_tables.PAPER[cell.row][cell.column]
    published = f"FID {fid:.2f}, MSE {mse:.3f}, std {'-' if std is None else format(std, 'g')}"
    assert f"#   {published}\n" in text
    assert paper_tables.COLUMNS[cell.column] in text
    assert f"{size} x {size}" in text.replace("\n# ", " ")


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_what_its_name_says(name):
    size, cell = CELLS[name]
    resolved = resolve(name)
    models = {"unpaired": "Unpaired", "paired": "Paired", "misgan": "MisGAN"}
    assert resolved["model"] == models.get(cell.row, "UAI")
    assert resolved["image_size"] == size
    if cell.row in paper_tables.TABLE_1:
        terms = (resolved["lambda_gan"], resolved["lambda_z"], resolved["lambda_y"])
        on = [term > 0 for term in terms]
        assert on == [True, *(mark == "✓" for mark in paper_tables.TABLE_1[cell.row])]


def test_cells_of_32_differ_in_measurement_and_model_only():
    """The same networks, optimizers and number of images seen in all rows (section 3.5).

    MisGAN's data generator makes images from z alone and has a longer one; its imputer sees noise
    where the others see a fill.
    """
    shared = ("generator", "discriminator", "ema_decay", "learning_rate",
              "discriminator_learning_rate", "beta_1", "beta_2", "batch_size", "steps", "epochs",
              "minutes", "gan_loss", "schedule", "seed", "split_seed")  # fmt: skip
    found = [resolve(name) for name in CELLS if name.startswith("tables/32/")]
    for r in found:
        fill = r["generator"].pop("input_fill")
        assert fill == (None if r["model"] == "MisGAN" else "push_pull")
    assert [{n: r[n] for n in shared} for r in found] == [{n: found[0][n] for n in shared}] * 21
    assert (found[0]["epochs"], found[0]["minutes"]) == (None, None)
    assert len({r["latent_dim"] for r in found if r["model"] != "MisGAN"}) == 1
    of_uai = [r for r in found if r["model"] == "UAI"]
    on = {n: {r[n] for r in of_uai} - {0.0} for n in ("lambda_gan", "lambda_z", "lambda_y")}
    assert all(len(weights) == 1 for weights in on.values())
    assert len({str(r["encoder"]) for r in of_uai}) == 1


def test_as_much_is_observed_at_32_as_at_128():
    for column in paper_tables.COLUMNS:
        kept = {}
        for size in (32, 128):
            cell = paper_tables.Cell(column, "equation_8")
            measurement = measurements.get(resolve(f"tables/{size}/{cell.flagfile}")["measurement"])
            masks = np.asarray(measurement.masks(np.arange(400), size, size))
            kept[size] = masks.mean()
        assert kept[32] == pytest.approx(kept[128], abs=0.004), column


# -- models ---------------------------------------------------------------------------------------


@functools.lru_cache
def built(arguments):
    """Models are large: one of each kind."""
    resolved = {n: json.loads(v) if n in configuration.NETWORKS else v for n, v in arguments}
    size = resolved.pop("image_size")

    class Data:
        image_shape, steps_per_epoch = (size, size, 3), 100
        measurement, values = measurements.Patch(1, 8), None

    given = {**resolved, "data": "x", "measurement": "Patch(1, 8)", "steps": 10}
    return factory.make_model(configuration.resolve(given), Data)


@pytest.mark.parametrize("name", RUNS)
def test_the_model_builds(name):
    resolved = resolve(name)
    if resolved["mask_from"] is None:
        size = resolved["image_size"]
        measurements.get(resolved["measurement"]).check(size, size)
    arguments = ("config", "image_size", "model", "latent_dim")
    networks = [n for n in configuration.NETWORKS if n in configuration.model_arguments(resolved)]
    kind = [(n, resolved[n]) for n in arguments]
    kind += [(n, json.dumps(resolved[n])) for n in networks]
    model = built(tuple(kind))
    assert model.compiled
    for network in networks:
        found = getattr(model, network).get_config()
        assert resolved[network].items() <= found.items()


def test_no_place_of_one_machine_is_named():
    for path in FILES.values():
        text = path.read_text(encoding="utf-8")
        assert os.sep + "home" not in text
        assert "--data=" + os.sep not in text
