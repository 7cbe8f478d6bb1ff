"""Buckets and objects on the emulator: as much as logs and models need."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from pylib.emulator.errors import Json
from tests.cloud.emulated import PROJECT, Bench, Raw

BUCKETS = "/storage/v1/b"
LOGS = f"{BUCKETS}/logs-bucket"
UPLOAD = f"/upload{LOGS}/o"


@pytest.fixture
def bucket(raw: Raw) -> Raw:
    """A project with a bucket."""
    raw.post(BUCKETS, {"name": "logs-bucket", "location": "us-central1"}, project=PROJECT)
    return raw


def test_a_bucket_is_made_once_and_found(bucket: Raw) -> None:
    found = bucket.get(LOGS)
    assert (found["name"], found["location"]) == ("logs-bucket", "US-CENTRAL1")
    assert bucket.get(BUCKETS, project=PROJECT)["items"] == [found]
    assert bucket.get(BUCKETS, project="other")["items"] == []
    again = bucket.send("POST", BUCKETS, {"name": "logs-bucket"}, project=PROJECT)
    assert again.refusal[:2] == (409, "conflict")


@pytest.mark.parametrize("name", ["UPPER", "ab", "-a-b", "a" * 64, "goog-mine", ""])
def test_a_bucket_has_a_name_that_storage_takes(raw: Raw, name: str) -> None:
    refusal = raw.send("POST", BUCKETS, {"name": name}, project=PROJECT).refusal
    assert refusal == (400, "invalid", f"Invalid bucket name: '{name}'")


def test_a_bucket_needs_a_project_and_a_permission(emulated: Bench) -> None:
    refusal = emulated.raw.send("POST", BUCKETS, {"name": "logs-bucket"}).refusal
    assert refusal == (400, "required", "Required parameter: project")
    emulated.emulator.change(denied=frozenset({"storage.buckets.create"}))
    answer = emulated.raw.send("POST", BUCKETS, {"name": "logs-bucket"}, project=PROJECT)
    assert answer.refusal[:2] == (403, "forbidden")


def test_an_object_is_written_read_listed_and_deleted(bucket: Raw) -> None:
    headers = {"Content-Type": "text/plain"}
    written = bucket.send(
        "POST", UPLOAD, b"baked", headers, uploadType="media", name="2026/bake log.txt"
    ).doc
    assert (written["size"], written["contentType"]) == ("5", "text/plain")
    path = f"{LOGS}/o/2026%2Fbake%20log.txt"
    assert bucket.get(path) == written
    content = bucket.send("GET", path, alt="media")
    assert (content.raw, content.headers["Content-Type"]) == (b"baked", "text/plain")
    assert bucket.send("GET", f"/download{path}", alt="media").raw == b"baked"
    assert bucket.get(f"{LOGS}/o", prefix="2026/")["items"] == [written]
    assert "items" not in bucket.get(f"{LOGS}/o", prefix="2027/")
    assert bucket.send("DELETE", LOGS).refusal[2] == (
        "The bucket you tried to delete is not empty."
    )
    assert bucket.send("DELETE", path).status == 204
    assert bucket.send("GET", path).refusal == (
        404,
        "notFound",
        "No such object: logs-bucket/2026/bake log.txt",
    )
    assert bucket.send("DELETE", path).status == 404
    assert bucket.send("DELETE", LOGS).status == 204
    assert bucket.send("GET", LOGS).refusal[2] == "The specified bucket does not exist."


def test_an_object_comes_in_two_parts(bucket: Raw) -> None:
    about = json.dumps({"name": "a.bin", "contentType": "application/x-own"}).encode()
    body = (
        b"--=cut=\r\nContent-Type: application/json\r\n\r\n" + about + b"\r\n"
        b"--=cut=\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        b"\x00raw\xff\r\n--=cut=--"
    )
    headers = {"Content-Type": "multipart/related; boundary='=cut='".replace("'", '"')}
    written = bucket.send("POST", UPLOAD, body, headers, uploadType="multipart").doc
    assert (written["name"], written["contentType"]) == ("a.bin", "application/x-own")
    assert bucket.send("GET", f"{LOGS}/o/a.bin", alt="media").raw == b"\x00raw\xff"


def test_an_upload_that_is_not_whole_is_refused(bucket: Raw) -> None:
    headers = {"Content-Type": "multipart/related; boundary=x"}
    refusal = bucket.send("POST", UPLOAD, b"--x--", headers, uploadType="multipart").refusal
    assert refusal == (400, "badRequest", "Malformed multipart body.")
    assert bucket.send("POST", UPLOAD, b"a", uploadType="media").refusal[2] == (
        "Required parameter: name"
    )
    assert bucket.send("POST", UPLOAD, b"a", uploadType="resumable", name="a").status == 501
    elsewhere = f"/upload{BUCKETS}/no-bucket/o"
    answer = bucket.send("POST", elsewhere, b"a", uploadType="media", name="a")
    assert answer.status == 404


def test_an_object_is_written_if_its_generation_is_as_expected(bucket: Raw) -> None:
    first = bucket.send("POST", UPLOAD, b"1", name="a", ifGenerationMatch="0").doc
    answer = bucket.send("POST", UPLOAD, b"2", name="a", ifGenerationMatch="0")
    assert answer.refusal[:2] == (412, "conditionNotMet")
    generation = first["generation"]
    assert bucket.send("POST", UPLOAD, b"3", name="a", ifGenerationMatch=generation).status == 200
    assert bucket.send("GET", f"{LOGS}/o/a", alt="media").raw == b"3"


def test_a_bucket_has_a_policy(bucket: Raw) -> None:
    policy = bucket.get(f"{LOGS}/iam")
    policy["bindings"] = [{"role": "roles/storage.objectViewer", "members": ["user:a@b.c"]}]
    assert bucket.send("PUT", f"{LOGS}/iam", policy).status == 200
    assert bucket.get(f"{LOGS}/iam")["bindings"] == policy["bindings"]
    assert bucket.send("PUT", f"{LOGS}/iam", policy).refusal[:2] == (409, "aborted")


def test_an_object_needs_a_permission(emulated: Bench, bucket: Raw) -> None:
    emulated.emulator.change(denied=frozenset({"storage.objects.create"}))
    assert bucket.send("POST", UPLOAD, b"a", name="a").refusal[:2] == (403, "forbidden")


def _write(bucket: Raw, name: str, content: bytes) -> Json:
    return bucket.send("POST", UPLOAD, content, {}, uploadType="media", name=name).doc


def test_an_object_has_the_sums_that_storage_keeps(bucket: Raw) -> None:
    # The check value of CRC-32C in RFC 3720, appendix B.4: 32 bytes of zeros.
    written = _write(bucket, "zeros", bytes(32))
    assert written["crc32c"] == base64.b64encode(bytes.fromhex("8a9136aa")).decode()
    assert (
        written["md5Hash"]
        == base64.b64encode(hashlib.md5(bytes(32), usedforsecurity=False).digest()).decode()
    )


@pytest.mark.parametrize(
    ("asked", "status", "content", "span"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=10-11", 416, b"Requested range not satisfiable", "bytes */10"),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_a_range_of_an_object_is_read(
    bucket: Raw, asked: str, status: int, content: bytes, span: str | None
) -> None:
    _write(bucket, "digits", b"0123456789")
    found = bucket.send("GET", f"{LOGS}/o/digits", None, {"Range": asked}, alt="media")
    assert (found.status, found.raw, found.headers.get("Content-Range")) == (status, content, span)


def test_a_generation_that_is_gone_is_not_found(bucket: Raw) -> None:
    first = _write(bucket, "o", b"1")["generation"]
    second = _write(bucket, "o", b"2")["generation"]
    path = f"{LOGS}/o/o"
    assert bucket.send("GET", path, alt="media", generation=second).raw == b"2"
    assert bucket.send("GET", path, alt="media", generation=first).refusal[:2] == (404, "notFound")


def test_objects_are_listed_by_pages_in_the_order_of_their_names(bucket: Raw) -> None:
    for name in ("m/b", "m/a", "m/c", "other"):
        _write(bucket, name, b"x")
    first = bucket.get(f"{LOGS}/o", prefix="m/", maxResults="2")
    assert [item["name"] for item in first["items"]] == ["m/a", "m/b"]
    rest = bucket.get(f"{LOGS}/o", prefix="m/", maxResults="2", pageToken=first["nextPageToken"])
    assert [item["name"] for item in rest["items"]] == ["m/c"]
    assert "nextPageToken" not in rest
