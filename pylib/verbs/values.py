"""``values``: the chart values that follow from config and lock."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

from pylib.errors import EXIT_FINDINGS, EXIT_OK
from pylib.files import read_text
from pylib.release import release_of_config
from pylib.verbs.common import put


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("-f", "--config", type=Path, required=True, help="config file")
    parser.add_argument("-o", "--output", type=Path, help="file to write; default: print")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when the output file is stale"
    )


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print or write the values; with ``--check`` only compare."""
    text = release_of_config(args.config).text
    if not args.check:
        put(text, args.output, out)
        return EXIT_OK
    target = args.output or args.config.with_name("values.yaml")
    if target.exists() and read_text(target) == text:
        return EXIT_OK
    out.write(f"{target} is stale. Run: python -m pylib values -f {args.config} -o {target}\n")
    return EXIT_FINDINGS
