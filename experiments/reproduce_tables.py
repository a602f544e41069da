"""Trains and scores every cell of the paper's Tables 1 and 2, and writes both tables.

    tools/reproduce_tables --data=my/photos --dry_run
    tools/reproduce_tables --data=my/photos
    tools/reproduce_tables --data=my/photos --cells="drop_pixel_*" -- --learning_rate=1e-4
    tools/reproduce_tables --size=128 --data_dir=FOLDER        # the paper's settings, on a GPU

--out gets a folder per cell with its run and its scores, tables.md and tables.json with our numbers
and the paper's, and a picture per measurement with a column per model. The same command resumes an
interrupted one. A cell that fails is reported, and the next command tries it again. Flags after --
are passed to every training (experiments/run.py --help).
"""

import os
import re
import sys
import time

from absl.flags import (
    DEFINE_bool,
    DEFINE_enum,
    DEFINE_float,
    DEFINE_integer,
    DEFINE_list,
    DEFINE_string,
)

from experiments import jobs, paper_tables
from keras_uai import files
from keras_uai.cli import flags as cli_flags
from keras_uai.training import run_folder

#: Evaluations of a cell: all on the same images; the supervised rows on the test split, too.
VALIDATION, TEST = "validation", "test"
_SCORES = ("mse", "std", "mse_missing", "psnr", "ssim", "crps", "spread_skill", "mse_of_mean")
_TRAINING = ("images_seen", "steps", "minutes", "parameters", "seed", "versions", "hardware")
#: Flags after a lone -- are passed to `run`.
POSITIONAL = True
_MINUTES = {"minute": 1.0, "hour": 60.0, "day": 1440.0}


def define():
    DEFINE_string("data", None, "Images: a folder, or drawn_faces. Default: at 128 celeb_a.")
    DEFINE_string("data_dir", None, "Folder of named data sets.")
    DEFINE_enum("size", "32", ["32", "128"], "Side of the images: the paper's 128, or 32.")
    DEFINE_list("cells", None, 'Cells, * matches any text: "drop_pixel_*". Default: all.')
    DEFINE_integer("steps", None, "Updates of every training. Default: the flag files'.", 1)
    DEFINE_float(
        "minutes", None, "Largest length of every training; rows then differ in images seen."
    )
    DEFINE_integer("images", None, "Images to score. Default: 1,000 at 32, 5,000 at 128.", 1)
    DEFINE_integer("num_samples", 10, "Samples per image.", 2)
    DEFINE_string("extractor", "auto", "Features of the Fréchet distance; see tools/evaluate.")
    DEFINE_string("out", None, "Folder of the results. Default: runs/tables_SIZE.")
    DEFINE_bool("dry_run", False, "List the cells, their state and the time left, and stop.")
    DEFINE_bool("write_only", False, "Only write the tables of the finished cells.")


def run(options, after):
    """Does the work of the command; returns the text to print, or the exit code."""
    # The seeds are those of the cells.
    after = jobs.checked_flags(after, ("runs", "resume", "dry_run", "seed"))
    size = int(options["size"])
    own = [f"--{n}={options[n]}" for n in ("steps", "minutes") if options[n] is not None]
    tables = Tables(
        {
            **options,
            "size": size,
            "out": options["out"] or os.path.join("runs", f"tables_{size}"),
            "images": options["images"] or (1000 if size == 32 else 5000),
            "flags": [*own, *after],
        }
    )
    if options["dry_run"]:
        return tables.plan()
    if options["write_only"]:
        return f"Written: {', '.join(tables.write())}"
    return tables.run()


