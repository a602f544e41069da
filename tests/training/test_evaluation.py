"""The table at the end of a run: its numbers are those of the scores, row for row."""

import pytest

from keras_uai.training import evaluation

NAMES = {
    "this model, one sample": "model",
    "this model, mean of 2": "model",
    "this model, predicted mean": "model, predicted mean",
    "linear interpolation": "linear_interpolation",
    "nearest neighbour": "nearest",
    "mean colour": "mean_colour",
}


def result(**more):
    """As `metrics.commands.evaluate` returns it, with a number of its own for each score."""
    methods = {}
    for place, name in enumerate(dict.fromkeys(NAMES.values())):
        scores = {"mse": 0.01, "mse_of_mean": 0.005, "psnr": 20.0, "psnr_of_mean": 23.0, **more}
        scores |= {"ssim": 0.5, "ssim_of_mean": 0.6, "std": 0.1, "spread_skill": 0.9, "crps": 0.07}
        scores = {n: {"value": v + 0.001 * place, "low": 0, "high": 1} for n, v in scores.items()}
        methods[name] = {"scores": scores, "num_samples": 2 if name == "model" else 1}
    return {"description": "6 images of drawn_faces", "num_samples": 2, "methods": methods}


def test_table_has_a_row_for_each():
    lines = evaluation.table(result(frechet_mine=3.0)).splitlines()
    assert lines[0] == "6 images of drawn_faces"
    assert lines[1].split() == ["MSE", "PSNR", "SSIM", "FRECHET"]
    rows = {line[:28].strip(): line[28:].split() for line in lines[2:8]}
    assert list(rows) == list(NAMES)
    scores = evaluation.values(result())
    for words, row in rows.items():
        suffix = "_of_mean" if "mean of" in words else ""
        expected = [scores[NAMES[words]][f"{name}{suffix}"] for name in ("mse", "psnr", "ssim")]
        assert [float(v) for v in row[:3]] == pytest.approx(expected, abs=0.006)
        assert float(row[0]) == pytest.approx(expected[0], abs=5.1e-5)
    assert (rows["this model, one sample"][3], rows["this model, mean of 2"][3]) == ("3.0", "-")
    assert f"std {scores['model']['std']:.3f}" in lines[8]


def test_no_images_to_score():
    assert evaluation.score({"eval_images": 0}, "nowhere") is None
    assert evaluation.values(None) == {}
    assert "No images were scored" in evaluation.table(None)
