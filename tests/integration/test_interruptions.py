"""Killed at any moment and run again, commands end in the bits of a whole run; see interruptions.py."""

import os
import subprocess
import sys

import pytest

from tests.testing import ROOT


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_killed_and_run_again(backend, tmp_path, long):
    if backend == "jax" and not long:
        pytest.skip("takes longer: --long")
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.interruptions", tmp_path, *["25"] * long],
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
        | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax")}
        | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not done.returncode, f"{done.stdout}\n{done.stderr}"
    ended = [line for line in done.stdout.splitlines() if "ended as a whole run" in line]
    commands = ["train", "evaluate", "export", "inpaint"]
    commands.remove("export") if backend == "jax" else None
    assert [line.split(":")[0] for line in ended] == commands
