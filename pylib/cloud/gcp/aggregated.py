"""Lists over all zones, page by page, that one zone out of reach does not spoil.

By hand: the request types of google-cloud-compute 1.57.0 have no ``returnPartialSuccess``, without
which the service answers 503 as long as any zone is away.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any, TypeVar

from google.cloud import compute_v1 as gce

from pylib.cloud.gcp.translate import translated
from pylib.cloud.gcp.transport import Transport

List = TypeVar("List", gce.DiskAggregatedList, gce.InstanceAggregatedList)


def aggregated(
    transport: Transport, kind: str, label: tuple[str, str], message: type[List]
) -> list[List]:
    """Every page of the resources of ``kind`` (``disks``, ``instances``) with this label."""
    what = f"{kind}.aggregatedList"
    path = f"/compute/v1/projects/{transport.project}/aggregated/{kind}"
    params = {"filter": f'labels.{label[0]}="{label[1]}"', "returnPartialSuccess": "true"}
    pages: list[List] = []
    while True:
        body = json.dumps(transport.rest("compute", "GET", path, params=params, what=what))
        page = translated(what, partial(_parsed, message, body))
        pages.append(page)
        if not page.next_page_token:
            return pages
        params["pageToken"] = page.next_page_token


def _parsed(message: type[List], body: str) -> List:
    found: List = message.from_json(body, ignore_unknown_fields=True)
    return found


def scopes(pages: list[Any]) -> list[tuple[str, Any]]:
    """(place, what is there) of all pages."""
    return [(name, scope) for page in pages for name, scope in page.items.items()]


def unreachable(pages: list[Any]) -> tuple[str, ...]:
    """Places that gave no answer; an empty place says so with a warning of another code."""
    warned = {name for name, scope in scopes(pages) if scope.warning.code == "UNREACHABLE"}
    named = {str(place) for page in pages for place in page.unreachables}
    return tuple(sorted(warned | named))
