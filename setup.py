"""Copies the presets into the installed package; setup.cfg has everything else."""

import pathlib
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py

PRESETS = pathlib.Path(__file__).resolve().parent / "saved_models"


class BuildWithPresets(build_py):
    """Copies `saved_models` into the package, except in an editable installation."""

    def run(self):
        super().run()
        if PRESETS.is_dir() and not self.editable_mode:
            target = pathlib.Path(self.build_lib, "keras_uai", "saved_models")
            shutil.copytree(PRESETS, target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithPresets})
