"""Tests of what lies in `tools/` and not in the package; its folders are plain modules, as the commands see them."""

import sys

from tests.testing import ROOT

if str(ROOT / "tools") not in sys.path:
    sys.path.insert(0, str(ROOT / "tools"))
