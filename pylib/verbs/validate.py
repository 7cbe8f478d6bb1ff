"""``validate``: a config, or manifests from anywhere, against everything that is known."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from pylib.errors import EXIT_FINDINGS, EXIT_OK, ConfigError, Problem
from pylib.validate.report import Report, Severity

HELP = "check a config, or manifests that any tool made"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("paths", nargs="*", help="manifest files, folders, or - for stdin")
    parser.add_argument("-f", "--config", type=Path, help="config file: values, render, check")
    parser.add_argument("--kubernetes", default="1.36", help="Kubernetes version (default 1.36)")
    parser.add_argument("--output", choices=["text", "json", "sarif", "junit"], default="text")
    parser.add_argument("--fail-on", choices=["error", "warning"], default="error")
    parser.add_argument("--waivers", type=Path, help="file of waivers")
    parser.add_argument("--explain", metavar="RULE", help="say what a rule is about, and stop")
    parser.add_argument("--list-rules", action="store_true", help="list all rules, and stop")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print the report; exit code 1 when an unwaived finding is as bad as ``--fail-on``."""
    from pylib.validate.output import RENDERERS

    if args.explain or args.list_rules:
        return _describe(args, out)
    report = _report(args)
    colour = args.output == "text" and out.isatty()
    out.write(RENDERERS[args.output](report, colour=colour))
    return EXIT_FINDINGS if report.failed(Severity(args.fail_on)) else EXIT_OK


def _describe(args: argparse.Namespace, out: TextIO) -> int:
    from pylib.validate.explain import explain, rule_list

    out.write(explain(args.explain) if args.explain else rule_list())
    return EXIT_OK


def _report(args: argparse.Namespace) -> Report:
    from pylib.validate import validate_manifests
    from pylib.validate.inputs import read_inputs
    from pylib.validate.waivers import load_waivers

    if bool(args.paths) == bool(args.config):
        fix = "Name manifest files, or one config with -f."
        raise ConfigError("validate", [Problem("", "needs manifests or a config", fix)])
    today = datetime.now(UTC).date()
    waivers = load_waivers(args.waivers) if args.waivers else ()
    if args.config:
        from pylib.pipeline import validate_config

        return validate_config(
            args.config, kubernetes=args.kubernetes, waivers=waivers, today=today
        )
    manifests = read_inputs(args.paths, sys.stdin)
    return validate_manifests(manifests, kubernetes=args.kubernetes, waivers=waivers, today=today)
