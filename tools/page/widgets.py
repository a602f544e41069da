"""The widgets of the page and its web server (gradio), which contacts no other machine."""

import atexit
import contextlib
import os
import shutil
import tempfile

# Set before gradio is imported: otherwise it looks for a newer version, reports its use, and leaves
# a folder behind.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="keras_uai_gradio_")
atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)

import gradio as gr  # noqa: E402
from PIL import Image  # noqa: E402

from page import examples, filling  # noqa: E402

TITLE = "keras_uai: inpainting with several answers"
INTRODUCTION = (
    "# Inpainting with several answers\n"
    "Load an image or choose an example, paint over the part to replace, and press **Fill in**. "
    "The page shows several reconstructions, their mean, and where they differ. "
    "The ZIP file has them in full size."
)
BRUSH = "#e4007c"  # a colour that is rare in photographs
EDITOR_HEIGHT = 480  # pixels
RESULT_HEIGHT = 400
PREVIEW = 1600  # longest side of the pictures shown


def build(client, folder, example_source=None, about=""):
    """Builds the page.

    Args:
        client: `keras_uai.serving.Client`.
        folder: Where examples and downloads are kept. The caller removes it.
        example_source: See `examples.write`.
        about: A line of Markdown about the model.

    Returns:
        `gr.Blocks`, not launched.
    """
    paths = examples.write(os.path.join(folder, "examples"), example_source)

    def fill(edited, mask_file, num_samples, seed):
        with _shown_errors():
            image, mask = filling.read(edited, mask_file)
            filled = filling.fill(client, image, mask, num_samples, seed)
        handle, path = tempfile.mkstemp(".zip", "reconstructions_", folder)
        os.close(handle)
        filled.save_zip(path)
        download = gr.DownloadButton(value=path, interactive=True)
        previews = [_preview(sample) for sample in filled.samples]
        others = _preview(filled.mean), _preview(filled.uncertainty())
        return previews, *others, filled.summary, download

    def choose(event: gr.SelectData):
        path = paths[event.index]
        return {"background": path, "layers": [], "composite": path}

    # Downloads older than an hour are deleted every hour.
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gr.Markdown(f"{INTRODUCTION}\n\n{about}")
        with gr.Row():
            with gr.Column(scale=5):
                editor = gr.ImageEditor(
                    label="Image and hole",
                    type="numpy",
                    image_mode="RGBA",
                    sources=("upload", "clipboard"),
                    transforms=(),
                    brush=gr.Brush(
                        default_size=24, colors=[BRUSH], default_color=BRUSH, color_mode="fixed"
                    ),
                    layers=False,
                    format="png",
                    height=EDITOR_HEIGHT,
                    elem_id="editor",
                )
                _guard(editor)
                gallery = gr.Gallery(
                    [(path, None) for path in paths],
                    label="Examples",
                    show_label=False,
                    columns=examples.COUNT,
                    height=120,
                    object_fit="contain",
                    allow_preview=False,
                    buttons=[],
                    interactive=False,
                    format="png",
                    elem_id="examples",
                )
                with gr.Accordion("Mask file", open=False):
                    mask_file = gr.File(
                        label="Mask of the image's size: white = observed, black = missing",
                        file_types=[".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"],
                        elem_id="mask",
                        height=120,
                    )
                with gr.Row():
                    num_samples = gr.Slider(
                        1,
                        filling.MAX_SAMPLES,
                        6,
                        step=1,
                        label="Reconstructions",
                        elem_id="samples",
                    )
                    seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed")
                button = gr.Button("Fill in", variant="primary", elem_id="fill")
            with gr.Column(scale=5):
                shown = gr.Gallery(
                    label="Reconstructions",
                    columns=3,
                    height=RESULT_HEIGHT,
                    object_fit="contain",
                    format="png",
                    buttons=["fullscreen"],
                    interactive=False,
                    elem_id="reconstructions",
                )
                with gr.Row():
                    options = {
                        "format": "png",
                        "height": 240,
                        "interactive": False,
                        "buttons": ["fullscreen"],
                    }
                    mean = gr.Image(label="Mean", elem_id="mean", **options)
                    uncertainty = gr.Image(
                        label="Uncertainty (bright where they differ)",
                        elem_id="uncertainty",
                        **options,
                    )
                summary = gr.Markdown(elem_id="summary")
                download = gr.DownloadButton(
                    "Download all (ZIP)", interactive=False, elem_id="download"
                )
        gallery.select(choose, None, editor, show_progress="hidden", api_visibility="private")
        button.click(
            fill,
            [editor, mask_file, num_samples, seed],
            [shown, mean, uncertainty, summary, download],
            concurrency_limit=1,
            show_progress_on=[shown],
            api_visibility="private",
        )
    return page


@contextlib.contextmanager
def serve(client, host="127.0.0.1", port=None, example_source=None, about=""):
    """Serves the page until the context ends, and leaves no file behind.

    Args:
        client: `keras_uai.serving.Client`.
        host: Address to listen on; "0.0.0.0" for every network of this machine.
        port: None for the first free port from 7860 on.
        example_source, about: See `build`.

    Yields:
        The address of the page.

    Raises:
        OSError: if the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="keras_uai_demo_") as folder:
        os.environ["GRADIO_TEMP_DIR"] = os.path.join(folder, "uploads")
        page = build(client, folder, example_source, about)
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            show_error=True,
            share=False,
            ssr_mode=False,
            enable_monitoring=False,
            max_file_size=filling.MAX_FILE_BYTES,
            allowed_paths=[folder],
            footer_links=[],
            theme=gr.themes.Default(),
        )
        try:
            yield address
        finally:
            page.close(verbose=False)


def _guard(editor):
    """Makes the editor check files before it decodes them, with messages that users understand.

    The method of the object is replaced, since gradio writes a file beside every subclass.
    """
    decode = editor.convert_and_format_image

    def checked(file, flatten_on_white=False):
        if file is not None:
            with _shown_errors():
                filling.check_file(file if isinstance(file, bytes) else file.path)
        return decode(file, flatten_on_white)

    editor.convert_and_format_image = checked


@contextlib.contextmanager
def _shown_errors():
    """Shows errors that the user can correct on the page."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise gr.Error(str(error), print_exception=False) from error


def _preview(pixels):
    """Returns a picture of at most `PREVIEW` pixels a side for the browser, or None for None."""
    if pixels is None:
        return None
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.thumbnail((PREVIEW, PREVIEW))
    return picture
