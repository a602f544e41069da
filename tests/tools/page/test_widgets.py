"""The page in a browser (example, brush, reconstructions, ZIP file), and its server without one."""

import pathlib
import time
import urllib.request
import zipfile

import numpy as np
import pytest
from PIL import Image

from keras_uai.datasets import drawn_faces
from page import filling
from tests.tools.page import browser
from tests.tools.page.test_filling import bomb
from tests.tools.page.toy import ToyClient

gradio = pytest.importorskip("gradio", reason="gradio is not installed: pip install .[demo]")
from page import widgets  # noqa: E402 (gradio may be missing)

SIZE = 256


@pytest.fixture(scope="module")
def client():
    return ToyClient()


@pytest.fixture(scope="module")
def address(client):
    with widgets.serve(client) as address:
        yield address


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def opened(address, folder):
    with browser.start(folder) as opened:
        opened.get(address)
        yield opened


def press_fill(opened):
    browser.find(opened, "#fill")[0].click()


def refused(opened, text):
    """Presses the button until the page shows `text`; a press before the page is ready is lost."""

    def shown():
        press_fill(opened)
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            messages = opened.find_elements("css selector", ".toast-body")
            if any(text in message.text for message in messages):
                return True
        return False

    browser.until(shown, f"the message {text!r}")


def test_example_stroke_fill_and_download(opened, client, folder):
    browser.find(opened, "#examples img")
    refused(opened, "Load an image first, or choose an example.")

    opened.find_elements("css selector", "#examples img")[1].click()
    canvas = browser.find(opened, "#editor canvas")[0]
    zoom = browser.steady(lambda: zoom_of(opened), "the example in the editor")
    refused(opened, "Nothing is missing: paint over a part of the image, or load a mask.")
    assert not client.asked

    # From 50 pixels left of the image's centre to 30 pixels right of it, 20 above it.
    path = [(x * zoom, -20 * zoom) for x in range(-50, 31, 8)]
    browser.stroke(opened, canvas, path)
    press_fill(opened)
    pictures = browser.find(opened, "#reconstructions img")
    browser.until(lambda: "6 reconstructions" in summary(opened), "the summary")

    ((image, mask, num_samples, seed),) = client.asked
    assert (num_samples, seed, len(pictures)) == (6, 0, 6)
    face = drawn_faces.draw([drawn_faces.COUNT + 1], SIZE)[0]
    assert np.array_equal(image, np.where(mask[..., None] == 1, face, 0))  # to the last bit
    rows, columns = np.nonzero(mask == 0)
    radius = (rows.max() - rows.min() + 1) / 2
    assert 8 <= radius <= 32
    assert rows.mean() == pytest.approx(SIZE / 2 - 20, abs=4)
    assert columns.min() == pytest.approx(SIZE / 2 - 50 - radius, abs=6)
    assert columns.max() == pytest.approx(SIZE / 2 + 30 + radius, abs=6)

    browser.find(opened, "#download")[0].click()
    path = browser.until(lambda: list((folder / "downloads").glob("*.zip")), "the ZIP file")[0]
    archive = zipfile.ZipFile(path)
    expected = filling.fill(ToyClient(), image, mask, 6, 0)
    for name, picture in expected.pictures().items():
        assert np.array_equal(np.asarray(Image.open(archive.open(name))), picture)


def test_a_hole_from_a_file(opened, client, tmp_path):
    """Runs after the test above, whose image is still in the editor."""
    mask = np.ones((SIZE, SIZE), "uint8")
    mask[200:, :] = 0
    Image.fromarray(mask * 255).save(tmp_path / "mask.png")
    before = len(client.asked)
    browser.find(opened, "button.label-wrap")[0].click()
    browser.find(opened, "#mask input[type=file]")[0].send_keys(str(tmp_path / "mask.png"))
    browser.until(lambda: "mask" in browser.find(opened, "#mask")[0].text, "the file's name")
    press_fill(opened)
    browser.until(lambda: len(client.asked) > before, "the request")
    painted = client.asked[0][1]
    assert np.array_equal(client.asked[-1][1], mask * painted)


def test_no_other_machine_was_contacted(opened, address):
    asked = browser.addresses(opened)
    assert len(asked) > 20
    assert {url for url in asked if not url.startswith(address)} == set()


def test_a_photograph_keeps_its_size(opened, tmp_path):
    """Six megapixels go through the browser with every bit and come back in full size."""
    small = np.random.default_rng(0).integers(0, 256, (40, 60, 3), "uint8")
    photograph = np.repeat(np.repeat(small, 50, axis=0), 50, axis=1)
    (tmp_path / "own").mkdir()
    Image.fromarray(photograph).save(tmp_path / "own" / "photograph.png")
    client = ToyClient()
    with widgets.serve(client, example_source=str(tmp_path / "own")) as address:
        opened.get(address)
        browser.find(opened, "#examples img")[0].click()
        canvas = browser.find(opened, "#editor canvas")[0]
        zoom = browser.steady(lambda: zoom_of(opened), "the photograph in the editor")
        browser.stroke(opened, canvas, [(x * zoom, 0) for x in range(-500, 501, 100)])
        press_fill(opened)
        browser.until(lambda: "3000 x 2000 pixels" in summary(opened), "the summary")
        (shown,) = browser.find(opened, "#mean img")
        browser.until(lambda: shown.get_property("naturalWidth"), "the mean")
        sides = shown.get_property("naturalWidth"), shown.get_property("naturalHeight")
    ((image, mask, *_),) = client.asked
    assert np.array_equal(image, np.where(mask[..., None] == 1, photograph, 0))
    assert 0 < np.mean(mask == 0) < 0.1
    assert sides == (1600, 1067)  # a preview


def summary(opened):
    return opened.find_element("css selector", "#summary").text


def zoom_of(opened):
    """Returns screen pixels per image pixel from the editor's toolbar; None before it is shown."""
    shown = opened.find_element("css selector", "#editor").text
    percent = [word for word in shown.split() if word.endswith("%")]
    return float(percent[0][:-1]) / 100 if percent else None


def test_the_server_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(pathlib.Path(widgets.__file__).parent.iterdir())
    with widgets.serve(ToyClient()) as address:
        with urllib.request.urlopen(address, timeout=20) as answer:
            text = answer.read().decode()
        assert widgets.TITLE in text
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
    assert sorted(pathlib.Path(widgets.__file__).parent.iterdir()) == before


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_the_editor_refuses_bombs_with_a_message(tmp_path):
    built = widgets.build(ToyClient(), str(tmp_path))
    (editor,) = [b for b in built.blocks.values() if isinstance(b, gradio.ImageEditor)]
    with pytest.raises(gradio.Error, match="at most 33 million pixels"):
        editor.convert_and_format_image(bomb(10_000, 10_000))
    with pytest.raises(gradio.Error, match="an image that can be read"):
        editor.convert_and_format_image(b"no image")
    assert editor.convert_and_format_image(None) is None
