"""LSUN bedrooms: 3 million photographs in the LMDB that people download, at 64 x 64 in the paper.

Yu et al., "LSUN: Construction of a Large-scale Image Dataset using Deep Learning with Humans in the
Loop", arXiv:1506.03365. The values of the LMDB are encoded images (WebP), their smaller side 256.
"""

import dataclasses
import functools
import os

from keras_uai.datasets.sources import EncodedSource, chunks_of

NAME = "lsun/bedroom"
SIZE = 64
_FOLDERS = (
    os.path.join("lsun", "bedroom_train_lmdb"),
    "bedroom_train_lmdb",
    os.path.join("lsun", "bedroom"),
    "",
)


def make_source(preparation, data_dir, download=False):
    """Returns the LMDB of the training images: the largest centred squares, at 64 x 64.

    Args:
        preparation: a `Preparation`; size defaults to 64, channels to 3.
        data_dir: folder that holds `lsun/bedroom_train_lmdb` or `bedroom_train_lmdb`, or is it.
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
    for folder in _FOLDERS:
        folder = os.path.join(data_dir, folder)
        if os.path.isfile(os.path.join(folder, "data.mdb")):
            return LmdbSource(folder, preparation, NAME)
    raise ValueError(
        f"LSUN bedrooms are not there. Received: data_dir={data_dir!r}, download={download}. "
        "Download bedroom_train_lmdb.zip (43 GB; https://www.yf.io/p/lsun says how) and extract "
        "it, so that there is a file\n  "
        f"{os.path.join(data_dir, 'lsun', 'bedroom_train_lmdb', 'data.mdb')}"
    )


class LmdbSource(EncodedSource):
    """Encoded images in an LMDB, in the order of their keys, read from start to end.

    Args:
        folder: of `data.mdb`.
        preparation: a `Preparation` with image_size and channels.
        name: what messages call it.
    """

    def __init__(self, folder, preparation, name):
        self.folder, self.name = os.path.abspath(folder), name
        self.size = _environment(self.folder).stat()["entries"]
        if not self.size:
            raise ValueError(f"The LMDB holds no records. Received: {self.folder}")
        self.settle(preparation)

    def label(self, index):
        with _environment(self.folder).begin() as transaction:
            for number, key in enumerate(transaction.cursor().iternext(values=False)):
                if number == index:
                    return f"record {index}, key {key.decode('ascii', 'replace')}, of {self.folder}"
        return f"record {index} of {self.folder}"

    def identity(self):
        return {**super().identity(), "source": self.folder}

    def fingerprint(self):
        stat = os.stat(os.path.join(self.folder, "data.mdb"))
        return {**super().fingerprint(), "file": [stat.st_size, stat.st_mtime_ns]}

    def jobs(self, indices):
        with _environment(self.folder).begin() as transaction:
            cursor = transaction.cursor()
            records = (lambda: bytes(cursor.value()) for _ in cursor.iternext(values=False))
            yield from chunks_of(records, indices, self.chunk)


@functools.lru_cache(maxsize=8)
def _environment(folder):
    """The LMDB, which a process may open only once."""
    try:
        import lmdb
    except ImportError as error:
        raise ImportError(
            f"Reading {folder} needs the package lmdb, which is not installed. Install it."
        ) from error
    try:
        return lmdb.open(folder, readonly=True, lock=False, readahead=False)
    except lmdb.Error as error:
        raise ValueError(f"Not a readable LMDB. Received: {folder}: {error}") from error
