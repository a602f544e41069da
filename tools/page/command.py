"""Starts the page from the flags of tools/demo."""

import logging
import signal
import threading


def run(options):
    """Serves the page until Ctrl-C or SIGTERM; returns the last line to print.

    Args:
        options: Dict of the flags of tools/demo.
    """
    try:
        from page import widgets
    except ImportError as error:
        raise ImportError(
            f'The page needs gradio: pip install ".[demo]". Received: {error}'
        ) from error
    from keras_uai.serving import Client

    logging.getLogger("httpx").setLevel(logging.WARNING)  # gradio's requests to itself
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
    """Returns a line about the model: the description of a preset, or the target of the client."""
    from keras_uai import presets

    try:
        description = presets.metadata(target).get("description")
    except ValueError:
        description = None
    return f"Model: {target}" + f". {description}" * bool(description)
