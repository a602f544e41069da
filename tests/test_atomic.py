import os
import stat

import pytest

from keras_uai import files


@pytest.mark.parametrize("write", [b"new", "new", lambda file: file.write(b"new")])
def test_a_file_appears_whole(tmp_path, write):
    path = tmp_path / "a" / "b.bin"
    files.atomic_write(path, write)
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["b.bin"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_failed_write_changes_nothing(tmp_path):
    path = tmp_path / "b.bin"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        files.atomic_write(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["b.bin"]


def test_the_temporary_path_keeps_the_extension(tmp_path):
    with files.atomic_path(tmp_path / "model.keras") as temporary:
        assert temporary.endswith(".keras")
        assert not os.path.exists(temporary)
        open(temporary, "w").close()
    assert os.listdir(tmp_path) == ["model.keras"]


def test_json(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": [1, "ä"]})
    assert files.read_json(tmp_path / "a.json") == {"b": [1, "ä"]}


def test_folders_appear_whole(tmp_path):
    path = tmp_path / "out"
    for text in ("one", "two"):
        with files.atomic_folder(path) as folder:
            files.atomic_write(os.path.join(folder, "x"), text)
    assert (path / "x").read_text() == "two"

    def fail():
        with files.atomic_folder(path) as folder:
            files.atomic_write(os.path.join(folder, "x"), "three")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        fail()
    assert (path / "x").read_text() == "two"
    assert os.listdir(tmp_path) == ["out"]
