"""``validate``: a config, a values file, or manifests from anywhere, against all that is known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pylib.errors import EXIT_FINDINGS, EXIT_OK, ConfigError, Problem
from pylib.validate.report import Report, Severity
from pylib.verbs.common import release_arguments, releases_of

if TYPE_CHECKING:
    from pylib.validate.waivers import Waiver


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("paths", nargs="*", help="manifest files, folders, or - for stdin")
    release_arguments(parser, many=True)
    parser.add_argument("--output", choices=["text", "json", "sarif", "junit"], default="text")
    parser.add_argument("--fail-on", choices=["error", "warning"], default="error")
    parser.add_argument("--waivers", type=Path, help="file of waivers")
    parser.add_argument("--explain", metavar="RULE", help="say what a rule is about, and stop")
    parser.add_argument("--list-rules", action="store_true", help="list all rules, and stop")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print the report; exit code 1 when an unwaived finding is as bad as ``--fail-on``."""
    if args.explain or args.list_rules:
        from pylib.validate.explain import explain, rule_list

        out.write(explain(args.explain) if args.explain else rule_list())
        return EXIT_OK
    report = _report(args)
    from pylib.validate.output import RENDERERS

    out.write(RENDERERS[args.output](report, colour=out.isatty()))
    return EXIT_FINDINGS if report.failed(Severity(args.fail_on)) else EXIT_OK


def _waivers(args: argparse.Namespace) -> Sequence[Waiver]:
    if args.waivers is None:
        return ()
    from pylib.validate.waivers import load_waivers

    return load_waivers(args.waivers)


def _report(args: argparse.Namespace) -> Report:
    named = args.config or args.values
    if bool(args.paths) == bool(named):
        fix = "Name manifest files; or a config with -f, or a values file with --values."
        raise ConfigError("validate", [Problem("", "needs manifests, or a config", fix)])
    today = datetime.now(UTC).date()
    if named:
        from pylib.pipeline import validate_releases

        return validate_releases(
            releases_of(args), today=today, kubernetes=args.kubernetes, waivers=_waivers(args)
        )
    from pylib.validate.checking import validate_manifests
    from pylib.validate.inputs import read_inputs

    manifests = read_inputs(args.paths, sys.stdin)
    return validate_manifests(
        manifests, today=today, kubernetes=args.kubernetes, waivers=_waivers(args)
    )
