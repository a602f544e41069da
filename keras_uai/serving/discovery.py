"""Input discovery: the image files of a command, their masks, and the names of their results."""

import collections
import dataclasses
import os

from keras_uai import files
from keras_uai.datasets import damage, folder
from keras_uai.serving import images

AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class Input:
    """An image file to fill in.

    Args:
        path: string, of the image.
        name: string, of its results: a relative path with `/`, without extension.
        mask_from: string, `"alpha"`, `"sidecar"`, `"nan"` or `"color:R,G,B"`.
        mask: string, path of its mask file, or None.
    """

    path: str
    name: str
    mask_from: str
    mask: str | None = None

    def load(self):
        """Reads the image: `(pixels (H, W, C), mask (H, W))`, the mask boolean, True = observed.

        Raises:
            ValueError: if a file is wrong; the message does not name it.
        """
        if self.mask_from == "sidecar" and self.mask is None:
            raise ValueError(
                "There is no mask file: NAME.mask.png, NAME_mask.png, or the same path in a folder "
                "`masks` (white = observed, black = missing)."
            )
        return images.read_damaged(self.path, self.mask_from, self.mask)


def find(paths, mask=AUTO, leave_out=None):
    """Finds the images of files and folders.

    Args:
        paths: list of files and folders. Folders are searched with the folders in them. A mask file
            is no image if its image is in the list, too.
        mask: string, `"alpha"`, `"sidecar"`, `"nan"`, `"color:R,G,B"`, `"auto"` (the mask file if
            an image has one, else alpha), or the path of one mask for all. Default: `"auto"`.
        leave_out: path of a folder to skip, such as the results', or None.

    Returns:
        List of `Input`, sorted by name. Results are named after the path within a given folder.

    Raises:
        ValueError: if there is no such file or folder, no image, or two images of one name.
    """
    if mask != AUTO and not os.path.isfile(mask):
        damage.parse(mask)
    paths = list(dict.fromkeys(os.fspath(path) for path in paths))
    found = []
    for path in paths:
        if os.path.isdir(path):
            found += _in_folder(path, mask, leave_out)
        elif os.path.isfile(path):
            found += _file(path, mask, paths)
        else:
            link = "a link to a missing file" if os.path.islink(path) else "nothing"
            raise ValueError(f"{path} must be a file or folder. Received: {link}")
    if not found:
        raise ValueError(
            f"There are no images ({', '.join(files.EXTENSIONS)}) to fill in. "
            f"Received: {', '.join(paths) or 'no path'}"
        )
    return sorted(_unambiguous(found), key=lambda one: one.name)


def _in_folder(path, mask, leave_out):
    root = os.path.abspath(path)
    names, _ = folder.listing(root)
    if leave_out is not None:
        hidden = os.path.join(os.path.realpath(leave_out), "")
        names = [n for n in names if not os.path.realpath(os.path.join(root, n)).startswith(hidden)]
    found, masks = damage.split_listing(names)
    base = root
    if not masks:
        base, masks = os.path.dirname(root), folder.masks_beside(root)
    return [_input(os.path.join(path, *name.split("/")), name, mask, base, masks) for name in found]


def _file(path, mask, paths):
    """The `Input` of a single file; none for the mask file of an image in `paths`."""
    base, name = os.path.split(os.path.abspath(path))
    names = [n for n in os.listdir(base) if os.path.isfile(os.path.join(base, n))]
    names = [n for n in names if n.lower().endswith(files.EXTENSIONS)]
    inside = os.path.join(base, "masks")
    if os.path.isdir(inside):
        names += [f"masks/{n}" for n in folder.listing(inside)[0]]
    found, masks = damage.split_listing(sorted({*names, name}))
    if name not in found:
        stem = next(stem for stem, sidecar in masks.items() if sidecar == name)
        if os.path.join(damage.stem(f"{base}/"), stem) in {
            damage.stem(os.path.abspath(p)) for p in paths
        }:
            return []
    return [_input(path, name, mask, base, masks)]


def _input(path, name, mask, base, masks):
    """An `Input`; the paths in `masks` are relative to `base`."""
    beside = masks.get(damage.stem(name))
    beside = beside and os.path.join(base, *beside.split("/"))
    if mask == AUTO:
        return Input(path, name, "sidecar" if beside else "alpha", beside)
    if mask == "sidecar":
        return Input(path, name, mask, beside)
    one_for_all = os.path.isfile(mask)
    return Input(path, name, "sidecar" if one_for_all else mask, mask if one_for_all else None)


def _unambiguous(found):
    """Leaves extensions out of names, unless that makes them equal."""
    paths = collections.defaultdict(set)
    for one in found:
        paths[one.name].add(os.path.abspath(one.path))
    for name, different in paths.items():
        if len(different) > 1:
            raise ValueError(
                f"Two images must not have the same name, {name}: name a folder that holds both. "
                f"Received: {' and '.join(sorted(different)[:2])}"
            )
    short = collections.Counter(os.path.splitext(name)[0] for name in paths)
    for one in {one.name: one for one in found}.values():
        stem = os.path.splitext(one.name)[0]
        yield dataclasses.replace(one, name=stem if short[stem] == 1 else one.name)
