"""The work behind tools/demo."""

import logging
import os
import signal
import threading


def run(options):
    """Serves the page until Ctrl-C or SIGTERM; returns what to print then.

    Args:
        options: the tool's flags.
    """
    try:
        from page import widgets
    except ImportError as error:
        raise ImportError(
            f'The page needs gradio: pip install ".[demo]". Received: {error}'
        ) from error
    from keras_uai.serving import Client

    logging.getLogger("httpx").setLevel(logging.WARNING)  # each request that gradio makes to itself
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with (
        Client(options["preset"]) as client,
        widgets.serve(
            client,
            options["host"],
            options["port"],
            example_source=options["examples"],
            about=about(options["preset"]),
        ) as address,
    ):
        print(f"The page is at {address} until Ctrl-C.", flush=True)
        ended.wait()
    return "The page is closed."


def about(target):
    """One line about a client's target: a preset's own description, or where it is."""
    from keras_uai.models import preset_files, presets

    name = os.path.basename(os.path.normpath(target))
    if preset_files.is_preset(target) or target in preset_files.available():
        return f"Model: **{name}**. {presets.describe(preset_files.find(target))}"
    return f"Model: {target}"
