"""``doctor``: what would stop a bake or an installation, with a fix for each finding."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pylib.errors import EXIT_FINDINGS, EXIT_OK, ConfigError, Problem

FIX_BUCKET = "Have roles/storage.objectViewer on the bucket, or mend the source."

if TYPE_CHECKING:
    from pylib.bake.plan import Bake
    from pylib.cloud.gcp import GoogleCloud
    from pylib.config.model import Config
    from pylib.doctor import Question


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("-f", "--config", type=Path, required=True, help="config file")
    parser.add_argument("--zone", action="append", default=[], help="zone to bake in; repeatable")
    parser.add_argument("--machine-type", default="n2-standard-8", help="of the bake VM")
    parser.add_argument("--disk-type", default="pd-ssd", help="of the bake's disks")
    parser.add_argument("--external-ip", action="store_true", help="the bake VM has an address")
    parser.add_argument("--service-account", help="of the bake VM")
    parser.add_argument("--endpoint", help="address in place of Google's; default: VFS_ENDPOINT")
    parser.add_argument("--output", choices=["text", "json"], default="text")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print each finding; exit code 1 when one failed or could not be checked."""
    from pylib.cloud.gcp import connect
    from pylib.config.parse import load_config
    from pylib.doctor import State, examine

    config = load_config(args.config)
    cloud = connect(config.project, endpoint=args.endpoint)
    found = examine(cloud, _question(args, config, cloud))
    if args.output == "json":
        out.write(json.dumps([asdict(check) for check in found], indent=2) + "\n")
    else:
        for check in found:
            out.write(f"{check.state:7} {check.name}: {check.text}\n")
            out.write(f"        {check.fix}\n" if check.fix else "")
    bad = any(check.state in {State.FAILED, State.UNKNOWN} for check in found)
    return EXIT_FINDINGS if bad else EXIT_OK


def _question(args: argparse.Namespace, config: Config, cloud: GoogleCloud) -> Question:
    """The bakes that the config asks for, with the zones that are at hand."""
    from pylib.bake.options import Options
    from pylib.bake.request import cache_problems, image_request
    from pylib.bake.weights_request import kind_problems, weights_request
    from pylib.cloud.faults import CallError
    from pylib.doctor import Question

    try:
        zones = () if args.zone else cloud.zones(config.region)
    except CallError:
        zones = ()  # the checks say why
    options = Options(
        owner="doctor",
        zones=tuple(args.zone),
        machine_type=args.machine_type,
        disk_type=args.disk_type,
        external_ip=args.external_ip,
        service_account=args.service_account,
    )
    asked: list[Callable[[], Bake]] = []
    if not cache_problems(config):
        asked.append(lambda: image_request(config, options, str(args.config), zones))
    if not kind_problems(config):
        listed = cloud.objects
        asked.append(lambda: weights_request(config, options, str(args.config), zones, listed))
    bakes: list[Bake] = []
    problems: list[Problem] = []
    for ask in asked:
        try:
            bakes.append(ask())
        except ConfigError as error:
            problems += error.problems
        except CallError as error:
            problems.append(Problem("model.source", f"{error.what}: {error.detail}", FIX_BUCKET))
    return Question(config, tuple(it for it in bakes if it.place.zones), tuple(problems))
