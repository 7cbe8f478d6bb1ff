"""Cloud Storage, over its JSON API: logs go there, models lie there."""

from __future__ import annotations

from urllib.parse import quote

from pylib.cloud.gcp.transport import Transport
from pylib.cloud.records import StoredObject

_FIELDS = "items(name,size,generation),nextPageToken"


class StorageCalls:
    """The part of :class:`pylib.cloud.api.Cloud` that is Cloud Storage's."""

    _transport: Transport

    def put_object(self, bucket: str, name: str, text: str) -> None:
        """Write one object into a bucket."""
        self._transport.rest(
            "storage",
            "POST",
            f"/upload/storage/v1/b/{quote(bucket, safe='')}/o",
            params={"uploadType": "media", "name": name},
            data=text.encode(),
        )

    def objects(self, bucket: str, prefix: str) -> tuple[StoredObject, ...]:
        """Objects of a bucket whose names begin with ``prefix``, all pages."""
        path, found = f"/storage/v1/b/{quote(bucket, safe='')}/o", []
        params = {"prefix": prefix, "fields": _FIELDS}
        while True:
            page = self._transport.rest("storage", "GET", path, params=params)
            found += [
                StoredObject(item["name"], int(item.get("size", 0)), str(item["generation"]))
                for item in page.get("items", ())
            ]
            token = page.get("nextPageToken")
            if not token:
                return tuple(found)
            params = {**params, "pageToken": token}
