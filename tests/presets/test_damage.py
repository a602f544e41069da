"""Presets and runs whose files are missing, cut, edited, or of other versions."""

import contextlib
import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_uai import presets
from keras_uai.models import UAI
from keras_uai.training import runner
from tests.strategies import attempt, damaged, edited
from tests.testing import same_bits

NETWORK = {"width": 4, "max_width": 4, "levels": 1, "space_to_depth": 4}
SETTINGS = {"data": "drawn_faces", "measurement": "DropPixel(0.5)", "steps": 10}


@pytest.fixture(scope="module")
def model():
    generator = NETWORK | {"attention_level": None}
    return UAI((8, 8, 1), "DropPixel(0.5)", latent_dim=2, generator=generator, encoder=NETWORK,
               discriminator=generator)  # fmt: skip


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """A folder that holds the files of a preset and of a run, those that are read."""
    folder = tmp_path_factory.mktemp("whole")
    presets.save(model, folder / "preset", {"evaluate": SETTINGS}, serving=False, float16=False)
    (folder / "run").mkdir()
    model.save(folder / "run" / "model.keras")
    (folder / "run" / "settings.json").write_text(json.dumps({"settings": SETTINGS}))
    return folder


@contextlib.contextmanager
def changed(whole, data, name):
    """A copy of the folder of one of its files, which is removed, damaged, or edited."""
    content = (whole / name).read_bytes()
    ways = [st.none(), damaged(st.just(content))]
    if name.endswith(".json"):
        ways.append(edited(json.loads(content)).map(lambda value: json.dumps(value).encode()))
    content = data.draw(st.one_of(ways))
    copy = whole.with_name("copy")
    shutil.copytree((whole / name).parent, copy)
    try:
        file = copy / (whole / name).name
        file.unlink() if content is None else file.write_bytes(content)
        before = {path: path.read_bytes() for path in copy.iterdir()}
        yield copy
        assert {path: path.read_bytes() for path in copy.iterdir()} == before  # nothing is lost
    finally:
        shutil.rmtree(copy)


FILES = ["preset/config.json", "preset/metadata.json", "preset/model.weights.h5"]
FILES += ["run/settings.json", "run/model.keras"]


@given(st.data(), st.sampled_from(FILES))
def test_a_changed_preset_or_run_has_its_weights_or_says_what_is_wrong(model, whole, data, name):
    with changed(whole, data, name) as folder:
        found = attempt(presets.load_model, folder, says=["Received: ", folder])
        if found is None:
            return
        assert isinstance(found.settings, dict)
        for a, b in zip(found.model.generator.weights, model.generator.weights, strict=True):
            same_bits(a, b)


@given(st.data())
def test_the_settings_of_a_changed_run_are_resumed_or_refused(whole, data):
    """A resumed run has all settings; a refusal is one line on standard error."""
    with changed(whole, data, "run/settings.json") as folder:
        assert runner.main({"resume": str(folder), "dry_run": True}) in (0, 2)
