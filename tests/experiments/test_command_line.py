"""Flag files within flag files, found from any folder; flags and settings are the same names."""

import os
import subprocess
import sys

import pytest

from keras_uai.experiment import command_line, settings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUN = os.path.join(ROOT, "experiments", "run.py")


@pytest.fixture
def files(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "base.flags").write_text("# a comment\n\n--a=1\n// another\n--b=base\n")
    (tmp_path / "inner" / "x.flags").write_text("--flagfile=../base.flags\n--b=x\n")
    return tmp_path


def test_files_are_relative_to_the_file_that_names_them(files):
    argv = ["run.py", f"--flagfile={files}/inner/x.flags", "--c"]
    expected = ["run.py", "--a=1", "--b=base", "--b=x", "--c"]
    assert command_line.expand(argv) == expected
    assert (
        command_line.expand(["run.py", "--flagfile", argv[1].partition("=")[2], "--c"]) == expected
    )


def test_or_to_the_working_folder(files, monkeypatch):
    monkeypatch.chdir(files)
    (files / "inner" / "y.flags").write_text("--flagfile=inner/x.flags\n")
    assert command_line.expand(["--flagfile=inner/y.flags"]) == ["--a=1", "--b=base", "--b=x"]


def test_a_missing_file_is_named_with_who_names_it(files):
    (files / "z.flags").write_text("--flagfile=nowhere.flags\n")
    with pytest.raises(FileNotFoundError, match=r"no flag file nowhere.flags \(named in .*z.flags"):
        command_line.expand([f"--flagfile={files}/z.flags"])
    with pytest.raises(FileNotFoundError, match=r"no flag file none.flags. Received"):
        command_line.expand(["--flagfile=none.flags"])


def test_a_file_that_includes_itself(files):
    (files / "base.flags").write_text("--flagfile=inner/x.flags\n")
    with pytest.raises(ValueError, match="includes itself"):
        command_line.expand([f"--flagfile={files}/inner/x.flags"])


def run(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": ROOT}
    return subprocess.run(
        [sys.executable, RUN, *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_every_flag_is_a_setting_and_every_setting_a_flag(tmp_path):
    """Asked of the program itself: its flags are parsed by absl and resolved by `settings`."""
    done = run("--helpfull", cwd=tmp_path)
    found = {
        line.strip().removeprefix("--").removeprefix("[no]").split(":")[0]
        for line in done.stdout.split("experiments/run.py:")[-1].splitlines()
        if line.startswith("  --")
    }
    known = {*settings.names(), *settings.NOT_SETTINGS}
    assert known - found == set()


def test_dry_run_prints_the_settings_and_writes_nothing(tmp_path):
    flagfile = os.path.join(ROOT, "experiments/flagfiles/drawn_faces_drop_pixel_32.flags")
    done = run(f"--flagfile={flagfile}", "--dry_run", "--seed=7", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"data": "drawn_faces"' in done.stdout
    assert "0000-uai-drawn_faces-drop_pixel_0.9-seed7. Nothing was written" in done.stdout
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--flagfile=nowhere.flags"], "error: There is no flag file nowhere.flags"),
        (["--data=drawn_faces", "photos"], "error: everything is a flag. Received: photos"),
        (["--data=nowhere", "--measurement=DropPixel(0.9)", "--steps=1"], "error: "),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, arguments, message):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode not in (0, None)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []
