"""Cloud Logging, over its REST API:
https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pylib.cloud.gcp.transport import Transport


class LogCalls:
    """:class:`pylib.cloud.logs.Logs` over REST."""

    _transport: Transport

    def logged(self, which: str, most: int) -> tuple[str, ...]:
        """Messages that the filter ``which`` finds, ``most`` at most, the newest first."""
        asked: dict[str, Any] = {
            "resourceNames": [f"projects/{self._transport.project}"],
            "filter": which,
            "orderBy": "timestamp desc",
            "pageSize": most,
        }
        found: list[str] = []
        while True:
            page = self._transport.rest("logging", "POST", "/v2/entries:list", json=asked)
            found += [_message(entry) for entry in page.get("entries", ())]
            token = page.get("nextPageToken")
            # A page may be empty, and the next one not: the service stops after a time.
            if not token or len(found) >= most:
                return tuple(found[:most])
            asked["pageToken"] = token


def _message(entry: Mapping[str, Any]) -> str:
    """The text of an entry, in whichever field its writer put it."""
    payload = entry.get("jsonPayload") or {}
    return str(entry.get("textPayload") or payload.get("MESSAGE") or payload.get("message") or "")
