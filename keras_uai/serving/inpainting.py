"""The work behind tools/inpaint: files and folders in, a folder of results for each image out."""

import contextlib
import dataclasses
import os
import signal
import sys

from keras_uai.metrics.progress import bar
from keras_uai.serving import damaged, results
from keras_uai.serving.client import Client
from keras_uai.serving.errors import FailedError, UnavailableError

_TARGETS = ("preset", "model", "server")
# What is wrong with one image is said at the end; what is wrong with the server ends all.
_OF_AN_IMAGE = (ValueError, OSError, FailedError)


@dataclasses.dataclass
class Report:
    """What became of the images.

    Args:
        written, kept: numbers of images: whose results were written, and whose were there already.
        errors: `{path: message}`.
        stopped: why the rest was not tried, or None.
        interrupted: whether that was Ctrl-C.
    """

    written: int = 0
    kept: int = 0
    errors: dict = dataclasses.field(default_factory=dict)
    stopped: str | None = None
    interrupted: bool = False

    def describe(self, total, out):
        """The last lines of the command."""
        lines = [f"{path}: {message}" for path, message in self.errors.items()]
        lines += [self.stopped] if self.stopped else []
        text = f"{total} images: {self.written} written to {out}"
        text += f", {self.kept} were there already (--overwrite replaces them)" * bool(self.kept)
        text += f", {len(self.errors)} failed" * bool(self.errors)
        left = total - self.written - self.kept - len(self.errors)
        text += f", {left} not tried (the same command goes on with them)" * bool(left)
        return "\n".join([*lines, text])


def inpaint(client, found, out, num_samples=5, seed=0, overwrite=False, progress=False):
    """Fills in images and writes what comes of them.

    Args:
        client: a `Client`.
        found: list of `damaged.Damaged`.
        out: folder of the results, see `results`.
        num_samples: K.
        seed: of every image, so that its samples depend on no other.
        overwrite: replace results that are there; else these images are not asked for.
        progress: whether to show a progress bar.

    Returns:
        a `Report`; errors of single images are in it, and so is an interruption (Ctrl-C).
    """
    report = Report()

    def one(item):
        """`(item, written or error)`; no exception of an image ends the others."""
        try:
            path = results.folder(out, item.name)
            if os.path.lexists(path) and not overwrite:
                return item, None
            image, mask = item.load(client.limits)
            encoded = client.inpaint_encoded(image, mask or None, num_samples, seed)
            return item, results.write(out, item.name, encoded, overwrite)
        except UnavailableError:
            raise
        except _OF_AN_IMAGE as error:
            return item, error

    try:
        with bar(progress and "Images", len(found)) as advance:
            for item, result in client.map(one, found):
                if isinstance(result, Exception):
                    report.errors[item.path] = str(result)
                elif result is None:
                    report.kept += 1
                else:
                    report.written += 1
                advance(1)
    except UnavailableError as error:
        report.stopped = str(error)
    except KeyboardInterrupt:
        report.stopped, report.interrupted = "Stopped; nothing is half written.", True
    return report


def run(options, paths):
    """What the command does.

    Args:
        options: dict of the flags of tools/inpaint.
        paths: of images and folders.

    Returns:
        the exit code: 0; 1 where an image failed or the server did; 130 after Ctrl-C.

    Raises:
        ValueError: something is wrong with the command.
    """
    given = [name for name in _TARGETS if options[name]]
    if len(given) != 1:
        raise ValueError(
            "Which model? Name one of --preset, --model and --server. "
            f"Received: {', '.join(f'--{name}' for name in given) or 'none'}"
        )
    out = options["out"]
    if os.path.lexists(out) and not os.path.isdir(out):
        raise ValueError(f"Results are written into a folder. Received: --out={out}, a file")
    found = damaged.find(paths, options["mask"], leave_out=out)
    client = Client(
        options[given[0]],
        timeout=options["timeout"],
        retries=options["retries"],
        concurrency=options["concurrency"],
    )
    names = ("num_samples", "seed", "overwrite", "progress")
    with client, _terminated_like_interrupted():
        report = inpaint(client, found, out, **{name: options[name] for name in names})
    failed = report.errors or report.stopped
    print(report.describe(len(found), out), file=sys.stderr if failed else sys.stdout)
    if report.interrupted:
        return 128 + signal.SIGINT
    return 1 if failed else 0


@contextlib.contextmanager
def _terminated_like_interrupted():
    """SIGTERM ends the command as Ctrl-C does, with nothing left half written."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