class Tables:
    """The cells of both tables in one folder.

    Args:
        options: dict of the command's flags, and of `flags`, a list for each training.
    """

    def __init__(self, options):
        self.options = options
        self.out = options["out"]
        size = str(options["size"])
        self.folder = os.path.join(jobs.ROOT, "experiments", "flagfiles", "tables", size)
        self.cells = paper_tables.choose(options["cells"])

    def job(self, cell):
        """Returns the cell's `jobs.Job`."""
        folder, flags = os.path.join(self.out, cell.name), self._flags(cell)
        if cell.row == "baselines":
            known = jobs.as_dict(flags)
            if "data" not in known:
                raise ValueError("--data must name a data set or a folder. Received: no --data")
            names = ("data", "image_size", "center_crop", "channels", "measurement", "split_seed")
            which = [f"--{name}={known[name]}" for name in names if name in known]
            scored = [*which, *self._scoring(), f"--baselines={','.join(paper_tables.BASELINES)}"]
            return jobs.Job(folder, None, {VALIDATION: scored})
        evaluations = {VALIDATION: [*self._scoring(), "--baselines="]}
        if cell.row in paper_tables.SUPERVISED:
            evaluations[TEST] = [*evaluations[VALIDATION], "--split=test"]
        return jobs.Job(folder, flags, evaluations)

    def _flags(self, cell):
        """Flags of experiments/run.py; tools/evaluate makes the scores."""
        row = paper_tables.REPEATED if cell.row == "baselines" else cell.row
        path = os.path.join(self.folder, paper_tables.Cell(cell.column, row).flagfile)
        given = [f"--{n}={self.options[n]}" for n in ("data", "data_dir") if self.options[n]]
        flags = cli_flags.expand([f"--flagfile={path}", *given, *self.options["flags"]])
        return [*flags, f"--seed={cell.seed}", "--eval_images=0"]

    def _scoring(self):
        options = self.options
        flags = [f"--{name}={options[name]}" for name in ("images", "num_samples", "extractor")]
        flags += [f"--references={os.path.join(self.out, 'references')}", "--grid=0"]
        data_dir = [f"--data_dir={options['data_dir']}"] if options["data_dir"] else []
        return [*flags, "--noprogress", *data_dir]

    # -- time left ---------------------------------------------------------------------------------

    def cost(self, cell):
        """Returns the minutes in the header of the cell's flag file."""
        if cell.row == "baselines":
            return 2.0
        with open(os.path.join(self.folder, cell.flagfile), encoding="utf-8") as file:
            found = re.search(r"^# Cost: about ([\d.]+) (minute|hour|day)", file.read(), re.M)
        return float(found[1]) * _MINUTES[found[2]]

    def pace(self):
        """Returns the time of the finished cells divided by their headers'; None without any."""
        took = expected = 0.0
        for cell in self.cells:
            job = self.job(cell)
            if cell.row != "baselines" and job.state() == "done":
                took += job.record["seconds"] / 60.0
                expected += self.cost(cell)
        return took / expected if expected else None

    def left(self):
        """Returns `{cell: (state, share trained, minutes left)}`."""
        pace, found = self.pace() or 1.0, {}
        for cell in self.cells:
            job = self.job(cell)
            state, trained = job.state(), job.trained()
            share = 1.0 if cell.row == "baselines" else max(0.1, 1.0 - trained)  # scoring: a tenth
            minutes = 0.0 if state == "done" else pace * self.cost(cell) * share
            found[cell] = state, trained, minutes
        return found

    def plan(self):
        """Returns the cells, their state and the time left as text."""
        found = self.left()
        lines = [f"{'cell':36s}{'state':>14s}{'trained':>9s}{'minutes left':>14s}"]
        for cell, (state, trained, minutes) in found.items():
            lines.append(f"{cell.name:36s}{state:>14s}{trained:9.0%}{minutes:14.1f}")
        done = sum(state == "done" for state, *_ in found.values())
        source = (
            "at the pace of the finished cells" if self.pace() else "by the flag files' headers"
        )
        total = f"{self._total()} left, {source}"
        return "\n".join([*lines, f"{done} of {len(found)} cells are done; {total}."])

    def _total(self):
        minutes = sum(minutes for *_, minutes in self.left().values())
        if minutes < 90:
            return f"about {minutes:.0f} minutes"
        return f"about {minutes / 60:.1f} hours" if minutes < 2880 else f"{minutes / 1440:.0f} days"

    # -- running -----------------------------------------------------------------------------------

    def run(self):
        """Trains and scores the missing cells, and writes the tables after each.

        Returns:
            The exit code: 0; 1 where a cell failed; 128 + n after signal n.
        """
        failed = {}
        with run_folder.locked(self.out):
            for number, cell in enumerate(self.cells, 1):
                job = self.job(cell)
                if job.state() == "done":
                    continue
                print(f"[{number}/{len(self.cells)}] {cell.name}; {self._total()} left", flush=True)
                begun = time.monotonic()
                try:
                    job.do()
                except RuntimeError as error:
                    failed[cell] = error
                    print(f"  failed: {error}", flush=True)
                    continue
                except jobs.SignalError as interrupted:
                    print("Stopped; the same command resumes.")
                    self.write()
                    return 128 + interrupted.number
                print(f"  {_summary(job)}; {(time.monotonic() - begun) / 60.0:.1f} minutes")
                self.write()
            try:
                self.draw()
            except jobs.SignalError as interrupted:
                return 128 + interrupted.number
        for path in self.write():
            print(f"Written: {path}")
        for cell, error in failed.items():
            print(f"failed: {cell.name}: {error}")
        return 1 if failed else 0

    def draw(self):
        """Draws a picture per measurement, a column per model, where none is up to date."""
        words = {row: f"equation {row[-1]}" for row in sorted(paper_tables.TABLE_1)}
        words = {**paper_tables.TABLE_2, **words}
        for column in paper_tables.COLUMNS:
            cells = {w: paper_tables.Cell(column, row) for row, w in sorted(words.items())}
            runs = {w: self.job(c).run for w, c in cells.items() if self.job(c).training()}
            models = [os.path.join(run, run_folder.MODEL) for run in runs.values()]
            picture = os.path.join(self.out, f"{column}.png")
            drawn = os.path.getmtime(picture) if os.path.exists(picture) else 0.0
            if not runs or drawn > max(map(os.path.getmtime, models)):
                continue
            command = [sys.executable, os.path.join(jobs.ROOT, "tools", "figures")]
            command += [f"--model={','.join(runs.values())}", f"--names={','.join(runs)}"]
            command += ["--num_samples=2", "--images=4", f"--out={picture}"]
            if self.options["data_dir"]:
                command.append(f"--data_dir={self.options['data_dir']}")
            code, last = jobs.call(command, os.path.join(self.out, "figures.txt"))
            print(f"No picture of {column}: {last}" if code else f"Written: {picture}")

    # -- the tables --------------------------------------------------------------------------------

    def write(self):
        """Writes tables.md and tables.json of all finished cells; returns their paths."""
        found, left_out = collect({cell: self.job(cell) for cell in paper_tables.every()})
        size = self.options["size"]
        record = {
            "size": size,
            "cells": {cell.name: values for cell, values in found.items()},
            "left_out": {cell.name: why for cell, why in left_out.items()},
            "paper": paper_tables.PAPER,
        }
        paths = [os.path.join(self.out, f"tables.{ending}") for ending in ("md", "json")]
        files.atomic_write(paths[0], markdown(found, left_out, size))
        files.write_json(paths[1], record, indent=2)
        return paths


