"""A SavedModel in Beam's RunInference, by its signature `image_bytes`."""

import dataclasses

import numpy as np
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from keras_uai.serving import errors
from keras_uai.serving.client import Encoded
from keras_uai.serving.local import Local


@dataclasses.dataclass(frozen=True)
class Job:
    """An image on its way.

    Args:
        path: where it is from.
        name: what its results are called.
        image, mask: encoded; an empty mask stands for the image's alpha channel.
        seed: integer.
    """

    path: str
    name: str
    image: bytes
    mask: bytes
    seed: int


class ImageBytesHandler(ModelHandler):
    """Answers `Job`s, in batches, with an `Encoded` each.

    Or with the `RefusedError` that says why the model will not work on it: images that travelled with it are not
    touched by that.

    Args:
        path: the SavedModel's folder; each worker loads it.
        num_samples: K.
        batch_size: images a call of the model, at most.
    """

    def __init__(self, path, num_samples, batch_size=32):
        super().__init__(max_batch_size=batch_size)
        self.path, self.num_samples = path, num_samples

    def load_model(self):
        return Local(self.path)

    def run_inference(self, batch, model, inference_args=None):
        jobs = list(batch)
        for job, answer in zip(jobs, self._answers(jobs, model), strict=True):
            yield PredictionResult(job, answer, self.path)

    def _answers(self, jobs, model):
        """A refused batch is halved until what is refused is a single image."""
        try:
            return self._call(jobs, model)
        except errors.RefusedError as error:
            if len(jobs) == 1:
                return [error]
        half = len(jobs) // 2
        return self._answers(jobs[:half], model) + self._answers(jobs[half:], model)

    def _call(self, jobs, model):
        feed = {
            "image_bytes": [job.image for job in jobs],
            "mask_bytes": [job.mask for job in jobs],
            "seed": np.array([job.seed for job in jobs], "int64") % 2**31,  # as clients send it
            "num_samples": np.full(len(jobs), self.num_samples, "int32"),
        }
        found = model.call("image_bytes", feed, None)
        names = ("samples_bytes", "mean_bytes", "std_bytes")
        return [
            Encoded([bytes(sample) for sample in samples], bytes(mean), bytes(std))
            for samples, mean, std in zip(*(found[name] for name in names), strict=True)
        ]
