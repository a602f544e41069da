"""tools/benchmark: a subcommand, a table, JSON."""

import json

from tests import forks
from tests.testing import ROOT


def run(*arguments, cwd):
    return forks.run(ROOT / "tools" / "benchmark", *arguments, cwd=cwd)


def test_metrics(tmp_path):
    done = run(
        "metrics", "--images=20", "--dimensions=8", "--repeats=1", "--json=out.json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "20 images each, 8 dimensions" in done.stdout
    assert json.loads((tmp_path / "out.json").read_text())["benchmark"] == "metrics"


def test_unknown_benchmarks(tmp_path):
    done = run("speed", cwd=tmp_path)
    assert done.returncode == 2
    assert "error: Name one benchmark:" in done.stderr
    assert "inference  time and memory" in done.stderr
    assert done.stderr.endswith("Received: speed\n")
