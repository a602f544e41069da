"""One run: flags in, a run folder with a trained model, its scores and its pictures out."""

import contextlib
import datetime
import json
import math
import os
import shlex
import shutil
import signal
import sys

import keras

from keras_uai import callbacks, files, metrics, progress
from keras_uai.training import (
    configuration,
    distribution,
    environment,
    evaluation,
    factory,
    loop,
    run_folder,
)
from keras_uai.training.data import Data
from keras_uai.training.settings import PLACES

#: The command that resumes a run.
RESUME = "keras-uai train --resume=FOLDER"


def main(given, command=None, resume=RESUME, use=None):
    """Runs the flags, and prints the results.

    Args:
        given: dict of the flags that were given; see `configuration.resolve`.
        command: string; the command line, for the records.
        resume: string; the command that resumes the run in `FOLDER`.
        use: string or None; a command to try with the trained model in `FOLDER`.

    Returns:
        The exit code: 0; 1 where the training diverged or another worker was lost; 2 after an error
        that the user can correct; 128 + n after signal n.
    """
    places = {name: setting.default for name, setting in PLACES.items()}
    places |= {n: v for n, v in given.items() if n in PLACES and v is not None}
    folder = places["resume"]
    try:
        with contextlib.ExitStack() as stack:
            try:
                saved = run_folder.read_settings(folder) if folder else {}
                settings = (
                    _saved_settings(saved["settings"], folder, given)
                    if folder
                    else configuration.resolve(given)
                )
                if places["dry_run"]:
                    print(json.dumps(settings, indent=2))
                    return 0
                if folder and os.path.exists(os.path.join(folder, run_folder.SCORES)):
                    print(f"{folder} is finished: there is nothing to resume.")
                    return 0
                run = Run(settings, places, command, resume, stack, saved.get("data"))
            except (ValueError, OSError, ImportError) as error:
                print(f"error: {error}", file=sys.stderr)
                return 2
            try:
                code = run.run()
            except (ValueError, OSError) as error:  # a full disk, images that are gone
                print(f"error: {error}\nWhat was saved is kept. {run.hint}", file=sys.stderr)
                return 2
            if use and code == 0 and run.group.is_chief:
                print(f"Next:\n  {named(use, run.folder)}")
            return code
    except (FloatingPointError, distribution.LostWorkerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def named(command, folder):
    """Returns a command line with a run's folder in the place of `FOLDER`."""
    return command.replace("FOLDER", shlex.quote(folder or "FOLDER"))


def _saved_settings(saved, folder, given):
    """Returns the settings of the run to resume; refuses and lists given settings that differ."""
    try:
        saved = configuration.resolve(dict(saved))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The run's settings cannot be used: {error}. Received: --resume={folder}"
        ) from error
    if changed := configuration.differences(saved, given):
        lines = [f"  --{flag}: saved {old!r}, given {new!r}" for flag, old, new in changed]
        raise ValueError(
            "A run is resumed with the settings it was started with. These differ:\n"
            + "\n".join(lines)
            + f"\nLeave them out to resume {folder}, or leave out --resume to start a new run."
        )
    return saved


