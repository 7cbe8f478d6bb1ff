"""``render``: the manifests that helm makes of a config or of a values file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

from pylib.errors import EXIT_OK
from pylib.verbs.common import load_inputs, write_text

HELP = "render the chart for a config, or for a values file"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-f", "--config", type=Path, help="config file")
    source.add_argument("--values", type=Path, help="values file instead of a config")
    parser.add_argument("--release", default="vllm", help="release name, with --values")
    parser.add_argument("--namespace", default="default", help="namespace, with --values")
    parser.add_argument("--kubernetes", default="1.36", help="Kubernetes version (default 1.36)")
    parser.add_argument("-o", "--output", type=Path, help="file to write; default: print")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Render one release and print or write its manifests as helm made them."""
    from pylib.render import render_release

    if args.config:
        inputs = load_inputs(args.config)
        values, release, namespace = inputs.values, inputs.release, inputs.namespace
    else:
        from pylib.config.parse import parse_document, read_text

        values = parse_document(read_text(args.values), str(args.values)).body
        release, namespace = args.release, args.namespace
    rendered = render_release(
        values, release=release, namespace=namespace, kubernetes=args.kubernetes
    )
    write_text(rendered.text, args.output, out)
    return EXIT_OK
