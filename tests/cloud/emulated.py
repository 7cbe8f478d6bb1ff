"""An emulator under test, and a client of it that is nothing but HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pylib.emulator import Emulator, ManualClock

PROJECT = "demo-project"
ZONE = "us-central1-a"
AT = f"/compute/v1/projects/{PROJECT}"
ZONAL = f"{AT}/zones/{ZONE}"
GLOBAL = f"{AT}/global"
DISK_PATH = f"projects/{PROJECT}/zones/{ZONE}/disks"
VM_PATH = f"projects/{PROJECT}/zones/{ZONE}/instances"
SECONDS = 20.0

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of one answer; ``doc`` is the body's JSON."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def doc(self) -> Json:
        """The body as JSON."""
        doc: Json = json.loads(self.raw)
        return doc

    @property
    def refusal(self) -> tuple[int, str, str]:
        """Status, reason and message of a refusal."""
        error = self.doc["error"]
        assert error["code"] == self.status
        return self.status, error["errors"][0]["reason"], error["message"]


class Raw:
    """Speaks HTTP to one address."""

    def __init__(self, address: str) -> None:
        self._address = address.removeprefix("http://")

    def send(
        self,
        verb: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """The answer to one request; ``body`` is JSON, or bytes as they are."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        target = f"{path}?{urlencode(query)}" if query else path
        connection = http.client.HTTPConnection(self._address, timeout=SECONDS)
        try:
            connection.request(verb, target, raw, sent)
            with connection.getresponse() as response:
                return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Json:
        """What is at the path."""
        answer = self.send("GET", path, **query)
        assert answer.status == 200, answer.raw
        return answer.doc

    def post(self, path: str, body: Any = None, **query: Any) -> Json:
        """What a change that is taken answers."""
        answer = self.send("POST", path, body, **query)
        assert answer.status == 200, answer.raw
        return answer.doc

    def wait(self, operation: Json) -> Json:
        """The operation when it has ended."""
        path = operation["selfLink"].partition("googleapis.com")[2]
        return self.post(f"{path}/wait")

    def done(self, verb: str, path: str, body: Any = None, **query: Any) -> Json:
        """The operation of a change, ended without an error."""
        answer = self.send(verb, path, body, **query)
        assert answer.status == 200, answer.raw
        operation = self.wait(answer.doc)
        assert operation["status"] == "DONE"
        assert "error" not in operation, operation["error"]
        return operation

    def disk(self, name: str = "data", **body: Any) -> Json:
        """A new disk."""
        asked = {"name": name, "sizeGb": "10", "type": f"zones/{ZONE}/diskTypes/pd-ssd", **body}
        self.done("POST", f"{ZONAL}/disks", asked)
        return self.get(f"{ZONAL}/disks/{name}")

    def vm(self, name: str = "vm", **body: Any) -> Json:
        """A new VM that runs."""
        self.done("POST", f"{ZONAL}/instances", vm_body(name, **body))
        return self.get(f"{ZONAL}/instances/{name}")

    def image(self, name: str = "image", disk: str = "data", **body: Any) -> Json:
        """A new image of a disk."""
        asked = {"name": name, "sourceDisk": f"zones/{ZONE}/disks/{disk}", **body}
        self.done("POST", f"{GLOBAL}/images", asked)
        return self.get(f"{GLOBAL}/images/{name}")


def put_objects(raw: Raw, project: str, bucket: str, files: Mapping[str, bytes]) -> None:
    """Fill a bucket, which is made first where it is not there."""
    raw.send("POST", "/storage/v1/b", {"name": bucket}, project=project)
    for name, content in files.items():
        path = f"/upload/storage/v1/b/{bucket}/o"
        answer = raw.send("POST", path, content, {}, uploadType="media", name=name)
        assert answer.status == 200, answer.raw


BOOT: Json = {
    "boot": True,
    "autoDelete": True,
    "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"},
}


def data_disk(name: str = "data", **how: Any) -> Json:
    """How a VM's body names an existing disk."""
    return {"source": f"zones/{ZONE}/disks/{name}", "deviceName": name, **how}


def vm_body(name: str = "vm", disks: tuple[Json, ...] = (), **body: Any) -> Json:
    """What makes a VM with those data disks."""
    return {
        "name": name,
        "machineType": f"zones/{ZONE}/machineTypes/e2-standard-2",
        "disks": [BOOT, *disks],
        "networkInterfaces": [{"network": "global/networks/default"}],
        **body,
    }


@dataclass
class Bench:
    """An emulator with simulated guests on a clock that the test moves, and its raw client."""

    emulator: Emulator
    raw: Raw
    clock: ManualClock


@contextmanager
def started(folder: Path, **how: Any) -> Iterator[Bench]:
    """A bench in ``folder``."""
    clock = how.pop("clock", None) or ManualClock()
    how.setdefault("guest", "simulated")
    with Emulator(folder, clock=clock, **how) as emulator:
        yield Bench(emulator, Raw(emulator.url), clock)
