"""The chart's scripts as modules: they run in containers, so they are no part of any package."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from tests.chart.helmtool import CHART

FILES = CHART / "files"


def script(name: str) -> ModuleType:
    """The module ``name`` of the chart's files, such as ``download.tree``."""
    if str(FILES) not in sys.path:
        sys.path.insert(0, str(FILES))
    return importlib.import_module(name)
