"""``up``: brings the world to what a config says, from baked images to a release that serves."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pylib.errors import EXIT_OK, ConfigError, Problem
from pylib.verbs.bake_arguments import common_arguments, options_of
from pylib.verbs.site import site_of

if TYPE_CHECKING:
    from pylib.provision.action import Action
    from pylib.up.site import Site


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    up_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask; needed without a terminal")


def up_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that the plan has too."""
    common_arguments(parser)
    parser.add_argument(
        "--shards", type=int, metavar="N", help="write the weights as N files of about equal size"
    )
    parser.add_argument(
        "--token-secret",
        metavar="SECRET",
        help="projects/P/secrets/S of Secret Manager with the Hugging Face token",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="delete revisions, disks and node pools of ours that nothing uses any more",
    )
    parser.add_argument("--kubeconfig", type=Path, help="default: KUBECONFIG, or ~/.kube/config")
    parser.add_argument("--context", help="context of the kubeconfig; default: the current one")
    parser.add_argument("--install-timeout", type=float, help="seconds until the release serves")
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="end an interrupted helm operation at once; only when you know that no helm runs",
    )
    parser.add_argument("--output", choices=["text", "json"], default="text", help="of a plan")
    parser.add_argument(
        "--print",
        choices=["gcloud"],
        help="do nothing; print the plan as commands, to review or paste",
    )


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Show the plan, ask, and do it; with ``--dry-run`` or ``--print`` show it only."""
    from pylib.up.up import up

    # SIGTERM, as CI sends it, is Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if args.dry_run or args.print:
        return show_plan(args, out)
    if not (args.yes or sys.stdin.isatty()):
        fix = "Add --yes, or look with: python -m pylib plan."
        raise ConfigError("up", [Problem("", "nobody is at a terminal to confirm the plan", fix)])
    site = _site(args, out)

    def confirm(actions: list[Action]) -> bool:
        write_plan(actions, "text", out)
        if args.yes or not any(action.changes for action in actions):
            return True
        out.write("Go on? [y/N] ")
        out.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    done = up(site, confirm)
    out.write(f"{len(done)} things done\n")
    return EXIT_OK


def show_plan(args: argparse.Namespace, out: TextIO) -> int:
    """Print what ``up`` would do."""
    from pylib.up.printed import printed
    from pylib.up.up import plan

    actions = plan(_site(args, out))
    if args.print == "gcloud":
        out.writelines(f"{line}\n" for line in printed(actions, args.config))
    else:
        write_plan(actions, args.output, out)
    return EXIT_OK


def write_plan(actions: list[Action], form: str, out: TextIO) -> None:
    """A plan as text or JSON."""
    if form == "json":
        out.write(json.dumps([action.data() for action in actions], indent=2) + "\n")
    else:
        out.writelines(f"{action}\n" for action in actions)
        changes = sum(action.changes for action in actions)
        out.write(f"{changes} to do, {len(actions) - changes} as they should be\n")


def _site(args: argparse.Namespace, out: TextIO) -> Site:
    from pylib.up.site import Wishes

    if args.config is None:
        raise ConfigError("up", [Problem("-f", "is required", "Write -f config.yaml.")])
    wishes = Wishes(
        bake=options_of(args),
        log_bucket=args.log_bucket,
        prune=args.prune,
        timeout=args.install_timeout,
        context=args.context,
        take_over=args.take_over,
    )
    return site_of(args, out, wishes)
