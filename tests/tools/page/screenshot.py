"""Takes the documents' picture of the page.

python -m tests.tools.page.screenshot --preset=PRESET --out=experiments/figures/demo.png
"""

import argparse
import io
import pathlib
import tempfile

from PIL import Image

from keras_uai.serving import Client
from page import command, filling, widgets
from tests.tools.page import browser, test_widgets, toy

COLOURS = 256  # a third of the bytes
WINDOW = 1300, 1150


def take(preset, example, path):
    """Writes a PNG of the page after a stroke of the brush over the eyes of an example."""
    with (
        Client(preset) as client,
        widgets.serve(client, about=command.about(preset)) as address,
        tempfile.TemporaryDirectory() as folder,
        browser.start(pathlib.Path(folder)) as opened,
    ):
        filling.fill(client, *filling.read(toy.edited(32, 32)), 6, 0)  # warm-up
        opened.set_window_size(*WINDOW)
        opened.get(address)
        browser.find(opened, "#examples img")[example].click()
        canvas = browser.find(opened, "#editor canvas")[0]
        zoom = browser.steady(lambda: test_widgets.zoom_of(opened), "the example in the editor")
        browser.stroke(opened, canvas, [(x * zoom, -8 * zoom) for x in range(-52, 53, 8)])
        test_widgets.press_fill(opened)
        browser.until(
            lambda: "reconstructions" in test_widgets.summary(opened), "the reconstructions", 300
        )
        browser.until(
            lambda: opened.execute_script("return [...document.images].every(i => i.complete)"),
            "all pictures",
        )
        opened.execute_script("window.scrollTo(0, 0); document.activeElement.blur()")
        taken = Image.open(io.BytesIO(opened.get_screenshot_as_png())).convert("RGB")
    taken.quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--example", type=int, default=2)
    parser.add_argument("--out", default="demo.png")
    arguments = parser.parse_args()
    take(arguments.preset, arguments.example, arguments.out)