def _summary(job):
    scored = job.scores(VALIDATION)
    if job.flags is None or not scored:
        return "done"
    scores = scored["methods"]["model"]["scores"]
    return f"MSE {scores['mse']['value']:.4f}, std {scores['std']['value']:.4f}"


def collect(cell_jobs):
    """Returns the numbers of the finished cells.

    Args:
        cell_jobs: `{Cell: Job}`.

    Returns:
        `({cell: values}, {cell: reason})`. `values` is a dict of scores, with the distance as
        `"distance"`, the 95% `"intervals"`, the training's numbers, and the supervised rows'
        `"test"` scores; a baselines cell has such a dict per baseline. The second dict holds the
        cells that were not scored on the images and with the settings of their column's first cell.
    """
    found, left_out, first = {}, {}, {}
    for cell, job in cell_jobs.items():
        scored, training = job.scores(VALIDATION), job.training()
        if not scored or (cell.row != "baselines" and not training):
            continue
        origin = {name: scored[name] for name in ("data", "extractor", "num_samples")}
        known, expected = first.setdefault(cell.column, (cell, origin))
        if expected != origin:
            left_out[cell] = f"not scored on the images and with the settings of {known.name}"
            continue
        names = next(iter(scored["methods"].values()))["scores"]
        distance = next((n for n in names if n == "fid" or n.startswith("frechet_")), None)
        if cell.row == "baselines":
            found[cell] = {n: _scores(scored, n, distance) for n in paper_tables.BASELINES}
        else:
            found[cell] = _scores(scored, "model", distance)
            found[cell] |= {n: training[n] for n in _TRAINING}
            if tested := job.scores(TEST):
                found[cell]["test"] = _scores(tested, "model", distance)
                found[cell]["test"]["images"] = tested["data"]["images"]
        found[cell]["origin"] = {**origin, "distance": distance}
    return found, left_out


