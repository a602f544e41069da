"""Drawn faces for TensorFlow Datasets: `tfds.load("drawn_faces/64")` once this module is imported.

`keras_uai.datasets.load("drawn_faces")` needs neither this module nor TensorFlow Datasets; it draws
the same images.
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from keras_uai.datasets import drawn_faces

_CHUNK = 256


@dataclasses.dataclass
class DrawnFacesConfig(tfds.core.BuilderConfig):
    """Faces of `image_size` x `image_size` pixels."""

    image_size: int = drawn_faces.SIZE


class DrawnFaces(tfds.core.GeneratorBasedBuilder):
    """Small parametric faces with their factors of variation, drawn by keras_uai.

    Features: `image` uint8 `(S, S, 3)`; the class labels `skin`, `hair_color`, `hair_style`,
    `eye_color`, `eyes`, `gaze`, `mouth`, `background`; float32 `tilt`, `scale`, `shift_x`,
    `shift_y`; `index`, the face's number. One split, `train`, of 10,000 faces.

    Example:

        from keras_uai.datasets import drawn_faces_builder
        ds = tfds.load("drawn_faces/32", split="train", data_dir="data/")
    """

    name = drawn_faces.NAME
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        DrawnFacesConfig(name=str(size), description=f"{size} x {size} pixels", image_size=size)
        for size in (32, 64, 128)
    ]

    def _info(self):
        size = self.builder_config.image_size
        labels = {
            name: tfds.features.ClassLabel(names=list(values))
            for name, values in drawn_faces.FACTORS.items()
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=drawn_faces.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
                    "index": np.int64,
                    **labels,
                    **dict.fromkeys(drawn_faces.POSE, np.float32),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for start in range(0, drawn_faces.COUNT, _CHUNK):
            indices = np.arange(start, min(start + _CHUNK, drawn_faces.COUNT))
            images = drawn_faces.draw(indices, self.builder_config.image_size)
            factors = drawn_faces.factors(indices)
            for row, index in enumerate(indices):
                values = {name: column[row] for name, column in factors.items()}
                yield int(index), {"image": images[row], "index": index, **values}
