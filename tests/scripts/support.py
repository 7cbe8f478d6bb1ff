"""What the tests of the scripts share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

Run = Callable[..., subprocess.CompletedProcess[str]]
