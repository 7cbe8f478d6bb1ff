"""``bench``: measure render and validate against the bare tools, here and now."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

from pylib.errors import EXIT_OK


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("--cases", type=Path, default=Path("values"), help="folder of cases")
    parser.add_argument(
        "--releases", type=int, nargs="+", default=[1, 10, 100], help="how many at once"
    )


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print the table, a line as soon as it is measured."""
    from pylib.bench.render_validate import measure, table

    for line in table(measure(args.cases, args.releases)):
        out.write(f"{line}\n")
        out.flush()
    return EXIT_OK
