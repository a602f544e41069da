"""Output writer: the reconstructions of an image as a folder of files, whole or not there.

```
OUT/path/of/the/image/
  sample_01.png, ...   reconstructions, in the image's bit depth (floats: .tif)
  mean.png             the best single answer
  std.png              standard deviation of each pixel: 16 bits, white = half of the images' range
                       (floats: .tif, in the image's units)
  uncertainty.png      the same in colours, from black to light yellow = the image's largest
```
"""

import os

import numpy as np

from keras_uai import files
from keras_uai.metrics import figures


def encode(found):
    """Returns `{file name: bytes}` of a `Reconstruction`. One sample alone has no deviation."""
    floats = found.mean.dtype.kind == "f"
    extension = ".tif" if floats else ".png"

    def encoded(pixels):
        pixels = pixels.astype("float32") if floats else pixels
        return files.encode_image(pixels, extension)

    out = {f"sample_{k + 1:02d}{extension}": encoded(v) for k, v in enumerate(found.samples)}
    out[f"mean{extension}"] = encoded(found.mean)
    if len(found.samples) > 1:
        std = found.std.mean(axis=-1)
        if not floats:
            white = np.iinfo(found.mean.dtype).max / 2.0
            out["std.png"] = files.encode_image(
                np.rint(np.minimum(std / white, 1.0) * 65535.0).astype("uint16")
            )
        else:
            out["std.tif"] = encoded(std)
        colours = figures.colour_map(std / (std.max() or 1.0))
        out["uncertainty.png"] = files.encode_image(colours)
    return out


def folder(out, name):
    """Returns the folder of an image's results.

    Args:
        out: string, the folder of all results.
        name: string, a relative path with `/`, see `discovery.Input`.

    Raises:
        ValueError: if it lies outside `out`.
    """
    parts = name.split("/")
    path = os.path.join(out, *parts)
    inside = os.path.join(os.path.realpath(out), "")
    odd = any(part in ("", ".", "..") or os.sep in part or "\0" in part for part in parts)
    if odd or not os.path.realpath(path).startswith(inside):
        raise ValueError(f"Results must lie in {out}. Received: the name {name!r}")
    return path


def write(out, name, found, overwrite=False):
    """Writes the results of an image, a `Reconstruction`.

    Returns:
        Their folder, or None if it was there and stays.
    """
    path = folder(out, name)
    if os.path.lexists(path) and not overwrite:
        return None
    contents = encode(found)
    with files.atomic_folder(path, overwrite) as draft:
        for file, data in contents.items():
            with open(os.path.join(draft, file), "wb") as opened:
                opened.write(data)
    return path
