"""`experiments/run.py` in a process without TensorFlow, and a run folder that moves there and back."""

import csv
import os
import shutil
import signal

import keras
import numpy as np
import pytest

from keras_uai import files
from keras_uai.training.runner import main
from tests.testing import ROOT, run_on_jax
from tests.training.test_runner import interrupt, only_run  # noqa: F401 (a fixture)

_ON_JAX = """
import os, runpy, signal, sys
import keras_uai.training.evaluation as evaluation
from keras_uai.training.runner import main

class Monitor(evaluation.Monitor):
    seen = 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == 4:
            os.kill(os.getpid(), signal.SIGINT)

whole, evaluation.Monitor = evaluation.Monitor, Monitor
sys.argv = [{script!r}, "--resume={folder}"]
sys.path.insert(0, os.path.dirname({script!r}))
try:
    runpy.run_path({script!r}, run_name="__main__")
except SystemExit as done:
    assert done.code == 128 + signal.SIGINT, done.code
evaluation.Monitor = whole
assert main({fresh!r}) == 0
from keras_uai.training import repeating
assert repeating.rerun({begun!r}) == 0
assert not [name for name in sys.modules if name.startswith("tensorflow") and sys.modules[name]]
"""


def rows(folder):
    with open(os.path.join(folder, "log.csv"), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("eagerly")
def test_a_run_moves_to_jax_and_back(tiny, tmp_path, interrupt):  # noqa: F811
    """Begun on TensorFlow, steps 8 to 11 of 12 on JAX, ended on TensorFlow: as if it had stayed."""
    tiny |= {"lambda_gan": 0.0, "lambda_energy": 0.0}  # what is left is quickly compiled
    interrupt(7)
    assert main(tiny) == 128 + signal.SIGINT
    interrupt(None)
    moved, stayed = only_run(tiny), str(tmp_path / "stayed")
    shutil.copytree(moved, stayed)
    fresh = {**tiny, "runs": str(tmp_path / "jax"), "steps": 2, "grid_images": 0}
    script = str(ROOT / "experiments" / "run.py")
    begun = str(tmp_path / "jax" / os.path.basename(moved))
    code = _ON_JAX.format(script=script, folder=moved, fresh=fresh, begun=begun)
    said = run_on_jax(code)
    assert "SIGINT: saving after this step" in said
    assert "agree to the last bit" in said  # the same seed, the same bits
    assert os.listdir(os.path.join(moved, "checkpoints")) == ["000011"]
    assert os.path.exists(os.path.join(moved, "grids", "000010.png"))
    scores = []
    for folder in (moved, stayed):
        assert main({"resume": folder}) == 0
        record = files.read_json(os.path.join(folder, "scores.json"))
        scores.append([record["scores"]["model"][n] for n in ("mse", "std", "crps")])
    np.testing.assert_allclose(*scores, rtol=1e-3)
    on_jax, here = rows(moved)[1], rows(stayed)[1]
    assert on_jax["step"] == here["step"] == "10"
    assert set(on_jax) == set(here)
    for column in set(here) - {"minutes"}:
        # Calibration counts pixels below quantiles: rounding moves a few across.
        counts = "calibration" in column
        close = pytest.approx(float(here[column]), rel=1e-3, abs=5e-3 if counts else 1e-4)
        assert float(on_jax[column]) == close, column

    # A run that JAX began and ended is TensorFlow's to use.
    record = files.read_json(os.path.join(begun, "scores.json"))
    assert record["versions"]["backend"] == "jax"
    assert np.isfinite(record["scores"]["model"]["mse"])
    model = keras.saving.load_model(os.path.join(begun, "model.keras"))
    assert int(model.step) == 2
    assert np.isfinite(model.inpaint(np.zeros((2, 16, 16, 3), "float32"), num_samples=2)).all()
