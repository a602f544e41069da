"""Errors between a client and a model."""

import re


class RefusedError(ValueError):
    """The model refuses the request. The same request is refused again."""


class UnavailableError(ConnectionError):
    """The model cannot be reached, or does not answer in time, after all attempts."""


class FailedError(RuntimeError):
    """The server failed on this request, or serves no model of keras_uai."""


class TransientError(Exception):
    """A failure that another attempt may not meet.

    Args:
        message: string, the reason.
        wait: float or None, seconds the server asks to wait. Default: None.
    """

    def __init__(self, message, wait=None):
        super().__init__(message)
        self.wait = wait


def refusal(message):
    """Returns the readable part of an error message from a graph: its text and values."""
    message = message.split("<stack traces unavailable>")[-1]
    found = re.search(r"assertion failed: (\[.*)", message, re.DOTALL)
    if found is None:
        return message.split("\n\t [[")[0].split(" [[{{node")[0].strip()
    text = re.split(r"\n\t ?\[\[|\[\[?\{\{node", found[1])[0].strip()
    first, depth = text, 0
    for i, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if depth == 0 and letter == "]":
            first = text[: i + 1]
            break
    return f"{first.strip('[]')}{text[len(first) :]}"
