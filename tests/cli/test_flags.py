"""Flag files within flag files, renamed flags, and commands that end in one line or in their help."""

import os
import subprocess
import sys

import pytest

from keras_uai.cli import flags, main
from keras_uai.training import settings
from tests.testing import ROOT

RUN = os.path.join("experiments", "run.py")


@pytest.fixture
def files(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "base.flags").write_text("# a comment\n\n--a=1\n// another\n--b=base\n")
    (tmp_path / "inner" / "x.flags").write_text("--flagfile=../base.flags\n--b=x\n")
    return tmp_path


def test_files_are_relative_to_the_file_that_names_them(files):
    path = f"{files}/inner/x.flags"
    expected = ["run.py", "--a=1", "--b=base", "--b=x", "--c"]
    assert flags.expand(["run.py", f"--flagfile={path}", "--c"]) == expected
    assert flags.expand(["run.py", "--flagfile", path, "--c"]) == expected


def test_or_to_the_working_folder(files, monkeypatch):
    monkeypatch.chdir(files)
    (files / "inner" / "y.flags").write_text("--flagfile=inner/x.flags\n")
    assert flags.expand(["--flagfile=inner/y.flags"]) == ["--a=1", "--b=base", "--b=x"]


def test_a_missing_file_is_named_with_the_file_that_names_it(files):
    (files / "z.flags").write_text("--flagfile=nowhere.flags\n")
    with pytest.raises(FileNotFoundError, match=r"no flag file nowhere.flags \(named in .*z.flags"):
        flags.expand([f"--flagfile={files}/z.flags"])
    with pytest.raises(FileNotFoundError, match=r"no flag file none.flags. Received"):
        flags.expand(["--flagfile=none.flags"])


def test_a_file_that_includes_itself(files):
    (files / "base.flags").write_text("--flagfile=inner/x.flags\n")
    with pytest.raises(ValueError, match="includes itself"):
        flags.expand([f"--flagfile={files}/inner/x.flags"])


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--average_decay=0.9", "The flag is now --ema_decay. Received: --average_decay=0.9"),
        ("--micro_batches=4", "now --gradient_accumulation_steps"),
        ("--look=4,1.2", "now --sampler"),
        ("--nofit_look", "now --calibrate_spread"),
        ("--energy_patches=2", "no such flag any more"),
        ("--preset=paper", "now --config=paper"),
        ("--split=withheld", "now --split=validation"),
    ],
)
def test_flags_of_version_0_1_are_refused_with_the_new_names(flag, message):
    with pytest.raises(ValueError, match=message):
        flags.check_renamed([flag])
    flags.check_renamed(["--", flag])


# -- commands --------------------------------------------------------------------------------------


def run(program, *arguments, cwd):
    return subprocess.run(
        [sys.executable, str(ROOT / program), *arguments],
        cwd=cwd, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


def test_every_setting_is_a_flag(tmp_path):
    done = run(RUN, "--help", cwd=tmp_path)
    found = {
        line.strip().removeprefix("--").removeprefix("[no]").split(":")[0]
        for line in done.stdout.splitlines()
        if line.startswith("  --")
    }
    assert {*settings.every(), *settings.PLACES} - found == set()
    assert "Trains and scores a model" in done.stdout
    assert "Default: validation." in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", sorted(set(main.COMMANDS) - {"train", "presets"}))
def test_every_command_has_its_help(name, tmp_path):
    done = run(os.path.join("tools", name), "--help", cwd=tmp_path)
    assert f"tools/{name}" in done.stdout
    assert "--seed" in done.stdout or "--out" in done.stdout or "--references" in done.stdout
    assert done.stderr == ""


def test_the_console_command(tmp_path):
    """keras-uai lists its commands, and runs them by name."""
    done = run(os.path.join("keras_uai", "cli", "main.py"), cwd=tmp_path)
    assert done.returncode == 2
    for name in main.COMMANDS:
        assert f"  {name} " in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "keras_uai.cli.main", "presets"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}
    assert names["faces_32_drop_pixel"] == "fixed"


def test_dry_run_prints_the_settings_and_writes_nothing(tmp_path):
    flagfile = ROOT / "experiments/flagfiles/drawn_faces_drop_pixel_32.flags"
    done = run(RUN, f"--flagfile={flagfile}", "--dry_run", "--seed=7", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"data": "drawn_faces"' in done.stdout
    assert "0000-uai-drawn_faces-drop_pixel_0.9-seed7. Nothing was written" in done.stdout
    assert done.stderr == ""  # the backend's start-up messages are hidden
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        (RUN, ["--flagfile=nowhere.flags"], "error: There is no flag file nowhere.flags"),
        (RUN, ["--data=drawn_faces", "photos"], "error: All arguments must be flags. Rec"),
        (RUN, ["--data=nowhere", "--measurement=DropPixel(0.9)", "--steps=1"], "error: "),
        (RUN, ["--preset=recommended"], "error: The flag is now --config=recommended"),
        ("tools/evaluate", ["--model=nowhere"], "error: A model must be a preset's name"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, program, arguments, message):
    done = run(program, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []
