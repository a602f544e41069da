"""Model hubs: `hf://owner/name` (Hugging Face), `kaggle://owner/model/keras/variation` (Kaggle)."""

import importlib
import os

_CLIENTS = {"hf": "huggingface_hub", "kaggle": "kagglehub"}


def is_uri(text):
    """Returns whether a text names a model on a hub."""
    scheme, separator, _ = os.fspath(text).partition("://")
    return bool(separator) and scheme in _CLIENTS


def download(uri):
    """Returns the local folder of a hub's model, whose files the hub's client keeps."""
    client, name = _client(uri)
    return (client.snapshot_download if uri.startswith("hf") else client.model_download)(name)


def upload_preset(uri, folder):
    """Uploads a preset to a hub, where `from_preset(uri)` then finds it.

    Args:
        uri: string; `"hf://owner/name"` or `"kaggle://owner/model/keras/variation"`.
        folder: path of a preset, see `save`.

    Raises:
        ValueError: If the folder is no preset, or `uri` names no hub.
        ImportError: If the hub's package is not installed.
    """
    if not os.path.isfile(os.path.join(folder, "config.json")):
        raise ValueError(f"`folder` must be a preset's folder. Received: folder={folder!r}")
    client, name = _client(uri)
    if uri.startswith("hf"):
        client.create_repo(name, exist_ok=True)
        client.upload_folder(repo_id=name, folder_path=os.fspath(folder))
    else:
        client.model_upload(name, os.fspath(folder))


def _client(uri):
    """Returns the module of a hub, and the model's name there."""
    if not is_uri(uri):
        raise ValueError(f"`uri` must begin with hf:// or kaggle://. Received: uri={uri!r}")
    scheme, _, name = uri.partition("://")
    try:
        return importlib.import_module(_CLIENTS[scheme]), name
    except ImportError as error:
        raise ImportError(
            f"{scheme}:// needs the package {_CLIENTS[scheme]}: pip install {_CLIENTS[scheme]}. "
            f"Received: {uri}"
        ) from error
