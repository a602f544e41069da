"""What the page does, without the page: an edited image in, pictures and a ZIP file out.

Whatever the user can put right is a `ValueError`, whose text the page shows.
"""

import dataclasses
import io
import os
import time
import zipfile

import numpy as np
from PIL import Image

from keras_uai.datasets import imagefile
from keras_uai.metrics import figures

MAX_FILE_BYTES = 32 * 2**20
MAX_FILE_PIXELS = 2**26  # checked before anything is decoded
MAX_PIXELS = 2**20  # larger images are made smaller
MAX_SAMPLES = 16


@dataclasses.dataclass(frozen=True)
class Filled:
    """What became of an image.

    Args:
        samples: uint8 `(K, H, W, C)`, C as the model has it.
        mean: uint8 `(H, W, C)`.
        std: float `(H, W)`, in units of [-1, 1]; None where K is 1.
        summary: one sentence about it.
    """

    samples: np.ndarray
    mean: np.ndarray
    std: np.ndarray | None
    summary: str

    def uncertainty(self):
        """`std` as colours from black (certain) to light yellow, uint8 `(H, W, 3)`; None with it."""
        if self.std is None:
            return None
        return figures.colour_map(self.std / (float(self.std.max()) or 1.0))

    def files(self):
        """`{name: uint8 picture}`: what there is to download."""
        found = {f"sample_{k + 1:02d}.png": sample for k, sample in enumerate(self.samples)}
        found["mean.png"] = self.mean
        if self.std is not None:
            found["uncertainty.png"] = self.uncertainty()
        return found

    def save_zip(self, path):
        """Writes `files` as PNGs into a ZIP file; appears whole or not at all."""
        partial = f"{path}.{os.getpid()}.partial"
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for name, picture in self.files().items():
                archive.writestr(name, _png(picture))
            archive.writestr("summary.txt", f"{self.summary}\n")
        os.replace(partial, path)


def check_file(data):
    """Refuses encoded images that are too large, before they are decoded.

    Args:
        data: bytes, or the path of a file.

    Raises:
        ValueError: more than `MAX_FILE_BYTES` or `MAX_FILE_PIXELS`, or no image.
    """
    size = len(data) if isinstance(data, bytes) else os.path.getsize(data)
    if size > MAX_FILE_BYTES:
        raise ValueError(
            f"Images may have at most {MAX_FILE_BYTES // 2**20} MB. Received: {size / 2**20:.0f} MB"
        )
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        width = height = 2**30
    except Exception as error:  # Pillow raises nearly anything on files that are no images
        raise ValueError(
            "This file holds no image that can be read: load a PNG, JPEG or WebP file. "
            f"Received: {error}"
        ) from error
    if width * height > MAX_FILE_PIXELS:
        raise ValueError(
            f"Images may have at most {MAX_FILE_PIXELS // 10**6} million pixels: make it smaller, "
            "and load it again. Received: more"
        )


def read(edited, mask_file=None):
    """The image and its hole.

    Args:
        edited: what the editor holds: dict of `"background"` (uint8 `(H, W, 4)`, or None where no
            image was loaded) and `"layers"` (of the same kind): a pixel is missing where any layer
            is painted on or the image itself is transparent.
        mask_file: path of an image of the same size, white where observed and black where missing;
            what is painted is missing, too. None for none.

    Returns:
        `(image, mask)`: uint8 `(H, W, 3)`, 0 where missing, and uint8 `(H, W)`, 1 = observed.
    """
    background = None if edited is None else edited.get("background")
    if background is None:
        raise ValueError("Load an image first, or choose an example.")
    image, observed = background[..., :3], background[..., 3] == 255
    for layer in edited.get("layers") or ():
        if layer.shape[:2] != image.shape[:2]:
            raise ValueError(
                "What is painted must have the size of the image: clear the editor, and paint "
                f"again. Received: {_size(layer)} on an image of {_size(image)}"
            )
        observed = observed & (layer[..., 3] == 0)
    if mask_file is not None:
        observed = observed & _read_mask(mask_file, image)
    if observed.all():
        raise ValueError("Nothing is missing: paint over what shall be filled in, or load a mask.")
    return np.where(observed[..., None], image, 0).astype("uint8"), observed.astype("uint8")


def shrink(image, mask, max_pixels=MAX_PIXELS):
    """Makes images of more than `max_pixels` smaller by a whole factor.

    A pixel is the mean of a block; it is missing where any pixel of the block is.
    """
    factor = int(np.ceil(np.sqrt(image.shape[0] * image.shape[1] / max_pixels)))
    if factor <= 1:
        return image, mask
    height, width = (side // factor for side in mask.shape)
    if not height or not width:
        raise ValueError(
            f"This image is too long and narrow to be made smaller. Received: {_size(image)}"
        )
    blocks = (height, factor, width, factor)
    mask = mask[: height * factor, : width * factor].reshape(blocks).min(axis=(1, 3))
    image = image[: height * factor, : width * factor].reshape(*blocks, -1).mean(axis=(1, 3))
    return np.where(mask[..., None], np.rint(image), 0).astype("uint8"), mask


def fill(client, image, mask, num_samples, seed):
    """Reconstructs one image.

    Args:
        client: `keras_uai.serving.Client`.
        image, mask: see `read`.
        num_samples: K, from 1 to `MAX_SAMPLES`.
        seed: integer from 0; the same seed gives the same samples.

    Returns:
        `Filled`.
    """
    num_samples = _integer("The number of samples", num_samples, 1, MAX_SAMPLES)
    seed = _integer("The seed", seed, 0, 2**31 - 1)
    given = mask.shape
    image, mask = shrink(image, mask)
    begun = time.monotonic()
    # As a file, which models of grey images take, too.
    found = client.inpaint(_png(image), mask, num_samples=num_samples, seed=seed)
    seconds = time.monotonic() - begun
    missing = 1.0 - float(mask.mean())
    summary = (
        f"{num_samples} reconstruction{'s' if num_samples > 1 else ''} of {_size(image)} pixels, "
        f"of which {missing:.1%} were missing; seed {seed}; {seconds:.1f} s."
    )
    if mask.shape != given:
        summary += f" The image was made smaller, from {given[1]} x {given[0]}."
    std = None if num_samples == 1 else found.std
    if std is not None:
        summary += f" Largest standard deviation of a pixel: {std.max():.2f} (of a range of 2)."
    return Filled(found.samples, found.mean, std, summary)


def _read_mask(path, image):
    check_file(path)
    try:
        pixels, _ = imagefile.decode(path)
    except imagefile.UnreadableImageError as error:
        raise ValueError(f"The mask cannot be read. Received: {error}") from error
    if pixels.shape[:2] != image.shape[:2]:
        raise ValueError(
            "The mask must have the size of the image, white where observed and black where "
            f"missing. Received: a mask of {_size(pixels)} and an image of {_size(image)}"
        )
    return imagefile.to_channels(pixels, 1)[..., 0] >= 128


def _integer(what, value, low, high):
    number = None if value is None else int(value)
    if number is None or number != value or not low <= number <= high:
        raise ValueError(f"{what} is a whole number from {low} to {high}. Received: {value}")
    return number


def _size(image):
    return f"{image.shape[1]} x {image.shape[0]}"


def _png(picture):
    file = io.BytesIO()
    picture = picture[..., 0] if picture.shape[-1] == 1 else picture
    Image.fromarray(picture).save(file, format="PNG")
    return file.getvalue()
