"""Chooses weights of loss terms, or other flags of a training, without a clean image.

    tools/select_weights --vary=lambda_z=0.03,0.1,0.3 --vary=lambda_y=0.1,0.3,1 --out=runs/weights -- \\
      --flagfile=experiments/flagfiles/tables/32/drop_pixel_equation_8.flags --data=my/photos --steps=300
    tools/select_weights --vary=lambda_z=0.01..1 --trials=12 --out=... -- ...

Flags after -- are those of experiments/run.py that all trials share. Each trial is a training in a
numbered folder of --out. It is scored on validation images: a part of their *observed* pixels is
hidden from the model, and its samples are scored there. The same command resumes; with more
--trials or values it adds to the existing ones. It prints a table, the best values and the command
that trains with them. `tensorboard --logdir=OUT/tensorboard` shows the trials under HParams.

The paper selects lambda_z and lambda_y "on a validation set" (section 2.3) and does not name the
score. The CRPS is proper: its expectation is least for samples from the true distribution of a
hidden pixel given the others. It is larger for a model that ignores z, and for a model whose
samples differ more than the truth is uncertain. Adversarial losses are on no common scale.
"""

import itertools
import math
import os
import random
import re
import shlex

from absl.flags import (
    DEFINE_bool,
    DEFINE_enum,
    DEFINE_float,
    DEFINE_integer,
    DEFINE_multi_string,
    DEFINE_string,
)

from experiments import jobs
from keras_uai import backend, files
from keras_uai.cli import flags as cli_flags
from keras_uai.training import run_folder

HELD_OUT = "held_out"
#: Flags after a lone -- are passed to `run`.
POSITIONAL = True
CRITERIA = ("crps", "mse_missing", "mse_missing_of_mean")
_NUMBERED = re.compile(r"^(\d{4})-")
_RANGE = re.compile(r"^(.+?)\.\.(.+)$")
_SHOWN = (*CRITERIA, "std", "spread_skill")


def define():
    DEFINE_multi_string(
        "vary",
        None,
        "A flag of experiments/run.py with values to try (lambda_z=0,0.1,1), or with a range to "
        "draw from on a logarithmic scale (lambda_z=0.01..1). Repeat it for further flags.",
        required=True,
    )
    DEFINE_integer("trials", None, "Number of trials; required with ranges. Default: the grid.", 1)
    DEFINE_integer("search_seed", 0, "Seed of the draws.")
    DEFINE_enum("criterion", "crps", CRITERIA, "Score to minimise, on the hidden pixels.")
    DEFINE_float("holdout", 0.2, "Share of the observed pixels to hide.", 0.01, 0.9)
    DEFINE_integer("images", 500, "Validation images.", 1)
    DEFINE_integer("num_samples", 10, "Samples per image.", 2)
    DEFINE_string("out", None, "Folder of the trials.", required=True)
    DEFINE_bool("dry_run", False, "List the trials and their scores, and stop.")


def run(options, after):
    """Does the work of the command; returns the text to print, or the exit code."""
    after = jobs.checked_flags(after, ("runs", "resume", "dry_run"))
    selection = Selection({**options, "flags": after})
    return selection.table() if options["dry_run"] else selection.run()


class Space:
    """The trials of a search, each a function of the seed and the trial's number.

    Args:
        texts: list of `"name=1,2,3"` (values) or `"name=0.01..1"` (a range).
        trials: integer; None for the whole grid, where there are no ranges.
        seed: integer.
    """

    def __init__(self, texts, trials=None, seed=0):
        self.axes = dict(map(_axis, texts))
        if len(self.axes) < len(texts):
            raise ValueError(f"--vary names a flag twice. Received: {' '.join(texts)}")
        self.seed = seed
        self.count = trials
        self.ranges = [name for name, axis in self.axes.items() if isinstance(axis, tuple)]
        if self.ranges and trials is None:
            raise ValueError(
                "--trials=N must say how often to draw from a range. Received: a range of "
                f"{self.ranges[0]} without --trials"
            )

    def trials(self):
        """Returns the trials in order, each `{flag: value as text}`."""
        if self.ranges:
            return [self._draw(number) for number in range(self.count)]
        grid = [
            dict(zip(self.axes, values, strict=True))
            for values in itertools.product(*self.axes.values())
        ]
        if self.count is None:
            return grid
        random.Random(self.seed).shuffle(grid)
        return grid[: self.count]

    def _draw(self, number):
        generator, found = random.Random(f"{self.seed} {number}"), {}
        for name, axis in self.axes.items():
            if isinstance(axis, tuple):
                low, high = map(math.log, axis)
                found[name] = f"{math.exp(generator.uniform(low, high)):.3g}"
            else:
                found[name] = generator.choice(axis)
        return found


def _axis(text):
    name, equals, rest = (part.strip() for part in text.partition("="))
    name = name.lstrip("-")
    values = [value.strip() for value in rest.split(",") if value.strip()]
    if not equals or not name.isidentifier() or not values:
        raise ValueError(
            '--vary must be written "lambda_z=0,0.1,1", or "lambda_z=0.01..1" for a range. '
            f"Received: --vary={text}"
        )
    found = _RANGE.match(rest)
    if not found:
        if len(set(values)) < len(values):
            raise ValueError(f"A value is given twice. Received: --vary={text}")
        return name, values
    try:
        low, high = map(float, found.groups())
    except ValueError:
        low = high = -1.0
    if not 0.0 < low < high:
        raise ValueError(
            "A range must run from a number above 0 to a larger one (its scale is logarithmic). "
            f"Received: --vary={text}"
        )
    return name, (low, high)


