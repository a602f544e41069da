"""The tool as a user runs it: flags in, a table out."""

import os
import subprocess
import sys

from tests.metrics.test_evaluation_data import clean  # noqa: F401
from tests.testing import ROOT


def run(tool, *arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": ""}
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / tool), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_evaluate(clean, tmp_path):  # noqa: F811
    done = run(
        "evaluate",
        f"--data={clean}",
        "--measurement=DropPixel(0.5)",
        "--split=all",
        "--baselines=nearest",
        "--extractor=none",
        "--noprogress",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "10 images of clean (all, seed 0), 16x16x3, DropPixel(p=0.5, tau=0.0)" in done.stdout
    assert "| nearest |" in done.stdout
    assert sorted(p.name for p in (tmp_path / "evaluation").iterdir()) == [
        "methods.png",
        "results.json",
        "state",
        "table.md",
    ]
