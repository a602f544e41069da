"""How many devices and machines train a run together: `--distribution`, on either backend.

`mirrored` takes all accelerators of this machine (where there are none, all that TensorFlow or JAX calls a device),
`multi_worker` those of several machines, on each of which the same command is started. TensorFlow: `tf.distribute`,
machines named in TF_CONFIG. JAX: `keras.distribution.DataParallel`, machines named in KERAS_DISTRIBUTION_JOB_ADDRESSES,
_NUM_PROCESSES and _PROCESS_ID, or found out by JAX (Slurm, TPU pods).
"""

import atexit
import contextlib
import json
import os
import re
import socket
import sys
import time
import zlib

import keras
import numpy as np

KINDS = ("none", "mirrored", "multi_worker")
#: Seconds to wait for the other workers at the start.
PATIENCE = 600.0
#: How XLA's errors begin.
_STATUS = re.compile(
    "(UNKNOWN|UNAVAILABLE|INTERNAL|ABORTED|CANCELLED|DEADLINE_EXCEEDED|FAILED_PRECONDITION): "
)


class LostWorkerError(RuntimeError):
    """Another worker has gone, and the training cannot go on without it."""


class Alone:
    """One process; `scope` is where models are made, `replicas` how many devices it trains on."""

    kind, replicas, workers, index, strategy = "none", 1, 1, 0, None

    @property
    def is_chief(self):
        """Whether this process writes: the first of the workers."""
        return self.index == 0

    def scope(self):
        return contextlib.nullcontext()

    def close(self):
        """Ends what the process shares with others; a later run may be another group's."""

    @contextlib.contextmanager
    def solo(self):
        """Inside, the chief does something with the model that the others do not."""
        yield

    def exchange(self, *values):
        """The numbers that each worker gives, float64 `(workers, len(values))`; all workers call it alike."""
        return np.array([values], "float64")

    def of_chief(self, value):
        """The chief's number."""
        return float(self.exchange(value)[0, 0]) if self.workers > 1 else value

    def largest(self, number):
        """The largest of the workers' integers, None being the smallest of all."""
        if self.workers == 1:
            return number
        return int(self.exchange(number or 0).max()) or None

    def check_same(self, settings):
        """Raises ValueError where the workers were started with different settings."""
        if self.workers == 1:
            return
        stamp = zlib.crc32(json.dumps(settings, sort_keys=True).encode())
        others = self.exchange(stamp)[:, 0]
        if (others != others[0]).any():
            differ = [i for i, other in enumerate(others) if other != others[0]]
            raise ValueError(
                "All workers are started with the same flags, over the same images. Received: other settings on "
                f"worker {', '.join(map(str, differ))} than on worker 0 (--dry_run prints them)"
            )

    def check_batch(self, settings):
        """Raises ValueError where a batch does not divide among replicas and micro-batches."""
        parts = self.replicas * settings["micro_batches"]
        if settings["batch_size"] % parts:
            raise ValueError(
                "--batch_size is that of all devices together, and a multiple of their number times --micro_batches. "
                f"Received: --batch_size={settings['batch_size']}, {self.replicas} devices, "
                f"--micro_batches={settings['micro_batches']}"
            )
        part = settings["batch_size"] // parts
        if settings.get("lambda_marginal") and part < 3:
            raise ValueError(
                "--lambda_marginal compares an image with reconstructions of two others: 3 images or more to each "
                f"device and micro-batch. Received: {part} (--batch_size={settings['batch_size']}, "
                f"{self.replicas} devices, --micro_batches={settings['micro_batches']})"
            )

    @contextlib.contextmanager
    def watching(self):
        """Turns what the backend says of a lost worker into `LostWorkerError`."""
        yield

    def _lost(self, error):
        last = str(error).strip().splitlines()
        return LostWorkerError(
            f"Worker {self.index} of {self.workers} cannot go on: another worker has gone, or cannot be reached any "
            "more. Start all workers again, with --resume=FOLDER: they go on from the last checkpoint. "
            f"({type(error).__name__}: {last[0][:200] if last else ''})"
        )


