"""Where the chart is."""

from __future__ import annotations

from pathlib import Path


def chart_path() -> Path:
    """The chart: inside the installed package, else in the source tree beside it."""
    package = Path(__file__).resolve().parent
    bundled = package / "_chart"
    return bundled if bundled.is_dir() else package.parent / "charts" / "vllm-fast-start"
