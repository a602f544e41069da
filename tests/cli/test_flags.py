"""Flag files within flag files, renamed flags, and commands that end in one line or in their help."""

import io
import os
import re
import subprocess
import sys

import keras
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_uai.cli import doctor, flags, main
from keras_uai.training.settings import PLACES, SETTINGS
from tests import forks
from tests.strategies import attempt
from tests.testing import ROOT

RUN = "experiments/run.py"


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


LINES = st.sampled_from(
    ("--a=1", "--b=x y", "", "# no", "//", "--flagfile=x.flags", "--flagfile=y.flags", "--a", "b",
     "--flagfile=", "--flagfile", "--c\0", "--", "--look", "--a=\udcff")
) | st.text(max_size=8)  # fmt: skip


@example(["--flagfile=y.flags"], ["--flagfile=x.flags"], b"")
@given(st.lists(LINES, max_size=4), st.lists(LINES, max_size=4), st.binary(max_size=4))
def test_any_flag_files(tmp_path_factory, one, other, garbage):
    """The flags of a file that names no other are its lines; errors name a file."""
    folder = tmp_path_factory.getbasetemp()
    for name, lines in (("x.flags", one), ("y.flags", other)):
        (folder / name).write_bytes("\n".join(lines).encode("utf-8", "surrogatepass") + garbage)
    found = attempt(flags.expand, [f"--flagfile={folder}/x.flags"], says=[".flags", "--flagfile="])
    if found is None:
        return
    assert not any(flag == "--flagfile" or flag.startswith("--flagfile=") for flag in found)
    if not garbage and "flagfile" not in str(one):
        plain = "\n".join(one).encode("utf-8", "surrogatepass").decode(errors="surrogateescape")
        plain = [line.strip() for line in io.StringIO(plain, newline=None)]
        assert found == [line for line in plain if line and not line.startswith(("#", "//"))]


# -- commands --------------------------------------------------------------------------------------

MISTAKES = [
    ((RUN, "--flagfile=nowhere.flags"), "error: There is no flag file nowhere.flags"),
    ((RUN, "--data=drawn_faces", "photos"), "error: All arguments must be flags. Received: ph"),
    ((RUN, "--data=nowhere", "--measurement=DropPixel(0.9)", "--steps=1"), "error: "),
    ((RUN, "--average_decay=0.9"), "error: The flag is now --ema_decay. Received: --average_"),
    ((RUN, "--nofit_look"), "error: The flag is now --calibrate_spread"),
    ((RUN, "--preset=paper"), "error: The flag is now --config=paper. Received: --preset=paper"),
    (("tools/evaluate", "--split=withheld"), "error: The flag is now --split=validation. Rec"),
    ((RUN, "--energy_patches=2"), "error: There is no such flag any more"),
    (("tools/evaluate", "--model=nowhere"), "error: A model must be a preset's name"),
    (("tools/evaluate", "--baselines=nearest"), "error: `--data` must name"),
    ((RUN, "--flagfile", "nowhere.flags"), "error: There is no flag file nowhere.flags"),
    ((RUN, "--stepps=3"), "error: Unknown command line flag 'stepps'. Did you mean: steps"),
    (("tools/export", "--model=faces_32_drop_pixle", "--out=x"), "error: A model must be"),
    (("tools/evaluate", "--model=/dev/null", "--data=drawn_faces"), "error: A model must be"),
    (("tools/inpaint", "--model=nowhere", "no.png", "--out=x"), "error: no.png must be a file or"),
    (("tools/fill", "no.nc", "--out=x.nc"), "error: There is no file no.nc"),
    (("tools/fill", "no.nc", "--out=x.tif"), "error: --out must have the format"),
    (("tools/figures", "--model=nowhere.keras", "--out=x"), "error: A model must be"),
    (("tools/reference_statistics", "--data=no.npz"), "error: The file must hold arrays"),
]
INVALID = ("--batch_size=0", "--model=GAN", "--steps=many", "--minutes=-1")
HELPFUL = [(f"tools/{name}",) for name in main.COMMANDS if name != "train"] + [(RUN,)]
CONSOLE = "keras_uai/cli/main.py"


@pytest.fixture
def outcome(tmp_path):
    """`outcome(*command)`: exit code, standard output and error of a command."""

    def find(name, *arguments):
        done = forks.run(ROOT / name, *arguments, cwd=tmp_path)
        assert os.listdir(tmp_path) == []  # nothing is written
        return done.returncode, done.stdout, done.stderr

    return find


def test_every_setting_is_a_flag(outcome):
    _, out, _ = outcome(RUN, "--helpfull")
    found = set(re.findall(r"^  --(?:\[no\])?(\w+):", out, re.M))
    assert {*SETTINGS, *PLACES} - found == set()
    assert "Trains and scores a model" in out
    assert "Default: validation." in " ".join(out.split())


def test_every_command_has_its_help(outcome):
    """It fits a screen, begins with examples that work as the command was called, and is no error."""
    for command in HELPFUL:
        code, out, error = outcome(*command, "--help")
        assert (code, error) == (0, "")
        first, empty, example = out.splitlines()[:3]
        assert first.endswith(".")
        assert empty == ""
        assert command[0] in example
        assert len(out.splitlines()) <= 40
        assert max(map(len, out.splitlines())) <= 120


def test_the_console_command(outcome):
    """keras-uai lists its commands, and runs them by name."""
    code, _, error = outcome(CONSOLE)
    assert code == 2
    assert all(f"  {name} " in error for name in main.COMMANDS)
    code, out, error = outcome(CONSOLE, "presets")
    assert code == 0, error
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["faces_32_drop_pixel"].startswith("32 x 32  0.0377  Aligned faces")
    assert lines["photographs_scratches"].startswith("any ")


def test_doctor(outcome):
    code, out, _ = outcome(CONSOLE, "doctor")
    assert code == 0
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert f"keras {keras.__version__}" in lines["versions"]
    assert lines["backend"] == keras.backend.backend()
    assert "faces_32_drop_pixel" in lines["presets"]


def test_doctor_names_what_is_missing(monkeypatch):
    needed = ["numpy>=2.0", "absl-py<0.1", 'gradio_of_nobody>=6; extra == "demo"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: needed)
    found = doctor.missing()
    assert re.match("absl-py .* is not <0.1 .pip install", found["requirements"])
    assert found["extra demo"] == 'gradio_of_nobody is missing (pip install "keras_uai[demo]")'


def test_mistakes_end_in_one_line(outcome):
    for command, message in MISTAKES:
        code, _, error = outcome(*command)
        assert code == 2
        (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
        assert line.startswith(message)
        assert "Traceback" not in error


def test_invalid_values_are_named_with_their_flag(outcome):
    for flag in INVALID:
        code, _, error = outcome(RUN, flag)
        assert code == 2
        assert f"flag {flag}" in error
        assert len(error.splitlines()) == 1


def test_dry_run_prints_the_settings_and_writes_nothing(tmp_path):
    """In a process of its own: of the start, there is one line instead of the backend's messages."""
    flagfile = ROOT / "experiments/flagfiles/drawn_faces_drop_pixel_32.flags"
    done = subprocess.run(
        [sys.executable, ROOT / RUN, f"--flagfile={flagfile}", "--dry_run", "--seed=7"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"data": "drawn_faces"' in done.stdout
    assert '"seed": 7' in done.stdout
    assert {line.strip() for line in re.split(r"\r| \.\.\. [0-9:]+", done.stderr)} <= {
        "",
        "Loading Keras",
    }
    assert os.listdir(tmp_path) == []
