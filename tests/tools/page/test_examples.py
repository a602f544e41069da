"""Examples are faces that no model was trained on, or images of a folder."""

import numpy as np
import pytest
from PIL import Image

from keras_uai.datasets import drawn_faces
from page import examples


def test_drawn_faces(tmp_path):
    paths = examples.write(tmp_path / "examples", count=2)
    found = np.stack([np.asarray(Image.open(path)) for path in paths])
    assert np.array_equal(found, drawn_faces.draw([drawn_faces.COUNT, drawn_faces.COUNT + 1], 256))


def test_a_folder(tmp_path):
    (tmp_path / "own").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 4), "uint8")
    Image.fromarray(pixels[0]).save(tmp_path / "own" / "b.png")
    Image.fromarray(pixels[1, ..., 0]).save(tmp_path / "own" / "a.PNG")
    Image.fromarray(pixels[2, ..., :3]).save(tmp_path / "own" / "c.png")
    (tmp_path / "own" / "readme.txt").write_text("")
    paths = examples.write(tmp_path / "examples", tmp_path / "own", count=2)
    first, second = (np.asarray(Image.open(path)) for path in paths)
    assert np.array_equal(first, np.repeat(pixels[1, ..., :1], 3, axis=-1))
    assert np.array_equal(second, pixels[0])


def test_folders_without_images(tmp_path):
    with pytest.raises(ValueError, match="leave --examples out for drawn faces"):
        examples.write(tmp_path / "examples", tmp_path / "none")
    (tmp_path / "broken.png").write_text("no image")
    with pytest.raises(ValueError, match=r"cannot be read. Received: broken\.png"):
        examples.write(tmp_path / "examples", tmp_path)
