"""The widgets of the page, and the server it is on. gradio; nothing is asked of any other machine."""

import atexit
import contextlib
import os
import shutil
import tempfile

# Before gradio is imported: it would look for a newer version, report that it was used, and leave an
# empty folder behind.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="keras_uai_gradio_")
atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)

import gradio as gr  # noqa: E402

from page import examples, filling  # noqa: E402

TITLE = "keras_uai: what may have been here?"
INTRODUCTION = (
    "# What may have been here?\n"
    "Load an image or choose an example, paint over what shall be filled in, and press **Fill in**. "
    "There is more than one answer: below are several, their mean, and where they differ."
)
BRUSH = "#e4007c"  # of a colour that hardly any photograph has
EDITOR_HEIGHT, RESULT_HEIGHT = 480, 400  # pixels


def build(client, folder, example_source=None, about=""):
    """The page.

    Args:
        client: `keras_uai.serving.Client`.
        folder: where examples and downloads are kept; the caller removes it.
        example_source: see `examples.write`.
        about: a line about the model, Markdown.

    Returns:
        `gr.Blocks`, to be launched.
    """
    paths = examples.write(os.path.join(folder, "examples"), example_source)

    def fill(edited, mask_file, num_samples, seed):
        with _told():
            image, mask = filling.read(edited, mask_file)
            filled = filling.fill(client, image, mask, num_samples, seed)
        handle, path = tempfile.mkstemp(".zip", "reconstructions_", folder)
        os.close(handle)
        filled.save_zip(path)
        download = gr.DownloadButton(value=path, interactive=True)
        pictures = list(_shown(filled.samples)), _shown(filled.mean), filled.uncertainty()
        return *pictures, filled.summary, download

    def choose(event: gr.SelectData):
        path = paths[event.index]
        return {"background": path, "layers": [], "composite": path}

    # Downloads older than an hour are deleted, every hour.
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
                with gr.Accordion("The hole as a file", open=False):
                    mask_file = gr.File(
                        label="Mask of the image's size: white = observed, black = missing",
                        file_types=[".png", ".jpg", ".jpeg", ".webp"],
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
                    buttons=["fullscreen", "download"],
                    interactive=False,
                    elem_id="reconstructions",
                )
                with gr.Row():
                    options = {
                        "format": "png",
                        "height": 240,
                        "interactive": False,
                        "buttons": ["fullscreen", "download"],
                    }
                    mean = gr.Image(label="Mean", elem_id="mean", **options)
                    uncertainty = gr.Image(
                        label="Uncertainty (bright: they differ)", elem_id="uncertainty", **options
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
    """The page on a web server of its own, until the context ends; nothing is left behind.

    Args:
        client: `keras_uai.serving.Client`.
        host: address to listen on; "0.0.0.0" for whoever reaches this machine.
        port: None for the first that is free from 7860 on.
        example_source, about: see `build`.

    Yields:
        the page's address.

    Raises:
        OSError: the port is taken.
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
    """Images that are too large, or none, are refused in words before gradio decodes them.

    On the object: gradio writes a file beside the source of every class made from its own.
    """
    decode = editor.convert_and_format_image

    def checked(file, flatten_on_white=False):
        if file is not None:
            with _told():
                filling.check_file(file if isinstance(file, bytes) else file.path)
        return decode(file, flatten_on_white)

    editor.convert_and_format_image = checked


@contextlib.contextmanager
def _told():
    """What the user can put right appears on the page, in words."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise gr.Error(str(error), print_exception=False) from error


def _shown(images):
    """Grey images as gradio takes them, `(..., H, W)`."""
    return images[..., 0] if images.shape[-1] == 1 else images
