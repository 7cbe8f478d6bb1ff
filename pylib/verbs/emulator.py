"""``emulator``: a local stand-in for Google Cloud's REST APIs, until interrupted."""

from __future__ import annotations

import argparse
import signal
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from pylib.errors import EXIT_OK, ConfigError, Problem

if TYPE_CHECKING:
    from pylib.emulator import Emulator
    from pylib.emulator.emulator import Guest

_SERVICES = ("compute", "container", "cloudresourcemanager", "serviceusage", "storage", "iam")
_PATHS = {"compute": "/compute/v1/", "storage": "/storage/v1/"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("--folder", type=Path, required=True, help="where the state is kept")
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 is any free one")
    parser.add_argument("--faults", type=Path, help="plan of faults, a JSON list")
    parser.add_argument(
        "--guest",
        default="auto",
        help="real, simulated, auto, or a function MODULE:NAME that plays the guest",
    )
    parser.add_argument("--project", default="demo-project", help="id of the emulated project")
    parser.add_argument("--number", default="123456789012", help="number of the project")
    parser.add_argument(
        "--cluster",
        action="append",
        default=[],
        metavar="LOCATION/NAME",
        help="a GKE cluster that is there already; may be repeated",
    )


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Serve until SIGINT or SIGTERM."""
    from pylib.emulator import Emulator, Settings, read_plan

    settings = Settings(project=args.project, number=args.number)
    faults = read_plan(args.faults) if args.faults else ()
    guest = _guest(args.guest)
    clusters = [_cluster(text) for text in args.cluster]
    emulator = Emulator(args.folder, settings=settings, faults=faults, guest=guest, port=args.port)
    ends = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: ends.set())
    try:
        with emulator:
            for location, name in clusters:
                emulator.add_cluster(name, location)
            out.write(_greeting(emulator))
            out.flush()
            ends.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    return EXIT_OK


def _greeting(emulator: Emulator) -> str:
    """Where it is, how guests run, and how gcloud finds it."""
    real = "real" if not emulator.simulated else f"simulated ({emulator.why_simulated})"
    lines = [f"emulator at {emulator.url}, guests are {real}", "for gcloud:"]
    lines += ["  export CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true"]
    lines += [f"  export CLOUDSDK_CORE_PROJECT={emulator.settings.project}"]
    for name in _SERVICES:
        address = f"{emulator.url}{_PATHS.get(name, '/')}"
        lines.append(f"  export CLOUDSDK_API_ENDPOINT_OVERRIDES_{name.upper()}={address}")
    return "\n".join(lines) + "\n"


def _cluster(text: str) -> tuple[str, str]:
    location, slash, name = text.partition("/")
    if not slash or not location or not name:
        problem = Problem("--cluster", f"{text!r} is no cluster", "Write LOCATION/NAME.")
        raise ConfigError("emulator", [problem])
    return location, name


def _guest(text: str) -> Guest:
    if text in {"real", "simulated", "auto"}:
        return cast("Guest", text)
    module, _, name = text.partition(":")
    try:
        return cast("Guest", getattr(import_module(module), name))
    except (ImportError, AttributeError, ValueError):
        fix = "Write real, simulated, auto, or MODULE:NAME of a function."
        raise ConfigError("emulator", [Problem("--guest", f"{text!r} is no guest", fix)]) from None
