"""Cloud Storage as a source: the objects below ``gs://bucket/dir/name``, by its JSON API.

https://cloud.google.com/storage/docs/json_api/v1/objects/list and …/get
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from download.common import RemoteFile

from pylib.guest.payload import ranges
from pylib.guest.payload.caller import Caller
from pylib.guest.payload.crc32c import encoded
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.listing import is_placeholder, listing_digest
from pylib.guest.payload.ranges import Begin, Target
from pylib.guest.payload.weights_job import WeightsJob

_FIELDS = "nextPageToken,items(name,size,generation,crc32c,contentEncoding)"


@dataclass(frozen=True)
class Stored:
    """An object as it was listed: path below the model's folder, size in bytes."""

    path: str
    size: int
    generation: str
    crc32c: str


class Bucket:
    """The source of a job; reads the generations that it listed, and no others."""

    def __init__(self, job: WeightsJob) -> None:
        self.uri = job.source.rstrip("/")
        self._listing = job.listing
        self._with_account = job.auth == "service-account"
        bucket, _, folder = self.uri.removeprefix("gs://").partition("/")
        self._prefix = f"{folder}/"
        self._url = f"{job.endpoints['storage'].rstrip('/')}/storage/v1/b/{quote(bucket)}/o"
        self._stored: dict[str, Stored] = {}

    def files(self) -> list[RemoteFile]:
        """Every object but those that stand for folders.

        Raises :class:`GuestError` when they are not those of the job's listing.
        """
        try:
            items = [self._parsed(item) for item in self._items()]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise GuestError(f"{self.uri}: Cloud Storage answers no listing: {error!r}") from None
        found = [item for item in items if not is_placeholder(item.path, item.size)]
        digest = listing_digest((item.path, item.size, item.generation) for item in found)
        if self._listing not in {"", digest}:
            raise GuestError(f"the objects below {self.uri} changed since the bake began")
        self._stored = {item.path: item for item in found}
        return [RemoteFile(item.path, item.size) for item in found]

    def fetch(self, files: Sequence[RemoteFile], folder: Path, begin: Begin) -> None:
        """Bring ``files`` below ``folder`` in ranges side by side, and compare each one's CRC32C.

        ``begin`` is given who counts the bytes.  Raises :class:`GuestError` and :class:`OSError`.
        """
        wanted = [self._stored[file.path] for file in files]
        targets = [Target(self._media(item), folder / item.path, item.size) for item in wanted]
        sums = ranges.fetch(targets, partial(Caller, self._with_account), self.meaning, begin)
        for item, crc in zip(wanted, sums, strict=True):
            if encoded(crc) != item.crc32c:
                raise GuestError(
                    f"{self.uri}/{item.path}: the {item.size} bytes that came have CRC32C "
                    f"{encoded(crc)}, not {item.crc32c or 'one that Cloud Storage knows'}"
                )

    def meaning(self, status: int) -> str:
        """What a refusal is about, and what to do."""
        if status in {401, 403} and self._with_account:
            return (
                f"{self.uri}: Cloud Storage answers {status}: give the VM's service account the "
                "role roles/storage.objectViewer on the bucket, and the VM the scope "
                "devstorage.read_only or cloud-platform"
            )
        if status in {401, 403}:
            return (
                f"{self.uri}: Cloud Storage answers {status}, it is not public: bake with a "
                "--service-account that has the role roles/storage.objectViewer on the bucket"
            )
        if status == 404:
            return (
                f"{self.uri}: Cloud Storage answers 404: there is no such bucket, or an object "
                "changed since it was listed"
            )
        return f"{self.uri}: Cloud Storage answers {status}"

    def _items(self) -> Iterator[dict[str, Any]]:
        query = {"prefix": self._prefix, "fields": _FIELDS, "maxResults": "1000"}
        caller = Caller(self._with_account)
        while True:
            status, body = caller.read(f"{self._url}?{urlencode(query)}")
            if status != 200:
                raise GuestError(self.meaning(status))
            page = json.loads(body)
            yield from page.get("items", [])
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def _parsed(self, item: dict[str, Any]) -> Stored:
        path = str(item["name"]).removeprefix(self._prefix)
        if item.get("contentEncoding", "identity") not in {"", "identity"}:
            # https://cloud.google.com/storage/docs/transcoding: what comes is not what is kept
            raise GuestError(
                f"{self.uri}/{path} is stored with Content-Encoding {item['contentEncoding']}: "
                "upload it again without"
            )
        size = int(item.get("size", 0))
        return Stored(path, size, str(item["generation"]), str(item.get("crc32c", "")))

    def _media(self, item: Stored) -> str:
        name = quote(self._prefix + item.path, safe="")
        return f"{self._url}/{name}?alt=media&generation={item.generation}"
