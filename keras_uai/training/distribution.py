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
import zlib

import keras
import numpy as np

#: Steps from one agreement of several workers (signals, the clock) to the next.
AGREEMENT_STEPS = 20
#: Errors of either backend when another process cannot be reached. On JAX, a failed transfer between
#: processes is a ValueError that begins with XLA's status.
_LOST = re.compile(
    "(Unavailable|Aborted|Cancelled|DeadlineExceeded|FailedPrecondition|Internal)Error: "
    "|JaxRuntimeError: |ValueError: (UNKNOWN|UNAVAILABLE|INTERNAL|ABORTED|CANCELLED"
    "|DEADLINE_EXCEEDED|FAILED_PRECONDITION): "
)


class LostWorkerError(RuntimeError):
    """Another worker has gone, and the training cannot continue without it."""


class SingleProcess:
    """One process on one device; base of the groups."""

    replicas = 1  # the number of devices
    workers = 1  # the number of processes
    index = 0  # this process's number

    @property
    def is_chief(self):
        """Whether this process writes: the first worker."""
        return self.index == 0

    def scope(self):
        """Returns the context in which models are made."""
        return contextlib.nullcontext()

    def chief_only(self):
        """Returns a context in which the chief uses the model alone."""
        return contextlib.nullcontext()

    def exchange(self, *values):
        """Returns the workers' numbers, float64 `(workers, len(values))`; all workers call it."""
        return np.array([values], "float64")

    def check_same(self, settings):
        """Raises a ValueError where the workers were started with different settings."""
        checksum = zlib.crc32(json.dumps(settings, sort_keys=True).encode())
        others = self.exchange(checksum)[:, 0]
        if differ := [str(i) for i, other in enumerate(others) if other != others[0]]:
            raise ValueError(
                "All workers must be started with the same flags and images (--dry_run prints the "
                f"settings). Received: other settings on worker {', '.join(differ)} than on worker 0"
            )

    def check_batch(self, settings):
        """Raises a ValueError where a batch does not divide among replicas and micro-batches."""
        batch, accumulation = settings["batch_size"], settings["gradient_accumulation_steps"]
        least = 3 if settings.get("lambda_marginal") else 1  # it compares three images
        part, rest = divmod(batch, self.replicas * accumulation)
        if rest or part < least:
            raise ValueError(
                "--batch_size is that of all devices together, and must be a multiple of their "
                "number times --gradient_accumulation_steps; with --lambda_marginal, three times "
                f"as much or more. Received: --batch_size={batch}, {self.replicas} devices, "
                f"--gradient_accumulation_steps={accumulation}"
            )

    @contextlib.contextmanager
    def watching(self):
        """Turns the backend's errors about a lost worker into `LostWorkerError`."""
        try:
            yield
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if self.workers == 1 or not _LOST.match(text):
                raise
            if keras.backend.backend() == "jax":  # would wait for the lost worker, and abort
                print(end="", flush=True)
                atexit.register(os._exit, 1)
            raise LostWorkerError(
                f"Worker {self.index} of {self.workers} cannot continue: another worker has gone, "
                "or cannot be reached any more. Start all workers again with --resume=FOLDER. "
                f"({text.splitlines()[0][:200]})"
            ) from error


class TensorFlowGroup(SingleProcess):
    """The devices of a `tf.distribute` strategy."""

    def __init__(self, kind):
        import tensorflow as tf

        if kind == "multi_worker":
            resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
            cluster = resolver.cluster_spec().as_dict()
            if list(cluster) != ["worker"]:
                raise ValueError(
                    "--distribution=multi_worker is started on each machine, where TF_CONFIG must "
                    'name all machines and this one: TF_CONFIG=\'{"cluster": {"worker": '
                    '["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}\'. '
                    f"Received: TF_CONFIG={os.environ.get('TF_CONFIG', '')!r}"
                )
            self.workers, self.index = len(cluster["worker"]), resolver.task_id
            print(f"Worker {self.index} of {self.workers} waits for the others.", flush=True)
            tf.get_logger().setLevel("WARNING")  # it reports every all-reduce
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        else:
            devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            self.strategy = tf.distribute.MirroredStrategy([d.name for d in devices])
        self.replicas = self.strategy.num_replicas_in_sync

        @tf.function
        def gather(row):
            def on_replica():
                return tf.distribute.get_replica_context().all_gather(row[None], axis=0)

            return self.strategy.experimental_local_results(self.strategy.run(on_replica))[0]

        self._gather = gather

    def scope(self):
        return self.strategy.scope()

    def exchange(self, *values):
        if self.workers == 1:
            return super().exchange(*values)
        return self._gather(np.array(values, "float64")).numpy()[:: self.replicas // self.workers]


class JaxGroup(SingleProcess):
    """The devices of a `keras.distribution.DataParallel`."""

    def __init__(self, kind):
        import jax

        if kind == "multi_worker":
            keras.distribution.initialize()
        # Every process is given its own part of the batch already.
        self.distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(self.distribution)
        self.workers = jax.process_count()
        self.index = jax.process_index()
        self.replicas = jax.device_count()

    @contextlib.contextmanager
    def chief_only(self):
        if self.workers > 1:  # Keras would place new arrays on the devices of all processes
            keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(self.distribution)

    def exchange(self, *values):
        if self.workers == 1:
            return super().exchange(*values)
        from jax.experimental import multihost_utils

        row = np.array(values, "float64").view("uint32")  # JAX has no float64
        return np.asarray(multihost_utils.process_allgather(row)).view("float64")


def make(kind):
    """Returns the group of `--distribution=kind`; call it before the backend is used."""
    if kind == "none":
        return SingleProcess()
    return TensorFlowGroup(kind) if keras.backend.backend() == "tensorflow" else JaxGroup(kind)
