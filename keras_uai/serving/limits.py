"""What an exported model refuses to work on, so that no request can exhaust the server."""

import dataclasses

from keras_uai.measurements.base import check_integer


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits that are written into an export's graph; a request beyond them is an invalid argument.

    Args:
        max_samples: largest `num_samples` of an image.
        max_bytes: largest encoded image or mask.
        max_pixels: most pixels of an image; read from its header before it is decoded.
        max_answer_pixels: most pixels of all samples of a request together, counted at the images'
            size or the model's, whichever is larger.
    """

    max_samples: int = 64
    max_bytes: int = 2**24
    max_pixels: int = 2**24
    max_answer_pixels: int = 2**25

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_integer("Limits", field.name, getattr(self, field.name), 1)
