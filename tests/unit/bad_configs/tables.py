"""One good config, one good lock, and tables of edits that spoil them, each with the full message.

A row of a table holds ``id``, ``edits`` (text that stands once in the good file: what to write
instead) and ``says`` (every problem, in order, as the user reads them).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parent
BASE = (FOLDER / "base.yaml").read_text(encoding="utf-8")
LOCK = (FOLDER / "base.lock.yaml").read_text(encoding="utf-8")

Edits = Mapping[str, str]


def edited(text: str, edits: Edits) -> str:
    """``text`` with each key of ``edits``, which must stand in it once, replaced."""
    for old, new in edits.items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    return text


def rows(*tables: str) -> list[Any]:
    """The rows of the named tables as parameters ``edits, says``."""
    found = []
    for table in tables:
        for row in yaml.safe_load((FOLDER / f"{table}.yaml").read_text(encoding="utf-8")):
            said = row["says"].rstrip("\n")
            found.append(pytest.param(row["edits"], said, id=f"{table}: {row['id']}"))
    return found


def message(file: str, says: str) -> str:
    """The whole text of the error whose problems read ``says``."""
    count = sum(not line.startswith("    ") for line in says.splitlines())
    return f"{file}: {count} problem{'s' if count != 1 else ''}\n{says}"
