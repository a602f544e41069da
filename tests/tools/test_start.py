"""Commands of a checkout started by a Python without the packages: its environment is found, or named."""

import os
import shutil
import subprocess
import sys

from tests.testing import ROOT


def start(tool, **environment):
    """Starts a command with --help, without the packages of this Python's environment."""
    return subprocess.run(
        [sys.executable, "-S", tool, "--help"],
        env={**os.environ, "PYTHONPATH": "", **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_environment_is_found(tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho found: $@\n")
    python.chmod(0o755)
    scripts = [path for path in (ROOT / "tools").iterdir() if path.is_file()]
    ours = [path for path in scripts if path.read_text().startswith("#!/usr/bin/env python3")]
    assert len(ours) > 10
    for tool in (*ours, ROOT / "experiments" / "run.py"):
        assert start(tool, VENV=str(tmp_path)).stdout == f"found: {tool} --help\n"


def test_without_an_environment(tmp_path):
    for name in ("start.py", "inpaint"):
        shutil.copy(ROOT / "tools" / name, tmp_path / name)
    done = start(tmp_path / "inpaint")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {sys.executable} has no Keras")
    assert "tools/quickstart" in line
