"""The work behind the page: an edited image in, reconstructions and a ZIP file out.

An error that the user can correct is a `ValueError`. The page shows its message.
"""

import dataclasses
import os
import time
import warnings
import zipfile

import numpy as np

from keras_uai import files

MAX_FILE_BYTES = 128 * 2**20
MAX_FILE_PIXELS = 2**25  # checked before a file is decoded
MAX_SAMPLES = 16


@dataclasses.dataclass(frozen=True)
class Filled:
    """Reconstructions of one image.

    Args:
        samples: uint8 `(K, H, W, C)`, with the channels of the model.
        mean: uint8 `(H, W, C)`.
        std: float `(H, W)`, in 8-bit units, or None for a single sample.
        summary: A sentence about the image, the settings and the time.
    """

    samples: np.ndarray
    mean: np.ndarray
    std: np.ndarray | None
    summary: str

    def uncertainty(self):
        """Returns `std` as colours from black (certain) to yellow, uint8 `(H, W, 3)`, or None."""
        if self.std is None:
            return None
        from matplotlib import colormaps

        return colormaps["inferno"](self.std / (self.std.max() or 1.0), bytes=True)[..., :3]

    def pictures(self):
        """Returns `{file name: uint8 picture}` of the full size."""
        found = {f"sample_{k + 1:02d}.png": sample for k, sample in enumerate(self.samples)}
        found["mean.png"] = self.mean
        if self.std is not None:
            found["uncertainty.png"] = self.uncertainty()
        return found

    def save_zip(self, path):
        """Writes `pictures` and the summary into a ZIP file, whole or not at all."""
        with files.atomic_path(path) as partial, zipfile.ZipFile(partial, "w") as archive:
            for name, picture in self.pictures().items():
                archive.writestr(name, files.encode_image(picture))
            archive.writestr("summary.txt", f"{self.summary}\n")


def check_file(file):
    """Refuses an encoded image that is too large before it is decoded.

    Args:
        file: Bytes, or the path of a file.

    Raises:
        ValueError: more than `MAX_FILE_BYTES` or `MAX_FILE_PIXELS`, or no image.
    """
    size = len(file) if isinstance(file, bytes) else os.path.getsize(file)
    if size > MAX_FILE_BYTES:
        raise ValueError(
            f"An image file must have at most {MAX_FILE_BYTES // 2**20} MB. "
            f"Received: {size / 2**20:.0f} MB"
        )
    try:
        width, height, *_ = files.read_header(file)
    except files.UnreadableImageError as error:
        raise ValueError(
            "The file must hold an image that can be read: load a PNG, JPEG or WebP file. "
            f"Received: {error}"
        ) from error
    if width * height > MAX_FILE_PIXELS:
        raise ValueError(
            f"An image must have at most {MAX_FILE_PIXELS // 10**6} million pixels. "
            f"Received: {width} x {height}"
        )


def read(edited, mask_file=None):
    """Reads the image and the hole from the editor.

    Args:
        edited: Dict of `"background"` (uint8 `(H, W, 4)`, or None without an image) and `"layers"`
            (of the same kind). Pixels are missing where a layer is painted on, and where the image
            is transparent.
        mask_file: Path of an image of the same size, white = observed, black = missing, or None.
            Painted pixels are missing, too.

    Returns:
        `(image, mask)`: uint8 `(H, W, 3)`, 0 where missing; uint8 `(H, W)`, 1 = observed.

    Raises:
        ValueError: without an image or a hole, or if the sizes differ.
    """
    background = None if edited is None else edited.get("background")
    if background is None:
        raise ValueError("Load an image first, or choose an example.")
    height, width = background.shape[:2]
    observed = background[..., 3] == 255
    for layer in edited.get("layers") or ():
        if layer.shape[:2] != (height, width):
            raise ValueError(
                "The painted layer must have the size of the image: clear the editor, and paint "
                f"again. Received: {layer.shape[1]} x {layer.shape[0]} on {width} x {height}"
            )
        observed &= layer[..., 3] == 0
    if mask_file is not None:
        check_file(mask_file)
        observed &= files.read_mask(mask_file, (height, width))
    if observed.all():
        raise ValueError("Nothing is missing: paint over a part of the image, or load a mask.")
    return background[..., :3] * observed[..., None], observed.astype("uint8")


def fill(client, image, mask, num_samples, seed):
    """Reconstructs one image at its own size.

    Args:
        client: `keras_uai.serving.Client`.
        image, mask: As `read` returns them.
        num_samples: K, from 1 to `MAX_SAMPLES`.
        seed: Integer from 0. The same seed gives the same samples.

    Returns:
        `Filled`.
    """
    num_samples = _integer("The number of samples", num_samples, 1, MAX_SAMPLES)
    seed = _integer("The seed", seed, 0, 2**31 - 1)
    begun = time.monotonic()
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        found = client.inpaint(image, mask, num_samples=num_samples, seed=seed)
    seconds = time.monotonic() - begun
    height, width = mask.shape
    summary = (
        f"{num_samples} reconstruction{'s' if num_samples > 1 else ''} "
        f"of {width} x {height} pixels, {np.mean(mask == 0):.1%} missing; seed {seed}; "
        f"{seconds:.1f} s."
    )
    std = None
    if num_samples > 1:
        std = found.std.mean(axis=-1)
        summary += f" Largest standard deviation of a pixel: {std.max():.0f} (of 0 to 255)."
    told = dict.fromkeys(str(n.message) for n in notes if n.category is UserWarning)
    summary = " ".join([summary, *told])
    return Filled(found.samples, found.mean, std, summary)


def _integer(name, value, low, high):
    number = None if value is None else int(value)
    if number is None or number != value or not low <= number <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}. Received: {value}")
    return number
