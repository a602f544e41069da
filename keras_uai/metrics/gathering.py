"""Scores of one sampler on one data set, gathered image by image into a file, so that what was
interrupted goes on where it stopped.
"""

import dataclasses
import itertools
import json
import os
import time

import numpy as np

from keras_uai.metrics import calibration, checks, stamps
from keras_uai.metrics.evaluation import sample_batches, unpack
from keras_uai.metrics.scores import Scores, image_sums

PORTION = 32  # images at a time, whatever the batch size, so that it changes nothing
SAVE_SECONDS = 30.0


@dataclasses.dataclass
class Gathered:
    """What is known of a sampler.

    Args:
        scores: `Scores`.
        calibration: rows of `calibration.image_row`, `(N, ...)`, or None with a single sample.
        features: `(N, D)` of one sample an image; None without an extractor.
        mean_features: the same of the mean of K samples; None where K is 1.
        seconds: spent on sampling.
    """

    scores: Scores
    calibration: np.ndarray | None
    features: np.ndarray | None
    mean_features: np.ndarray | None
    seconds: float


def gather(
    sampler, make_batches, path, settings, *, num_samples, seed=0, measurement=None,
    max_images=None, extractor=None, progress=False,
):  # fmt: skip
    """Scores a sampler, or goes on with what stands in the file `path`.

    Args:
        sampler: see `keras_uai.metrics.evaluate`.
        make_batches: callable without arguments that returns the data set's batches.
        path: `.npz` that the state is kept in; None keeps none.
        settings: dict of JSON-able values: what the numbers owe their value to. A file of other
            settings is refused.
        num_samples, seed, measurement, max_images: see `keras_uai.metrics.evaluate`.
        extractor: `Extractor` of the features to keep, or None.
        progress: text before a progress bar, or False.

    Returns:
        `Gathered`.
    """
    state = _State.load(path, settings) if path and os.path.exists(path) else _State(settings)
    if state.finished:
        return state.gathered(num_samples)
    portions = _portions(make_batches(), state.count, measurement)
    begin = list(itertools.islice(portions, 1))  # none where all images were scored before
    timed, saved = _Timed(sampler), time.monotonic()
    for batch in begin and sample_batches(
        timed,
        itertools.chain(begin, portions),
        num_samples,
        seed,
        max_images=max_images,
        progress=progress,
        first=state.count,
    ):
        state.add(batch, num_samples, extractor)
        if path and time.monotonic() - saved > SAVE_SECONDS:
            state.save(path, timed.seconds)  # what is finished is counted below
            saved = time.monotonic()
    state.finished = True
    state.seconds += timed.seconds
    if path:
        state.save(path)
    return state.gathered(num_samples)


class _State:
    """Arrays an image, in portions; and a header."""

    def __init__(self, settings):
        self.settings = settings
        self.finished = False
        self.seconds = 0.0
        self.names = None
        self._portions = []

    @property
    def count(self):
        return sum(len(portion["sums"]) for portion in self._portions)

    def add(self, batch, num_samples, extractor):
        samples, portion = batch["samples"], {}
        images = [
            (*image, None if batch.get("known") is None else batch["known"][i])
            for i, image in enumerate(zip(batch["clean"], samples, batch["mask"], strict=True))
        ]
        rows = [image_sums(*image) for image in images]
        self.names = list(rows[0])
        portion["sums"] = np.array([list(row.values()) for row in rows])
        if num_samples > 1:
            portion["calibration"] = np.stack([calibration.image_row(*image) for image in images])
        if extractor is not None:
            portion["features"] = extractor(samples[:, 0])
            if num_samples > 1:
                portion["mean_features"] = extractor(samples.mean(axis=1, dtype="float32"))
        self._portions.append(portion)

    def arrays(self):
        if not self._portions:
            raise ValueError(
                "The data set is empty: there is nothing to score. Received: no batch."
            )
        return {
            name: np.concatenate([portion[name] for portion in self._portions])
            for name in self._portions[0]
        }

    def gathered(self, num_samples):
        arrays = self.arrays()
        table = dict(zip(self.names, arrays["sums"].T, strict=True))
        return Gathered(
            Scores.from_table(table, num_samples),
            arrays.get("calibration"),
            arrays.get("features"),
            arrays.get("mean_features"),
            self.seconds,
        )

    def save(self, path, more_seconds=0.0):
        header = {
            "settings": self.settings,
            "finished": self.finished,
            "seconds": self.seconds + more_seconds,
            "names": self.names,
        }
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        temporary = f"{path}.{os.getpid()}.partial"
        with open(temporary, "wb") as file:
            np.savez(
                file, header=np.frombuffer(json.dumps(header).encode(), "uint8"), **self.arrays()
            )
        os.replace(temporary, path)

    @classmethod
    def load(cls, path, settings):
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            header = json.loads(arrays.pop("header").tobytes().decode())
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(
                f"Not the state of an evaluation: remove it, and begin anew. Received: {path} "
                f"({error})"
            ) from error
        wrong = stamps.differences(header["settings"], settings)
        if wrong:
            raise ValueError(
                "An evaluation with other settings was begun here. Choose another folder (--out), "
                f"or begin anew (--restart). Received: {path}, in which {'; '.join(wrong)}"
            )
        state = cls(settings)
        state.finished, state.seconds = header["finished"], header["seconds"]
        state.names = header["names"]
        state._portions = [arrays]
        return state


class _Timed:
    """A sampler and the seconds it took."""

    def __init__(self, sampler):
        self.sampler, self.seconds = sampler, 0.0

    def __call__(self, y, mask, num_samples, seed):
        begun = time.monotonic()
        samples = checks.to_numpy(self.sampler(y, mask, num_samples=num_samples, seed=seed))
        self.seconds += time.monotonic() - begun
        return samples


def _portions(batches, skip, measurement):
    """Batches of `PORTION` images each, without the first `skip`."""
    waiting, seen = None, 0
    for batch in batches:
        found = unpack(batch, measurement)
        left = {name: value[max(0, skip - seen) :] for name, value in found.items()}
        seen += len(found["clean"])
        if not len(left["clean"]):
            continue
        if waiting is not None:
            left = {name: np.concatenate([waiting[name], left[name]]) for name in left}
        while len(left["clean"]) >= PORTION:
            yield {name: value[:PORTION] for name, value in left.items()}
            left = {name: value[PORTION:] for name, value in left.items()}
        waiting = left
    if waiting is not None and len(waiting["clean"]):
        yield waiting
