"""Data sets of the paper, found under `data_dir`: CelebA, LSUN bedrooms and Recipe1M.

CelebA: Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015; 202,599 aligned faces of
178 x 218 pixels, of which the paper takes the centre 128 x 128. For non-commercial research.
LSUN: Yu et al., arXiv:1506.03365; the LMDB that people download holds encoded images (WebP).
Recipe1M: Marin et al., arXiv:1810.06553; folders `train`, `val` and `test` of JPEG files.
"""

import dataclasses
import functools
import importlib.util
import os
import pathlib

from keras_uai.datasets.folder import FolderSource
from keras_uai.datasets.sources import EncodedSource

CELEBA_FILES = (
    "img_align_celeba.zip",
    "list_eval_partition.txt",
    "list_attr_celeba.txt",
    "list_landmarks_align_celeba.txt",
    "identity_CelebA.txt",
)


def celeb_a(preparation, data_dir, download=False):
    """Returns CelebA as prepared by TensorFlow Datasets, else as the extracted folder of JPEGs.

    Crop and size default to 128. `download` lets TensorFlow Datasets download it.
    """
    crop = preparation.center_crop or 128
    preparation = _settled(dataclasses.replace(preparation, center_crop=crop), crop)
    if prepared := _prepared(data_dir):
        return TfdsSource(prepared, preparation)
    for folder in ("img_align_celeba", os.path.join("celeb_a", "img_align_celeba")):
        if os.path.isdir(os.path.join(data_dir, folder)):
            return FolderSource(os.path.join(data_dir, folder), preparation, "celeb_a")
    manual = os.path.join(data_dir, "downloads", "manual")
    present = [file for file in CELEBA_FILES if os.path.isfile(os.path.join(manual, file))]
    if download or len(present) == len(CELEBA_FILES):
        tfds = _import_tfds()
        config = tfds.download.DownloadConfig(manual_dir=manual)
        tfds.builder("celeb_a", data_dir=data_dir).download_and_prepare(download_config=config)
        return TfdsSource(_prepared(data_dir), preparation)
    found = f"of the five files only {', '.join(present)}" if present else "none of these"
    raise ValueError(
        f"CelebA is not there. Received: data_dir={data_dir!r}, which holds {found}. Nothing is "
        "downloaded unless asked for. Either get the aligned images and their lists from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and put all five files, as they are,"
        + "".join(f"\n  {os.path.join(manual, file)}" for file in CELEBA_FILES)
        + "\nand they are prepared at the next call (offline, some minutes); or extract the first "
        f"of them, so that there is a folder\n  {os.path.join(data_dir, 'img_align_celeba')}\nor "
        "use download=True, which needs a network and may exceed the host's daily quota."
    )


def lsun_bedroom(preparation, data_dir, download=False):
    """Returns the LMDB of LSUN's training images; size defaults to 64. Nothing is downloaded.

    `data_dir` holds `lsun/bedroom_train_lmdb` or `bedroom_train_lmdb`, or is the LMDB.
    """
    for inside in ("lsun/bedroom_train_lmdb", "bedroom_train_lmdb", ""):
        if os.path.isfile(os.path.join(data_dir, inside, "data.mdb")):
            return LmdbSource(os.path.join(data_dir, inside), _settled(preparation))
    raise ValueError(
        f"LSUN bedrooms are not there. Received: data_dir={data_dir!r}, download={download}. "
        "Download bedroom_train_lmdb.zip (43 GB; https://www.yf.io/p/lsun says how) and extract "
        "it, so that there is a file\n  "
        f"{os.path.join(data_dir, 'lsun', 'bedroom_train_lmdb', 'data.mdb')}"
    )


