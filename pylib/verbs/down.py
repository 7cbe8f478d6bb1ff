"""``down``: takes away what ``up`` made; without ``--yes`` it only says what that is."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import TextIO

from pylib.errors import EXIT_OK
from pylib.verbs.site import site_of
from pylib.verbs.up import write_plan


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    site_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="do it; default: only show what goes")
    parser.add_argument("--images", action="store_true", help="the baked images too")
    parser.add_argument(
        "--adapter", action="store_true", help="the metrics adapter too, which others may use"
    )


def site_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say which config, cloud and cluster."""
    parser.add_argument("-f", "--config", type=Path, required=True, help="config file")
    parser.add_argument("--kubeconfig", type=Path, help="default: KUBECONFIG, or ~/.kube/config")
    parser.add_argument("--context", help="context of the kubeconfig; default: the current one")
    parser.add_argument("--endpoint", help="address in place of Google's; default: VFS_ENDPOINT")
    parser.add_argument("--output", choices=["text", "json"], default="text")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Show what goes, and with ``--yes`` take it away."""
    from pylib.up.down import Extent, down, plan_down

    # SIGTERM, as CI sends it, is Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    site = site_of(args, out)
    extent = Extent(images=args.images, adapter=args.adapter)
    if not args.yes:
        write_plan(plan_down(site, extent), args.output, out)
        if args.output == "text":
            out.write("nothing was deleted; --yes does it\n")
        return EXIT_OK
    done = down(site, extent)
    out.write(f"{len(done)} things taken away\n")
    return EXIT_OK
