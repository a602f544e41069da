"""The paper's two tables by one command: every cell trained and scored, or gone on with, and written
down beside the paper's numbers. The work behind tools/reproduce_tables.
"""

import os
import re
import sys
import time

from keras_uai.experiment import cells, command_line, processes, run_folder, table_results
from keras_uai.experiment.jobs import Job, as_dict

#: Evaluations of a cell: all on the same images, the supervised ones on those of the paper, too.
WITHHELD, TEST = "withheld", "test"
_UNITS = {"minute": 1.0, "hour": 60.0, "day": 1440.0}


class Tables:
    """The cells of both tables in one folder.

    Args:
        options: dict of `data`, `data_dir`, `size`, `cells` (patterns), `out`, `images`,
            `num_samples`, `extractor`, `flags` (list, for each training) and `root` (the checkout).
    """

    def __init__(self, options):
        self.options, self.out, self.root = options, options["out"], options["root"]
        self.folder = os.path.join(
            self.root, "experiments", "flagfiles", "tables", str(options["size"])
        )
        self.cells = cells.choose(options["cells"])

    # -- cells -----------------------------------------------------------------------------------

    def job(self, cell):
        """What is to be done for a cell."""
        flags = self._flags(cell)
        if cell.row != "baselines":
            evaluations = {WITHHELD: [*self._scoring(), "--baselines="]}
            if cell.row in cells.SUPERVISED:
                evaluations[TEST] = [*evaluations[WITHHELD], "--split=test"]
        else:
            known = as_dict(flags)
            names = ("data", "image_size", "crop_size", "channels", "measurement", "split_seed")
            which = [f"--{name}={known[name]}" for name in names if name in known]
            if "data" not in known:
                raise ValueError("Which images? Name a data set or a folder (--data).")
            baselines = f"--baselines={','.join(cells.BASELINES)}"
            evaluations, flags = {WITHHELD: [*which, *self._scoring(), baselines]}, None
        return Job(os.path.join(self.out, cell.name), flags, evaluations, self.root)

    def _flags(self, cell):
        """Of experiments/run.py. The scores it would make itself are left to tools/evaluate."""
        row = cells.REPEATED if cell.row == "baselines" else cell.row
        path = os.path.join(self.folder, cells.Cell(cell.column, row).flagfile)
        given = [f"--data={self.options['data']}"] if self.options["data"] else []
        if self.options["data_dir"]:
            given.append(f"--data_dir={self.options['data_dir']}")
        given += self.options["flags"]
        seed = [f"--seed={cell.seed}"]
        return [*command_line.expand([f"--flagfile={path}", *given]), *seed, "--eval_images=0"]

    def _scoring(self):
        options = self.options
        flags = [f"--{name}={options[name]}" for name in ("images", "num_samples", "extractor")]
        flags += [f"--references={os.path.join(self.out, 'references')}", "--grid=0"]
        data_dir = [f"--data_dir={options['data_dir']}"] if options["data_dir"] else []
        return [*flags, "--noprogress", *data_dir]

    def cost(self, cell):
        """Minutes, as the header of its flag file says for the machine that it names."""
        if cell.row == "baselines":
            return 2.0
        with open(os.path.join(self.folder, cell.flagfile), encoding="utf-8") as file:
            found = re.search(r"^# Cost: about ([\d.]+) (minute|hour|day)", file.read(), re.M)
        return float(found[1]) * _UNITS[found[2]]

    # -- what is left ----------------------------------------------------------------------------

    def pace(self):
        """By what factor the finished cells took longer than their headers say; 1 without any."""
        took = expected = 0.0
        for cell in self.cells:
            job = self.job(cell)
            if cell.row != "baselines" and job.state() == "done":
                took, expected = took + job.record["seconds"] / 60.0, expected + self.cost(cell)
        return took / expected if expected else 1.0

    def left(self):
        """`{cell: (state, share trained, minutes left)}`."""
        pace, found = self.pace(), {}
        for cell in self.cells:
            job = self.job(cell)
            state, trained = job.state(), job.trained()
            share = 1.0 if cell.row == "baselines" else max(0.1, 1.0 - trained)  # scoring: a tenth
            minutes = 0.0 if state == "done" else pace * self.cost(cell) * share
            found[cell] = state, trained, minutes
        return found

    def plan(self):
        """The cells, their state and the time left, as text."""
        found = self.left()
        lines = [f"{'cell':36s}{'state':>14s}{'trained':>9s}{'minutes left':>14s}"]
        for cell, (state, trained, minutes) in found.items():
            lines.append(f"{cell.name:36s}{state:>14s}{trained:9.0%}{minutes:14.1f}")
        done = sum(state == "done" for state, *_ in found.values())
        total = _duration(sum(minutes for *_, minutes in found.values()))
        measured = done and any(
            s == "done" and c.row != "baselines" for c, (s, *_) in found.items()
        )
        source = "as the finished cells went" if measured else "as the flag files' headers say"
        return "\n".join(
            [*lines, f"{done} of {len(found)} cells are done; {total} left, {source}."]
        )

    # -- doing it --------------------------------------------------------------------------------

    def run(self):
        """Trains and scores what is not done, cell by cell, and writes the tables after each.

        Returns:
            the process's exit code: 0; 1 where a cell failed (the others are done); 128 + n after
            signal n.
        """
        failed = {}
        with processes.locked(self.out) as lock:
            for number, cell in enumerate(self.cells, 1):
                job = self.job(cell)
                if job.state() == "done":
                    continue
                total = _duration(sum(minutes for *_, minutes in self.left().values()))
                print(f"[{number}/{len(self.cells)}] {cell.name}; {total} left", flush=True)
                begun = time.monotonic()
                try:
                    job.do(lock)
                except RuntimeError as error:
                    failed[cell] = error
                    print(f"  failed: {error}", flush=True)
                    continue
                except processes.SignalError as interrupted:
                    print("Stopped; the same command goes on from here.")
                    self.write()
                    return 128 + interrupted.number
                print(f"  {_summary(job)}; {(time.monotonic() - begun) / 60.0:.1f} minutes")
                self.write()
            try:
                self.draw(lock)
            except processes.SignalError as interrupted:
                return 128 + interrupted.number
        for path in self.write():
            print(f"Written: {path}")
        for cell, error in failed.items():
            print(f"failed: {cell.name}: {error}")
        return 1 if failed else 0

    def draw(self, lock=None):
        """A picture for each measurement, one column a model, where one is missing or older than
        what it shows.
        """
        words = {row: f"equation {row[-1]}" for row in sorted(cells.TABLE_1)}
        words = {**cells.TABLE_2, **words}  # equation 8 is our model
        for column in cells.COLUMNS:
            jobs = {w: self.job(cells.Cell(column, row)) for row, w in sorted(words.items())}
            runs = {w: job.run for w, job in jobs.items() if job.training()}
            models = [os.path.join(run, run_folder.MODEL) for run in runs.values()]
            picture = self.picture(column)
            if not runs or (
                os.path.exists(picture)
                and os.path.getmtime(picture) > max(map(os.path.getmtime, models))
            ):
                continue
            command = [sys.executable, os.path.join(self.root, "tools", "figures")]
            command += [f"--model={','.join(runs.values())}", f"--names={','.join(runs)}"]
            command += ["--num_samples=2", "--images=4", f"--out={picture}"]
            if self.options["data_dir"]:
                command.append(f"--data_dir={self.options['data_dir']}")
            output = os.path.join(self.out, "figures.txt")
            code, last = processes.call(command, output, lock)
            print(f"No picture of {column}: {last}" if code else f"Written: {picture}")

    def picture(self, column):
        return os.path.join(self.out, f"{column}.png")

    # -- the tables ------------------------------------------------------------------------------

    def write(self):
        """Writes tables.md and tables.json of all that is finished in the folder, whether it was
        asked for or not; returns their paths.
        """
        jobs = {cell: self.job(cell) for cell in cells.every()}
        found, left_out = table_results.collect(jobs, WITHHELD, TEST)
        text = table_results.markdown(found, left_out, self.options["size"])
        paths = [os.path.join(self.out, f"tables.{ending}") for ending in ("md", "json")]
        os.makedirs(self.out, exist_ok=True)
        run_folder.write_text(paths[0], text)
        run_folder.write_json(paths[1], table_results.record(found, left_out, self.options["size"]))
        return paths


def _summary(job):
    """`MSE 0.1234, std 0.0567`."""
    scored = job.scores(WITHHELD)
    if job.flags is None or not scored:
        return "done"
    scores = scored["methods"]["model"]["scores"]
    return f"MSE {scores['mse']['value']:.4f}, std {scores['std']['value']:.4f}"


def _duration(minutes):
    if minutes < 90:
        return f"about {minutes:.0f} minutes"
    return f"about {minutes / 60:.1f} hours" if minutes < 2880 else f"{minutes / 1440:.0f} days"
