"""Trainings and their evaluations in separate processes; interrupted jobs resume.

A job's folder:

```
drop_pixel_equation_8/
  job.json            flags of the run and of its evaluations, seconds, reason of a failure
  output.txt          output of its processes
  0000-uai-.../       run folder (experiments/run.py)
  scores/NAME/        folder of tools/evaluate for each evaluation
```
"""

import contextlib
import dataclasses
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

from keras_uai import files
from keras_uai.cli import flags
from keras_uai.metrics import report
from keras_uai.training import run_folder

#: The checkout, in which the commands are.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOB, OUTPUT = "job.json", "output.txt"
#: Flags of a run or an evaluation that do not change its result.
PLACES = (
    "runs", "data_dir", "download", "checkpoint_minutes", "resume", "dry_run", "references",
    "noprogress",
)  # fmt: skip


class SignalError(Exception):
    """A signal ended the work; its state is saved. `number` is the signal's."""

    def __init__(self, number):
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


@dataclasses.dataclass
class Job:
    """A training, or none, and evaluations.

    Args:
        folder: path of the results.
        flags: list of `--name=value` of experiments/run.py, without `--runs`; None: no training.
        evaluations: `{name: flags of tools/evaluate without --model and --out}`.
    """

    folder: str
    flags: list | None
    evaluations: dict

    @property
    def run(self):
        """The run folder; None before the training has begun."""
        names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        runs = [n for n in names if os.path.exists(self._path(n, run_folder.SETTINGS))]
        return self._path(max(runs)) if runs else None

    @property
    def record(self):
        """The content of `job.json`."""
        known = _json(self._path(JOB)) or {}
        return {"flags": None, "evaluations": {}, "seconds": 0.0, "failed": None, **known}

    def training(self):
        """Returns the finished run's `scores.json`, or None."""
        return self.run and _json(os.path.join(self.run, run_folder.SCORES))

    def scores(self, name):
        """Returns the results of tools/evaluate, or None."""
        return _json(self._path("scores", name, report.RESULTS))

    def trained(self):
        """Returns the share of the training in the last checkpoint, in [0, 1]."""
        if self.flags is None or self.training():
            return 1.0
        checkpoint = self.run and run_folder.last_checkpoint(self.run)
        if not checkpoint:
            return 0.0
        state, values = _json(os.path.join(checkpoint, run_folder.STATE)), as_dict(self.flags)
        limits = [("steps", state["steps"]), ("minutes", state["seconds"] / 60.0)]
        shares = [done / float(values[name]) for name, done in limits if name in values]
        return min(1.0, max(shares, default=0.0))

    def missing(self):
        """Returns the names of the evaluations that have no results with the present flags."""
        return [n for n in self.evaluations if not self.scores(n) or self._outdated(n)]

    def _outdated(self, name):
        now = self.evaluations[name]
        return bool(_changes(self.record["evaluations"].get(name, now), now))

    def differences(self):
        """Returns how the flags differ from those that the folder was begun with, in words."""
        before, now = self.record["flags"], self.flags
        return [] if before is None or now is None else _changes(before, now)

    def state(self):
        """Returns "done", "to be scored", "begun", "to do", "failed" or "other flags"."""
        if self.differences():
            return "other flags"
        if self.record["failed"]:
            return "failed"
        if not self.missing():
            return "done"
        if self.flags is None or not self.run:
            return "to do"
        return "to be scored" if self.training() else "begun"

    def do(self):
        """Trains and scores what is missing, in fresh processes.

        Raises:
            RuntimeError: If a process failed.
            SignalError: After a signal; the process has saved its state.
        """
        changed = self.differences()
        if changed:
            raise RuntimeError(
                f"{self.folder} was begun with other flags: {'; '.join(changed)}. Remove the folder "
                "to begin anew, or choose another --out."
            )
        os.makedirs(self.folder, exist_ok=True)
        self._write(failed=None)
        if self.flags is not None and not self.training():
            # A run that was killed before its first checkpoint begins anew.
            resumes = self.run and (
                run_folder.last_checkpoint(self.run)
                or os.path.exists(os.path.join(self.run, run_folder.MODEL))
            )
            place = f"--resume={self.run}" if resumes else f"--runs={self.folder}"
            self._call("experiments/run.py", *self.flags, place)
        for name in self.missing():
            if self._outdated(name):
                shutil.rmtree(self._path("scores", name), ignore_errors=True)
            self._write(evaluations={**self.record["evaluations"], name: self.evaluations[name]})
            model = [f"--model={self.run}"] if self.flags is not None else []
            out = f"--out={self._path('scores', name)}"
            self._call("tools/evaluate", *model, *self.evaluations[name], out)

    def _call(self, program, *flags):
        begun, output = time.monotonic(), self._path(OUTPUT)
        command = [sys.executable, os.path.join(ROOT, *program.split("/")), *flags]
        try:
            code, last = call(command, output)
        finally:
            self._write(seconds=self.record["seconds"] + time.monotonic() - begun)
        if code:
            self._write(failed=last or f"exit code {code}")
            raise RuntimeError(
                f"{last or f'exit code {code}'} (output: {output}; command: {shlex.join(command)})"
            )

    def _write(self, **changes):
        flags = self.record["flags"] or self.flags
        files.write_json(self._path(JOB), {**self.record, "flags": flags, **changes})

    def _path(self, *names):
        return os.path.join(self.folder, *names)


def as_dict(flags):
    """Returns `["--a=1", "--b"]` as `{"a": "1", "b": "true"}`; the last of a name counts."""
    pairs = (flag.lstrip("-").partition("=") for flag in flags)
    return {name: value if equals else "true" for name, equals, value in pairs}


def call(command, output):
    """Runs a command to its end.

    SIGINT (Ctrl-C) and SIGTERM are passed on as SIGINT, so that trainings save their state.

    Args:
        command: list of strings.
        output: path of a file that its output is appended to.

    Returns:
        `(exit code, last words)`: the last line that begins with "error:", or the last line.

    Raises:
        SignalError: After such a signal, when the command has ended.
    """
    received, passed_on = [], 0
    with open(output, "ab") as file, _collecting(received):
        file.write(f"$ {shlex.join(command)}\n".encode())
        file.flush()
        start = file.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it once, from here
        )
        while process.poll() is None:
            for _ in received[passed_on:]:
                process.send_signal(signal.SIGINT)
                passed_on += 1
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
    if received:
        raise SignalError(received[-1])
    with open(output, "rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").replace("\r", "\n").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    return process.returncode, (errors or lines or [""])[-1]


@contextlib.contextmanager
def _collecting(received):
    """Collects SIGINT and SIGTERM in a list while inside; only the main thread gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, frame: received.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _changes(before, now):
    before, now = as_dict(before), as_dict(now)
    names = [n for n in {**before, **now} if n not in PLACES and before.get(n) != now.get(n)]
    return [f"--{n} was {before.get(n)!r} and is {now.get(n)!r}" for n in names]


def _json(path):
    return files.read_json(path) if os.path.exists(path) else None


def checked_flags(after, reserved):
    """Returns the flags that follow a lone `--`, flag files expanded.

    Args:
        after: list of strings.
        reserved: names of flags that the command sets itself.
    """
    found = flags.expand(after)
    for flag in found:
        name = flag.lstrip("-").partition("=")[0]
        if not flag.startswith("--") or name in reserved:
            raise ValueError(
                "Flags of experiments/run.py must follow after --, each as --name=value, except "
                f"{', '.join(reserved)}. Received: {flag}"
            )
    return found
