"""Labelled resources of every kind, by plain REST.

The generated clients of google-cloud-compute 1.57 have no ``returnPartialSuccess``: without it one
zone out of reach keeps the whole list back
(https://cloud.google.com/compute/docs/reference/rest/v1/instances/aggregatedList).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pylib.cloud.clock import Clock
from pylib.cloud.gcp.convert import last
from pylib.cloud.gcp.transport import Transport
from pylib.cloud.inventory import PLURAL, Marked, MarkedKind
from pylib.cloud.records import Listing, Operation, OperationError

Json = Mapping[str, Any]

_EMPTY = "NO_RESULTS_ON_PAGE"
"""The one warning of a list that takes nothing away from what it says."""


class InventoryCalls:
    """The part of :class:`pylib.cloud.inventory.Inventory` that is not Compute's already."""

    _transport: Transport
    clock: Clock

    def marked(self, kind: MarkedKind, project: str, label: str) -> Listing[Marked]:
        """Everything of a kind with a label, whatever its value."""
        scoped = _listed(self._pages(kind, project, f"labels.{label}:*"), PLURAL[kind])
        items = [_marked(kind, project, row) for row in scoped.items]
        return Listing(tuple(items), scoped.unreachable)

    def again(self, found: Marked) -> Marked | None:
        """What has the name of ``found`` now."""
        row = self._transport.read_rest("compute", f"/compute/v1/{found.link}")
        return None if row is None else _marked(found.kind, found.project, row)

    def delete(self, found: Marked, request_id: str) -> Operation:
        """Delete what has the name of ``found``."""
        row = self._transport.rest(
            "compute", "DELETE", f"/compute/v1/{found.link}", params={"requestId": request_id}
        )
        scope = "global" if found.place == "global" else f"zones/{found.place}"
        return _operation(found, scope, row)

    def images_of_disks(self) -> Listing[str]:
        """Numeric ids of the images that the project's disks were made from."""
        scoped = _listed(self._pages("disk", self._transport.project, ""), "disks")
        ids = {str(row["sourceImageId"]) for row in scoped.items if row.get("sourceImageId")}
        return Listing(tuple(sorted(ids)), scoped.unreachable)

    def images_of_pools(self) -> Listing[str]:
        """Links of the images that node pools of the project's GKE clusters start with."""
        project = quote(self._transport.project, safe=":")
        path = f"/v1/projects/{project}/locations/-/clusters"
        answer = self._transport.rest("container", "GET", path)
        links = {
            str(disk.get("diskImage", ""))
            for cluster in answer.get("clusters", ())
            for pool in cluster.get("nodePools", ())
            for disk in pool.get("config", {}).get("secondaryBootDisks", ())
        }
        lost = tuple(f"zones/{zone}" for zone in answer.get("missingZones", ()))
        return Listing(tuple(sorted(links)), lost)

    def service_time(self) -> float:
        """The service's own clock, in seconds since 1970; this machine's where it is not told."""
        project = quote(self._transport.project, safe=":")
        said = self._transport.date("compute", f"/compute/v1/projects/{project}")
        return self.clock.time() if said is None else said

    def _pages(self, kind: MarkedKind, project: str, wanted: str) -> list[Json]:
        scope = "aggregated" if kind in {"instance", "disk"} else "global"
        path = f"/compute/v1/projects/{quote(project, safe=':')}/{scope}/{PLURAL[kind]}"
        query = {"returnPartialSuccess": "true", **({"filter": wanted} if wanted else {})}
        pages: list[Json] = []
        while True:
            page = self._transport.rest("compute", "GET", path, params=query)
            pages.append(page)
            if not page.get("nextPageToken"):
                return pages
            query = {**query, "pageToken": page["nextPageToken"]}


def _listed(pages: list[Json], plural: str) -> Listing[Json]:
    """Rows of all pages and scopes; regional ones are left out, since no bake makes any."""
    rows: list[Json] = []
    lost: set[str] = set()
    for page in pages:
        lost.update(str(place) for place in page.get("unreachables", ()))
        lost.update(_warned("the list", page))
        items = page.get("items", ())
        if not isinstance(items, Mapping):
            rows += items
            continue
        for scope, found in items.items():
            lost.update(_warned(scope, found))
            rows += found.get(plural, ()) if scope.startswith("zones/") else ()
    return Listing(tuple(rows), tuple(sorted({_place(name) for name in lost})))


def _warned(scope: str, found: Json) -> Iterator[str]:
    code = found.get("warning", {}).get("code", _EMPTY)
    if code != _EMPTY:
        yield scope


def _place(name: str) -> str:
    return f"zones/{last(name)}" if "/zones/" in f"/{name}" else name


def _marked(kind: MarkedKind, project: str, row: Json) -> Marked:
    return Marked(
        kind=kind,
        project=project,
        place=last(row["zone"]) if "zone" in row else "global",
        name=row["name"],
        id=str(row["id"]),
        status=row.get("status", ""),
        labels=dict(row.get("labels", {})),
        created=datetime.fromisoformat(row["creationTimestamp"]).timestamp(),
        max_run_seconds=int(row.get("scheduling", {}).get("maxRunDuration", {}).get("seconds", 0)),
        users=tuple(last(user) for user in row.get("users", ())),
        family=row.get("family", ""),
        obsolete=row.get("deprecated", {}).get("state", "ACTIVE") != "ACTIVE",
        size_gib=_gib(row),
        type=last(row.get("type", "")),
    )


def _gib(row: Json) -> int:
    """An image is paid for by what is stored of it, a disk by its size."""
    if "archiveSizeBytes" in row:
        return -(-int(row["archiveSizeBytes"]) // 2**30)
    return int(row.get("sizeGb") or row.get("diskSizeGb") or 0)


def _operation(found: Marked, scope: str, row: Json) -> Operation:
    errors = row.get("error", {}).get("errors", ())
    return Operation(
        project=found.project,
        scope=scope,
        name=row["name"],
        what=f"{PLURAL[found.kind]}.delete {found.name}",
        done=row.get("status") == "DONE",
        errors=tuple(OperationError(it.get("code", ""), it.get("message", "")) for it in errors),
        http_status=int(row.get("httpErrorStatusCode", 0)),
        http_message=row.get("httpErrorMessage", ""),
        target_id=str(row.get("targetId", "")),
    )