class TensorFlowGroup(Alone):
    """The devices of a `tf.distribute` strategy."""

    def __init__(self, kind):
        import tensorflow as tf

        self.kind = kind
        if kind == "multi_worker":
            addresses, self.index = _tf_config()
            self.workers = len(addresses)
            _wait_for_first(addresses, self.index)
            tf.get_logger().setLevel("WARNING")  # it tells of every all-reduce that it makes
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        else:
            devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            self.strategy = tf.distribute.MirroredStrategy([d.name for d in devices])
        self.replicas = self.strategy.num_replicas_in_sync
        self._exchange = None

    def scope(self):
        return self.strategy.scope()

    def exchange(self, *values):
        if self.workers == 1:
            return super().exchange(*values)
        import tensorflow as tf

        strategy = self.strategy
        if self._exchange is None:

            @tf.function
            def exchange(mine):
                def gather():
                    return tf.distribute.get_replica_context().all_gather(mine[None], axis=0)

                return strategy.experimental_local_results(strategy.run(gather))[0]

            self._exchange = exchange
        rows = self._exchange(tf.constant(values, tf.float64)).numpy()
        return rows[:: len(rows) // self.workers]

    @contextlib.contextmanager
    def watching(self):
        import tensorflow as tf

        gone = (
            tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError,
            tf.errors.DeadlineExceededError, tf.errors.FailedPreconditionError, tf.errors.InternalError,
        )  # fmt: skip
        try:
            yield
        except gone as error:
            if self.workers == 1:
                raise
            raise self._lost(error) from error


class JaxGroup(Alone):
    """The devices of a `keras.distribution.DataParallel`."""

    def __init__(self, kind):
        import jax

        self.kind = kind
        if kind == "multi_worker":
            keras.distribution.initialize()
        # Keras would take a part of what is this process's part of the batch already.
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(auto_shard_dataset=False)
        )
        self.workers, self.index = jax.process_count(), jax.process_index()
        self.replicas = jax.device_count()

    def close(self):
        keras.distribution.set_distribution(None)

    @contextlib.contextmanager
    def solo(self):
        distribution = keras.distribution.distribution()
        if self.workers > 1:  # else Keras would put what it makes onto the devices of all
            keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(distribution)

    def exchange(self, *values):
        if self.workers == 1:
            return super().exchange(*values)
        from jax.experimental import multihost_utils

        # Two float32 hold what one float64 does, where JAX has no float64.
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
            # A transfer between processes that fails is a ValueError with XLA's status in front.
            failed = not isinstance(error, ValueError) or _STATUS.match(str(error))
            if self.workers == 1 or not failed:
                raise
            # When Python ends, JAX would wait for the worker that is lost, and abort.
            atexit.register(_leave)
            raise self._lost(error) from error


def _leave():
    """Ends the process now, with the exit code of a lost worker."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def make(kind):
    """The group of `--distribution=kind`; comes before anything else uses the backend.

    Raises:
        ValueError: there is no such kind, or the machines are not named.
    """
    if kind not in KINDS:
        raise ValueError(
            f"--distribution is one of {', '.join(KINDS)}. Received: --distribution={kind}"
        )
    if kind == "none":
        return Alone()
    return TensorFlowGroup(kind) if keras.backend.backend() == "tensorflow" else JaxGroup(kind)


def _tf_config():
    """`(addresses of the workers, this one's index)` of the environment variable TF_CONFIG."""
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        addresses = [str(address) for address in config["cluster"]["worker"]]
        kind, index = config["task"]["type"], int(config["task"]["index"])
        if (
            kind != "worker"
            or set(config["cluster"]) != {"worker"}
            or not 0 <= index < len(addresses)
            or not all(re.fullmatch(r".+:\d+", address) for address in addresses)
        ):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            "--distribution=multi_worker is started on each machine, and the variable TF_CONFIG names these, and which "
            'of them this is: TF_CONFIG=\'{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
            '"task": {"type": "worker", "index": 0}}\'. '
            f"Received: TF_CONFIG={text!r}"
        ) from None
    return addresses, index


def _wait_for_first(addresses, index):
    """Waits for worker 0, which every other one begins by asking, or raises ValueError.

    TensorFlow would wait for ever and say nothing.
    """
    if index == 0:
        print(f"Worker 0 of {len(addresses)}: waiting for the others.", flush=True)
        return
    host, _, port = addresses[0].rpartition(":")
    end = time.monotonic() + PATIENCE
    print(f"Worker {index} of {len(addresses)}: waiting for {addresses[0]}.", flush=True)
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise ValueError(
                    f"Worker 0 does not answer after {PATIENCE / 60:.0f} minutes. Start it, and see that no firewall "
                    f"stands between. Received: {addresses[0]} ({error})"
                ) from error
            time.sleep(1.0)
