"""The command `inpaint`: files and folders in, a folder of results for each image out.

```
OUT/path/of/the/image/
  sample_01.png, ...   reconstructions, in the image's bit depth (floats: .tif)
  mean.png             the best single answer
  std.png              standard deviation of each pixel: 16 bits, white = half of the images' range
                       (floats: .tif, in the image's units)
  uncertainty.png      the same in colours, from black to light yellow = the image's largest
```
"""

import collections
import contextlib
import errno
import functools
import os
import pathlib
import signal
import sys

import numpy as np

from keras_uai import checks, cluster, files
from keras_uai.metrics import figures
from keras_uai.progress import bar
from keras_uai.serving import discovery
from keras_uai.serving.client import Client
from keras_uai.serving.transports import FailedError, UnavailableError

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def run(options, paths):
    """Runs the command with its flags, a dict, on a list of images and folders.

    Returns:
        The exit code: 0; 1 if an image or the server failed; 130 after Ctrl-C.
    """
    out, targets = options["out"], [options[name] for name in ("model", "server") if options[name]]
    if len(targets) != 1:
        raise ValueError(
            f"Name a model: --model (or --preset), or --server. Received: {targets or 'neither'}"
        )
    if os.path.lexists(out) and not os.path.isdir(out):
        raise ValueError(f"--out must be a folder. Received: --out={out}, a file")
    found = discovery.find(paths, options["mask"], leave_out=out)
    settings = {name: options[name] for name in ("timeout", "retries", "concurrency")}
    given = {name: options[name] for name in ("num_samples", "seed", "overwrite", "progress")}
    with (
        _interruptible(),
        cluster.connect(options.get("scheduler"), options.get("workers")) as workers,
        Client(targets[0], **settings) as client,
    ):
        if workers is not None:
            client = _OnWorkers(workers, targets[0], {**settings, "concurrency": 1})
        outcomes, stopped = inpaint(client, found, out, **given)
    errors = [f"{path}: {e}" for path, e in outcomes.items() if isinstance(e, Exception)]
    counts = collections.Counter(v for v in outcomes.values() if isinstance(v, str))
    interrupted = isinstance(stopped, KeyboardInterrupt)
    reason = "Stopped; no result is half written." if interrupted else stopped
    parts = {
        f"{counts['written']} written to {out}": True,
        f"{counts['kept']} were there already (--overwrite replaces them)": counts["kept"],
        f"{len(errors)} failed": errors,
        f"{len(found) - len(outcomes)} not tried (the same command continues with them)": stopped,
    }
    text = f"{len(found)} images: {', '.join(part for part, said in parts.items() if said)}"
    lines = [*errors, *([str(reason)] if reason else []), text]
    failed = bool(errors or stopped)
    text = "\n".join(lines).encode(errors="replace").decode()  # names may be no Unicode
    print(text, file=sys.stderr if failed else sys.stdout)
    return 128 + signal.SIGINT if interrupted else int(failed)


def inpaint(client, found, out, num_samples=5, seed=0, overwrite=False, progress=False):
    """Fills in images, each with the same seed, and writes their results.

    Images of `found`, a list of `discovery.Input`, that have results in the folder `out` are skipped
    unless `overwrite`.

    Returns:
        `(outcomes, stopped)`: a dict `{path: "written", "kept", or the image's error}`, and the
        UnavailableError (or KeyboardInterrupt, or OSError of a full or read-only disk) after which
        the rest was not tried, or None.
    """
    one = functools.partial(_inpaint_one, client, out, num_samples, seed, overwrite)
    outcomes = {}
    try:
        with bar(progress and "Images", len(found)) as shown:
            for item, outcome in zip(found, client.map(one, found), strict=True):
                outcomes[item.path] = outcome
                shown.update()
    except (OSError, KeyboardInterrupt) as error:
        return outcomes, error
    return outcomes, None


def _inpaint_one(client, out, num_samples, seed, overwrite, item):
    """Writes the results of an image; returns "written", "kept", or its error."""
    folder = os.path.join(out, *item.name.split("/"))
    if os.path.lexists(folder) and not overwrite:
        return "kept"
    try:
        image, mask = item.load()
        contents = encode(client.inpaint(image, mask, num_samples, seed))
        with files.atomic_folder(folder) as draft:
            for name, data in contents.items():
                pathlib.Path(draft, name).write_bytes(data)
    except (ValueError, OSError, FailedError) as error:
        if isinstance(error, UnavailableError) or getattr(error, "errno", 0) in _UNWRITABLE:
            raise  # ends the command
        return error
    return "written"


class _OnWorkers:
    """Stands in for a `Client`: Dask's workers do the work, each with a client of its own."""

    def __init__(self, workers, target, settings):
        self.workers = workers
        self.target = os.path.abspath(target) if os.path.exists(target) else target
        self.settings = tuple(settings.items())

    def __getstate__(self):
        return {**self.__dict__, "workers": None}

    def inpaint(self, *args):
        return _client(self.target, self.settings).inpaint(*args)

    def map(self, function, items):
        from distributed import KilledWorker

        for _, future in cluster.submitted(self.workers, function, items):
            try:
                yield future.result()
            except KilledWorker:
                yield ChildProcessError("Each worker that began it ended. Has it enough memory?")


@functools.lru_cache(maxsize=1)
def _client(target, settings):
    return Client(target, **dict(settings))


def encode(found):
    """Returns `{file name: bytes}` of a `Reconstruction`. One sample alone has no deviation."""
    dtype = found.mean.dtype
    extension = ".tif" if dtype.kind == "f" else ".png"
    images = {f"sample_{k + 1:02d}": sample for k, sample in enumerate(found.samples)}
    images["mean"] = found.mean
    if len(found.samples) > 1:
        std = images["std"] = found.std.mean(axis=-1)
        if dtype.kind != "f":
            share = np.minimum(std / (np.iinfo(dtype).max / 2.0), 1.0)
            images["std"] = np.rint(share * 65535.0).astype("uint16")
    images = {k: v.astype("float32") if v.dtype.kind == "f" else v for k, v in images.items()}
    contents = {f"{k}{extension}": files.encode_image(v, extension) for k, v in images.items()}
    if len(found.samples) > 1:
        colours = figures.colour_map(std / (std.max() or 1.0))
        contents["uncertainty.png"] = files.encode_image(colours)
    return contents


@contextlib.contextmanager
def _interruptible():
    """SIGTERM ends the command as Ctrl-C does; each warning is a single line, once."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with checks.plain_warnings():
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
