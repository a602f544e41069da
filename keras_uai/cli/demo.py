"""Serves a page: paint a hole into an image and see several reconstructions.

    keras-uai demo --preset=photographs_scratches
    keras-uai demo --preset=my/export/serving --port=8000 --examples=my/photos
    keras-uai demo --preset=grpc://localhost:8500/faces --host=0.0.0.0

Images are filled at their own size. The page needs gradio: pip install "keras_uai[demo]". It
contacts only the machine in --preset. Ctrl-C ends it.
"""

import importlib
import pathlib
import sys

from absl.flags import DEFINE_integer, DEFINE_string


def define():
    DEFINE_string(
        "preset",
        None,
        "The model: a preset's name or folder, a SavedModel's folder, or a server "
        "(grpc://HOST:PORT/MODEL, http://HOST:PORT/v1/models/MODEL).",
        required=True,
    )
    DEFINE_string("host", "127.0.0.1", "Address to listen on; 0.0.0.0 for all networks.")
    DEFINE_integer("port", None, "Port. Default: the first free one from 7860 on.", 1, 65535)
    DEFINE_string("examples", None, "Folder of images to start with. Default: built-in ones.")


def run(options):
    """Serves the page until Ctrl-C; returns the last line to print."""
    tools = pathlib.Path(__file__).resolve().parents[2] / "tools"
    if not (tools / "page").is_dir():
        raise ImportError(
            "The page is part of the repository, not of the installed package: run tools/demo in "
            f"a checkout. Received: {tools}, in which there is no page"
        )
    sys.path.insert(0, str(tools))
    return importlib.import_module("page.command").run(options)
