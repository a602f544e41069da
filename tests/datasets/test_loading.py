import hashlib
import itertools
import json
import re

import numpy as np
import pytest

from keras_uai.datasets import NAMES, load, splits
from keras_uai.measurements import DropPixel, Empirical
from tests.datasets.images import folder_of_noise, noise, normalized, save
from tests.testing import ROOT, run_on_jax


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    folder_of_noise(folder, 40, size=12)
    return folder


def collect(dataset, name):
    return np.concatenate([np.asarray(element[name]) for element in dataset])


def test_a_folder(folder):
    ds = load(folder, measurement=DropPixel(0.5), batch_size=8)
    assert ds.element_spec.shape == (8, 12, 12, 3)
    assert ds.cardinality() == 4  # 34 images in the training part
    y = next(iter(ds)).numpy()
    assert (DropPixel(0.5).recover(y).numpy().sum(axis=(1, 2, 3)) == 72).all()


def test_defaults_of_order(folder):
    for split in ("train", "unpaired", "validation", "all"):
        ds = load(folder, split, measurement=DropPixel(0.5), batch_size=4, index=True)
        indices = collect(ds, "index")
        ordered = bool((np.diff(indices) > 0).all())
        assert ordered == (split in ("validation", "all")), split


def test_unpaired_clean_images_are_of_other_scenes(folder):
    """Beside each damaged image a clean one, from the split that has no damaged one."""
    arguments = {"measurement": DropPixel(0.5), "batch_size": 3, "seed": 7}
    clean = collect(
        load(folder, "unpaired", clean=True, drop_remainder=False, **arguments), "clean"
    )
    own = collect(load(folder, "damaged", clean=True, drop_remainder=False, **arguments), "clean")
    ds = load(folder, "damaged", unpaired=True, **arguments)
    assert set(ds.element_spec) == {"observation", "unpaired"}
    plain = load(folder, "damaged", **arguments)
    seen = [collect(ds, "unpaired") for _ in range(2)]
    for images in seen:
        assert len(images) == 3 * int(ds.cardinality())
        which = (images[:, None] == clean[None]).all((2, 3, 4))
        assert (which.sum(1) == 1).all()
        assert which.sum(0).max() == 1
        assert not (images[:, None] == own[None]).all((2, 3, 4)).any()
    assert not np.array_equal(*seen)
    ds = load(folder, "damaged", unpaired=True, **arguments)
    for element, y in zip(ds, plain, strict=True):  # the damaged images are those of before
        assert np.array_equal(element["observation"], y)


def test_splits_masks_and_clean_images_fit_together(folder):
    arguments = {"measurement": DropPixel(0.5), "clean": True, "index": True, "seed": 7}
    seen = {}
    for split in ("validation", "test", "damaged", "unpaired"):
        ds = load(folder, split, drop_remainder=False, batch_size=8, **arguments)
        for element in ds:
            for y, x, i in zip(
                *(element[k] for k in ("observation", "clean", "index")), strict=True
            ):
                assert int(i) not in seen
                seen[int(i)] = y.numpy()
                assert np.array_equal(x, normalized(noise(int(i), 12, 12)))
    assert len(seen) == 40
    for element in load(folder, "all", batch_size=3, **arguments):
        for y, i in zip(element["observation"], element["index"], strict=True):
            assert np.array_equal(y, seen[int(i)])  # damaged once, whichever part is loaded


def test_damaged_images_and_the_empirical_measurement(tmp_path):
    observed = np.stack([noise(i, 12, 12)[..., 0] > 128 for i in range(20)])
    for i in range(20):
        save(tmp_path / f"{i:02d}.png", np.dstack([noise(i, 12, 12), observed[i] * np.uint8(255)]))
    ds = load(tmp_path, "all", mask_from="alpha", index=True)
    (element,) = ds
    assert set(element) == {"observation", "mask", "index"}
    assert np.array_equal(element["mask"][..., 0], observed)
    empirical = Empirical.from_dataset(load(tmp_path, "all", mask_from="alpha"))
    assert np.array_equal([mask[..., 0] for mask in empirical.bank], observed)


def test_damage_that_is_nowhere(folder, tmp_path):
    with pytest.raises(ValueError, match=r"No pixel of 34 images.*mask_from='alpha'"):
        load(folder, mask_from="alpha")
    magenta = np.where(noise(0, 40, 40)[..., :1] > 200, np.uint8([255, 0, 255]), noise(1, 40, 40))
    for name in ("a.jpg", "b.jpg"):
        save(tmp_path / name, magenta)
    with pytest.raises(ValueError, match="which does not keep a colour exactly"):
        load(tmp_path, "all", mask_from="color:#ff00ff")


