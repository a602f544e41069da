"""The command `inpaint`: files and folders in, a folder of results for each image out."""

import contextlib
import dataclasses
import os
import signal
import sys
import warnings

from keras_uai.metrics.progress import bar
from keras_uai.serving import discovery, writer
from keras_uai.serving.client import Client
from keras_uai.serving.errors import FailedError, UnavailableError

_TARGETS = ("model", "server")
# Errors of one image are reported at the end; an unavailable server ends the command.
_IMAGE_ERRORS = (ValueError, OSError, FailedError)


@dataclasses.dataclass
class Report:
    """The outcome of a command.

    Args:
        written: integer, number of images whose results were written.
        kept: integer, number of images whose results were there already.
        errors: dict `{path: message}`.
        stopped: string, why the rest was not tried, or None.
        interrupted: boolean, whether the reason was Ctrl-C.
    """

    written: int = 0
    kept: int = 0
    errors: dict = dataclasses.field(default_factory=dict)
    stopped: str | None = None
    interrupted: bool = False

    def describe(self, total, out):
        """Returns the last lines of the command."""
        lines = [f"{path}: {message}" for path, message in self.errors.items()]
        lines += [self.stopped] if self.stopped else []
        text = f"{total} images: {self.written} written to {out}"
        text += f", {self.kept} were there already (--overwrite replaces them)" * bool(self.kept)
        text += f", {len(self.errors)} failed" * bool(self.errors)
        left = total - self.written - self.kept - len(self.errors)
        text += f", {left} not tried (the same command continues with them)" * bool(left)
        return "\n".join([*lines, text])


def inpaint(client, found, out, num_samples=5, seed=0, overwrite=False, progress=False):
    """Fills in images and writes their results.

    Args:
        client: a `Client`.
        found: list of `discovery.Input`.
        out: string, folder of the results, see `writer`.
        num_samples: integer, K. Default: 5.
        seed: integer, of every image, so that its samples depend on no other. Default: 0.
        overwrite: boolean, whether results that are there are replaced. Default: False; such images
            are skipped.
        progress: boolean, whether a progress bar is shown. Default: False.

    Returns:
        A `Report`. Errors of single images, an unavailable server and Ctrl-C are in it.
    """
    report = Report()

    def one(item):
        try:
            if os.path.lexists(writer.folder(out, item.name)) and not overwrite:
                return item, None
            image, mask = item.load()
            filled = client.inpaint(image, mask, num_samples, seed)
            return item, writer.write(out, item.name, filled, overwrite)
        except UnavailableError:
            raise
        except _IMAGE_ERRORS as error:
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
        report.stopped = "Stopped; no result is half written."
        report.interrupted = True
    return report


def run(options, paths):
    """Runs the command.

    Args:
        options: dict of its flags: `model`, `server`, `out`, `mask`, `num_samples`, `seed`,
            `overwrite`, `timeout`, `retries`, `concurrency`, `progress`.
        paths: list of images and folders.

    Returns:
        The exit code: 0; 1 if an image or the server failed; 130 after Ctrl-C.

    Raises:
        ValueError: if the command is wrong.
    """
    given = [name for name in _TARGETS if options[name]]
    if len(given) != 1:
        raise ValueError(
            "Name a model: --model (or --preset), or --server. "
            f"Received: {', '.join(f'--{name}' for name in given) or 'none'}"
        )
    out = options["out"]
    if os.path.lexists(out) and not os.path.isdir(out):
        raise ValueError(f"--out must be a folder. Received: --out={out}, a file")
    found = discovery.find(paths, options["mask"], leave_out=out)
    settings = {name: options[name] for name in ("timeout", "retries", "concurrency")}
    names = ("num_samples", "seed", "overwrite", "progress")
    with _interruptible(), Client(options[given[0]], **settings) as client:
        report = inpaint(client, found, out, **{name: options[name] for name in names})
    failed = report.errors or report.stopped
    text = report.describe(len(found), out)
    print(text.encode(errors="replace").decode(), file=sys.stderr if failed else sys.stdout)
    if report.interrupted:
        return 128 + signal.SIGINT
    return 1 if failed else 0


@contextlib.contextmanager
def _interruptible():
    """SIGTERM ends the command as Ctrl-C does; warnings are single lines."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
