"""Generates the chart's values.schema.json and the values table of its README.

``schema/*.yaml`` in the chart holds types and rules, ``values.yaml`` holds defaults and, in the
comment above each key, what the key is for.  Neither is said twice; both generated files are
committed, and ``python -m pylib.chartdoc --check`` fails when one is stale.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pylib.chartdoc.schema import build
from pylib.chartdoc.table import insert, markdown

__all__ = ["build", "generated", "insert", "markdown", "stale", "write"]


def generated(chart: Path) -> dict[Path, str]:
    """The generated files of ``chart`` and what each must hold.

    Raises :class:`pylib.errors.ConfigError` when the schema folder and values.yaml do not match.
    """
    schema: dict[str, Any] = build(chart)
    readme = chart / "README.md"
    return {
        chart / "values.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        readme: insert(readme, markdown(schema)),
    }


def stale(chart: Path) -> list[Path]:
    """The generated files of ``chart`` that are absent or differ from what they must hold."""
    return [
        path
        for path, text in generated(chart).items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]


def write(chart: Path) -> list[Path]:
    """Write the stale files of ``chart`` and give their paths."""
    texts = generated(chart)
    changed = stale(chart)
    for path in changed:
        path.write_text(texts[path], "utf-8")
    return changed
