"""What of dead bakes is still there, and what of it may be deleted.  Looking only; pure but for it.

A bake cleans up after itself, and its VMs are deleted by the service when their time is over.  What
stays is what both miss: a VM that stopped before its time was over, disks that no VM has any more,
an image that was never published.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pylib.bake.plan import EXPIRES, INPUTS, OWNER, PHASE, PUBLISHED, RUN
from pylib.bake.workbench import IMAGE_SECONDS
from pylib.cloud.faults import CallError
from pylib.cloud.inventory import PLURAL, Inventory, Marked, MarkedKind
from pylib.cloud.records import Listing

KINDS: tuple[MarkedKind, ...] = ("instance", "disk", "snapshot", "image")
"""In the order in which things are deleted: a VM takes its disks along."""

MARGIN_SECONDS = 3600.0
"""How far apart the clocks may be of the machine that baked, of the service, and of this one."""

LONGEST_SECONDS = 2.0 * (86_400 + 1800)
"""Longest run that a bake can be asked for, from its last new resource on: a label that says more
was written by a clock that is wrong."""


@dataclass(frozen=True)
class Survey:
    """What lists said; ``unknown`` has a line for each place or list that gave no answer."""

    now: float
    found: tuple[Marked, ...]
    unknown: tuple[str, ...] = ()
    vms_known: bool = True
    """Whether some list of VMs came at all: without one, no disk is known to be idle."""
    all_vms: bool = True
    """Whether every place said which VMs it has."""


@dataclass(frozen=True)
class Usage:
    """Images that something uses: ids and links; ``unknown`` as in :class:`Survey`."""

    images: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wishes:
    """What the caller says: ``dead`` runs are over whatever their labels say; ``live`` ones never
    are, and map to the reason; ``keep`` is how many published images of a family stay, ``None``
    for all; ``named`` are ids and links that are in use, with where they are named."""

    dead: frozenset[str] = frozenset()
    live: Mapping[str, str] = field(default_factory=dict)
    keep: int | None = None
    older_than_seconds: float = 0.0
    named: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One resource, whether it goes, and why."""

    found: Marked
    delete: bool
    why: str

    @property
    def run(self) -> str:
        """The run that made it."""
        return self.found.labels.get(RUN, "")


def survey(cloud: Inventory, projects: Sequence[str]) -> Survey:
    """Everything with a bake's label: zonal kinds in the first project, the others in all.

    Raises CallError only when the service does not even say what time it is.
    """
    now = cloud.service_time()
    found: list[Marked] = []
    unknown: list[str] = []
    vms_known = all_vms = True
    for kind in KINDS:
        places = projects if kind in {"snapshot", "image"} else projects[:1]
        for project in dict.fromkeys(places):
            what = f"{PLURAL[kind]} of {project}"
            try:
                listing = cloud.marked(kind, project, RUN)
            except CallError as error:
                unknown.append(f"{what}: {error.detail}")
                vms_known = vms_known and kind != "instance"
                continue
            found += listing.items
            unknown += [f"{what} in {place}: no answer" for place in listing.unreachable]
            all_vms = all_vms and (kind != "instance" or listing.complete)
    return Survey(now, tuple(found), tuple(unknown), vms_known, all_vms)


def usage(cloud: Inventory) -> Usage:
    """Which images disks and node pools of the project use, as far as that can be seen."""
    images: set[str] = set()
    unknown: list[str] = []
    lists = {"disks": cloud.images_of_disks, "node pools": cloud.images_of_pools}
    for what, ask in lists.items():
        try:
            listing: Listing[str] = ask()
        except CallError as error:
            unknown.append(f"images that {what} use: {error.detail}")
            continue
        images.update(_plain(item, cloud.project) for item in listing.items)
        unknown += [f"images that {what} use in {it}: no answer" for it in listing.unreachable]
    return Usage(frozenset(images), tuple(unknown))


def plan(seen: Survey, used: Usage, wishes: Wishes) -> tuple[Row, ...]:
    """A row for everything that was found, in the order to delete it."""
    runs: dict[str, list[Marked]] = defaultdict(list)
    shown = [item for item in seen.found if not _published(item)]
    for item in shown:
        runs[item.labels[RUN]].append(item)
    rows = [_row(item, runs[item.labels[RUN]], seen, wishes) for item in shown]
    rows += _images([item for item in seen.found if _published(item)], seen, used, wishes)
    return tuple(sorted(rows, key=lambda row: KINDS.index(row.found.kind)))


