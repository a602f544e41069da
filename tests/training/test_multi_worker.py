"""Two workers train as one process does, only the first writes, and a killed one can be started again."""

import json
import os
import socket
import time
import zipfile

import h5py
import numpy as np
import pytest

from keras_uai.training import run_folder
from tests import forks
from tests.testing import ROOT

SMALL = "width=4,max_width=4,space_to_depth=4,attention_level=none"
FLAGS = {
    "data": "drawn_faces", "image_size": 16, "limit": 64, "measurement": "DropPixel(0.5)",
    "model": "Splitting", "generator": f"{SMALL},normalization=batch", "latent_dim": 4,
    "batch_size": 8, "gradient_accumulation_steps": 2, "steps": 30, "steps_per_epoch": 5,
    "jit_compile": "false", "eval_images": 4, "num_samples": 2, "eval_every": 0,
    "monitor_images": 0, "grid_images": 0, "checkpoint_minutes": 0,
}  # fmt: skip


def start(folder, backend, variables=(), **flags):
    """Returns the command of one process."""
    flags = [f"--{flag}={value}" for flag, value in {**FLAGS, **flags}.items()]
    run = ROOT / "experiments" / "run.py"
    return forks.Command(run, *flags, cwd=folder, backend=backend, environment=variables)


def start_workers(folder, backend, **flags):
    """Returns the commands of two workers on this machine."""
    with socket.socket() as first, socket.socket() as second:
        for s in (first, second):
            s.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in (first, second)]
    found = []
    for index in range(2):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        variables = {
            "TF_CONFIG": json.dumps(task),
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": addresses[0],
            "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
            "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
        }
        flags["distribution"] = "multi_worker"
        found.append(start(folder, backend, variables, **flags))
    return found


def said(command):
    return "".join(command.said())


def weights(path):
    """All that a run's `model.keras` holds, `{path: array}`."""
    found = {}
    archive = zipfile.ZipFile(path / run_folder.MODEL)
    with archive, archive.open("model.weights.h5") as file, h5py.File(file) as stored:
        stored.visititems(
            lambda name, item: found.update({name: item[()]} if hasattr(item, "dtype") else {})
        )
    return found


@pytest.fixture(scope="module", params=["tensorflow", "jax"])
def cluster(request, tmp_path_factory):
    """A training of two workers of which the second is killed, then resumed; and the same in one process."""
    backend = request.param
    if backend == "jax":
        pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("cluster")
    runs, processes = folder / "runs", []
    try:
        processes += (workers := start_workers(folder, backend))
        end = time.monotonic() + forks.TIMEOUT
        while True:  # until there is a checkpoint that is not the last
            path = next(iter(runs.glob("0000-*")), None)
            checkpoint = path and run_folder.last_checkpoint(path)
            if checkpoint:
                break
            assert time.monotonic() < end, said(workers[0])[-3000:]
            assert all(w.poll() is None for w in workers), said(workers[0])[-3000:]
            time.sleep(0.05)
        workers[1].kill()
        codes = [workers[0].wait()]
        reached = int(os.path.basename(run_folder.last_checkpoint(path)))
        processes += start_workers(folder, backend, resume=path)
        codes += [w.wait() for w in processes[2:]]
        processes.append(start(folder, backend, runs=folder / "alone"))
        codes.append(processes[-1].wait())
    finally:
        for process in processes:
            process.kill()
    return folder, path, reached, codes, [said(process) for process in processes]


def test_a_worker_that_loses_another_says_so_and_ends(cluster):
    _, _, reached, codes, texts = cluster
    assert codes[0] == 1
    assert "error: Worker 0 of 2 cannot continue: another worker has gone" in texts[0]
    assert "--resume" in texts[0]
    assert 0 < reached < FLAGS["steps"]


def test_both_go_on_from_the_last_checkpoint_to_where_one_process_comes(cluster):
    folder, path, _, codes, texts = cluster
    assert codes[1:] == [0, 0, 0], texts[2][-3000:]
    two, one = weights(path), weights(next((folder / "alone").glob("0000-*")))
    assert two.keys() == one.keys()
    far = {name: float(np.abs(two[name] - one[name]).max()) for name in one}
    # Where a gradient is little more than rounding, Adam still makes whole steps (1e-4) of it: most weights agree to
    # rounding, all to a few such steps of 30. `test_distribution` is exact, with gradient descent.
    assert np.median(list(far.values())) < 1e-5
    assert max(far.values()) < 5e-4


def test_only_the_first_worker_writes(cluster):
    folder, path, _, _, texts = cluster
    assert [p.name for p in (folder / "runs").iterdir() if p.name != ".lock"] == [path.name]
    rows = (path / run_folder.LOG).read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + FLAGS["steps"] // FLAGS["steps_per_epoch"]
    assert "Run folder" not in texts[3]
    assert (path / run_folder.SCORES).exists()
