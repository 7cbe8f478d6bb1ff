"""``observe``: why a release is not ready, what to do next, and where its start-up time went."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pylib.errors import EXIT_FINDINGS, EXIT_OK, ConfigError, Problem
from pylib.verbs.common import put

if TYPE_CHECKING:
    from pylib.diagnose.cause import Cause
    from pylib.kube import Kube
    from pylib.snapshot.model import Snapshot

_CLEAR = "\x1b[H\x1b[2J"
_SHORTEST_WATCH = 1.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("-f", "--config", type=Path, help="config file that names the release")
    parser.add_argument("--release", help="release name, without a config")
    parser.add_argument("--namespace", help="namespace (default: that of the context)")
    parser.add_argument("--kubeconfig", type=Path, help="kubeconfig file")
    parser.add_argument("--context", help="context of the kubeconfig (default: the current one)")
    parser.add_argument(
        "--watch", type=float, metavar="SECONDS", help="look again so often until it is ready"
    )
    parser.add_argument("--output", choices=["text", "json", "svg"], default="text")
    parser.add_argument("-o", dest="file", type=Path, metavar="FILE", help="file to write")
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="keep the snapshot, a support bundle"
    )
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE", help="read a snapshot")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print the report; exit code 0 when all pods are ready and no error was found, else 1."""
    _check(args)
    if args.source is not None:
        return _report(args, _stored(args.source), out)
    kube, release, namespace = _named(args)
    from pylib.snapshot.reading import take

    while True:
        found = take(kube, release, namespace)
        if args.watch and out.isatty():
            out.write(_CLEAR)
        code = _report(args, found, out)
        out.flush()
        if code == EXIT_OK or not args.watch:
            return code
        time.sleep(max(_SHORTEST_WATCH, args.watch))


def _check(args: argparse.Namespace) -> None:
    named = [args.config is not None, args.release is not None, args.source is not None]
    if sum(named) != 1:
        fix = "Name a config with -f, a release with --release, or a snapshot with --from."
        raise ConfigError("observe", [Problem("", "needs one release", fix)])
    if args.source is not None and args.watch:
        fix = "Drop --watch, or --from."
        raise ConfigError("observe", [Problem("--watch", "a snapshot does not change", fix)])


def _named(args: argparse.Namespace) -> tuple[Kube, str, str]:
    from pylib.kube import Kube

    if args.config is not None:
        from pylib.config.parse import load_config

        named = load_config(args.config).release
        kube = Kube.connect(args.kubeconfig, args.context)
        return kube, named.name, args.namespace or named.namespace
    kube = Kube.connect(args.kubeconfig, args.context)
    return kube, args.release, args.namespace or kube.namespace


def _stored(file: Path) -> Snapshot:
    from pylib.snapshot.store import from_json

    try:
        return from_json(file.read_text(encoding="utf-8", errors="replace"), str(file))
    except OSError as error:
        fix = "Name a file that `python -m pylib observe --save FILE` wrote."
        problem = Problem("", f"cannot be read: {error.strerror}", fix)
        raise ConfigError(str(file), [problem]) from None


def _report(args: argparse.Namespace, found: Snapshot, out: TextIO) -> int:
    from pylib.diagnose.diagnosis import diagnose
    from pylib.snapshot.store import to_json

    if args.save is not None:
        put(to_json(found), args.save, out)
    causes = diagnose(found)
    colour = args.file is None and out.isatty()
    put(_rendered(args.output, found, causes, colour=colour), args.file, out)
    return EXIT_OK if _is_well(found, causes) else EXIT_FINDINGS


def _rendered(form: str, found: Snapshot, causes: tuple[Cause, ...], *, colour: bool) -> str:
    from pylib.timeline.building import timeline

    if form == "svg":
        from pylib.timeline.svg import render

        return render(timeline(found))
    if form == "json":
        return _json(found, causes)
    from pylib.diagnose.text import lines
    from pylib.timeline.text import render as table

    parts = [_header(found), *lines(causes, colour=colour), *_not_read(found), ""]
    return "\n".join(parts) + "\n" + table(timeline(found))


def _json(found: Snapshot, causes: tuple[Cause, ...]) -> str:
    from pylib.timeline.building import timeline
    from pylib.timeline.jsonout import as_dict

    ready, wanted = _counts(found)
    whole = {
        "version": 1,
        "context": found.context,
        "namespace": found.namespace,
        "release": found.release,
        "revision": _revision(found),
        "taken": found.taken,
        "ready": ready,
        "wanted": wanted,
        "causes": [asdict(cause) for cause in causes],
        "unread": [asdict(unread) for unread in found.unread],
        "timeline": as_dict(timeline(found)),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _header(found: Snapshot) -> str:
    from pylib.snapshot.plain import plain

    ready, wanted = _counts(found)
    revision = _revision(found)
    shown = f" revision {revision}" if revision else ""
    return (
        f"{plain(found.release)}{shown} in namespace {plain(found.namespace)} of "
        f"{plain(found.context)}, {plain(found.taken)}: {ready} of {wanted} pods ready"
    )


def _not_read(found: Snapshot) -> list[str]:
    from pylib.snapshot.plain import plain

    if not found.unread:
        return []
    kinds = ", ".join(plain(unread.what) for unread in found.unread)
    return [f"could not be read: {kinds}; --output json has the reasons"]


def _revision(found: Snapshot) -> int | None:
    return found.revisions[-1].number if found.revisions else None


def _counts(found: Snapshot) -> tuple[int, int]:
    """Ready pods and wanted pods of all Deployments; of a download, whether it is done."""
    from pylib.diagnose.scene import is_ready
    from pylib.snapshot.bodies import number

    pods = found.of("Pod")
    if not found.could_read("Deployment"):
        return sum(map(is_ready, pods)), len(pods)
    ready = wanted = 0
    for deployment in found.of("Deployment"):
        replicas = number(deployment, "spec", "replicas")
        wanted += 1 if replicas is None else replicas
        ready += number(deployment, "status", "readyReplicas") or 0
    for job in found.of("Job"):
        wanted += number(job, "spec", "completions") or 1
        ready += number(job, "status", "succeeded") or 0
    return ready, wanted


def _is_well(found: Snapshot, causes: tuple[Cause, ...]) -> bool:
    from pylib.diagnose.cause import Severity

    ready, wanted = _counts(found)
    return ready >= wanted and all(cause.severity is not Severity.ERROR for cause in causes)
