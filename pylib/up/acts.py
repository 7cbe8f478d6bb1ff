"""Making, changing and deleting one resource of Compute Engine or GKE, so that a repeat does no
harm: what is there already is looked at first, and a lost answer is looked for."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from pylib.cloud.faults import CallError, Kind
from pylib.cloud.pools import NodePool, PoolSpec
from pylib.cloud.records import Disk, DiskSpec, Image, Operation
from pylib.cloud.serving import Serving
from pylib.cloud.wait import wait
from pylib.errors import ProvisionError
from pylib.provision.pools import BROKEN

POOL_SECONDS = 1800.0
"""A pool waits for its first nodes: https://cloud.google.com/kubernetes-engine/docs/troubleshooting."""
DISK_SECONDS = 900.0
TRIES = 12
PAUSE = 10.0
_AGAIN = frozenset({Kind.NOT_READY, Kind.RATE, Kind.CONDITION, Kind.TRANSIENT})
_LOOK = frozenset({Kind.EXISTS, Kind.UNKNOWN})
_THERE = frozenset({"RUNNING", "RECONCILING"})
"""A pool that is being changed, by an upgrade of its nodes for hours, has nodes all the while."""


def patiently(cloud: Serving, start: Callable[[], Operation], seconds: float) -> None:
    """Start an operation and wait for its end; again while another change is under way.

    Raises CallError.
    """
    for attempt in range(TRIES):
        try:
            wait(cloud, start(), seconds)
        except CallError as error:
            if error.kind not in _AGAIN or attempt == TRIES - 1:
                raise
            cloud.clock.sleep(PAUSE)
        else:
            return


def make_disk(cloud: Serving, spec: DiskSpec) -> Disk:
    """The disk, READY.  Raises CallError and :class:`ProvisionError`."""
    try:
        # A new request each time: the old one's id would repeat its end.
        patiently(cloud, lambda: cloud.insert_disk(spec, str(uuid.uuid4())), DISK_SECONDS)
    except CallError as error:
        if error.kind not in _LOOK or cloud.disk(spec.zone, spec.name) is None:
            raise
    end = cloud.clock.monotonic() + DISK_SECONDS
    while True:
        found = cloud.disk(spec.zone, spec.name)
        if found is not None and found.status == "READY":
            return found
        if found is None or found.status == "FAILED" or cloud.clock.monotonic() > end:
            state = found.status if found else "not there"
            raise ProvisionError(f"disk {spec.name} in {spec.zone} was to be made and is {state}.")
        cloud.clock.sleep(PAUSE)


def delete_disk(cloud: Serving, zone: str, name: str, known_id: str | None) -> None:
    """Delete the disk, unless it is gone, another one has its name, or a VM has it.

    Raises CallError and :class:`ProvisionError`.
    """
    found = cloud.disk(zone, name)
    if found is None:
        return
    if known_id not in (None, found.id):
        raise ProvisionError(f"disk {name} in {zone} is another one by now (id {found.id}).")
    if found.users:
        raise ProvisionError(f"disk {name} in {zone} is attached to {', '.join(found.users)}.")
    try:
        patiently(cloud, lambda: cloud.delete_disk(zone, name, str(uuid.uuid4())), DISK_SECONDS)
    except CallError as error:
        if error.kind is not Kind.ABSENT:
            raise


def until_idle(cloud: Serving, zone: str, name: str, say: Callable[[str], None]) -> None:
    """Wait until no node has the disk, as it is a while after its last pod; at most so long."""
    end, said = cloud.clock.monotonic() + DISK_SECONDS, False
    while cloud.clock.monotonic() < end:
        found = cloud.disk(zone, name)
        if found is None or not found.users:
            return
        if not said:
            say(f"wait: {', '.join(found.users)} has disk {name}")
            said = True
        cloud.clock.sleep(PAUSE)


def delete_image(cloud: Serving, image: Image) -> None:
    """Delete an image, unless it is gone.  Raises CallError."""
    try:
        patiently(
            cloud,
            lambda: cloud.delete_image(image.project, image.name, str(uuid.uuid4())),
            DISK_SECONDS,
        )
    except CallError as error:
        if error.kind is not Kind.ABSENT:
            raise


def make_pool(cloud: Serving, spec: PoolSpec) -> NodePool:
    """The pool, with its first nodes.  Raises CallError and :class:`ProvisionError`."""
    _until_gone(cloud, spec)
    why = ""
    try:
        patiently(cloud, lambda: cloud.insert_pool(spec), POOL_SECONDS)
    except CallError as error:
        found = cloud.pool(spec)
        if found is None or (error.kind not in _LOOK and found.status not in BROKEN):
            raise
        why = "" if error.kind in _LOOK else error.detail
    return settled(cloud, spec, why)


def scale_pool(cloud: Serving, spec: PoolSpec) -> None:
    """Set the pool's limits.  Raises CallError and :class:`ProvisionError`."""
    patiently(cloud, lambda: cloud.scale_pool(spec), POOL_SECONDS)
    settled(cloud, spec)


def delete_pool(cloud: Serving, spec: PoolSpec) -> None:
    """Delete the pool and its nodes.  Raises CallError."""
    try:
        patiently(cloud, lambda: cloud.delete_pool(spec), POOL_SECONDS)
    except CallError as error:
        if error.kind is not Kind.ABSENT:
            raise


def _until_gone(cloud: Serving, spec: PoolSpec) -> None:
    """Wait while a pool of that name is being deleted, as an earlier run may have left it."""
    end = cloud.clock.monotonic() + POOL_SECONDS
    while (found := cloud.pool(spec)) is not None and found.status == "STOPPING":
        if cloud.clock.monotonic() > end:
            raise ProvisionError(f"{spec.path} is still being deleted; see its operations.")
        cloud.clock.sleep(PAUSE)


def settled(cloud: Serving, spec: PoolSpec, why: str = "") -> NodePool:
    """The pool once it runs; ``why`` is what its operation said of one that has no nodes.

    Raises CallError and :class:`ProvisionError`.
    """
    end = cloud.clock.monotonic() + POOL_SECONDS
    while True:
        found = cloud.pool(spec)
        if found is None:
            raise ProvisionError(f"{spec.path} was to be there, and is not.")
        if found.status in BROKEN:
            raise ProvisionError(
                f"{spec.path} is {found.status}: {why or found.message or 'no reason given'}\n"
                "    Mend the reason (quota, another zone or machine type), then run the same "
                "command again: it makes the pool anew."
            )
        if found.status in _THERE:
            return found
        if cloud.clock.monotonic() > end:
            raise ProvisionError(f"{spec.path} is still {found.status}; see its operations.")
        cloud.clock.sleep(PAUSE)
