"""Callback that draws samples of the same images as training goes on."""

import os

from keras_uai import backend, files
from keras_uai.callbacks.base import Periodic
from keras_uai.metrics import figures
from keras_uai.metrics.batches import image_seeds, unpacked


class ImageGrid(Periodic):
    """Draws observations, samples, their mean and their uncertainty (as in figures 4 and 5).

    Whole images are drawn at their own size, small ones enlarged by a whole factor. The images, and
    the noise of their samples, are the same each time. It writes `epoch_0005.png` and the like into
    `directory`, and the same pictures for TensorBoard into `log_dir`.

    Args:
        dataset: batches of y, or dicts with "observation", and "mask" and "clean" if they have
            them; sizes may differ.
        directory: folder of the PNG files, or None.
        log_dir: TensorBoard's folder, or None.
        every: draws after the first epoch, every so many epochs, and after the last. Default: 1.
        num_images: number of images, the columns of the grid. Default: 8.
        num_samples: samples an image, of which mean and uncertainty are. Default: 10.
        max_samples: number of samples that are shown. Default: 4.
        seed: integer, of the samples. Default: 0.
    """

    def __init__(
        self,
        dataset,
        directory=None,
        log_dir=None,
        every=1,
        num_images=8,
        num_samples=10,
        max_samples=4,
        seed=0,
    ):
        super().__init__(every)
        if directory is None and log_dir is None:
            raise ValueError(
                "ImageGrid needs `directory` for PNG files, `log_dir` for TensorBoard, or both. "
                "Received: neither"
            )
        self.dataset = dataset
        self.directory = directory
        self.log_dir = log_dir
        self.num_images = num_images
        self.num_samples = num_samples
        self.max_samples = max_samples
        self.seed = seed
        self._writer = None

    def draw(self):
        """Returns the picture of the model as it is, uint8 `(height, width, 3)`."""
        y, samples, clean = [], [], []
        measurement = getattr(self.model, "measurement", None)
        for batch in unpacked(self.dataset, measurement, 0, self.num_images, needs_clean=False):
            images = batch["observation"]
            seeds = image_seeds(self.seed, range(len(y), len(y) + len(images)))
            samples.extend(self.model.inpaint(images, batch["mask"], self.num_samples, seeds))
            y.extend(images)
            if not batch["is_partial"]:
                clean.extend(batch.get("clean", ()))
        clean = clean if len(clean) == len(y) else None
        return figures.sample_grid(y, samples, clean, max_samples=self.max_samples)

    def on_epoch_end(self, epoch, logs=None):
        if not self.is_due(epoch):
            return
        picture = self.draw()
        if self.directory is not None:
            name = f"epoch_{epoch + 1:04d}.png"
            files.write_image(os.path.join(self.directory, name), picture)
        if self.log_dir is not None:
            tf = backend.tensorflow("Pictures for TensorBoard (log_dir) are written by TensorFlow")
            self._writer = self._writer or tf.summary.create_file_writer(os.fspath(self.log_dir))
            with self._writer.as_default(step=epoch):
                tf.summary.image("samples", picture[None])
            self._writer.flush()
