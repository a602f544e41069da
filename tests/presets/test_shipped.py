"""Every shipped preset is loaded, samples, and meets the scores that were stored with fixtures.

A fixture holds 8 drawn faces, their masks, the mean that was predicted from them when the preset
was made, and the scores of its samples. Presets of 32 x 32 pixels are those of version 0.1,
converted: their predicted mean is that of 0.1. For photographs the faces have 64 x 56 pixels.
"""

import pathlib

import numpy as np
import pytest

from keras_uai import presets
from keras_uai.presets import card
from tests.testing import ROOT, same_bits

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
NAMES = sorted(path.name for path in (ROOT / "saved_models").iterdir() if path.is_dir())


def test_every_shipped_preset_has_a_fixture():
    assert sorted(path.stem for path in FIXTURES.glob("*.npz")) == NAMES
    assert set(NAMES) <= set(presets.available())


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("name", NAMES)
def test_it_predicts_and_samples_as_it_did(name):
    stored = np.load(FIXTURES / f"{name}.npz")
    found = presets.load_model(name)
    fixed = "_32_" in name
    assert presets.metadata(name)["layout"] == ("fixed" if fixed else "any")
    assert found.settings["image_size"] == (32 if fixed else None)
    clean = stored["clean"] / np.float32(127.5) - 1.0
    mask = stored["mask"].astype("float32")
    y = np.where(mask > 0, clean, np.float32(0.0))
    mean = found.model.predict_mean(y, mask)
    np.testing.assert_allclose(mean, stored["predicted_mean"], atol=1e-4)
    samples = found.model.inpaint(y, mask, num_samples=10, seed=0)
    same_bits(np.where(mask > 0, samples[:, 0], np.float32(0.0)), y)
    missing = np.broadcast_to(mask == 0, y.shape)
    error = np.square(samples.mean(axis=1) - clean)[missing].mean()
    variance = samples.var(axis=1, ddof=1)[missing].mean()
    # Other noise than 0.1's: 8 images of 10 samples tell scores within some 5%.
    assert np.square(mean - clean)[missing].mean() == pytest.approx(
        float(stored["mse_missing_of_predicted_mean"]), rel=1e-3
    )
    assert samples.std(axis=1, ddof=1)[missing].mean() == pytest.approx(
        float(stored["std"]), rel=0.06
    )
    assert np.sqrt(1.1 * variance / error) == pytest.approx(float(stored["spread_skill"]), rel=0.08)


@pytest.mark.parametrize("name", NAMES)
def test_its_card_is_written_from_its_metadata(name):
    folder = ROOT / "saved_models" / name
    text = card.render(name, presets.metadata(folder), (folder / "serving").exists())
    assert text == (folder / "README.md").read_text()


def test_all_of_them_are_small():
    """Everyone who clones the repository gets them."""
    files = [file for file in (ROOT / "saved_models").rglob("*") if file.is_file()]
    assert {"config.json", "metadata.json", "model.weights.h5"} <= {file.name for file in files}
    assert sum(file.stat().st_size for file in files) < 20e6
