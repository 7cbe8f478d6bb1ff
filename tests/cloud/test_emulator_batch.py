"""Several calls in one request, as gcloud sends them."""

from __future__ import annotations

import pytest

from pylib.emulator import Fault
from tests.cloud.emulated import AT, Bench

HEADERS = {"Content-Type": 'multipart/mixed; boundary="cut"'}


def _part(number: int, request: str) -> str:
    head = f"Content-Type: application/http\r\nContent-ID: <part+{number}>\r\n"
    return f"--cut\r\n{head}\r\n{request}\r\n"


def _batch(bench: Bench, *requests: str, path: str = "/batch/compute/v1") -> str:
    body = "".join(_part(number, one) for number, one in enumerate(requests)) + "--cut--\r\n"
    answer = bench.raw.send("POST", path, body.encode(), HEADERS)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("multipart/mixed; boundary=")
    return answer.raw.decode()


@pytest.mark.parametrize("path", ["/batch", "/batch/compute/v1"])
def test_each_part_has_its_own_answer(emulated: Bench, path: str) -> None:
    text = _batch(
        emulated,
        f"GET {AT}/zones/us-central1-a HTTP/1.1\r\naccept: application/json\r\n\r\n",
        f"GET {AT}/zones/mars-1-a HTTP/1.1\r\n\r\n",
        f"POST {AT}/zones/us-central1-a/disks HTTP/1.1\r\n"
        'content-type: application/json\r\n\r\n{"name": "data", "sizeGb": "10"}',
        path=path,
    )
    assert "Content-ID: <response-part+0>\r\n\r\nHTTP/1.1 200 OK" in text
    assert "Content-ID: <response-part+1>\r\n\r\nHTTP/1.1 400 Bad Request" in text
    assert "Content-ID: <response-part+2>\r\n\r\nHTTP/1.1 200 OK" in text
    methods = [entry.method for entry in emulated.emulator.journal()]
    assert methods == ["compute.zones.get", "compute.zones.get", "compute.disks.insert"]


def test_a_batch_of_nothing_is_answered_with_nothing(emulated: Bench) -> None:
    answer = emulated.raw.send("POST", "/batch", b"x", {"Content-Type": "text/plain"})
    assert answer.raw == b"--batch_emulator--\r\n"


def test_a_dropped_part_drops_the_batch(emulated: Bench) -> None:
    emulated.emulator.faults.add(Fault("compute.regions.list", "drop-before"))
    with pytest.raises(ConnectionError):
        _batch(emulated, f"GET {AT}/regions HTTP/1.1\r\n\r\n")
