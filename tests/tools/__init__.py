"""Tests of the modules in `tools/`, which are imported by their own names, as the commands do."""

import sys

from tests.testing import ROOT

if str(ROOT / "tools") not in sys.path:
    sys.path.insert(0, str(ROOT / "tools"))
