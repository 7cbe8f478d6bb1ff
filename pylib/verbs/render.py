"""``render``: the manifests that helm makes of a config or of a values file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

from pylib.errors import EXIT_OK, ConfigError, Problem
from pylib.verbs.common import put, release_arguments, releases_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    release_arguments(parser, many=False)
    parser.add_argument("-o", "--output", type=Path, help="file to write; default: print")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Render one release and print or write its manifests as helm made them."""
    from pylib.render import render_release

    if (args.config is None) == (args.values is None):
        fix = "Name a config with -f, or a values file with --values."
        raise ConfigError("render", [Problem("", "needs one config or one values file", fix)])
    [release] = releases_of(args)
    rendered = render_release(release, kubernetes=args.kubernetes)
    put(rendered.text, args.output, out)
    return EXIT_OK