def _scores(scored, method, distance):
    scores = scored["methods"][method]["scores"]
    names = {name: name for name in _SCORES if name in scores}
    if distance in scores:
        names["distance"] = distance
    values = {name: scores[key]["value"] for name, key in names.items()}
    limits = {name: [scores[key]["low"], scores[key]["high"]] for name, key in names.items()}
    return {**values, "intervals": limits}


def distance_words(name):
    """Returns `"FID"` for Inception's features, otherwise `"Fréchet EXTRACTOR"`."""
    if name is None or name == "fid":
        return name and "FID"
    return f"Fréchet {name.removeprefix('frechet_')}"


def markdown(found, left_out, size):
    """Returns both tables and their origin as Markdown; arguments: see `collect`."""
    if not found:
        return "No cell is finished yet.\n"
    origin = next(iter(found.values()))["origin"]
    distance = distance_words(origin["distance"])
    lines = ["### Table 1", "", *paper_tables.table_1(found, distance), ""]
    lines += ["### Table 2", "", *paper_tables.table_2(found, distance), ""]
    tested = {cell: v["test"] for cell, v in found.items() if "test" in v}
    if tested:
        count = next(iter(tested.values()))["images"]
        lines += [
            f"The supervised rows on {count:,} images of the paper's test split (10%), on which they "
            "were not trained either. The tables above score them on the images of all other rows:",
            "",
            *paper_tables.supervised(tested, distance),
            "",
        ]
    lines += ["### In the paper's order", "", *paper_tables.orders(found), ""]
    if any(cell.row != "baselines" for cell in found):
        lines += ["### Trainings", "", *paper_tables.trainings(found), ""]
    lines += [f"- {line}" for line in _notes(found, size, origin, distance)]
    lines += [f"- Left out: {cell.name}: {why}." for cell, why in left_out.items()]
    return "\n".join(lines) + "\n"


def _notes(found, size, origin, distance):
    data, extractor = origin["data"], origin["extractor"]
    yield (
        f"Ours: {data['images']:,} {data['split']} images of {data['dataset']} (seed "
        f"{data['seed']}), {size} x {size}, on which no model was trained; "
        f"{origin['num_samples']} samples per image. MSE of one sample, over all pixels in "
        "[-1, 1]; std over missing pixels. The paper: CelebA at 128 x 128."
    )
    measurements = {
        paper_tables.COLUMNS[c.column]: v["origin"]["data"]["measurement"] for c, v in found.items()
    }
    yield "; ".join(f"{column} is {measurement}" for column, measurement in measurements.items())
    if extractor:
        yield (
            f"{distance}: {data['images']:,} reconstructions and as many clean images; weights "
            f"{extractor['weights']}, resize {extractor['resize']}."
            + ("" if distance == "FID" else " It is no FID and does not compare with one.")
        )
    trained = [v for v in found.values() if "hardware" in v]
    yield from sorted(
        {
            f"{v['hardware']['processor']}, {v['hardware']['cores']} cores"
            + "".join(f", {name}" for name in v["hardware"]["accelerators"])
            for v in trained
        }
    )
    yield from sorted(
        {", ".join(f"{n} {ver}" for n, ver in v["versions"].items()) for v in trained}
    )
