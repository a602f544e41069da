"""Flag files within flag files, renamed flags, and commands that end in one line or in their help."""

import os
import re
import subprocess
import sys

import pytest

from keras_uai.cli import flags, main
from keras_uai.training.settings import PLACES, SETTINGS
from tests.testing import ROOT

RUN = os.path.join("experiments", "run.py")


@pytest.fixture
def files(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "base.flags").write_text("# a comment\n\n--a=1\n// another\n--b=base\n")
    (tmp_path / "inner" / "x.flags").write_text("--flagfile=../base.flags\n--b=x\n")
    (tmp_path / "inner" / "y.flags").write_text("--flagfile=inner/x.flags\n")
    (tmp_path / "z.flags").write_text("--flagfile=nowhere.flags\n")
    return tmp_path


def test_files_are_relative_to_the_file_that_names_them_or_to_the_working_folder(
    files, monkeypatch
):
    expected = ["run.py", "--a=1", "--b=base", "--b=x", "--c"]
    assert flags.expand(["run.py", f"--flagfile={files}/inner/x.flags", "--c"]) == expected
    monkeypatch.chdir(files)
    assert flags.expand(["run.py", "--flagfile=inner/y.flags", "--c"]) == expected


def test_a_missing_file_is_named_with_the_file_that_names_it(files):
    with pytest.raises(FileNotFoundError, match=r"no flag file nowhere.flags \(named in .*z.flags"):
        flags.expand([f"--flagfile={files}/z.flags"])
    with pytest.raises(FileNotFoundError, match=r"no flag file none.flags. Received"):
        flags.expand(["--flagfile=none.flags"])


# -- commands --------------------------------------------------------------------------------------


def run(*command, cwd):
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_every_setting_is_a_flag(tmp_path):
    done = run(ROOT / RUN, "--help", cwd=tmp_path)
    found = set(re.findall(r"^  --(?:\[no\])?(\w+):", done.stdout, re.M))
    assert {*SETTINGS, *PLACES} - found == set()
    assert "Trains and scores a model" in done.stdout
    assert "Default: validation." in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", sorted(set(main.COMMANDS) - {"train", "presets"}))
def test_every_command_has_its_help(name, tmp_path):
    done = run(ROOT / "tools" / name, "--help", cwd=tmp_path)
    assert f"tools/{name}" in done.stdout
    assert re.search("--(out|references):", done.stdout)
    assert done.stderr == ""


def test_the_console_command(tmp_path):
    """keras-uai lists its commands, and runs them by name."""
    done = run("-m", "keras_uai.cli.main", cwd=tmp_path)
    assert done.returncode == 2
    assert all(f"  {name} " in done.stderr for name in main.COMMANDS)
    done = run("-m", "keras_uai.cli.main", "presets", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    names = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}
    assert names["faces_32_drop_pixel"] == "fixed"


def test_dry_run_prints_the_settings_and_writes_nothing(tmp_path):
    flagfile = ROOT / "experiments/flagfiles/drawn_faces_drop_pixel_32.flags"
    done = run(ROOT / RUN, f"--flagfile={flagfile}", "--dry_run", "--seed=7", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"data": "drawn_faces"' in done.stdout
    assert '"seed": 7' in done.stdout
    assert done.stderr == ""  # the backend's start-up messages are hidden
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        (RUN, ["--flagfile=nowhere.flags"], "error: There is no flag file nowhere.flags"),
        (RUN, ["--data=drawn_faces", "photos"], "error: All arguments must be flags. Rec"),
        (RUN, ["--data=nowhere", "--measurement=DropPixel(0.9)", "--steps=1"], "error: "),
        (RUN, ["--average_decay=0.9"], "error: The flag is now --ema_decay. Received: --average_"),
        (RUN, ["--nofit_look"], "error: The flag is now --calibrate_spread"),
        (RUN, ["--energy_patches=2"], "error: There is no such flag any more"),
        ("tools/evaluate", ["--model=nowhere"], "error: A model must be a preset's name"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, program, arguments, message):
    done = run(ROOT / program, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("flag", ["--batch_size=0", "--model=GAN", "--steps=many", "--minutes=-1"])
def test_invalid_values_are_named_with_their_flag(tmp_path, flag):
    done = run(ROOT / RUN, flag, cwd=tmp_path)
    assert done.returncode == 1
    assert f"flag {flag}" in done.stderr
    assert "Traceback" not in done.stderr
