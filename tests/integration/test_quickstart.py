"""tools/quickstart and tools/test without a network: errors at the start, and a run of the quickstart.

The run uses an environment that exists already.
"""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def call(tool, *arguments, **environment):
    return subprocess.run(
        [ROOT / "tools" / tool, *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.fixture
def old_python(tmp_path):
    path = tmp_path / "python3"
    path.write_text("#!/bin/sh\n[ $1 = --version ] && echo Python 3.8.1 || exit 1\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("tool", ["quickstart", "test"])
def test_a_python_that_is_too_old(tool, old_python, tmp_path):
    done = call(tool, PYTHON=str(old_python), VENV=str(tmp_path / "venv"))
    assert done.returncode == 1
    assert "needs Python 3.11 or later. Found: Python 3.8.1" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_the_help_is_the_header_of_the_script():
    shown = call("test", "--help").stdout
    assert shown.startswith("Runs the checks of this repository in a clean checkout")
    assert "tools/test tests/losses -x" in shown
    assert "VENV" in shown.splitlines()[-1]
    assert "source" not in shown  # the comment ends where the script begins


def test_an_installation_that_fails(tmp_path):
    """An interpreter whose pip fails: its last lines are shown, with the path of the others."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho No matching distribution; exit 1\n")
    python.chmod(0o755)
    done = call("quickstart", VENV=str(tmp_path / "venv"), PYTHON=sys.executable)
    assert done.returncode == 1
    assert "No matching distribution" in done.stderr
    assert f"the installation failed; its output is in {tmp_path}/venv/install.log" in done.stderr


@pytest.fixture
def environment(tmp_path):
    """A folder that passes for an environment with this checkout installed."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    stamp = "".join((ROOT / name).read_text() for name in ("setup.cfg", "pyproject.toml"))
    (folder / "installed").write_text(f"{stamp} {ROOT}\n")
    return folder


def test_the_table_and_the_picture(environment, tmp_path):
    small = "width=4,max_width=4,space_to_depth=2"
    done = call(
        "quickstart", f"--runs={tmp_path}/runs", "--steps=2", "--limit=40", "--image_size=16",
        f"--generator={small}", f"--discriminator={small}", f"--encoder={small}",
        "--eval_images=4", "--num_samples=2", "--grid_images=2", "--jit_compile=false",
        VENV=str(environment),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for row in (
        "this model, one sample", "this model, mean of 2", "linear interpolation",
        "nearest neighbour", "mean colour", "diversity: std", "Done in",
    ):  # fmt: skip
        assert row in done.stdout
    (picture,) = tmp_path.glob("runs/0000-uai-drawn_faces-*-quickstart/grids/final.png")
    assert f"picture: {picture}" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_failed_run_is_the_exit_code(environment):
    done = call("quickstart", "--data=no/such/folder", VENV=str(environment))
    assert done.returncode == 1
    assert "no/such/folder" in done.stderr
    assert "the run ended with exit code 2; its message is above" in done.stderr
