"""``install``: a config, or a values file, becomes a release that serves; safe to run again."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pylib.errors import EXIT_FINDINGS, EXIT_OK, ConfigError, Problem
from pylib.verbs.common import release_arguments, releases_of

if TYPE_CHECKING:
    from pylib.install.install import Installed
    from pylib.install.preflight import Preflight
    from pylib.kube import Kube
    from pylib.release import Release


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    release_arguments(parser, many=False)
    parser.add_argument("--waivers", type=Path, help="file of waivers, as validate takes it")
    parser.add_argument("--kubeconfig", type=Path, help="default: KUBECONFIG, or ~/.kube/config")
    parser.add_argument("--context", help="context of the kubeconfig; default: the current one")
    parser.add_argument("--timeout", type=_seconds, help="seconds; default: from the release")
    parser.add_argument("--dry-run", action="store_true", help="check and show, change nothing")
    parser.add_argument("--create-namespace", action="store_true")
    parser.add_argument("--yes", action="store_true", help="do not ask; needed without a terminal")
    parser.add_argument("--no-wait", action="store_true", help="end when helm does")
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="end an interrupted helm operation at once; only when you know that no helm runs",
    )
    parser.add_argument(
        "--force-conflicts",
        action="store_true",
        help="take fields over that somebody else changed in the cluster",
    )


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Validate, connect, show the cluster, check it, ask, install and wait."""
    # SIGTERM, as CI sends it, is Ctrl-C: helm gets its signal, and the state left is said.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if (args.config is None) == (args.values is None):
        fix = "Name a config with -f, or a values file with --values."
        raise ConfigError("install", [Problem("", "needs one config or one values file", fix)])
    [release] = releases_of(args)
    if not _is_valid(args, release, out):
        return EXIT_FINDINGS
    kube = _connect(args)
    where = f"context {kube.context}, {kube.server}, namespace {release.namespace}"
    out.write(f"release {release.name} goes to {where}\n")
    if not (args.yes or args.dry_run or sys.stdin.isatty()):
        fix = "Add --yes if that is the right cluster, or --dry-run to see what would happen."
        problem = Problem("", "nobody is at a terminal to confirm the cluster", fix)
        raise ConfigError("install", [problem])
    _report(_install(args, release, kube, out), out, dry_run=args.dry_run)
    return EXIT_OK


def _is_valid(args: argparse.Namespace, release: Release, out: TextIO) -> bool:
    """Print what ``validate`` finds; whether no unwaived error is in it."""
    from datetime import UTC, datetime

    from pylib.pipeline import validate_releases
    from pylib.validate.output import RENDERERS
    from pylib.validate.report import Severity
    from pylib.validate.waivers import load_waivers

    report = validate_releases(
        [release],
        today=datetime.now(UTC).date(),
        kubernetes=args.kubernetes,
        waivers=load_waivers(args.waivers) if args.waivers else (),
    )
    failed = report.failed(Severity.ERROR)
    if failed or report.count(Severity.WARNING):
        out.write(RENDERERS["text"](report, colour=out.isatty()))
    return not failed


def _connect(args: argparse.Namespace) -> Kube:
    """The cluster, unless the current context is another one than the config's."""
    from pylib.config.parse import load_config
    from pylib.install.target import check_context
    from pylib.kube import Kube

    kube = Kube.connect(args.kubeconfig, args.context)
    if args.config is not None and args.context is None:
        check_context(load_config(args.config), kube.context)
    return kube


def _install(args: argparse.Namespace, release: Release, kube: Kube, out: TextIO) -> Installed:
    from pylib.install.install import Options, install_release

    def say(line: str) -> None:
        out.write(f"{line}\n")
        out.flush()

    def confirm(_: Preflight) -> bool:
        out.write(f"Install into context {kube.context}? [y/N] ")
        out.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    options = Options(
        timeout=args.timeout,
        create_namespace=args.create_namespace,
        dry_run=args.dry_run,
        wait=not args.no_wait,
        take_over=args.take_over,
        force_conflicts=args.force_conflicts,
    )
    return install_release(
        release,
        kube,
        kubeconfig=args.kubeconfig,
        options=options,
        confirm=None if args.yes else confirm,
        say=say,
    )


def _report(installed: Installed, out: TextIO, *, dry_run: bool) -> None:
    if installed.notes:
        out.write(f"\n{installed.notes.strip()}\n")
    if dry_run:
        out.write("dry run: nothing was changed\n")
    elif installed.ready is None:
        out.write("not waited for; python -m pylib observe says how it goes\n")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be a number of seconds above 0")
    return seconds