def _row(item: Marked, run: Sequence[Marked], seen: Survey, wishes: Wishes) -> Row:
    stays = _stays(item, run, seen, wishes)
    if stays:
        return Row(item, delete=False, why=stays)
    if item.labels[RUN] in wishes.dead:
        return Row(item, delete=True, why="its run was named as dead")
    return Row(item, delete=True, why=f"its run was over by {moment(_over(run))} at the latest")


def _stays(item: Marked, run: Sequence[Marked], seen: Survey, wishes: Wishes) -> str:
    """Why it is not deleted; empty when it is."""
    name = item.labels[RUN]
    strangers = sorted(set(item.users) - {it.name for it in run if it.kind == "instance"})
    found = ""
    if not _by_a_bake(item):
        found = f"has the label {RUN}, but is not as a bake makes it"
    elif item.id in wishes.named or item.link in wishes.named:
        found = f"named in {wishes.named.get(item.id) or wishes.named[item.link]}"
    elif name in wishes.live:
        found = wishes.live[name]
    elif name not in wishes.dead and _over(run) > seen.now:
        found = f"its run may go on until {moment(_over(run))}; --run {name} if it is dead"
    elif strangers:
        found = f"attached to {', '.join(strangers)}, which is no VM of its run"
    elif not seen.vms_known or (item.place == "global" and not seen.all_vms):
        found = "whether a VM of its run still works is not known"
    return found


def _by_a_bake(item: Marked) -> bool:
    """Whether it has all that a bake gives what it makes, so that no one label decides."""
    labels = item.labels
    marked = all(labels.get(key) for key in (RUN, OWNER, INPUTS, PHASE))
    named = item.kind in {"snapshot", "image"} or f"-{labels[RUN]}" in item.name
    return marked and named


def _over(run: Sequence[Marked]) -> float:
    """When nothing works on the run any more, by whichever clock says the latest: the label's, of
    the machine that baked, and the service's own, of what was made last."""
    newest = max(item.created for item in run)
    working = max(item.created + (item.max_run_seconds or IMAGE_SECONDS) for item in run)
    bound = newest + LONGEST_SECONDS
    said = [int(item.labels[EXPIRES]) for item in run if item.labels.get(EXPIRES, "").isdecimal()]
    return max(working, min(max(said), bound) if said else bound) + MARGIN_SECONDS


def _images(images: Iterable[Marked], seen: Survey, used: Usage, wishes: Wishes) -> list[Row]:
    """Rows of published images; none at all unless they were asked for."""
    if wishes.keep is None:
        return []
    families: dict[tuple[str, str], list[Marked]] = defaultdict(list)
    for item in sorted(images, key=lambda it: (it.created, it.id), reverse=True):
        families[(item.project, item.family)].append(item)
    rows = []
    for (_, family), members in families.items():
        good = [item for item in members if item.status == "READY" and not item.obsolete]
        newest = {item.id for item in good[: max(1, wishes.keep)]} if family else set()
        rows += [_image(item, newest, seen, used, wishes) for item in members]
    return rows


def _image(item: Marked, newest: set[str], seen: Survey, used: Usage, wishes: Wishes) -> Row:
    named = wishes.named.get(item.id) or wishes.named.get(item.link)
    days = wishes.older_than_seconds / 86_400
    if not _by_a_bake(item):
        why = f"has the label {RUN}, but is not as a bake makes it"
    elif named:
        why = f"named in {named}"
    elif not item.family:
        why = "published, in no family: nothing says what came after it"
    elif item.id in newest:
        why = f"published, among the newest {wishes.keep} of family {item.family}"
    elif item.created > seen.now - wishes.older_than_seconds:
        why = f"published less than {days:g} days ago"
    elif {item.id, item.link} & used.images:
        why = "published; a disk or a node pool uses it"
    elif used.unknown:
        why = "published; whether a disk or a node pool uses it is not known"
    else:
        return Row(item, delete=True, why=f"published, older than what family {item.family} keeps")
    return Row(item, delete=False, why=why)


def moment(seconds: float) -> str:
    """A time for people."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _published(item: Marked) -> bool:
    return item.kind == "image" and item.labels.get(PHASE) == PUBLISHED


def _plain(link: str, project: str) -> str:
    """``projects/…`` of a link in whatever form, of ``project`` when it names none; an id stays."""
    head, found, rest = link.partition("projects/")
    if found:
        return f"{found}{rest}"
    return f"projects/{project}/{head.lstrip('/')}" if "/" in head else head
