"""Devices and machines that train a run together: `--distribution`, on either backend.

`mirrored` uses all accelerators of this machine (without any, all devices of TensorFlow or JAX).
`multi_worker` uses several machines, on each of which the same command is started. TensorFlow:
`tf.distribute`, machines named in TF_CONFIG. JAX: `keras.distribution.DataParallel`, machines named
in KERAS_DISTRIBUTION_JOB_ADDRESSES, _NUM_PROCESSES and _PROCESS_ID, or found by JAX (Slurm, TPU pods).
"""

import atexit
import contextlib
import json
import os
import re
import sys
import zlib

import keras
import numpy as np

KINDS = ("none", "mirrored", "multi_worker")
#: Steps from one agreement of several workers (signals, the clock) to the next.
AGREEMENT_STEPS = 20
#: How XLA's errors begin.
_STATUS = re.compile(
    "(UNKNOWN|UNAVAILABLE|INTERNAL|ABORTED|CANCELLED|DEADLINE_EXCEEDED|FAILED_PRECONDITION): "
)


class LostWorkerError(RuntimeError):
    """Another worker has gone, and the training cannot continue without it."""


class SingleProcess:
    """One process on one device; base of the groups.

    Attributes:
        replicas: integer; the number of devices.
        workers: integer; the number of processes.
        index: integer; this process's number.
    """

    kind = "none"
    replicas = 1
    workers = 1
    index = 0

    @property
    def is_chief(self):
        """Whether this process writes: the first worker."""
        return self.index == 0

    @property
    def agreement_steps(self):
        """Steps from one agreement of the workers to the next."""
        return AGREEMENT_STEPS if self.workers > 1 else 1

    def scope(self):
        """Returns the context in which models are made."""
        return contextlib.nullcontext()

    def close(self):
        """Ends the group; a later run may use another one."""

    def fit(self, model, stream, **arguments):
        """Trains like `model.fit` on an ordered stream of batches, without output."""
        model.fit(stream, shuffle=False, verbose=0, **arguments)

    @contextlib.contextmanager
    def chief_only(self):
        """Inside, the chief uses the model alone."""
        yield

    def exchange(self, *values):
        """Returns the workers' numbers, float64 `(workers, len(values))`; all workers call it."""
        return np.array([values], "float64")

    def check_same(self, settings):
        """Raises a ValueError where the workers were started with different settings."""
        if self.workers == 1:
            return
        checksum = zlib.crc32(json.dumps(settings, sort_keys=True).encode())
        others = self.exchange(checksum)[:, 0]
        if (others != others[0]).any():
            differ = [str(i) for i, other in enumerate(others) if other != others[0]]
            raise ValueError(
                "All workers must be started with the same flags and images (--dry_run prints the "
                f"settings). Received: other settings on worker {', '.join(differ)} than on worker 0"
            )

    def check_batch(self, settings):
        """Raises a ValueError where a batch does not divide among replicas and micro-batches."""
        batch, accumulation = settings["batch_size"], settings["gradient_accumulation_steps"]
        received = (
            f"--batch_size={batch}, {self.replicas} devices, "
            f"--gradient_accumulation_steps={accumulation}"
        )
        if batch % (self.replicas * accumulation):
            raise ValueError(
                "--batch_size is that of all devices together, and must be a multiple of their "
                f"number times --gradient_accumulation_steps. Received: {received}"
            )
        part = batch // (self.replicas * accumulation)
        if settings.get("lambda_marginal") and part < 3:
            raise ValueError(
                "--lambda_marginal compares an image with reconstructions of two others, so that "
                f"each device and micro-batch needs 3 images or more. Received: {part} ({received})"
            )

    @contextlib.contextmanager
    def watching(self):
        """Turns the backend's errors about a lost worker into `LostWorkerError`."""
        yield

    def _lost(self, error):
        lines = str(error).strip().splitlines()
        return LostWorkerError(
            f"Worker {self.index} of {self.workers} cannot continue: another worker has gone, or "
            "cannot be reached any more. Start all workers again with --resume=FOLDER. "
            f"({type(error).__name__}: {lines[0][:200] if lines else ''})"
        )


