"""What a client's target may be."""

import pytest

from keras_uai.serving import targets
from keras_uai.serving.local import Local
from keras_uai.serving.over_grpc import Grpc
from keras_uai.serving.over_rest import Rest


@pytest.mark.parametrize(
    ("text", "where", "version"),
    [
        ("grpc://host:8500/faces", "grpc://host:8500/faces", None),
        ("grpc://[::1]:8500/faces/3", "grpc://[::1]:8500/faces", 3),
        ("grpc://host:8500/faces/versions/3", "grpc://host:8500/faces", 3),
        ("grpcs://host:8500/faces", "grpcs://host:8500/faces", None),
    ],
)
def test_grpc(text, where, version):
    found = targets.connect(text)
    assert isinstance(found, Grpc)
    assert (found.where, found._model, found._version) == (where, "faces", version)
    found.close()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("http://host:8501/v1/models/faces", "http://host:8501/v1/models/faces"),
        ("https://host/v1/models/faces/versions/3/", "https://host/v1/models/faces/versions/3"),
        ("http://host/here/v1/models/faces/labels/new", "http://host/here/v1/models/faces/labels/new"),
        ("http://host/v1/models/faces:predict", "http://host/v1/models/faces"),
    ],
)  # fmt: skip
def test_rest(text, where):
    found = targets.connect(text)
    assert isinstance(found, Rest)
    assert found.where == where


@pytest.mark.parametrize(
    "text",
    [
        "grpc://host/faces", "grpc://host:8500", "grpc://host:8500/faces/new", "grpc://host:99999/faces",
        "grpc://:8500/faces", "http://host/faces", "http://host/v1/models/", "ftp://host/faces", ".",
    ],
)  # fmt: skip
def test_addresses_that_are_not_complete(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"A client's target is a preset.*Received: "):
        targets.connect(text)


def test_folders(exported, tiny, tmp_path, monkeypatch):
    """A version, the latest of several, or a preset's by name or path."""
    monkeypatch.setattr(Local, "__init__", lambda self, path: setattr(self, "where", str(path)))
    first = exported / "1"
    assert targets.connect(first).where == str(first)
    assert targets.connect(exported).where == str(first)
    preset = tmp_path / "faces"
    tiny.save_to_preset(preset, serving=False)
    with pytest.raises(ValueError, match=r"This preset has no SavedModel.*faces"):
        targets.connect(preset)
    (preset / "serving" / "10").mkdir(parents=True)
    (preset / "serving" / "9").symlink_to(first)
    monkeypatch.setenv("KERAS_UAI_PRESETS", str(tmp_path))
    for target in (preset, "faces"):
        assert targets.connect(target).where == str(preset / "serving" / "9")  # 10 is empty
    with pytest.raises(ValueError, match="There is no such preset"):
        targets.connect("nobody")


def test_a_folder_that_cannot_be_loaded(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"no SavedModel that can be loaded.*Received: "):
        targets.connect(tmp_path)


def test_what_is_to_be_exported_first(tmp_path):
    (tmp_path / "model.keras").touch()
    for target in (tmp_path, tmp_path / "model.keras"):
        with pytest.raises(ValueError, match=r"exported first: tools/export.*Received: '/"):
            targets.connect(target)
