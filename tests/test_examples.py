"""Every example of a docstring runs, and every Python block of README.md and of the guides."""

import doctest
import importlib
import pathlib
import re

import numpy as np
import pytest
from PIL import Image

import keras_uai
from tests.testing import ROOT

pytestmark = pytest.mark.usefixtures("eagerly")

PACKAGE = ROOT / "keras_uai"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules():
    """Names of the modules with examples that run offline and without the user's files."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if re.search(r">>> (?!.*doctest: \+SKIP)", path.read_text()):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__")


@pytest.mark.parametrize("name", sorted(modules()))
def test_docstring_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"keras_uai": keras_uai, "np": np}
    found = doctest.testmod(importlib.import_module(name), extraglobs=names, optionflags=FLAGS)
    assert found.attempted
    assert not found.failed


PAGES = ["README.md", "saved_models/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in PACKAGE.glob("*/README.md"))
BLOCKS = {p: re.findall(r"```python\n(.*?)```", (ROOT / p).read_text(), re.DOTALL) for p in PAGES}


@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks])
def test_python_blocks_of_pages_run(page, tmp_path, monkeypatch):
    """In a folder with damaged photographs; trainings are cut to two steps."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    pathlib.Path("photos").mkdir()
    for i in range(20):
        pixels = rng.integers(1, 256, (70, 90, 4), dtype="uint8")
        pixels[..., 3] = np.where(rng.random((70, 90)) < 0.2, 0, 255)
        Image.fromarray(pixels).save(f"photos/{i}.png")
    Image.fromarray(pixels).save("damaged.png")
    names = {}
    for block in BLOCKS[page]:
        block = re.sub(r"epochs=\d+", "epochs=1, steps_per_epoch=2, verbose=0", block)
        block = block.replace("(12, 48, 64)", "(6, 24, 32)").replace("range(12)", "range(6)")
        block = re.sub(r"minutes=[\d.]+", "minutes=0.01, verbose=0", block)
        # After two steps samples hardly differ, and nothing can be calibrated.
        block = re.sub(r"^.*calibrate_spread.*$", "", block, flags=re.MULTILINE)
        exec(compile(block, page, "exec"), names)
