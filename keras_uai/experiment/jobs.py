"""Trainings and their scores, each in a process of its own, that go on where they were interrupted:
what tables and searches are made of.

A job's folder:

```
drop_pixel_equation_8/
  job.json            its flags and its evaluations', the time it took, and why it failed where it did
  output.txt          what its processes printed
  0000-uai-.../       the run's folder (experiments/run.py)
  scores/NAME/        results.json of tools/evaluate, for each name
```
"""

import dataclasses
import os
import shlex
import shutil
import sys
import time

from keras_uai.experiment import processes, run_folder
from keras_uai.metrics.report import RESULTS

JOB, OUTPUT = "job.json", "output.txt"
#: Flags of a run or an evaluation that do not change what is computed.
PLACES = (
    "runs", "data_dir", "download", "checkpoint_minutes", "resume", "dry_run", "references", "noprogress",
)  # fmt: skip


@dataclasses.dataclass
class Job:
    """A training, or none, and evaluations.

    Args:
        folder: what it makes goes there.
        flags: of experiments/run.py, a list of `--name=value` with flag files expanded, and without
            `--runs`; None where nothing is to be trained.
        evaluations: `{name: flags of tools/evaluate without --model and --out}`.
        root: the checkout, in which the commands are.
    """

    folder: str
    flags: list | None
    evaluations: dict
    root: str

    # -- what there is already -------------------------------------------------------------------

    @property
    def run(self):
        """The run's folder, or None where it has not begun."""
        names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        runs = [n for n in names if os.path.exists(self._path(n, run_folder.SETTINGS))]
        return self._path(max(runs)) if runs else None

    @property
    def record(self):
        """What `job.json` holds."""
        path = self._path(JOB)
        known = run_folder.read_json(path) if os.path.exists(path) else {}
        return {"flags": None, "evaluations": {}, "seconds": 0.0, "failed": None, **known}

    def training(self):
        """The finished run's `scores.json`, or None."""
        path = os.path.join(self.run or self.folder, run_folder.SCORES)
        return run_folder.read_json(path) if self.run and os.path.exists(path) else None

    def scores(self, name):
        """What tools/evaluate found, or None."""
        path = self._path("scores", name, RESULTS)
        return run_folder.read_json(path) if os.path.exists(path) else None

    def trained(self):
        """The share of the training that is done, in [0, 1], as its last checkpoint has it."""
        if self.flags is None or self.training():
            return 1.0
        checkpoint = self.run and run_folder.last_checkpoint(self.run)
        if not checkpoint:
            return 0.0
        state = run_folder.read_json(os.path.join(checkpoint, "state.json"))
        limits = [("steps", state["steps"]), ("minutes", state["seconds"] / 60.0)]
        values = as_dict(self.flags)
        return min(
            1.0, max((done / float(values[n]) for n, done in limits if n in values), default=0.0)
        )

    def missing(self):
        """The names of the evaluations that are to be made: those that are not, or were with other flags."""
        return [n for n in self.evaluations if not self.scores(n) or self._scored_differently(n)]

    def _scored_differently(self, name):
        now = self.evaluations[name]
        return bool(_changed(self.record["evaluations"].get(name, now), now))

    def differences(self):
        """Where the flags that its folder was begun with are others than now, in words."""
        before, now = self.record["flags"], self.flags
        return [] if before is None or now is None else _changed(before, now)

    def state(self):
        """`"done"`, `"to be scored"`, `"begun"`, `"to do"`, `"failed"` or `"other flags"`."""
        if self.differences():
            return "other flags"
        if self.record["failed"]:
            return "failed"
        if not self.missing():
            return "done"
        if self.flags is None:
            return "to do"
        return "to be scored" if self.training() else "begun" if self.run else "to do"

    # -- doing it --------------------------------------------------------------------------------

    def do(self, lock=None):
        """Trains and scores what is not yet, in fresh processes.

        Args:
            lock: of `processes.locked`; the processes hold it, too.

        Raises:
            RuntimeError: a process failed; the message says why and where all of its output is.
            processes.SignalError: by a signal, after the process saved what it has.
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
            self._call(self._run_command(), lock)
        for name in self.missing():
            if self._scored_differently(name):
                shutil.rmtree(self._path("scores", name), ignore_errors=True)
            self._write(evaluations={**self.record["evaluations"], name: self.evaluations[name]})
            self._call(self._evaluate_command(name), lock)

    def _run_command(self):
        program = [sys.executable, os.path.join(self.root, "experiments", "run.py"), *self.flags]
        if self.run and not self._lost():
            return [*program, f"--resume={self.run}"]
        return [*program, f"--runs={self.folder}"]

    def _lost(self):
        """Whether the run was killed before its first checkpoint, so that it begins anew."""
        if run_folder.last_checkpoint(self.run):
            return False
        return not os.path.exists(os.path.join(self.run, run_folder.MODEL))

    def _evaluate_command(self, name):
        program = [sys.executable, os.path.join(self.root, "tools", "evaluate")]
        model = [f"--model={self.run}"] if self.flags is not None else []
        out = f"--out={self._path('scores', name)}"
        return [*program, *model, *self.evaluations[name], out]

    def _call(self, command, lock):
        begun = time.monotonic()
        output = self._path(OUTPUT)
        try:
            code, last = processes.call(command, output, lock)
        finally:
            self._write(seconds=self.record["seconds"] + time.monotonic() - begun)
        if code:
            self._write(failed=last or f"exit code {code}")
            raise RuntimeError(
                f"{last or f'exit code {code}'} (all of its output: {output}; its command: "
                f"{shlex.join(command)})"
            )

    def _write(self, **changes):
        flags = self.record["flags"] or self.flags
        run_folder.write_json(self._path(JOB), {**self.record, "flags": flags, **changes})

    def _path(self, *names):
        return os.path.join(self.folder, *names)


def _changed(before, now):
    """Where flags that matter are others now than before, in words."""
    before, now = as_dict(before), as_dict(now)
    names = [n for n in {**before, **now} if n not in PLACES and before.get(n) != now.get(n)]
    return [f"--{n} was {before.get(n)!r} and is {now.get(n)!r}" for n in names]


def as_dict(flags):
    """`["--a=1", "--b"]` as `{"a": "1", "b": "true"}`; the last of a name wins."""
    pairs = (flag.lstrip("-").partition("=") for flag in flags)
    return {name: value if equals else "true" for name, equals, value in pairs}
