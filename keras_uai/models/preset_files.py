"""A preset's folder: where presets lie, and how weights are written and read; no pickle anywhere.

```
NAME/
  config.json        class, constructor's and compile's arguments
  model.weights.h5   networks that inference needs: kernels in float16, the rest in float32
  metadata.json      data, licence, training, scores, versions
  README.md          the model card
  serving/1/         the SavedModel
```
"""

import contextlib
import json
import os
import pathlib
import shutil

import h5py
import keras
import numpy as np

CONFIG, WEIGHTS, METADATA, CARD = "config.json", "model.weights.h5", "metadata.json", "README.md"
SERVING = os.path.join("serving", "1")
VARIABLE = "KERAS_UAI_PRESETS"
_UNFINISHED = ".unfinished"


def folders():
    """Where presets are looked up by name: the folders of KERAS_UAI_PRESETS, then those that came with the package."""
    package = pathlib.Path(__file__).resolve().parent.parent
    named = [folder for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    # A checkout has them beside the package, an installation inside it.
    return [*named, str(package.parent / "saved_models"), str(package / "saved_models")]


def available():
    """`{name: folder}` of all presets; of two with the same name, the one in the earlier folder."""
    found = {}
    for folder in folders():
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if is_preset(os.path.join(folder, name)):
                found.setdefault(name, os.path.join(folder, name))
    return found


def is_preset(path):
    return os.path.isfile(os.path.join(path, CONFIG))


def find(name_or_path):
    """The folder of a preset.

    Args:
        name_or_path: a preset's folder, or the name of one of `available()`.

    Raises:
        ValueError: there is none; the message lists what there is.
    """
    name = os.fspath(name_or_path)
    if is_preset(name):
        return name
    known = available()
    if name in known:
        return known[name]
    raise ValueError(
        f"There is no such preset. There are: {', '.join(known) or 'none'} (looked in {', '.join(folders())}; "
        f"{VARIABLE} names further folders), or give the folder of one, which holds a {CONFIG}. "
        f"Received: {name!r}"
    )


def read_json(folder, name):
    """The object in a JSON file of a preset; {} for metadata that are not there.

    Raises:
        ValueError: the file is no JSON object.
    """
    path = os.path.join(folder, name)
    if name == METADATA and not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"This file of a preset cannot be read: {error}. Received: {path}"
        ) from error
    if not isinstance(value, dict):
        raise ValueError(f"This file of a preset holds no JSON object. Received: {path}")
    return value


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def new_folder(path, overwrite):
    """A folder to write a preset into, which takes the place of `path` when all went well and never else.

    Raises:
        ValueError: `path` is there already: a preset and not `overwrite`, or no preset at all.
    """
    path = os.path.normpath(os.fspath(path))
    if os.path.lexists(path) and not is_preset(path):
        raise ValueError(
            f"There is something here that is no preset; choose another place. Received: {path}"
        )
    if os.path.lexists(path) and not overwrite:
        raise ValueError(
            f"There is a preset here already; overwrite=True replaces it. Received: {path}"
        )
    unfinished = path + _UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    os.makedirs(unfinished)
    try:
        yield unfinished
        if os.path.lexists(path):
            os.rename(path, path + ".old" + _UNFINISHED)
        os.rename(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(path + ".old" + _UNFINISHED, ignore_errors=True)


# -- weights ------------------------------------------------------------------------------------------------------


def write_weights(path, networks, float16=True):
    """Writes `{name: network}` as `/name/path/of/variable`.

    With `float16`, arrays of two dimensions or more (kernels, more than 99% of the bytes) are rounded to float16 where
    that overflows nothing; scales, biases, moving means and variances and the like stay float32.
    """
    with h5py.File(path, "w") as file:
        for name, network in networks.items():
            for variable in network.weights:
                value = keras.ops.convert_to_numpy(variable)
                if float16 and value.ndim > 1 and value.dtype == np.float32:
                    with np.errstate(over="ignore"):
                        half = value.astype(np.float16)
                    value = half if np.isfinite(half).all() else value
                file.create_dataset(
                    f"{name}/{variable.path}", data=value, track_times=False, **_packing(value)
                )


def _packing(value):
    return {"compression": "gzip", "shuffle": True} if value.size > 1024 else {}


def read_weights(path, networks):
    """Puts what `write_weights` wrote into networks: `{name: [network, ...]}`, all of a name alike.

    Raises:
        ValueError: the file cannot be read, or holds other variables than the networks have.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(path, "r"))
            values = {name: _arrays(file, name) for name in networks}
        except (OSError, KeyError, RuntimeError) as error:
            raise ValueError(f"These weights cannot be read: {error}. Received: {path}") from error
    for name, copies in networks.items():
        expected = {variable.path: tuple(variable.shape) for variable in copies[0].weights}
        found = {key: value.shape for key, value in values[name].items()}
        if found != expected:
            different = sorted(set(expected.items()) ^ set(found.items()), key=str)
            raise ValueError(
                f"The weights in the file are not those of this {name}: were its arguments overridden? "
                f"load_weights=False gives a fresh one. Received: {path}, which differs in "
                f"{len({key for key, _ in different})} variables, such as {different[0][0]}"
            )
        for network in copies:
            network.set_weights(
                [values[name][v.path].astype(v.dtype, copy=False) for v in network.weights]
            )


def _arrays(file, name):
    found = {}

    def visit(path, item):
        if isinstance(item, h5py.Dataset):
            found[path] = item[()]

    file[name].visititems(visit)
    return found


def saved_networks(path):
    """The names of the networks that a file of weights holds."""
    try:
        with h5py.File(path, "r") as file:
            return list(file)
    except OSError as error:
        raise ValueError(f"These weights cannot be read: {error}. Received: {path}") from error
