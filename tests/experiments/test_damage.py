"""Drawn damage: of the requested share, a function of name and seed, and irreversible."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_uai.datasets.loading import load
from tests.testing import ROOT


def damage(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "experiments" / "damage.py"), *map(str, arguments)],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Six photographs of 40 x 48 pixels, one in a subfolder, and their damaged squares."""
    root = tmp_path_factory.mktemp("photographs")
    clean = root / "clean"
    (clean / "more").mkdir(parents=True)
    for i, name in enumerate(["a", "b", "c", "d", "e", "more/a"]):
        pixels = np.random.default_rng(i).integers(1, 256, (48, 40, 3), "uint8")
        Image.fromarray(pixels).save(clean / f"{name}.png")
    for kind in ("alpha", "sidecar"):
        done = damage(
            f"--clean={clean}", f"--out={root / kind}", f"--masks={kind}", "--center_crop=32"
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("6 images, ")
    return root


def read(path):
    with Image.open(path) as image:
        return np.array(image)


def names(root):
    return sorted(p.relative_to(root / "clean").as_posix() for p in (root / "clean").rglob("*.png"))


def test_missing_pixels_are_erased_and_the_rest_is_untouched(folders):
    gone = []
    for name in names(folders):
        clean, found = read(folders / "clean" / name)[8:40, 4:36], read(folders / "alpha" / name)
        assert set(np.unique(found[..., 3])) == {0, 255}
        observed = found[..., 3:] == 255
        np.testing.assert_array_equal(found[..., :3], clean * observed)
        gone.append(1 - observed.mean())
    assert 0.15 < min(gone) < max(gone) <= 0.5
    assert len({read(folders / "alpha" / name)[..., 3].tobytes() for name in names(folders)}) == 6


def test_both_kinds_of_masks_are_read_as_the_same_images(folders):
    """The package reads the same observations from both forms, in the same order of files."""
    found = []
    for kind in ("alpha", "sidecar"):
        dataset = load(
            str(folders / kind), "all", image_size=16, mask_from=kind, batch_size=6, shuffle=False
        )
        (batch,) = dataset
        found.append({name: np.array(batch[name]) for name in ("observation", "mask")})
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])
    assert 0.1 < found[0]["mask"].mean() < 0.8


def test_damage_depends_on_the_seed(folders, tmp_path):
    again = damage(
        f"--clean={folders / 'clean'}", f"--out={tmp_path / 'again'}", "--center_crop=32"
    )
    other = damage(
        f"--clean={folders / 'clean'}",
        f"--out={tmp_path / 'other'}",
        "--center_crop=32",
        "--seed=1",
    )
    assert again.returncode == other.returncode == 0
    for name in names(folders):
        first = read(folders / "alpha" / name)
        np.testing.assert_array_equal(read(tmp_path / "again" / name), first)
        assert (read(tmp_path / "other" / name) != first).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clean=nowhere"], "--clean must be a folder with images. Received: nowhere"),
        (["--clean=.", "--share=0.5"], "--share must be LEAST,GREATEST"),
    ],
)
def test_mistakes_of_the_user(arguments, message, tmp_path):
    done = damage(*arguments, f"--out={tmp_path}")
    assert done.returncode != 0
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
