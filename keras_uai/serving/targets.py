"""Where a model is: a preset, a SavedModel's folder, or a server."""

import os
import re
import urllib.parse

_FORMS = (
    "A client's target is a preset's name or folder, a SavedModel's folder, grpc://host:port/model[/version], or "
    "http(s)://host:port/v1/models/model[/versions/version]."
)


def connect(target):
    """The transport of a target: an object with `call(signature, inputs, timeout)`, `close()`, `where`, `concurrency`.

    Raises:
        ValueError: there is no such preset or folder, or the address is not complete.
    """
    text = os.fspath(target)
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*)://", text)
    if scheme is None:
        from keras_uai.serving.local import Local

        return Local(folder(text))
    parts = urllib.parse.urlsplit(text)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{_FORMS} Received: {text!r} ({error})") from error
    if parts.scheme in ("grpc", "grpcs"):
        found = re.fullmatch(r"/([^/]+)(?:/(?:versions/)?(\d+))?/?", parts.path)
        if not host or not port or not found:
            raise ValueError(f"{_FORMS} Received: {text!r}")
        from keras_uai.serving.over_grpc import Grpc

        version = int(found[2]) if found[2] else None
        return Grpc(parts.netloc, found[1], version, secure=parts.scheme == "grpcs")
    if parts.scheme in ("http", "https"):
        found = re.fullmatch(
            r"(.*/v1/models/[^/:]+(?:/(?:versions|labels)/[^/:]+)?)(:predict)?/?", parts.path
        )
        if not host or not found:
            raise ValueError(f"{_FORMS} Received: {text!r}")
        from keras_uai.serving.over_rest import Rest

        return Rest(f"{parts.scheme}://{parts.netloc}{found[1]}")
    raise ValueError(f"{_FORMS} Received: {text!r}")


def folder(text):
    """The folder of the SavedModel that is meant: itself, its latest version, or a preset's."""
    from keras_uai.models import preset_files

    if os.path.isfile(os.path.join(text, "saved_model.pb")):
        return text
    if text.endswith(".keras") or os.path.isfile(os.path.join(text, "model.keras")):
        raise ValueError(
            "A run or a saved model is exported first: tools/export --model=RUN --out=NAME/serving. Then NAME/serving "
            f"is the target. Received: {text!r}"
        )
    if preset_files.is_preset(text) or not os.path.isdir(text):
        folder = preset_files.find(text)
        path = os.path.join(folder, "serving")
        if latest := _latest(path):
            return latest
        raise ValueError(
            "This preset has no SavedModel. Make one: UAI.from_preset(...).export(...). "
            f"Received: {folder}, without {path}"
        )
    if latest := _latest(text):
        return latest
    raise ValueError(f"{_FORMS} Received: the folder {text!r}, which holds none of these")


def _latest(path):
    """The version with the largest number in a folder of versions, or None."""
    names = os.listdir(path) if os.path.isdir(path) else []
    versions = [int(name) for name in names if name.isascii() and name.isdigit()]
    found = [v for v in versions if os.path.isfile(os.path.join(path, str(v), "saved_model.pb"))]
    return os.path.join(path, str(max(found))) if found else None
