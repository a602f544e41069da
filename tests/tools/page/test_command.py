"""tools/demo from its start to Ctrl-C, with a real model, and its errors."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

import page
from keras_uai.serving import Client
from page import command, filling
from tests.testing import ROOT
from tests.tools.page.toy import edited

OPTIONS = {"preset": "none", "host": "127.0.0.1", "port": None, "examples": None}


def test_a_real_model_fills_the_hole(exported):
    image, mask = filling.read(edited(20, 30))
    with Client(exported) as client:
        filled, again = (filling.fill(client, image, mask, 3, 5) for _ in range(2))
        with pytest.raises(ValueError, match="Nothing of this image is observed"):
            filling.fill(client, image, np.zeros_like(mask), 3, 5)
    assert filled.samples.shape == (3, 20, 30, 3)
    assert (filled.samples[:, mask == 1] == image[mask == 1]).all()
    assert len(np.unique(filled.samples[:, mask == 0], axis=0)) == 3
    assert np.array_equal(filled.samples, again.samples)
    assert not filled.std[mask == 1].any()
    assert filled.std[mask == 0].any()


def test_from_the_start_to_ctrl_c(exported, tmp_path):
    pytest.importorskip("gradio", reason="gradio is not installed: pip install .[demo]")
    process = subprocess.Popen(
        [sys.executable, ROOT / "tools" / "demo", f"--preset={exported}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        (address,) = re.findall(r"The page is at (\S+) until", process.stdout.readline())
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert f"Model: {exported}" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        out, log = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "The page is closed.\n"), log
    assert "HTTP Request" not in log
    assert not list(tmp_path.iterdir())


def test_without_gradio(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "page.widgets", raising=False)
    monkeypatch.delattr(page, "widgets", raising=False)
    with pytest.raises(ImportError, match=r'needs gradio: pip install "\.\[demo\]"'):
        command.run(OPTIONS)


def test_the_line_about_the_model(monkeypatch, tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "metadata.json").write_text('{"description": "Faces, of which 90% were missing."}')
    expected = "Faces, of which 90% were missing."
    assert command.about(str(folder)) == f"Model: {folder}. {expected}"
    monkeypatch.setenv("KERAS_UAI_PRESETS", str(tmp_path))
    assert command.about("faces") == f"Model: faces. {expected}"
    assert command.about("grpc://host:8500/faces") == "Model: grpc://host:8500/faces"
