"""A file system of Beam's that is not this machine's: `toy://NAME` lies in a folder, and no folder appears whole."""

import os

from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

SCHEME = "toy://"
ROOT = {}  # "path": where the files are


def real(path):
    return f"{ROOT['path']}/{path.removeprefix(SCHEME)}"


class ToyFileSystem(LocalFileSystem):
    @classmethod
    def scheme(cls):
        return "toy"

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        head, _, tail = path.rpartition("/")
        return head, tail

    def has_dirs(self):
        return False

    def _list(self, prefix):
        for folder, _, files in os.walk(ROOT["path"]):
            for file in files:
                path = f"{SCHEME}{os.path.relpath(os.path.join(folder, file), ROOT['path'])}"
                if path.startswith(prefix):
                    yield self.metadata(path)

    def create(self, path, *arguments, **options):
        os.makedirs(os.path.dirname(real(path)), exist_ok=True)
        return super().create(real(path), *arguments, **options)

    def open(self, path, *arguments, **options):
        return super().open(real(path), *arguments, **options)

    def rename(self, sources, destinations):
        super().rename([real(p) for p in sources], [real(p) for p in destinations])

    def exists(self, path):
        return os.path.exists(real(path))

    def size(self, path):
        return os.path.getsize(real(path))

    def metadata(self, path):
        return FileMetadata(path, self.size(path))

    def delete(self, paths):
        for path in paths:
            os.remove(real(path))
