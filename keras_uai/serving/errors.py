"""What can go wrong between a client and a model."""

import re


class RefusedError(ValueError):
    """The model looked at the request and will not work on it; asking again changes nothing."""


class UnavailableError(ConnectionError):
    """The model cannot be reached, or did not answer in time, after all attempts."""


class FailedError(RuntimeError):
    """The server failed over this request, or is none of a model of keras_uai."""


class TransientError(Exception):
    """Something that may be otherwise in a moment; `retrying.call` tries again.

    Args:
        message: why.
        wait: seconds the server asks to wait, or None.
    """

    def __init__(self, message, wait=None):
        super().__init__(message)
        self.wait = wait


def refusal(message):
    """What a person has to know of a message from within a graph: its text and the values in brackets."""
    message = message.split("<stack traces unavailable>")[-1]
    found = re.search(r"assertion failed: (\[.*)", message, re.DOTALL)
    if found is None:
        return message.split("\n\t [[")[0].split(" [[{{node")[0].strip()
    text = re.split(r"\n\t ?\[\[|\[\[?\{\{node", found[1])[0].strip()
    return " ".join(part.strip("[]") if i == 0 else part for i, part in enumerate(_parts(text)))


def _parts(text):
    """`[a] [b [c]]` as `["[a]", "[b [c]]"]`."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if depth == 0 and letter == "]":
            parts.append(text[start : i + 1].strip())
            start = i + 1
    return parts or [text]
