"""``gc``: finds what dead bakes left in the config's projects, and deletes it when told to.

Without ``--yes`` nothing is deleted and nothing is asked, so that the plan can be read by a person
or, with ``--json``, by a program, and the same words with ``--yes`` run in a pipeline.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pylib.errors import EXIT_OK, CloudError, ConfigError, Problem

if TYPE_CHECKING:
    from pylib.bake.gc import Row, Survey, Usage, Wishes
    from pylib.bake.held import Journals
    from pylib.bake.sweep import Swept
    from pylib.config.model import Config


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("-f", "--config", type=Path, required=True, help="config file")
    parser.add_argument("--yes", action="store_true", help="delete; default: only show what would")
    parser.add_argument(
        "--run", action="append", default=[], help="a run that is dead, whatever its labels say"
    )
    parser.add_argument("--images", action="store_true", help="published images too")
    parser.add_argument(
        "--keep", type=int, default=2, help="with --images: how many of a family stay (default 2)"
    )
    parser.add_argument(
        "--older-than", type=float, default=0.0, metavar="DAYS", help="with --images: only those"
    )
    parser.add_argument(
        "--journal", type=Path, action="append", default=[], help="besides those at the config"
    )
    parser.add_argument("--endpoint", help="address in place of Google's; default: VFS_ENDPOINT")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Show, and with ``--yes`` delete; exit code 9 when something is not known or is left."""
    from pylib.bake.gc import Usage, plan, survey, usage
    from pylib.bake.held import journals
    from pylib.bake.sweep import FAILED, sweep
    from pylib.cloud.gcp import connect
    from pylib.config.parse import load_config

    _check(args)
    config = load_config(args.config)
    cloud = connect(config.project, endpoint=args.endpoint)
    beside = sorted(args.config.parent.glob("*.journal"))
    with journals([*beside, *args.journal]) as held:
        wishes = _wishes(args, config, held)
        seen = survey(cloud, (config.project, config.imagesProject or config.project))
        used = usage(cloud) if args.images else Usage()
        rows = plan(seen, used, wishes)
        say = _nothing if args.json else _line(out)
        if not args.json:
            _show(rows, seen, used, out)
        done = sweep(cloud, rows, say) if args.yes else []
        _forget(rows, done, held)
    if args.json:
        out.write(json.dumps(_document(rows, done, seen, used), indent=2) + "\n")
    else:
        _summary(rows, done, args, out)
    bad = seen.unknown or used.unknown or any(it.result == FAILED for it in done)
    return CloudError.exit_code if bad else EXIT_OK


def _check(args: argparse.Namespace) -> None:
    problems = []
    if args.keep < 1:
        message = f"{args.keep} would leave families without an image"
        problems.append(Problem("--keep", message, "Write 1 or more."))
    if args.older_than < 0:
        problems.append(Problem("--older-than", f"{args.older_than:g} is no age", "Write days."))
    if not args.images and (args.keep != 2 or args.older_than):
        message = "say which published images go, but --images is not given"
        problems.append(Problem("--keep, --older-than", message, "Add --images."))
    if problems:
        raise ConfigError("gc", problems)


def _wishes(args: argparse.Namespace, config: Config, held: Journals) -> Wishes:
    from pylib.bake.gc import Wishes

    return Wishes(
        dead=frozenset(args.run),
        live={name: f"a process here works on its run ({at})" for name, at in held.live.items()},
        keep=args.keep if args.images else None,
        older_than_seconds=args.older_than * 86_400,
        named=_named(args.config, config),
    )


def _named(file: Path, config: Config) -> dict[str, str]:
    """Ids and links of the images that config and lock name, and of the lock's disks."""
    from pylib.lock import load_lock, lock_path

    place = lock_path(file)
    lock = load_lock(place)
    found: dict[str, str] = {}
    if config.imageCache.name:
        project = config.imagesProject or config.project
        found[f"projects/{project}/global/images/{config.imageCache.name}"] = file.name
    revisions = lock.weights.revisions if lock.weights else ()
    for image in [lock.imageCache, *(revision.image for revision in revisions)]:
        if image is not None:
            found[f"projects/{image.project}/global/images/{image.name}"] = place.name
            found |= {image.id: place.name} if image.id else {}
    for disk in (disk for revision in revisions for disk in revision.disks.values()):
        found[f"projects/{config.project}/zones/{disk.zone}/disks/{disk.name}"] = place.name
    return found


def _forget(rows: Sequence[Row], done: Sequence[Swept], held: Journals) -> None:
    """Take away the journals of runs of which nothing is left: there is nothing to go on with."""
    from pylib.bake.sweep import DELETED, GONE

    away = {it.row.found.link for it in done if it.result in {DELETED, GONE}}
    left = {row.run for row in rows if row.found.link not in away}
    for name in {it.row.run for it in done} - left:
        if name in held.free:
            held.free[name].unlink(missing_ok=True)


def _line(out: TextIO) -> Any:
    def say(text: str) -> None:
        out.write(f"{text}\n")
        out.flush()

    return say


def _nothing(text: str) -> None:
    """Say nothing: standard output is for JSON."""


def _show(rows: Sequence[Row], seen: Survey, used: Usage, out: TextIO) -> None:
    for row in rows:
        labels = row.found.labels
        about = f"id {row.found.id}, run {row.run}, of {labels.get('bake-owner', 'somebody')}"
        out.write(f"{'delete' if row.delete else 'keep'}  {row.found} ({about}): {row.why}\n")
    out.writelines(f"not known: {text}\n" for text in (*seen.unknown, *used.unknown))


def _summary(
    rows: Sequence[Row], done: Sequence[Swept], args: argparse.Namespace, out: TextIO
) -> None:
    from pylib.bake.sweep import CHANGED, FAILED

    for it in done:
        if it.result in {CHANGED, FAILED}:
            out.write(f"left: {it.row.found}: {it.why}\n    {it.row.found.command}\n")
    doomed = sum(row.delete for row in rows)
    if doomed and not args.yes:
        out.write(f"{doomed} to delete; nothing was deleted, --yes does it\n")
    elif not doomed:
        out.write("nothing to delete\n")


def _document(
    rows: Sequence[Row], done: Sequence[Swept], seen: Survey, used: Usage
) -> dict[str, Any]:
    results = {it.row.found.link: it for it in done}
    return {
        "time": seen.now,
        "resources": [_entry(row, results.get(row.found.link)) for row in rows],
        "unknown": [*seen.unknown, *used.unknown],
    }


def _entry(row: Row, swept: Swept | None) -> dict[str, Any]:
    found = row.found
    entry = {
        "kind": found.kind,
        "project": found.project,
        "place": found.place,
        "name": found.name,
        "id": found.id,
        "labels": dict(found.labels),
        "delete": row.delete,
        "why": row.why,
        "command": found.command,
    }
    return entry if swept is None else {**entry, "result": swept.result, "reason": swept.why}
