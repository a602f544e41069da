"""The choice of weights: trials, criterion, resumed searches, the printed table."""

import os
import subprocess
import sys

import pytest

from experiments import jobs
from experiments.select_weights import HELD_OUT, Selection, Space
from tests import forks
from tests.experiments.in_process import Call
from tests.experiments.test_tables import SMALL
from tests.testing import ROOT

FLAGS = [
    "--data=drawn_faces", "--measurement=DropPixel(0.5)", "--image_size=16", "--limit=40",
    "--config=paper", f"--generator={SMALL}", f"--discriminator={SMALL}", "--latent_dim=4",
    "--encoder=width=4,max_width=4,space_to_depth=2", "--batch_size=8", "--gradient_accumulation_steps=1", "--steps=3",
    "--jit_compile=false", "--eval_every=0", "--grid_images=0",
]  # fmt: skip


@pytest.fixture
def options(tmp_path):
    return {
        "vary": ["lambda_z=0,1"], "trials": None, "search_seed": 0, "criterion": "crps",
        "holdout": 0.3, "images": 6, "num_samples": 3, "out": str(tmp_path / "out"),
        "flags": FLAGS,
    }  # fmt: skip


# -- trials ---------------------------------------------------------------------------------------


def test_a_grid_in_order():
    assert Space(["lambda_z=0,1", "lambda_y=0.1,0.3"]).trials() == [
        {"lambda_z": "0", "lambda_y": "0.1"},
        {"lambda_z": "0", "lambda_y": "0.3"},
        {"lambda_z": "1", "lambda_y": "0.1"},
        {"lambda_z": "1", "lambda_y": "0.3"},
    ]


def test_a_part_of_a_grid_is_the_beginning_of_a_larger_part():
    few, many = (Space(["a=1,2,3", "b=4,5,6"], trials, 1).trials() for trials in (4, 8))
    assert few == many[:4]
    assert len({tuple(t.items()) for t in many}) == 8
    assert few != Space(["a=1,2,3", "b=4,5,6"], 4, 2).trials()


def test_ranges_are_drawn_evenly_on_a_logarithmic_scale():
    drawn = Space(["a=0.01..1", "b=x,y"], 400).trials()
    values = [float(t["a"]) for t in drawn]
    assert 0.01 <= min(values) < 0.012
    assert 0.9 < max(values) <= 1
    assert 150 < sum(value < 0.1 for value in values) < 250  # half of them, by the logarithm
    assert {t["b"] for t in drawn} == {"x", "y"}
    assert Space(["a=0.01..1", "b=x,y"], 3).trials() == drawn[:3]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["lambda_z"], "Received: --vary=lambda_z"),
        (["lambda_z=1,1"], "given twice"),
        (["lambda_z=1..0.1"], "from a number above 0 to a larger one"),
        (["lambda_z=0..1"], "above 0"),
        (["lambda_z=0.1..1"], "--trials=N"),
        (["a=1", "a=2"], "names a flag twice"),
    ],
)
def test_invalid_trials(texts, message):
    with pytest.raises(ValueError, match=message):
        Space(texts)


# -- a search -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("eagerly")
def test_a_search_interrupted_once(options, monkeypatch, capsys, long):
    """Two trials of real trainings; the first command is interrupted before the second."""
    if not long:
        pytest.skip("takes longer: --long")
    call = Call({"lambda_z=1": jobs.SignalError(2)})
    monkeypatch.setattr(jobs, "call", call)
    assert Selection(options).run() == 130
    assert sorted(n for n in os.listdir(options["out"]) if n[0] == "0") == [
        "0000-lambda_z_0", "0001-lambda_z_1",
    ]  # fmt: skip
    first = [command for command in call.commands if "lambda_z=0" in command]
    call.instead = {}
    selection = Selection(options)
    assert "lambda_z=1: to do" in selection.table()
    assert selection.run() == 0
    assert [command for command in call.commands if "lambda_z=0" in command] == first
    (best, scores), (_, others) = selection.ranking()
    assert scores["crps"]["value"] <= others["crps"]["value"]
    printed = capsys.readouterr().out
    assert f"hidden from the model: lambda_z={best['lambda_z']}." in printed
    assert f"--lambda_z={best['lambda_z']}" in printed.rsplit("Train with it:", 1)[1]
    assert printed.count("| **crps** |") == 1
    logs = os.path.join(options["out"], "tensorboard")
    assert sorted(os.listdir(logs)) == ["0000-lambda_z_0", "0001-lambda_z_1"]
    found = next(scores for values, scores in selection.ranking() if values == {"lambda_z": "1"})
    assert _logged(os.path.join(logs, "0001-lambda_z_1")) == pytest.approx(found["crps"]["value"])

    # Clean images play no part: what is scored are observed pixels that were hidden.
    scored = next(job for values, job in selection.jobs()).scores(HELD_OUT)
    assert scored["data"]["holdout"] == 0.3
    assert scored["extractor"] is None

    # Another share is hidden: nothing is trained again, all is scored again.
    other = Selection({**options, "holdout": 0.5})
    assert other.ranking() == []
    count = len(call.commands)
    assert other.run() == 0
    assert [c for c in call.commands[count:] if "run.py" in c] == []
    assert len(call.commands) == count + 2
    assert next(job for _, job in other.jobs()).scores(HELD_OUT)["data"]["holdout"] == 0.5
    assert selection.ranking() == []
    assert selection.run() == 0

    # More values: only these are trained.
    count = len(call.commands)
    more = Selection({**options, "vary": ["lambda_z=0,1,2"], "flags": FLAGS})
    call.instead = {"run.py": (1, "error: no")}
    assert more.run() == 1
    assert len(call.commands) == count + 1
    assert "- lambda_z=2: failed: error: no" in more.table()
    assert len(more.ranking()) == 2


def _logged(folder):
    """The CRPS in a trial's event files, and that HParams are there."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    events = EventAccumulator(folder)
    events.Reload()
    assert (
        events.SummaryMetadata("_hparams_/session_start_info").plugin_data.plugin_name == "hparams"
    )
    (event,) = events.Tensors("held_out/crps")
    return float(tensor_util.make_ndarray(event.tensor_proto))


def test_nothing_to_train(options):
    with pytest.raises(ValueError, match="after --"):
        Selection({**options, "flags": []})


def test_the_command_takes_the_flag_files(tmp_path):
    flagfile = ROOT / "experiments" / "flagfiles" / "tables" / "32" / "drop_pixel_equation_8.flags"
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "select_weights"), "--vary=lambda_z=1,2", "--dry_run",
         f"--out={tmp_path / 'out'}", "--", f"--flagfile={flagfile}", "--data=drawn_faces"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "lambda_z=2: to do" in done.stdout


def test_the_command_says_the_mistake(tmp_path):
    tool, out = ROOT / "tools" / "select_weights", f"--out={tmp_path / 'out'}"
    given = "--vary=lambda_z=1,2", out, "--", "--steps=3", "--runs=elsewhere"
    done = forks.run(tool, *given, cwd=tmp_path)
    assert done.returncode == 2
    assert "except runs, resume, dry_run. Received: --runs=elsewhere" in done.stderr
    assert not list(tmp_path.iterdir())