class Run:
    """A run whose data and model are ready.

    `stack` holds the lock of its folder. `fingerprint` is that of the data of a run to resume.
    """

    def __init__(self, settings, places, command, resume, stack, fingerprint=None):
        self.settings = settings
        self.places = places
        self.command = command
        self.resume = resume
        self.folder = places["resume"]
        stack.callback(keras.config.set_dtype_policy, keras.config.dtype_policy())
        self.group = group = distribution.make(places["distribution"])
        if self.folder and group.is_chief:
            stack.enter_context(run_folder.locked(self.folder))
        group.check_batch(settings)
        with group.watching():
            group.check_same(settings)
        self.data = Data(settings, places["data_dir"], places["download"])
        if self.folder and group.is_chief:
            self.data.check_same(fingerprint)
        reading = progress.stage("Reading the images, making the model")
        with group.watching(), group.scope(), reading:
            self.model = factory.make_model(settings, self.data, places["skip_nonfinite"])
        if not group.is_chief:
            self.model.masks_compared = True  # by the chief
            return
        if (name := settings["extractor"]) and self.data.has_clean:
            metrics.extractors.get(None if name == "auto" else name)  # raises without weights
        if not self.folder:
            self.folder = run_folder.create(places["runs"], run_folder.run_name(settings))
            stack.enter_context(run_folder.locked(self.folder))
            started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            record = {"settings": settings, "command": command, "started": started}
            with progress.stage("Reading the images"):
                record |= {"data": self.data.fingerprint(), **environment.describe()}
            files.write_json(os.path.join(self.folder, run_folder.SETTINGS), record, indent=2)
            print(self.summary(record["data"]["images"]))
        print(f"Run folder: {self.folder}", flush=True)

    def summary(self, images):
        """Returns the settings that matter most, in a few lines; `settings.json` has all."""
        settings, (height, width, _) = self.settings, self.data.image_shape
        crop = settings["crop_size"]
        images = min(images, settings["limit"] or images)
        size = f"crops of {crop} x {crop}" if crop else f"{height} x {width} pixels"
        limits = (f"{settings[n]:g} {n}" for n in ("minutes", "epochs", "steps") if settings[n])
        return (
            f"Data: {settings['data']}, {images:,} images, {size}\n"
            f"Measurement: {settings['measurement']}\n"
            f"Model: {settings['model']}, {settings['config']} configuration, "
            f"{self.parameters:,} weights\n"
            f"Training: {', '.join(limits)}, batches of {settings['batch_size']}"
        )

    @property
    def parameters(self):
        """The number of trainable weights of the generator."""
        return sum(math.prod(w.shape) for w in self.model.generator.trainable_weights)

    @property
    def hint(self):
        """A sentence for users: how to resume this run."""
        return f"Resume with:\n  {named(self.resume, self.folder)}"

    def run(self):
        """Trains and scores; returns the exit code."""
        data, model, folder, group = self.data, self.model, self.folder, self.group
        monitors = []
        if group.is_chief:
            watch = callbacks.Diagnostics(data.stream(0), run_folder.Log(folder, sys.maxsize).rows)
            watch.set_model(model)
            with group.chief_only(), progress.stage("Examining the data"):
                watch.examine()
            monitors = [evaluation.Monitor(self.settings, data, model, folder, group), watch]
        minutes = self.places["checkpoint_minutes"]
        state, interrupted = loop.train(
            self.settings, data, folder, model, monitors, minutes, group
        )
        if interrupted:
            print(f"Stopped after {state['steps']} steps; everything is saved. {self.hint}")
            return 128 + interrupted
        if group.is_chief:
            try:
                with group.chief_only():
                    self._finish(state, monitors[0])
            except KeyboardInterrupt:
                print(f"\nStopped before all was scored; the trained model is saved. {self.hint}")
                return 128 + signal.SIGINT
        with group.watching():
            group.exchange(0)  # the other workers wait for the chief
        return 0

    def _finish(self, state, monitor):
        """Saves model, pictures and scores at the end of the training."""
        settings, folder, model = self.settings, self.folder, self.model
        calibration = self._calibrate()
        path = os.path.join(folder, run_folder.MODEL)
        with progress.stage("Drawing and scoring"):
            if not os.path.exists(path):  # scores begun belong to the file with its dates
                with files.atomic_path(path) as draft:
                    model.save(draft)
            picture = monitor.draw("final")
            warned = (calibration or {}).get("warnings", ())
            result = evaluation.score(settings, folder, self.places["data_dir"], warned)
        minutes = state["seconds"] / 60.0
        record = {
            "scores": evaluation.values(result),
            "steps": state["steps"],
            "images_seen": state["images"],
            "minutes": minutes,
            "parameters": self.parameters,
            "seed": settings["seed"],
            **({"spread_calibration": metrics.report.plain(calibration)} if calibration else {}),
            "command": self.command,
            **environment.describe(),
        }
        files.write_json(os.path.join(folder, run_folder.SCORES), record, indent=2)
        shutil.rmtree(os.path.join(folder, run_folder.CHECKPOINTS))  # the model holds the same
        print(f"\n{evaluation.table(result)}\n")
        print(f"{state['images']:,} images seen in {minutes:.1f} minutes of training")
        print(f"model: {path}" + (f"\npicture: {picture}" if picture else ""))

    def _calibrate(self):
        """Fits the sampler's inflation on training images; returns the fit, None if not wanted."""
        if not (self.settings["calibrate_spread"] and self.model.generator.predicts_mean):
            return None
        try:
            # An endless stream has many crops of a few images.
            crops = self.settings["crop_size"] is not None
            images = self.data.stream(0) if crops else self.data.train
            with progress.stage("Calibrating the spread"):
                fitted = self.model.calibrate_spread(images)
        except ValueError as error:  # no reason to lose a training
            inflation = self.model.sampler.inflation
            print(f"The spread inflation stays {inflation}: {error}")
            return {"inflation": inflation, "warnings": [f"The spread is not calibrated: {error}"]}
        numbers = {name: value for name, value in fitted.items() if name != "warnings"}
        print("spread calibration: " + ", ".join(f"{n} {v:.4g}" for n, v in numbers.items()))
        return fitted
