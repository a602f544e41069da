"""The package imports quickly, exports its announced names, and contains only its own purpose."""

import re

import pytest

import keras_uai
from tests.testing import ROOT, run_python

PACKAGE = ROOT / "keras_uai"

#: Packages that take long to import or that an environment may lack.
HEAVY = [
    "tensorflow_datasets",
    "tensorflow_probability",
    "tensorflow_gan",
    "tensorflow_hub",
    "tf_keras",
    "cv2",
    "skimage",
    "scipy",
    "matplotlib",
    "lmdb",
    "gradio",
    "keras_uai.datasets",
    "keras_uai.metrics",
    "keras_uai.callbacks",
    "keras_uai.serving",
]


def test_import_adds_little_to_keras():
    """Counted in modules, not in seconds. (Keras itself imports matplotlib where it is installed.)

    A command, whose entry point is imported first, imports neither before it has read its flags.
    """
    added = run_python(
        "import sys, keras_uai_command\n"
        "keras_uai_command.main.__globals__['_module']('train').define()\n"
        "assert not {'keras', 'numpy'} & set(sys.modules)\n"
        "ours = [name for name in sys.modules if name.startswith('keras_uai')]\n"
        "assert list(map(sys.modules.pop, ours))\n"
        "import keras\n"
        "before = set(sys.modules)\n"
        "import keras_uai\n"
        "print(*(set(sys.modules) - before))"
    ).split()
    assert not set(HEAVY) & set(added)
    assert len([name for name in added if not name.startswith("keras_uai")]) < 30, sorted(added)


def test_everything_that_is_announced_is_there():
    for name in keras_uai.__all__:
        if name not in keras_uai._LAZY:
            assert getattr(keras_uai, name) is not None
    assert set(keras_uai.__all__) <= set(dir(keras_uai))
    for module in (keras_uai.layers, keras_uai.losses, keras_uai.measurements, keras_uai.models):
        assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = keras_uai.nonsense


def test_the_package_holds_neither_benchmarks_nor_the_page():
    """They are in tools/, whose modules are imported by their own names, and are not installed."""
    assert not [path for path in sources() if re.search("benchmark|/page", str(path))]
    imports = re.compile(r"^\s*(?:from|import) (?:benchmarks|page|tests|experiments)\b", re.M)
    assert not [path for path in sources() if imports.search(path.read_text())]


def test_only_the_inception_extractor_uses_tf_gan():
    uses = re.compile(r"\btfgan\b|import tensorflow_gan")
    code = {path: re.sub(r"#.*", "", path.read_text()) for path in sources()}
    found = {str(path.relative_to(PACKAGE)) for path, text in code.items() if uses.search(text)}
    assert found == {"tfgan.py", "metrics/extractors/inception.py"}


def sources():
    return sorted(PACKAGE.rglob("*.py"))