class Selection:
    """A search in a folder.

    Args:
        options: dict of the command's flags, and of `flags`, a list for each training.
    """

    def __init__(self, options):
        self.options = options
        self.out = options["out"]
        self.space = Space(options["vary"], options["trials"], options["search_seed"])
        self.criterion = options["criterion"]
        if not options["flags"]:
            raise ValueError(
                "Flags of experiments/run.py must follow after --, such as -- --flagfile=... "
                "--data=... --steps=300. Received: none"
            )

    def jobs(self):
        """Returns `[(values, Job)]` of the trials."""
        return [(values, self._job(values)) for values in self.space.trials()]

    def _job(self, values):
        options = self.options
        varied = [f"--{name}={value}" for name, value in values.items()]
        scoring = [f"--{n}={options[n]}" for n in ("holdout", "images", "num_samples")]
        scoring += ["--baselines=", "--extractor=none", "--grid=0", "--noprogress"]
        data_dir = jobs.as_dict(options["flags"]).get("data_dir")
        scoring += [f"--data_dir={data_dir}"] if data_dir else []
        flags = [*options["flags"], *varied, "--eval_images=0"]
        return jobs.Job(self._folder(values), flags, {HELD_OUT: scoring})

    def _folder(self, values):
        """Returns the folder whose name ends in the trial's values, or one with the next number."""
        label = "-".join(f"{name}_{value}" for name, value in values.items())
        label = re.sub(r"[^\w.+-]+", "_", label)
        names = os.listdir(self.out) if os.path.isdir(self.out) else []
        numbered = {name: int(m[1]) for name in names if (m := _NUMBERED.match(name))}
        for name in sorted(numbered):
            if name[5:] == label:
                return os.path.join(self.out, name)
        number = max(numbered.values(), default=-1) + 1
        return os.path.join(self.out, f"{number:04d}-{label}")

    def run(self):
        """Trains and scores the missing trials, then prints the table; returns the exit code."""
        trials, failed = self.space.trials(), 0
        with run_folder.locked(self.out):
            for number, values in enumerate(trials, 1):
                job = self._job(values)
                if job.state() != "done":
                    print(f"[{number}/{len(trials)}] {_words(values)}", flush=True)
                    try:
                        job.do()
                    except RuntimeError as error:
                        failed += 1
                        print(f"  failed: {error}", flush=True)
                        continue
                    except jobs.SignalError as interrupted:
                        print("Stopped; the same command resumes.")
                        return 128 + interrupted.number
                    value = self._scores(job)[self.criterion]["value"]
                    print(f"  {self.criterion} {value:.4f}", flush=True)
                self._tensorboard(values, job)
        print(self.table())
        return 1 if failed else 0

    def _scores(self, job):
        return job.scores(HELD_OUT)["methods"]["model"]["scores"]

    def ranking(self):
        """Returns `[(values, scores)]` of the finished trials, the best first."""
        done = [(values, job) for values, job in self.jobs() if job.state() == "done"]
        found = [(values, self._scores(job)) for values, job in done]
        return sorted(found, key=lambda pair: pair[1][self.criterion]["value"])

    def table(self):
        """Returns the trials as Markdown, the choice, and the command that trains with it."""
        ranking, names = self.ranking(), list(self.space.axes)
        columns = [self.criterion, *(name for name in _SHOWN if name != self.criterion)]
        lines = ["| " + " | ".join([*names, f"**{columns[0]}**", *columns[1:]]) + " |"]
        lines.append("|" + " ---: |" * (len(names) + len(columns)))
        for values, scores in ranking:
            first = scores[self.criterion]
            cells = [f"{first['value']:.4f} ± {(first['high'] - first['low']) / 2.0:.4f}"]
            cells += [f"{scores[n]['value']:.4f}" if n in scores else "-" for n in columns[1:]]
            lines.append("| " + " | ".join([*values.values(), *cells]) + " |")
        for values, job in self.jobs():
            if job.state() != "done":
                why = f": {job.record['failed']}" if job.record["failed"] else ""
                lines.append(f"- {_words(values)}: {job.state()}{why}")
        return "\n".join([*lines, "", *self._choice(ranking)])

    def _choice(self, ranking):
        if not ranking:
            return ["No trial is finished yet."]
        options = self.options
        best, scores = ranking[0]
        limit = scores[self.criterion]["high"]
        close = [_words(v) for v, s in ranking[1:] if s[self.criterion]["value"] <= limit]
        lines = [
            f"Least {self.criterion} on {options['holdout']:.0%} of the observed pixels of validation "
            f"images, hidden from the model: {_words(best)}."
        ]
        if close:
            lines.append(f"Within its 95% interval over images: {'; '.join(close)}.")
        flags = shlex.join([*options["flags"], *(f"--{n}={v}" for n, v in best.items())])
        run = shlex.join(cli_flags.program("train"))
        return [*lines, f"Train with it:\n  {run} {flags}"]

    def _tensorboard(self, values, job):
        """Writes the trial for TensorBoard's HParams, once."""
        name = os.path.basename(job.folder)
        folder = os.path.join(self.out, "tensorboard", name)
        if os.path.isdir(folder) or not backend.has_tensorflow():
            return
        import tensorflow as tf
        from tensorboard.plugins.hparams import api

        with (
            files.atomic_folder(folder) as draft,
            tf.summary.create_file_writer(draft).as_default(),
        ):
            api.hparams({n: _number(v) for n, v in values.items()}, trial_id=name)
            for score, found in self._scores(job).items():
                tf.summary.scalar(f"held_out/{score}", found["value"], step=0)


def _words(values):
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _number(text):
    try:
        return float(text)
    except ValueError:
        return text
