"""Dask's workers: processes of this machine (`--workers`) or of others (`--scheduler`)."""

import collections
import contextlib
import itertools
import os

#: Tasks of each worker that are begun before the results of earlier ones are taken.
AHEAD = 2


@contextlib.contextmanager
def connect(scheduler=None, workers=None):
    """Yields a `distributed.Client`, or None where neither is given.

    Args:
        scheduler: Address of a scheduler, such as `tcp://host:8786`. Its workers have this package,
            and find files under the same absolute paths.
        workers: Number of processes to start on this machine; they end with the block.

    Raises:
        ImportError: Dask is not installed; the message says how to install it.
        OSError: The scheduler cannot be reached.
        ValueError: Both are given.
    """
    if scheduler is None and workers is None:
        yield None
        return
    if scheduler is not None and workers is not None:
        raise ValueError(
            "Name a scheduler or a number of workers. "
            f"Received: --scheduler={scheduler}, --workers={workers}"
        )
    from keras_uai.fields.files.base import require

    (distributed,) = require("--scheduler or --workers", "distributed")
    with contextlib.ExitStack() as opened:
        if workers is not None:
            scheduler = opened.enter_context(
                distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=None
                )
            )
        yield opened.enter_context(distributed.Client(scheduler, timeout="10s"))


def share(client, value):
    """Returns a future of a value that many tasks use: each worker gets it once.

    It outlives the worker that holds it, unlike what is scattered.
    """
    return client.submit(_same, value, pure=False)


def submitted(client, function, items, *shared):
    """Yields `(item, future)` of `function(item, *shared)` in order; few are pending at a time."""
    waiting, items = collections.deque(), iter(items)
    while True:
        room = AHEAD * max(1, len(client.nthreads())) - len(waiting)
        for item in itertools.islice(items, max(0, room)):
            task = client.submit(_call, os.getcwd(), function, item, *shared, pure=False)
            waiting.append((item, task))
        if not waiting:
            return
        yield waiting.popleft()


def _same(value):
    return value


def _call(folder, function, *args):
    """Calls a function in the folder that paths are relative to."""
    os.chdir(folder)
    return function(*args)
