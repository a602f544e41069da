"""Presets: trained models as folders, found by name."""

import os

import keras

from keras_uai.models import preset_card, preset_files
from keras_uai.models.preset_files import CARD, CONFIG, METADATA, SERVING, WEIGHTS


class _Presets:
    """`UAI.presets`: `{name: description}` of the presets that hold a model of this class."""

    def __get__(self, instance, owner):
        return {
            name: describe(folder)
            for name, folder in preset_files.available().items()
            if _holds(folder, owner)
        }


class PresetMixin:
    """`from_preset`, `save_to_preset` and `presets`, for every model of the zoo."""

    #: `{name: description}` of the presets of this class: those that came with the package, and those in the folders
    #: that the variable KERAS_UAI_PRESETS names.
    presets = _Presets()

    @classmethod
    def from_preset(cls, name_or_path, load_weights=True, compile=True, **overrides):
        """A trained model.

        It holds what inference needs: G (where an average was kept: the average), and E where it was trained. D is
        fresh, and so are the optimizers.

        Args:
            name_or_path: one of `presets`, or a preset's folder.
            load_weights: False for a fresh model of the same configuration, to be trained on other data.
            compile: whether it is compiled as it was for its training (with a schedule's learning rate from its start).
            **overrides: arguments of the constructor that are to differ; dicts of network arguments are merged.

        Raises:
            ValueError: there is no such preset, it is of another class or damaged, or its weights do not fit.
        """
        folder = preset_files.find(name_or_path)
        saved = preset_files.read_json(folder, CONFIG)
        found = _class(saved)
        if found is None or not issubclass(found, cls):
            raise ValueError(
                f"{cls.__name__}.from_preset loads models of {cls.__name__}. "
                f"Received: {folder}, a preset of {saved.get('class_name')!r}"
            )
        config = dict(saved.get("config", {}))
        for name, value in overrides.items():
            merge = isinstance(value, dict) and isinstance(config.get(name), dict)
            config[name] = {**config[name], **value} if merge else value
        try:
            model = found.from_config(config)
        except TypeError as error:  # of an unknown argument
            version = preset_files.read_json(folder, METADATA).get("saved_with", {})
            raise ValueError(
                f"This {found.__name__} does not take these arguments: {error}. Received: {folder}, saved with "
                f"{version}, and overrides {sorted(overrides)}"
            ) from error
        if compile and saved.get("compile_config"):
            model.compile_from_config(saved["compile_config"])
        if load_weights:
            model._load_preset_weights(os.path.join(folder, WEIGHTS))
        return model

    def save_to_preset(self, path, metadata=None, *, serving=True, float16=True, overwrite=False):
        """Saves the model as a preset, a folder of `config.json`, `model.weights.h5`, `metadata.json`, a model card
        `README.md` and a SavedModel `serving/1/`.

        Args:
            path: the folder; it appears when it is complete, and not at all where something fails.
            metadata: dict of JSON values to keep with it: `"description"` (one line), `"data"` (`{"name", "licence",
                "note"}`), `"training"`, `"scores"`, `"limits"` (list of sentences) and what else you like. The model
                card is made of it. Class, image shape, measurement, parameters and versions are added.
            serving: whether to export, which needs TensorFlow.
            float16: round kernels on disk to float16, see `preset_files.write_weights`: half the bytes.
            overwrite: replace a preset that is there.

        Returns:
            the path.
        """
        saved = {
            "class_name": keras.saving.get_registered_name(type(self)),
            "config": self.get_config(),
            "compile_config": self.get_compile_config(),
        }
        networks = self.preset_networks()
        metadata = {**(metadata or {}), **self._describe(networks, float16)}
        with preset_files.new_folder(path, overwrite) as folder:
            preset_files.write_json(folder, CONFIG, saved)
            preset_files.write_weights(os.path.join(folder, WEIGHTS), networks, float16)
            preset_files.write_json(folder, METADATA, metadata)
            name = os.path.basename(os.path.abspath(path))
            with open(os.path.join(folder, CARD), "w", encoding="utf-8") as file:
                file.write(preset_card.render(name, metadata, serving))
            if serving:
                self.export(
                    os.path.join(folder, SERVING),
                    weights="float16" if float16 else "float32",
                    encode="encoder" in networks,
                    name=name,
                )
        return os.fspath(path)

    def preset_networks(self):
        """`{name: network}` of what inference needs: G, or its average, what else the model generates with, and E where
        it was trained.

        Of a model without compile it is not known whether E was: it is kept.
        """
        networks, encoder = {"generator": self.sampling_generator}, getattr(self, "encoder", None)
        networks |= {name: getattr(self, name) for name in self.kept_networks}
        trained = not self.compiled or any(part is encoder for part in self.generator_side())
        return networks | ({"encoder": encoder} if encoder is not None and trained else {})

    def _load_preset_weights(self, path):
        targets = {"generator": [self.generator]}
        if self.generator_average is not None:
            targets["generator"].append(self.generator_average)
        targets |= {name: [getattr(self, name)] for name in self.kept_networks}
        if "encoder" in preset_files.saved_networks(path):
            targets["encoder"] = [self.encoder]
        preset_files.read_weights(path, targets)

    def _describe(self, networks, float16):
        from keras_uai import __version__

        return {
            "class": type(self).__name__,
            "image_shape": list(self.image_shape),
            "measurement": repr(self.measurement),
            "learned_from": "clean images, too"
            if self.needs_clean or self.needs_unpaired
            else "damaged images only",
            "parameters": {name: network.count_params() for name, network in networks.items()},
            "kernels": "float16" if float16 else "float32",
            "saved_with": {"keras_uai": __version__, "keras": keras.__version__},
        }


def describe(folder):
    """The one line of a preset's metadata, or why there is none."""
    try:
        return str(preset_files.read_json(folder, METADATA).get("description") or "no description")
    except ValueError as error:
        return f"unreadable: {error}"


def _class(saved):
    """The class a preset's config names, or None where this process knows no such model."""
    found = keras.saving.get_registered_object(str(saved.get("class_name")))
    return found if isinstance(found, type) and issubclass(found, PresetMixin) else None


def _holds(folder, owner):
    try:
        found = _class(preset_files.read_json(folder, CONFIG))
    except ValueError:
        return False
    return found is not None and issubclass(found, owner)