def recipe1m(preparation, data_dir, download=False):
    """Returns the image tree of Recipe1M; size defaults to 64. Nothing is downloaded.

    `data_dir` holds `recipe1m`, or is the tree.
    """
    tree = os.path.join(data_dir, "recipe1m")
    for folder in (tree, data_dir):
        if any(os.path.isdir(os.path.join(folder, part)) for part in ("train", "val", "test")):
            return FolderSource(folder, _settled(preparation), "recipe1m")
    raise ValueError(
        f"Recipe1M is not there. Received: data_dir={data_dir!r}, download={download}. Ask for "
        "access at http://im2recipe.csail.mit.edu, download the image archives of its three parts "
        f"(one is enough) and extract them to\n  {tree}/train\n  {tree}/val\n  {tree}/test"
    )


#: What makes the source of each name.
MAKERS = {"celeb_a": celeb_a, "lsun/bedroom": lsun_bedroom, "recipe1m": recipe1m}


def _settled(preparation, size=64):
    """The default size (64 in the paper), RGB, 8 bits."""
    return dataclasses.replace(
        preparation,
        image_size=preparation.image_size or preparation.center_crop or size,
        channels=preparation.channels or 3,
        dtype="uint8",
    )


class RecordSource(EncodedSource):
    """Encoded images in a file or files that are read from start to end, under `folder`."""

    about = None  # a file that changes when the records do

    def __init__(self, folder, preparation):
        self.folder = self.place = os.path.abspath(folder)
        self.preparation = preparation

    def label(self, index):
        return f"record {index} of {self.folder}"

    def contents(self):
        yield f"{self.name} {os.path.getsize(os.path.join(self.folder, self.about))}".encode()

    def state(self):
        stat = os.stat(os.path.join(self.folder, self.about))
        return {"file": [stat.st_size, stat.st_mtime_ns]}


class TfdsSource(RecordSource):
    """The JPEG bytes of CelebA as TensorFlow Datasets prepared it, in its order."""

    name = "celeb_a"
    about = "dataset_info.json"

    def __init__(self, folder, preparation):
        super().__init__(folder, preparation)
        self.builder = _import_tfds().builder_from_directory(folder)
        self.size = self.builder.info.splits.total_num_examples

    def read(self, indices):
        tfds = _import_tfds()
        decoders = {"image": tfds.decode.SkipDecoding()}
        examples = self.builder.as_dataset(
            split="all",
            decoders=tfds.decode.PartialDecoding({"image": True}, decoders=decoders),
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
        wanted = set(indices.tolist())
        for index, example in enumerate(examples.take(max(wanted) + 1).as_numpy_iterator()):
            if index in wanted:
                yield index, example["image"]


def _prepared(data_dir):
    """Returns the folder of the newest version that TensorFlow Datasets prepared, or None."""
    found = pathlib.Path(data_dir, "celeb_a").glob("*/dataset_info.json")
    versions = [
        ([int(n) for n in p.parent.name.split(".") if n.isdigit()], p.parent) for p in found
    ]
    return str(max(versions)[1]) if versions else None


def _import_tfds():
    if importlib.util.find_spec("tensorflow_datasets") is None:
        raise ImportError(
            "CelebA as TensorFlow Datasets keeps it needs the package tensorflow_datasets. Install "
            "it, or extract img_align_celeba.zip into a folder img_align_celeba in data_dir."
        )
    import tensorflow_datasets as tfds

    return tfds


class LmdbSource(RecordSource):
    """Encoded images in an LMDB, in the order of their keys."""

    name = "lsun/bedroom"
    about = "data.mdb"

    def __init__(self, folder, preparation):
        super().__init__(folder, preparation)
        self.size = _environment(self.folder).stat()["entries"]
        if not self.size:
            raise ValueError(f"The LMDB must hold records. Received: none in {self.folder}")

    def read(self, indices):
        wanted = set(indices.tolist())
        with _environment(self.folder).begin() as transaction:
            cursor = transaction.cursor()
            for index, _ in enumerate(cursor.iternext(values=False)):
                if index in wanted:
                    yield index, bytes(cursor.value())


@functools.lru_cache(maxsize=8)
def _environment(folder):
    """The LMDB, which a process may open only once."""
    import lmdb

    try:
        return lmdb.open(folder, readonly=True, lock=False, readahead=False)
    except lmdb.Error as error:
        raise ValueError(f"The LMDB must be readable. Received: {folder}: {error}") from error
