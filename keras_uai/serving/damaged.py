"""Damaged photographs on disk: which files, where each has its mask, and what its results are called."""

import collections
import dataclasses
import os

from keras_uai.datasets import damage, folder, imagefile
from keras_uai.serving import inputs

AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class Damaged:
    """A file to be filled in.

    Args:
        path: of the image.
        name: what its results are called: a relative path with `/` and without an extension.
        mask_from: where its mask is: "alpha", "sidecar" or "color:R,G,B".
        mask: path of its mask file, or None where there is none.
    """

    path: str
    name: str
    mask_from: str
    mask: str | None = None

    def load(self, limits):
        """`(image_bytes, mask_bytes)` as the signature `image_bytes` takes them; an empty mask stands for alpha.

        Raises:
            ValueError: what is wrong with the file, without its name.
        """
        if self.mask_from == "sidecar":
            if self.mask is None:
                raise ValueError(
                    "There is no mask file: NAME.mask.png, NAME_mask.png, or the same path in a folder `masks` "
                    "(white = observed, black = missing)."
                )
            return inputs.encoded(self.path, self.mask, limits)
        if self.mask_from == "alpha":
            return inputs.encoded(self.path, None, limits)
        data = inputs.upright(self.path, limits)
        try:
            pixels, _ = imagefile.decode(data)
        except imagefile.UnreadableImageError as error:
            raise ValueError(f"This image cannot be read: {error}.") from error
        observed = damage.observed_from_color(pixels, damage.parse(self.mask_from)[1])
        return inputs.encoded(data, observed, limits)


def find(paths, mask=AUTO, leave_out=None):
    """The images of files and folders.

    Args:
        paths: of files, and of folders, in which and in whose folders all images are meant.
        mask: "alpha", "sidecar", "color:R,G,B"; "auto": the mask file where an image has one, else alpha; or the path
            of one mask for all.
        leave_out: a folder whose files are not meant, such as that of the results.

    Returns:
        list of `Damaged`, sorted by name; the results of a folder's images are called like these within it.

    Raises:
        ValueError: no such file or folder, no images, or two that would be called the same.
    """
    if mask != AUTO and not os.path.isfile(mask):
        damage.parse(mask)
    found, paths = [], [os.fspath(path) for path in paths]
    for path in paths:
        if os.path.isdir(path):
            found += _in_folder(path, mask, leave_out)
        elif os.path.isfile(path):
            found.append(_file(path, mask))
        else:
            raise ValueError(f"There is no such file or folder. Received: {path}")
    if not found:
        raise ValueError(
            f"There are no images ({', '.join(imagefile.EXTENSIONS)}) to fill in. "
            f"Received: {', '.join(paths) or 'none'}"
        )
    return sorted(_unambiguous(found), key=lambda one: one.name)


def _in_folder(path, mask, leave_out):
    root = os.path.abspath(path)
    names, _ = folder.listing(root)
    if leave_out is not None:
        hidden = os.path.join(os.path.realpath(leave_out), "")
        names = [n for n in names if not os.path.realpath(os.path.join(root, n)).startswith(hidden)]
    images, masks = damage.split_listing(names)
    base = root
    if not masks:
        base, masks = os.path.dirname(root), folder.masks_beside(root)
    return [
        _damaged(os.path.join(path, *name.split("/")), name, mask, base, masks) for name in images
    ]


def _file(path, mask):
    """A single file, whose mask file lies beside it or in a folder `masks` there."""
    base = os.path.dirname(os.path.abspath(path))
    names = [n for n in os.listdir(base) if n.lower().endswith(imagefile.EXTENSIONS)]
    inside = os.path.join(base, "masks")
    names += [f"masks/{n}" for n in os.listdir(inside)] if os.path.isdir(inside) else []
    masks = damage.split_listing(sorted(names))[1]
    return _damaged(path, os.path.basename(path), mask, base, masks)


def _damaged(path, name, mask, base, masks):
    """`name` with its extension, as in `masks`, whose paths are relative to `base`."""
    beside = masks.get(os.path.splitext(name)[0])
    beside = beside and os.path.join(base, *beside.split("/"))
    if mask == AUTO:
        return Damaged(path, name, "sidecar" if beside else "alpha", beside)
    if mask == "sidecar":
        return Damaged(path, name, mask, beside)
    known = mask == "alpha" or mask.startswith("color:")
    return Damaged(path, name, mask) if known else Damaged(path, name, "sidecar", mask)


def _unambiguous(found):
    """With the extension left out of names where that leaves them different."""
    short = collections.Counter(os.path.splitext(one.name)[0] for one in found)
    full = collections.defaultdict(list)
    for one in found:
        full[one.name].append(one.path)
    twice = next((paths for paths in full.values() if len(set(paths)) > 1), None)
    if twice:
        raise ValueError(
            "Two images would be called the same: name the folder that holds both. "
            f"Received: {' and '.join(twice[:2])}"
        )
    for one in {one.name: one for one in found}.values():
        stem = os.path.splitext(one.name)[0]
        yield dataclasses.replace(
            one, name=stem if short[stem] == len(full[one.name]) else one.name
        )
