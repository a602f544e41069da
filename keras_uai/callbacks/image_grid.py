"""Pictures of the same few images as training goes on."""

import os

import numpy as np

from keras_uai import backend
from keras_uai.callbacks.base import Periodic
from keras_uai.measurements.base import check_integer
from keras_uai.metrics import figures
from keras_uai.metrics.evaluation import sample_batches


class ImageGrid(Periodic):
    """Draws observations, samples, their mean and their uncertainty (as in figures 4 and 5).

    Writes `epoch_0005.png` and the like into `directory`, and the same pictures for TensorBoard into
    `log_dir`. The images, and the noise of their samples, are the same each time. Cost: some seconds
    at most.

    Args:
        dataset: batches of y, or dicts with "observation", and "mask" and "clean" where they have
            them; the first `num_images` are drawn.
        directory: folder of the PNG files; or None.
        log_dir: TensorBoard's folder; or None.
        every: draw after the first epoch, every so many epochs, and the last.
        num_images: columns of the grid.
        num_samples: samples an image, which mean and uncertainty are made of.
        max_samples: rows of samples that are shown.
        seed: of the samples.
    """

    def __init__(
        self, dataset, directory=None, log_dir=None, every=1, num_images=8, num_samples=10,
        max_samples=4, seed=0,
    ):  # fmt: skip
        super().__init__(every)
        if directory is None and log_dir is None:
            raise ValueError(
                "ImageGrid writes PNG files into `directory`, pictures for TensorBoard into "
                "`log_dir`, or both. Received: neither"
            )
        self.dataset, self.directory, self.log_dir = dataset, directory, log_dir
        self.num_images = check_integer("ImageGrid", "num_images", num_images, 1)
        self.num_samples = check_integer("ImageGrid", "num_samples", num_samples, 1)
        self.max_samples = check_integer("ImageGrid", "max_samples", max_samples, 1)
        self.seed = seed
        self._writer = None

    def draw(self):
        """The picture of the model as it is, uint8 `(height, width, 3)`."""
        batches = list(
            sample_batches(
                self.model.inpaint,
                self.dataset,
                self.num_samples,
                self.seed,
                getattr(self.model, "measurement", None),
                self.num_images,
                needs_clean=False,
            )
        )
        y, samples = (
            np.concatenate([b[key] for b in batches]) for key in ("observation", "samples")
        )
        clean = None
        if all("clean" in batch and "known" not in batch for batch in batches):
            clean = np.concatenate([batch["clean"] for batch in batches])
        return figures.sample_grid(y, samples, clean, max_samples=self.max_samples)

    def on_epoch_end(self, epoch, logs=None):
        if not self.is_due(epoch):
            return
        picture = self.draw()
        if self.directory is not None:
            figures.save_png(picture, os.path.join(self.directory, f"epoch_{epoch + 1:04d}.png"))
        if self.log_dir is not None:
            tf = backend.tensorflow("Pictures for TensorBoard (log_dir) are written by TensorFlow")
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(os.fspath(self.log_dir))
            with self._writer.as_default(step=epoch):
                tf.summary.image("samples", picture[None])
            self._writer.flush()

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.close()
            self._writer = None
