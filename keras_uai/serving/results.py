"""What is kept of an image's reconstructions: a folder of PNG files, whole or not there.

```
OUT/path/of/the/image/
  sample_01.png, ...   reconstructions
  mean.png             the best single answer
  std.png              standard deviation of each pixel, grey, white = 1 in the units of [-1, 1]
  uncertainty.png      the same in colours, from black to light yellow = this image's largest
```
"""

import os
import shutil
import tempfile

from keras_uai.metrics import figures
from keras_uai.serving import inputs


def files(encoded):
    """`{file name: bytes}` of an `Encoded`; one sample alone has no standard deviation."""
    found = {f"sample_{k + 1:02d}.png": data for k, data in enumerate(encoded.samples)}
    found["mean.png"] = encoded.mean
    if len(encoded.samples) > 1:
        std = inputs.decode_png(encoded.std)[..., 0] / 255.0
        found["std.png"] = encoded.std
        found["uncertainty.png"] = inputs.png(figures.colour_map(std / (std.max() or 1.0)))
    return found


def folder(out, name):
    """The folder of an image's results.

    Args:
        out: of all results.
        name: relative path with `/`, see `damaged.Damaged`.

    Raises:
        ValueError: it would lie outside `out`.
    """
    parts = name.split("/")
    path = os.path.join(out, *parts)
    inside = os.path.join(os.path.realpath(out), "")
    odd = any(part in ("", ".", "..") or os.sep in part or "\0" in part for part in parts)
    if odd or not os.path.realpath(path).startswith(inside):
        raise ValueError(f"Results are written below {out}. Received: the name {name!r}")
    return path


def write(out, name, encoded, overwrite=False):
    """Writes an image's results; returns their folder, or None where it was there already and stays."""
    path = folder(out, name)
    if os.path.lexists(path) and not overwrite:
        return None
    above, last = os.path.split(path)
    os.makedirs(above, exist_ok=True)
    draft = tempfile.mkdtemp(prefix=f".{last[:40]}-", dir=above)
    try:
        new, old = os.path.join(draft, "new"), os.path.join(draft, "old")
        os.mkdir(new)
        for file, data in files(encoded).items():
            with open(os.path.join(new, file), "wb") as opened:
                opened.write(data)
        if os.path.lexists(path):
            os.rename(path, old)
        os.rename(new, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return path
