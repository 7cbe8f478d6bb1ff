"""``accept``: what only a real cluster and project can prove, checked there, check by check."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pylib.errors import EXIT_FINDINGS, EXIT_OK, CloudError, ConfigError, Problem

if TYPE_CHECKING:
    from pylib.accept import Check, Evidence
    from pylib.accept.model import Read
    from pylib.accept.reading import Google
    from pylib.config.model import Config

_CALL_SECONDS, _TRIES = 10.0, 3
"""How long and how often a call to Google Cloud is tried: what does not answer is unchecked."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("-f", "--config", type=Path, required=True, help="config file")
    parser.add_argument("--kubeconfig", type=Path, help="default: KUBECONFIG, or ~/.kube/config")
    parser.add_argument("--context", help="context of the kubeconfig; default: the current one")
    parser.add_argument("--namespace", help="namespace; default: the config's")
    parser.add_argument("--output", choices=["text", "json"], default="text")
    parser.add_argument(
        "--timeout", type=_seconds, default=120.0, help="seconds for a completion (default 120)"
    )
    parser.add_argument("--endpoint", help="address in place of Google's; default: VFS_ENDPOINT")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print each check; exit code 1 when one failed or could not be checked."""
    from pylib.accept import State, judge, take
    from pylib.config.parse import load_config
    from pylib.install.target import check_context
    from pylib.kube import Kube
    from pylib.lock import load_lock, lock_path

    config = load_config(args.config)
    if config.mode != "serve":
        fix = "Name the config of a release that serves."
        raise ConfigError(str(args.config), [Problem("mode", "nothing serves to accept", fix)])
    kube = Kube.connect(args.kubeconfig, args.context)
    if args.context is None:
        check_context(config, kube.context)
    evidence = take(
        kube,
        _cloud(config, args.endpoint),
        config,
        load_lock(lock_path(args.config)),
        namespace=args.namespace or config.release.namespace,
        timeout=args.timeout,
        config_file=str(args.config),
    )
    checks = judge(evidence)
    render = _json if args.output == "json" else _text
    out.write(render(evidence, checks))
    return EXIT_OK if all(it.state is State.PASSED for it in checks) else EXIT_FINDINGS


def _cloud(config: Config, endpoint: str | None) -> Read[Google]:
    """Google Cloud; without credentials what the cluster says is checked all the same."""
    from pylib.accept.model import Read
    from pylib.accept.reading import Google
    from pylib.cloud.gcp import connect
    from pylib.cloud.retry import Policy

    try:
        policy = Policy(tries=_TRIES, limit=_CALL_SECONDS)
        return Read[Google](connect(config.project, endpoint=endpoint, policy=policy))
    except CloudError as error:
        return Read[Google](None, " ".join(str(error).split()))


def _json(evidence: Evidence, checks: tuple[Check, ...]) -> str:
    from pylib.timeline.building import timeline
    from pylib.timeline.jsonout import as_dict

    snapshot = evidence.snapshot
    whole = {
        "version": 1,
        "context": snapshot.context,
        "namespace": snapshot.namespace,
        "release": snapshot.release,
        "taken": snapshot.taken,
        "counts": _counts(checks),
        "checks": [asdict(check) for check in checks],
        "timeline": as_dict(timeline(snapshot)),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _text(evidence: Evidence, checks: tuple[Check, ...]) -> str:
    from pylib.snapshot.plain import plain
    from pylib.timeline.building import timeline
    from pylib.timeline.text import render

    snapshot = evidence.snapshot
    head = f"{snapshot.release} in namespace {snapshot.namespace} of {snapshot.context}"
    counts = ", ".join(f"{number} {state}" for state, number in _counts(checks).items())
    lines = [plain(f"{head}, {snapshot.taken}"), *_lines(checks), counts, ""]
    return "\n".join(lines) + "\n" + render(timeline(snapshot))


def _lines(checks: tuple[Check, ...]) -> Iterator[str]:
    from pylib.snapshot.plain import plain

    for check in checks:
        seen = f": {plain(check.seen)}" if check.seen else ""
        yield f"{check.state:9} {check.name}, {plain(check.about)}{seen}"
        yield from (f"{'':10}{plain(line, 2000)}" for line in (check.why, check.next) if line)


def _counts(checks: tuple[Check, ...]) -> dict[str, int]:
    from pylib.accept import State

    found = Counter(check.state for check in checks)
    return {state.value: found[state] for state in State}


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be a number of seconds above 0")
    return seconds
