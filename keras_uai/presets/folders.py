"""Preset folders: where they are looked up, and their JSON files.

```
NAME/
  config.json        class and arguments of the constructor and of compile
  model.weights.h5   inference networks: kernels in float16, everything else in float32
  metadata.json      description, layout, data, licence, training, scores, versions
  README.md          model card
  serving/1/         SavedModel (optional)
```
"""

import difflib
import os
import pathlib

from keras_uai import files
from keras_uai.presets import hubs

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
METADATA = "metadata.json"
#: Environment variable with further folders of presets, separated as in PATH.
VARIABLE = "KERAS_UAI_PRESETS"


def search_path():
    """Returns the folders in which names are looked up: those of KERAS_UAI_PRESETS come first."""
    package = pathlib.Path(__file__).resolve().parent.parent
    named = [folder for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    # A checkout has the shipped presets beside the package, an installation inside it.
    return [*named, str(package.parent / "saved_models"), str(package / "saved_models")]


def available():
    """Returns `{name: folder}` of all presets. The first folder of the search path wins."""
    found = {}
    for root in search_path():
        for name in sorted(os.listdir(root)) if os.path.isdir(root) else ():
            if is_preset(os.path.join(root, name)):
                found.setdefault(name, os.path.join(root, name))
    return found


def is_preset(path):
    """Returns whether a folder holds a preset."""
    return os.path.isfile(os.path.join(path, CONFIG))


def find(name_or_path):
    """Returns the folder of a preset: its path, a name of `available()`, or a hub's (`hf://`)."""
    name = os.fspath(name_or_path)
    if hubs.is_uri(name):
        name = hubs.download(name)
    known = available()
    if is_preset(name) or name in known:
        return name if is_preset(name) else known[name]
    raise ValueError(
        f"`name_or_path` must be a preset's folder or one of: {', '.join(known) or 'none'} (found "
        f"in {', '.join(search_path())}; {VARIABLE} adds folders). Received: {name!r}"
        f"{did_you_mean(name)}"
    )


def did_you_mean(name):
    """Returns a sentence that names the preset with a similar name, or an empty string."""
    close = difflib.get_close_matches(os.path.basename(name), available(), 1)
    return f". Did you mean {close[0]}?" if close else ""


def metadata(name_or_path):
    """Returns the dict in a preset's `metadata.json`; `{}` where the file is missing."""
    path = os.path.join(find(name_or_path), METADATA)
    return files.read_json(path) if os.path.exists(path) else {}
