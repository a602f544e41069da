"""CelebA: 202,599 aligned faces of 178 x 218 pixels, of which the paper takes the centre 128 x 128.

Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015. For non-commercial research.
"""

import dataclasses
import importlib.util
import os

from keras_uai.datasets.folder import FolderSource
from keras_uai.datasets.sources import EncodedSource, chunks_of

NAME = "celeb_a"
SIZE = 128
FILES = (
    "img_align_celeba.zip",
    "list_eval_partition.txt",
    "list_attr_celeba.txt",
    "list_landmarks_align_celeba.txt",
    "identity_CelebA.txt",
)


def make_source(preparation, data_dir, download=False):
    """Returns CelebA as prepared by TensorFlow Datasets, else as the extracted folder of JPEGs.

    Args:
        preparation: a `Preparation`; crop and size default to 128, channels to 3.
        data_dir: the folder of TensorFlow Datasets.
        download: lets TensorFlow Datasets download what is missing.

    Raises:
        ValueError: it is nowhere; the message says which files go where.
    """
    preparation = dataclasses.replace(
        preparation,
        image_size=preparation.image_size or preparation.center_crop or SIZE,
        center_crop=preparation.center_crop or SIZE,
        channels=preparation.channels or 3,
        dtype="uint8",
    )
    prepared = _prepared(data_dir)
    if prepared:
        return _Prepared(prepared, preparation)
    for folder in ("img_align_celeba", os.path.join(NAME, "img_align_celeba")):
        if os.path.isdir(os.path.join(data_dir, folder)):
            return FolderSource(os.path.join(data_dir, folder), preparation, NAME)
    manual = os.path.join(data_dir, "downloads", "manual")
    present = [file for file in FILES if os.path.isfile(os.path.join(manual, file))]
    if download or len(present) == len(FILES):
        _prepare(data_dir, manual)
        return _Prepared(_prepared(data_dir), preparation)
    found = f"of the five files only {', '.join(present)}" if present else "none of these"
    raise ValueError(
        f"CelebA is not there. Received: data_dir={data_dir!r}, which holds {found}. Nothing is "
        "downloaded unless asked for. Either get the aligned images and their lists from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and put all five files, as they are,"
        + "".join(f"\n  {os.path.join(manual, file)}" for file in FILES)
        + "\nand they are prepared at the next call (offline, some minutes); or extract the first "
        f"of them, so that there is a folder\n  {os.path.join(data_dir, 'img_align_celeba')}\nor "
        "use download=True, which needs a network and may exceed the host's daily quota."
    )


def _prepared(data_dir):
    """Returns the folder of the newest version that TensorFlow Datasets prepared, or None."""
    root = os.path.join(data_dir, NAME)
    versions = []
    for version in os.listdir(root) if os.path.isdir(root) else ():
        if os.path.isfile(os.path.join(root, version, "dataset_info.json")):
            versions.append(([int(n) for n in version.split(".") if n.isdigit()], version))
    return os.path.join(root, max(versions)[1]) if versions else None


def _import_tfds():
    if importlib.util.find_spec("tensorflow_datasets") is None:
        raise ImportError(
            "CelebA as TensorFlow Datasets keeps it needs the package tensorflow_datasets. Install "
            "it, or extract img_align_celeba.zip into a folder img_align_celeba in data_dir."
        )
    import tensorflow_datasets as tfds

    return tfds


def _prepare(data_dir, manual):
    tfds = _import_tfds()
    config = tfds.download.DownloadConfig(manual_dir=manual)
    tfds.builder(NAME, data_dir=data_dir).download_and_prepare(download_config=config)


class _Prepared(EncodedSource):
    """The JPEG bytes of a prepared data set, in its order, read from start to end."""

    name = NAME

    def __init__(self, folder, preparation):
        self.folder = folder
        self.builder = _import_tfds().builder_from_directory(folder)
        self.size = self.builder.info.splits.total_num_examples
        self.settle(preparation)

    def label(self, index):
        return f"record {index} of {self.folder}"

    def identity(self):
        return {**super().identity(), "source": os.path.abspath(self.folder)}

    def fingerprint(self):
        stat = os.stat(os.path.join(self.folder, "dataset_info.json"))
        return {**super().fingerprint(), "prepared": stat.st_mtime_ns}

    def jobs(self, indices):
        tfds = _import_tfds()
        decoders = {"image": tfds.decode.SkipDecoding()}
        dataset = self.builder.as_dataset(
            split="all",
            decoders=tfds.decode.PartialDecoding({"image": True}, decoders=decoders),
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
        examples = dataset.take(int(indices[-1]) + 1).as_numpy_iterator()
        records = ((lambda e=example: e["image"]) for example in examples)
        yield from chunks_of(records, indices, self.chunk)
