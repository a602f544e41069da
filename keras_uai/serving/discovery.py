"""Input discovery: the image files of a command, their masks, and the names of their results."""

import collections
import dataclasses
import functools
import os

from keras_uai import files
from keras_uai.datasets import damage, folder


@dataclasses.dataclass(frozen=True)
class Input:
    """An image file to fill in."""

    path: str
    name: str  # of its results: a relative path with `/`, without extension
    mask_from: str  # "alpha", "sidecar", "nan" or "color:R,G,B"
    mask: str | None  # path of its mask file, which only "sidecar" reads

    def load(self):
        """Reads `(pixels (H, W, C), mask (H, W))`, the mask boolean, True = observed."""
        if self.mask_from == "sidecar" and self.mask is None:
            raise ValueError(
                "There is no mask file: NAME.mask.png, NAME_mask.png, or the same path in a folder "
                "`masks` (white = observed, black = missing)."
            )
        return damage.read_damaged(self.path, self.mask_from, self.mask)


def find(paths, mask="auto", leave_out=None):
    """Finds the images of files and folders.

    Args:
        paths: list of files and folders. Folders are searched with the folders in them. A mask file
            is no image if its image is in the list, too.
        mask: string, an `Input.mask_from`, `"auto"` (the mask file if an image has one, else
            alpha), or the path of one mask for all. Default: `"auto"`.
        leave_out: path of a folder to skip, such as the results', or None.

    Returns:
        List of `Input`, sorted by name. Results are named after the path within a given folder.
    """
    one_for_all = os.path.isfile(mask)
    if mask != "auto" and not one_for_all:
        damage.parse(mask)
    found, beside_files = {}, functools.cache(functools.partial(_masks_in, paths=paths))
    for given in map(os.fspath, paths):
        if os.path.isdir(given):
            root = given
            names, masks = _in_folder(given, leave_out)
        elif os.path.isfile(given):
            root, name = os.path.split(given)
            masks, of_given = beside_files(os.path.abspath(root))
            names = [] if name in of_given else [name]
        else:
            link = (
                "a link to a missing file"
                if os.path.islink(given)
                else "a path that does not exist"
            )
            raise ValueError(f"{given} must be a file or folder. Received: {link}")
        for name in names:
            path, beside = os.path.join(root, *name.split("/")), masks.get(damage.stem(name))
            source = mask
            if one_for_all:
                source, beside = "sidecar", mask
            elif mask == "auto":
                source = "sidecar" if beside else "alpha"
            other = found.setdefault(name, Input(path, name, source, beside))
            if os.path.abspath(other.path) != os.path.abspath(path):
                raise ValueError(
                    f"Two images must not have the same name, {name}: name a folder that holds "
                    f"both. Received: {other.path} and {path}"
                )
    if not found:
        raise ValueError(
            f"There are no images ({', '.join(files.EXTENSIONS)}) to fill in. "
            f"Received: {', '.join(map(str, paths)) or 'no path'}"
        )
    # Names keep their extensions where they would be equal without.
    stems = {name: os.path.splitext(name)[0] for name in found}
    counts = collections.Counter(stems.values())
    names = {name: stem if counts[stem] == 1 else name for name, stem in stems.items()}
    named = [dataclasses.replace(one, name=names[name]) for name, one in found.items()]
    return sorted(named, key=lambda one: one.name)


def _in_folder(path, leave_out):
    """Names of the images of a folder, and `{stem: path}` of their masks."""
    root = os.path.abspath(path)
    names = folder.listing(root)[0]
    if leave_out is not None:
        hidden = os.path.join(os.path.realpath(leave_out), "")
        real = functools.cache(lambda inside: os.path.realpath(os.path.join(root, inside)))
        names = [
            name
            for name in names
            if not os.path.join(real(os.path.dirname(name)), "").startswith(hidden)
        ]
    names, masks = damage.split_listing(names)
    if not masks:
        root, masks = os.path.dirname(root), folder.masks_beside(root)
    return names, {stem: os.path.join(root, mask) for stem, mask in masks.items()}


def _masks_in(root, paths):
    """The masks of the files in a folder, and the names of those whose image is in `paths`."""
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file())
    inside = os.path.join(root, "masks")
    if os.path.isdir(inside):
        names += [f"masks/{n}" for n in folder.listing(inside)[0]]
    masks = damage.split_listing(names)[1]
    given = {damage.stem(os.path.abspath(path)) for path in paths}
    of_given = {m for s, m in masks.items() if damage.stem(os.path.join(root, f"{s}.png")) in given}
    return {stem: os.path.join(root, mask) for stem, mask in masks.items()}, of_given
