"""Errors between a client and a model."""

import re


class RefusedError(ValueError):
    """The model refuses the request. The same request is refused again."""


class UnavailableError(ConnectionError):
    """The model cannot be reached, or does not answer in time."""


class FailedError(RuntimeError):
    """The server failed on this request, or serves no model of keras_uai."""


def refusal(message):
    """Returns the readable part of an error message from a graph: its text and values."""
    message = message.split("<stack traces unavailable>")[-1]
    message = re.split(r"\n\t ?\[\[|\[\[?\{\{node", message)[0].strip()
    _, assertion, text = message.partition("assertion failed: [")
    return text.replace("Received:]", "Received:", 1) if assertion else message
