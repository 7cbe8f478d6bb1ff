"""``python -m pylib.chartdoc [--check] [--chart DIR]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pylib.chartdoc import stale, write
from pylib.errors import EXIT_FINDINGS, EXIT_OK, VfsError

CHART = Path(__file__).parents[2] / "charts" / "vllm-fast-start"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the chart's generated files, or with ``--check`` name the stale ones."""
    parser = argparse.ArgumentParser(prog="python -m pylib.chartdoc", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    parser.add_argument("--chart", type=Path, default=CHART, help="folder of the chart")
    options = parser.parse_args(argv)
    try:
        paths = stale(options.chart) if options.check else write(options.chart)
    except VfsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    word = "stale, run python -m pylib.chartdoc" if options.check else "written"
    sys.stdout.writelines(f"{path}: {word}\n" for path in paths)
    return EXIT_FINDINGS if options.check and paths else EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