class TensorFlowGroup(SingleProcess):
    """The devices of a `tf.distribute` strategy.

    Args:
        kind: `"mirrored"` or `"multi_worker"`.
    """

    def __init__(self, kind):
        import tensorflow as tf

        self.kind = kind
        if kind == "multi_worker":
            addresses, self.index = worker_addresses()
            self.workers = len(addresses)
            print(f"Worker {self.index} of {self.workers} waits for the others.", flush=True)
            tf.get_logger().setLevel("WARNING")  # it reports every all-reduce
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        else:
            devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            self.strategy = tf.distribute.MirroredStrategy([d.name for d in devices])
        self.replicas = self.strategy.num_replicas_in_sync
        self._gather = tf.function(self._gather_rows)

    def scope(self):
        return self.strategy.scope()

    def exchange(self, *values):
        if self.workers == 1:
            return super().exchange(*values)
        import tensorflow as tf

        rows = self._gather(tf.constant(values, tf.float64)).numpy()
        return rows[:: len(rows) // self.workers]

    def _gather_rows(self, row):
        import tensorflow as tf

        def gather():
            return tf.distribute.get_replica_context().all_gather(row[None], axis=0)

        return self.strategy.experimental_local_results(self.strategy.run(gather))[0]

    @contextlib.contextmanager
    def watching(self):
        from tensorflow import errors

        gone = (
            errors.UnavailableError,
            errors.AbortedError,
            errors.CancelledError,
            errors.DeadlineExceededError,
            errors.FailedPreconditionError,
            errors.InternalError,
        )
        try:
            yield
        except gone as error:
            if self.workers == 1:
                raise
            raise self._lost(error) from error


class JaxGroup(SingleProcess):
    """The devices of a `keras.distribution.DataParallel`.

    Args:
        kind: `"mirrored"` or `"multi_worker"`.
    """

    def __init__(self, kind):
        import jax

        self.kind = kind
        if kind == "multi_worker":
            keras.distribution.initialize()
        # Every process is given its own part of the batch already.
        distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(distribution)
        self.workers = jax.process_count()
        self.index = jax.process_index()
        self.replicas = jax.device_count()

    def close(self):
        keras.distribution.set_distribution(None)

    @contextlib.contextmanager
    def chief_only(self):
        distribution = keras.distribution.distribution()
        if self.workers > 1:  # Keras would place new arrays on the devices of all processes
            keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(distribution)

    def exchange(self, *values):
        if self.workers == 1:
            return super().exchange(*values)
        from jax.experimental import multihost_utils

        # Two float32 hold one float64, which JAX does not have.
        high = np.asarray(values, "float64").astype("float32")
        low = (np.asarray(values, "float64") - high).astype("float32")
        rows = np.asarray(multihost_utils.process_allgather(np.stack([high, low])), "float64")
        return rows.sum(axis=1)

    @contextlib.contextmanager
    def watching(self):
        import jax

        try:
            yield
        except (jax.errors.JaxRuntimeError, ValueError) as error:
            # A failed transfer between processes is a ValueError that begins with XLA's status.
            failed = not isinstance(error, ValueError) or _STATUS.match(str(error))
            if self.workers == 1 or not failed:
                raise
            # At the end of the process, JAX would wait for the lost worker and abort.
            atexit.register(_leave)
            raise self._lost(error) from error


def _leave():
    """Ends the process at once, with the exit code of a lost worker."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def make(kind):
    """Returns the group of `--distribution=kind`; call it before the backend is used.

    Raises:
        ValueError: If there is no such kind, or the machines are not named.
    """
    if kind not in KINDS:
        raise ValueError(
            f"--distribution must be one of {', '.join(KINDS)}. Received: --distribution={kind}"
        )
    if kind == "none":
        return SingleProcess()
    return TensorFlowGroup(kind) if keras.backend.backend() == "tensorflow" else JaxGroup(kind)


def worker_addresses():
    """Returns `(addresses of the workers, this one's index)` from the variable TF_CONFIG."""
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        addresses = [str(address) for address in config["cluster"]["worker"]]
        kind, index = config["task"]["type"], int(config["task"]["index"])
        named = all(re.fullmatch(r".+:\d+", address) for address in addresses)
        only_workers = kind == "worker" and set(config["cluster"]) == {"worker"}
        if not (named and only_workers and 0 <= index < len(addresses)):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            "--distribution=multi_worker is started on each machine, where TF_CONFIG must name all "
            'machines and this one: TF_CONFIG=\'{"cluster": {"worker": ["host0:2222", '
            '"host1:2222"]}, "task": {"type": "worker", "index": 0}}\'. '
            f"Received: TF_CONFIG={text!r}"
        ) from None
    return addresses, index
