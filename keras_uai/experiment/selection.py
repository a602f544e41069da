"""Chooses the weights of loss terms, or any other flags of a training, without clean images. The work
behind tools/select_weights.

The paper selects lambda_z and lambda_y "on a validation set" (section 2.3) and does not say by what:
nobody has x. Here it is by what can be observed. Of each withheld observation a part of the observed
pixels is hidden in the shape of the damage (`metrics.holdout`), the model draws samples from the rest,
and these are scored on the hidden pixels, whose values are known. The score is the CRPS: proper, so
that its expectation is least for samples from the true distribution of each hidden pixel given what
is left, error and spread alike; a model that ignores z pays for it, and so does one whose samples
differ more than the truth is uncertain. Adversarial losses have no such scale across trials.
"""

import os
import re
import shlex

from keras_uai import backend
from keras_uai.experiment import processes
from keras_uai.experiment.jobs import Job, as_dict
from keras_uai.experiment.search import Space

HELD_OUT = "held_out"
_NUMBERED = re.compile(r"^(\d{4})-")
_SHOWN = ("crps", "mse_missing", "mse_missing_of_mean", "std", "spread_skill")


class Selection:
    """A search in a folder.

    Args:
        options: dict of `vary`, `trials`, `search_seed`, `criterion`, `holdout`, `images`,
            `num_samples`, `out`, `flags` (of each training) and `root` (the checkout).
    """

    def __init__(self, options):
        self.options, self.out = options, options["out"]
        self.space = Space(options["vary"], options["trials"], options["search_seed"])
        self.criterion = options["criterion"]
        if not options["flags"]:
            raise ValueError(
                "What is to be trained? Flags of experiments/run.py stand after --, e.g. "
                "-- --flagfile=... --data=... --steps=300. Received: none"
            )

    def jobs(self):
        """`[(values, Job)]`: the trials asked for, in folders that are numbered as they are made."""
        return [(values, self._job(values)) for values in self.space.trials()]

    def _job(self, values):
        options = self.options
        varied = [f"--{name}={value}" for name, value in values.items()]
        evaluation = [
            *(f"--{n}={options[n]}" for n in ("holdout", "images", "num_samples")),
            "--baselines=", "--extractor=none", "--grid=0", "--noprogress",
        ]  # fmt: skip
        data_dir = as_dict(options["flags"]).get("data_dir")
        evaluation += [f"--data_dir={data_dir}"] if data_dir else []
        flags = [*options["flags"], *varied, "--eval_images=0"]
        return Job(self._folder(values), flags, {HELD_OUT: evaluation}, options["root"])

    def _folder(self, values):
        """The trial's folder: the one that ends in its values, or the next number's."""
        label = "-".join(f"{name}_{value}" for name, value in values.items())
        label = re.sub(r"[^\w.+-]+", "_", label)
        names = os.listdir(self.out) if os.path.isdir(self.out) else []
        numbered = {name: int(m[1]) for name in names if (m := _NUMBERED.match(name))}
        for name in sorted(numbered):
            if name[5:] == label:
                return os.path.join(self.out, name)
        number = max(numbered.values(), default=-1) + 1
        return os.path.join(self.out, f"{number:04d}-{label}")

    # -- doing it --------------------------------------------------------------------------------

    def run(self):
        """Trains and scores the trials that are not done, then prints the table and what to train.

        Returns:
            the exit code, as of `tables.Tables.run`.
        """
        trials, failed = self.space.trials(), 0
        with processes.locked(self.out) as lock:
            for number, values in enumerate(trials, 1):
                job = self._job(values)
                if job.state() != "done":
                    print(f"[{number}/{len(trials)}] {_words(values)}", flush=True)
                    try:
                        job.do(lock)
                    except RuntimeError as error:
                        failed += 1
                        print(f"  failed: {error}", flush=True)
                        continue
                    except processes.SignalError as interrupted:
                        print("Stopped; the same command goes on from here.")
                        return 128 + interrupted.number
                    value = self._scores(job)[self.criterion]["value"]
                    print(f"  {self.criterion} {value:.4f}", flush=True)
                self._tensorboard(values, job)
        print(self.table())
        return 1 if failed else 0

    def _scores(self, job):
        return job.scores(HELD_OUT)["methods"]["model"]["scores"]

    def ranking(self):
        """`[(values, scores)]` of the trials that are done, the best first."""
        done = [(values, job) for values, job in self.jobs() if job.state() == "done"]
        found = [(values, self._scores(job)) for values, job in done]
        return sorted(found, key=lambda pair: pair[1][self.criterion]["value"])

    def table(self):
        """The trials as Markdown, the choice, and the command that trains with it."""
        ranking, names = self.ranking(), list(self.space.axes)
        columns = [self.criterion, *(name for name in _SHOWN if name != self.criterion)]
        lines = ["| " + " | ".join([*names, f"**{columns[0]}**", *columns[1:]]) + " |"]
        lines.append("|" + " ---: |" * (len(names) + len(columns)))
        for values, scores in ranking:
            first = scores[self.criterion]
            half = (first["high"] - first["low"]) / 2.0
            cells = [f"{first['value']:.4f} ± {half:.4f}"]
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
            f"Least {self.criterion} on {options['holdout']:.0%} of the observed pixels of withheld "
            f"images, which were hidden for it: {_words(best)}."
        ]
        if close:
            lines.append(f"Within its 95% interval over images: {'; '.join(close)}.")
        flags = shlex.join([*options["flags"], *(f"--{n}={v}" for n, v in best.items())])
        return [*lines, f"Train with it:\n  python experiments/run.py {flags}"]

    def _tensorboard(self, values, job):
        """The trial under TensorBoard's HParams, written once, by TensorFlow where it is installed."""
        name = os.path.basename(job.folder)
        folder = os.path.join(self.out, "tensorboard", name)
        if os.path.isdir(folder) or not backend.has_tensorflow():
            return
        import tensorflow as tf  # here: nothing else in a search needs it
        from tensorboard.plugins.hparams import api

        with tf.summary.create_file_writer(f"{folder}.unfinished").as_default():
            api.hparams({n: _number(v) for n, v in values.items()}, trial_id=name)
            for score, found in self._scores(job).items():
                tf.summary.scalar(f"held_out/{score}", found["value"], step=0)
        os.replace(f"{folder}.unfinished", folder)


def _words(values):
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _number(text):
    try:
        return float(text)
    except ValueError:
        return text
