"""Examples are faces that no preset was trained on, photographs, or images of a folder."""

import numpy as np
import pytest
from PIL import Image

from keras_uai.datasets import drawn_faces
from page import examples


def test_faces_and_photographs(tmp_path):
    paths = examples.write(tmp_path / "examples")
    found = [np.asarray(Image.open(path)) for path in paths]
    faces = drawn_faces.draw([drawn_faces.COUNT, drawn_faces.COUNT + 1], 256)
    assert np.array_equal(found[:2], faces)
    assert [image.shape for image in found[2:]] == [(300, 451, 3), (400, 600, 3), (512, 512, 3)]


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
    with pytest.raises(ValueError, match="Without --examples, the page brings its own"):
        examples.write(tmp_path / "examples", tmp_path / "none")
    (tmp_path / "broken.png").write_text("no image")
    with pytest.raises(ValueError, match=r"cannot be read. Received: broken\.png"):
        examples.write(tmp_path / "examples", tmp_path)
