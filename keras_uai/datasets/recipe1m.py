"""Recipe1M: photographs of dishes in the image tree that people download, at 64 x 64 in the paper.

Marin et al., "Recipe1M: A Dataset for Learning Cross-Modal Embeddings for Cooking Recipes and Food
Images", arXiv:1810.06553. The tree has folders `train`, `val` and `test`, four levels of one
hexadecimal digit in each, and JPEG files of 256 x 256 in those.
"""

import dataclasses
import os

from keras_uai.datasets.folder import FolderSource

NAME = "recipe1m"
SIZE = 64
_PARTS = ("train", "val", "test")


def make_source(preparation, data_dir, download=False):
    """Returns the image tree: the largest centred square of each image, at 64 x 64.

    Args:
        preparation: a `Preparation`; size defaults to 64, channels to 3.
        data_dir: folder that holds `recipe1m`, or the tree itself.
        download: must be False: there is nothing here that downloads it.

    Raises:
        ValueError: it is not there; the message says what goes where.
    """
    preparation = dataclasses.replace(
        preparation,
        image_size=preparation.image_size or preparation.center_crop or SIZE,
        channels=preparation.channels or 3,
        dtype="uint8",
    )
    for folder in (os.path.join(data_dir, "recipe1m"), data_dir):
        if any(os.path.isdir(os.path.join(folder, part)) for part in _PARTS):
            return FolderSource(folder, preparation, NAME)
    tree = os.path.join(data_dir, "recipe1m")
    raise ValueError(
        f"Recipe1M is not there. Received: data_dir={data_dir!r}, download={download}. Ask for "
        "access at http://im2recipe.csail.mit.edu, download the image archives of its three parts "
        "and extract them, so that there are folders\n  "
        + "\n  ".join(os.path.join(tree, part) for part in _PARTS)
        + "\n(one of them is enough)."
    )