def test_unreadable_images_change_no_other(tmp_path, folder):
    folder_of_noise(tmp_path, 40, size=12)
    (tmp_path / "0013.png").write_bytes(b"x")
    arguments = {"split": "all", "measurement": DropPixel(0.5), "batch_size": 40, "index": True}
    (whole,), (rest,) = load(folder, **arguments), load(tmp_path, **arguments)
    keep = np.arange(40) != 13
    assert np.array_equal(rest["index"], np.arange(40)[keep])
    assert np.array_equal(rest["observation"], whole["observation"].numpy()[keep])
    with pytest.raises(ValueError, match=r"0013\.png.*strict=False"):
        load(tmp_path, strict=True, **arguments)


def test_a_part_without_a_usable_image(tmp_path):
    folder_of_noise(tmp_path, 40, size=12)
    for index in splits.indices(40, "damaged"):
        (tmp_path / f"{index:04d}.png").write_bytes(b"")
    for arguments in ({"split": "damaged", "unpaired": True}, {"split": "damaged"}):
        with pytest.raises(ValueError, match=r"images of .* cannot be used|none of .damaged. of"):
            load(tmp_path, measurement=DropPixel(0.5), **arguments)


def test_drawn_faces(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    arguments = {"measurement": "DropPixel(0.9)", "image_size": 64, "channels": 1}
    ds = load("drawn_faces", "test", limit=3, **arguments)
    assert next(iter(ds)).shape == (3, 64, 64, 1)
    assert not list(tmp_path.iterdir())  # nothing is written to the home folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "celeba"}, f"Received: 'celeba'(.|\n)*{', '.join(NAMES)}"),
        ({"source": "/no/such/folder"}, "such a folder. Received: '/no/such/folder'"),
        ({"source": 3}, "name of a data set.*Received: 3"),
        ({"split": "valid"}, "split='valid'"),
        ({"limit": -1}, "limit=-1"),
        ({"batch_size": 0}, "`batch_size` must be .* batch_size=0"),
        ({"batch_size": 2.0}, "batch_size=2.0"),
        ({"seed": None}, "seed=None"),
        ({"start_epoch": -1}, "start_epoch=-1"),
        ({"measurement": None}, "measurement=None, mask_from=None"),
        ({"mask_from": "alpha"}, "have their masks.*mask_from='alpha'"),
        ({"measurement": None, "mask_from": "alpha", "clean": True}, "clean=True"),
        ({"measurement": "Patch(3, 30)"}, "38 x 38.*k=30"),
        ({"measurement": "Blur(3)"}, r"Received: 'Blur\(3\)'"),
        ({"image_size": "32"}, "image_size='32'"),
        ({"center_crop": 13}, "smaller than the crop.*center_crop=13"),
        ({"crop_size": 0}, "crop_size=0"),
        ({"cache": 5}, "cache=5"),
        ({"batch_size": 35, "drop_remainder": True}, "must be a full batch"),
        *(
            ({"unpaired": True, "split": split}, f"damaged, validation, test.*split='{split}'")
            for split in ("train", "supervised_train", "all", "unpaired")
        ),
    ],
)
def test_errors(folder, arguments, message):
    arguments = {"source": folder, "measurement": "DropPixel(0.5)", **arguments}
    with pytest.raises(ValueError, match=message):
        load(**arguments)


def digests(folder):
    """Of the elements of two epochs of two data sets: indices, and a checksum of y."""
    found = []
    for ds in (
        load(folder, measurement="DropPixel(0.5)", batch_size=8, clean=True, index=True),
        load("drawn_faces", measurement="Patch(3, 8)", batch_size=8, limit=20, index=True),
    ):
        for element in itertools.chain(ds, ds):
            y = np.ascontiguousarray(element["observation"])
            indices = np.asarray(element["index"]).tolist()
            found.append([indices, hashlib.sha256(y).hexdigest()])
    return found


def test_the_same_without_tensorflow(folder):
    """Under JAX, where TensorFlow cannot be imported: the same elements, bit by bit."""
    code = (
        f"import json; from {__name__} import digests\nprint(json.dumps(digests({str(folder)!r})))"
    )
    found = json.loads(run_on_jax(code).splitlines()[-1])
    assert found == digests(folder)
    assert len(found) > 8


def test_tensorflow_is_imported_where_it_is_used():
    for module in (ROOT / "keras_uai" / "datasets").glob("*.py"):
        found = re.findall(r"^(?:import|from) ([\w.]+)", module.read_text(), re.MULTILINE)
        roots = {name.split(".")[0] for name in found}
        assert not roots & {"tensorflow", "tensorflow_datasets", "lmdb", "tqdm", "jax"}


@pytest.mark.parametrize(
    ("split", "digest"), [("train", "92b8d7dade5f"), ("validation", "b5743b257a43")]
)
def test_batches_of_version_0_1(tmp_path, split, digest):
    """Split, order, crop, resizing and masks are to the bit those that presets were scored on."""
    for i in range(30):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 33, 3)).astype("uint8")
        save(tmp_path / f"{i:02}.png", pixels)
    ds = load(
        tmp_path, split, measurement="DropPixel(0.5)", image_size=16, center_crop=32, batch_size=2
    )
    found = hashlib.sha256()
    for y in ds:
        found.update(np.ascontiguousarray(y))
    assert found.hexdigest()[:12] == digest
