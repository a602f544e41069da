"""Pictures of reconstructions like figures 4 and 5 of the paper: observations on top, below each
its samples for different z, then their mean and where they differ, and the clean image if known.
"""

import os

from keras import ops

from keras_uai import metrics


class Grids:
    """Draws always the same withheld images, with the same seeds.

    Args:
        settings, data, folder: the run's.
        model: an `InpaintingModel`.
    """

    def __init__(self, settings, data, folder, model):
        self.settings, self.data, self.folder, self.model = settings, data, folder, model
        self._batch = None

    def draw(self, name):
        """Writes `grids/NAME.png` and returns its path; None where no images are wanted."""
        images, samples = self.settings["grid_images"], self.settings["grid_samples"]
        if not images:
            return None
        if self._batch is None:
            dataset = self.data.withheld(images, images)
            batch = next(iter(dataset))
            batch = batch if isinstance(batch, dict) else {"observation": batch}
            self._batch = {name: ops.convert_to_numpy(value) for name, value in batch.items()}
        y, clean = (self._batch.get(name) for name in ("observation", "clean"))
        x = self.model.inpaint(y, self._batch.get("mask"), max(10, samples), seed=0)
        picture = metrics.figures.sample_grid(y, x, clean, max_samples=samples)
        path = os.path.join(self.folder, "grids", f"{name}.png")
        metrics.figures.save_png(picture, path)
        return path
