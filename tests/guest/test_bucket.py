"""Cloud Storage as a source: listing, ranges, checksums, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from download.common import RemoteFile
from hypothesis import given
from hypothesis import strategies as st

from pylib.guest.payload import ranges
from pylib.guest.payload.bucket import Bucket
from pylib.guest.payload.caller import Caller
from pylib.guest.payload.crc32c import combined, crc32c, encoded
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.listing import listing_digest
from pylib.guest.payload.weights_job import WeightsJob
from tests.guest.google import Answer, Google, Object, slow_crc32c
from tests.guest.models import noise

SOURCE = "gs://models/google/gemma"
Listed = list[tuple[str, int, str]]


def job(google: Google, **more: Any) -> WeightsJob:
    """A job that reads from the server."""
    return WeightsJob("n", source=SOURCE, endpoints={"storage": google.url}, **more)


def put(google: Google, **more: bytes) -> dict[str, bytes]:
    """A few objects, and some that are not the model's."""
    files = {"a.bin": noise(1, 300_000), "sub dir/ü.json": b"{}", "empty": b""}
    files |= more
    for path, content in files.items():
        google.put(f"models/google/gemma/{path}", content)
    google.put("models/google/gemma-it/other", b"x")
    google.put("models/google/gemma/", b"")
    google.put("models/google/gemma/sub dir/", b"")
    return files


def fetched(google: Google, folder: Path, **more: Any) -> dict[str, bytes]:
    """What lies in the folder after everything was fetched."""
    bucket = Bucket(job(google, **more))
    bucket.fetch(bucket.files(), folder, lambda _: None)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@given(st.lists(st.tuples(st.text(), st.integers(0, 1 << 40), st.text("0123456789")), max_size=5))
def test_a_listing_has_one_digest_whatever_its_order_and_folders(listed: Listed) -> None:
    placeholders: Listed = [("", 0, "1"), ("sub/", 0, "2")]
    same = [*placeholders, *reversed(listed)]
    assert listing_digest(same) == listing_digest(listed)
    assert listing_digest([*listed, ("new", 1, "3")]) != listing_digest(listed)


@pytest.mark.parametrize("changed", [("b", 5, "7"), ("a", 6, "7"), ("a", 5, "8"), ("a/", 5, "7")])
def test_whatever_changes_changes_the_digest(changed: tuple[str, int, str]) -> None:
    assert listing_digest([changed]) != listing_digest([("a", 5, "7")])


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_the_sum_of_a_whole_comes_from_the_sums_of_its_parts(first: bytes, second: bytes) -> None:
    one, two = (crc32c(bytearray(it) or bytearray(1), len(it)) for it in (first, second))
    assert one == slow_crc32c(first)
    assert combined(one, two, len(second)) == slow_crc32c(first + second)


def test_the_check_value_of_the_catalogue_comes_out() -> None:
    """https://reveng.sourceforge.io/crc-catalogue/all.htm CRC-32/ISCSI."""
    assert crc32c(bytearray(b"123456789"), 9) == 0xE3069283
    assert encoded(0xE3069283) == "4waSgw=="


def test_only_the_objects_below_the_folder_come_and_every_page(
    google: Google, tmp_path: Path
) -> None:
    google.page = 2
    files = put(google)
    assert fetched(google, tmp_path) == files
    assert sum("/o?" in target for target in google.asked) == 3


def test_a_large_file_comes_in_ranges_from_several_processes(
    google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE", 10_000)
    monkeypatch.setattr(ranges, "_BUFFER", 4096)
    google.private = True
    files = put(google)
    assert fetched(google, tmp_path, auth="service-account") == files
    media = [target for target in google.asked if "a.bin?alt=media" in target]
    assert len(media) == 30
    assert len(google.tokens) > 2, "each process has its own"


@pytest.mark.fault("G11")
@pytest.mark.parametrize("start", [(2 << 30) - 5, (5 << 30) + 1])
def test_a_range_far_into_a_file_lands_there(google: Google, tmp_path: Path, start: int) -> None:
    class Far(bytes):
        """What a server holds of which only one range is asked for."""

        def __getitem__(self, part: Any) -> Any:
            return b"0123456789"[: part.stop - part.start]

        def __len__(self) -> int:
            return start + 10

    google.objects["models/google/gemma/f"] = Object(Far(), "1", "")
    file = tmp_path / "f"
    file.touch()
    url = f"{google.url}/storage/v1/b/models/o/google%2Fgemma%2Ff?alt=media&generation=1"
    target = ranges.Target(url, file, start + 10)
    worker = ranges.Worker(Caller(with_account=False), str, lambda _: None)
    assert worker.fetch(ranges.Part(target, start, start + 10)) == slow_crc32c(b"0123456789")
    with file.open("rb") as opened:
        opened.seek(start)
        assert opened.read() == b"0123456789"


def test_the_bytes_done_are_told(google: Google, tmp_path: Path) -> None:
    files = put(google)
    told: list[Callable[[], int]] = []
    bucket = Bucket(job(google))
    bucket.fetch(bucket.files(), tmp_path, told.append)
    assert [done() for done in told] == [sum(len(content) for content in files.values())]


@pytest.mark.fault("G8")
def test_a_cut_range_is_taken_up_where_it_ended(google: Google, tmp_path: Path) -> None:
    files = put(google)
    cuts = [30_000 * number for number in range(10)]  # more than tries, but each brings some

    def cut(target: str, answer: Answer) -> Answer:
        return replace(answer, cut=cuts.pop()) if "a.bin?alt" in target and cuts else answer

    google.unkind = cut
    assert fetched(google, tmp_path) == files
    assert cuts == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_service_that_is_busy_is_asked_again(google: Google, tmp_path: Path, status: int) -> None:
    files = put(google)
    refused = [0]

    def busy(target: str, answer: Answer) -> Answer:
        refused[0] += 1
        return Answer(status) if refused[0] % 3 else answer

    google.unkind = busy
    assert fetched(google, tmp_path) == files


def test_a_service_that_stays_away_is_named(google: Google, tmp_path: Path) -> None:
    put(google)
    google.unkind = lambda target, answer: Answer(503) if "alt=media" in target else answer
    with pytest.raises(GuestError, match=r"alt=media.*: nothing comes after 7 tries: status 503"):
        fetched(google, tmp_path)
    google.unkind = lambda _target, _answer: Answer(503)
    with pytest.raises(GuestError, match="Cloud Storage answers 503"):
        fetched(google, tmp_path / "more")


@pytest.mark.fault("G9")
def test_other_bytes_than_were_stored_are_refused(google: Google, tmp_path: Path) -> None:
    put(google)

    def flip(target: str, answer: Answer) -> Answer:
        body = answer.body[:-1] + bytes([answer.body[-1] ^ 1]) if "a.bin?alt" in target else b""
        return replace(answer, body=body) if body else answer

    google.unkind = flip
    with pytest.raises(GuestError, match=r"gemma/a.bin: the 300000 bytes that came have CRC32C"):
        fetched(google, tmp_path)


def test_a_range_that_was_not_asked_for_is_refused(google: Google, tmp_path: Path) -> None:
    put(google)
    span = {"Content-Range": "bytes 1-300000/300000"}

    def shift(target: str, answer: Answer) -> Answer:
        return replace(answer, headers=span) if "a.bin?alt" in target else answer

    google.unkind = shift
    with pytest.raises(GuestError, match="asked for bytes 0 to 299999, what comes is bytes 1-"):
        fetched(google, tmp_path)


@pytest.mark.fault("G8")
def test_an_object_that_is_replaced_under_way_is_not_mixed(google: Google, tmp_path: Path) -> None:
    put(google)
    bucket = Bucket(job(google))
    files = bucket.files()
    google.put("models/google/gemma/a.bin", b"new", generation="1700000000000002")
    with pytest.raises(GuestError, match="or an object changed since it was listed"):
        bucket.fetch(files, tmp_path, lambda _: None)


@pytest.mark.fault("G8")
def test_objects_that_changed_since_the_plan_are_refused(google: Google, tmp_path: Path) -> None:
    files = put(google)
    digest = listing_digest((path, len(it), "1700000000000001") for path, it in files.items())
    assert fetched(google, tmp_path, listing=digest) == files
    google.put("models/google/gemma/a.bin", files["a.bin"], generation="1700000000000002")
    with pytest.raises(GuestError) as caught:
        Bucket(job(google, listing=digest)).files()
    assert str(caught.value) == f"the objects below {SOURCE} changed since the bake began"


def test_a_refusal_names_the_role_and_a_missing_bucket_is_told(google: Google) -> None:
    put(google)
    google.private = True
    with pytest.raises(GuestError, match="it is not public: bake with a --service-account that"):
        Bucket(job(google)).files()
    google.unkind = lambda _target, _answer: Answer(403)
    with pytest.raises(GuestError, match=r"role roles/storage.objectViewer on the bucket, and"):
        Bucket(job(google, auth="service-account")).files()
    google.unkind = lambda _target, _answer: Answer(404)
    with pytest.raises(GuestError, match="answers 404: there is no such bucket"):
        Bucket(job(google, auth="service-account")).files()


@pytest.mark.fault("G8")
def test_a_token_that_ends_is_renewed(
    google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE", 10_000)
    google.private, google.lifetime = True, 1
    files = put(google)
    assert fetched(google, tmp_path / "a", auth="service-account") == files
    assert len(google.tokens) == sum("/storage/" in target for target in google.asked)
    google.lifetime = 3599

    def expire(target: str, answer: Answer) -> Answer:
        if "/o?" in target:
            google.refused_tokens |= {google.tokens[-1]}
            google.page = 1000
        return answer

    google.page, google.unkind = 1, expire
    assert fetched(google, tmp_path / "b", auth="service-account") == files


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"items": [{"size": "1"}]}'])
def test_what_is_no_listing_is_told(google: Google, body: bytes) -> None:
    google.unkind = lambda _target, _answer: Answer(body=body)
    with pytest.raises(GuestError, match="Cloud Storage answers no listing: "):
        Bucket(job(google)).files()


def test_what_comes_otherwise_than_it_is_stored_is_refused(google: Google) -> None:
    put(google)
    google.objects["models/google/gemma/a.bin"].encoding = "gzip"
    with pytest.raises(GuestError, match=r"a.bin is stored with Content-Encoding gzip: upload"):
        Bucket(job(google)).files()


def test_an_object_without_a_sum_is_not_believed(google: Google, tmp_path: Path) -> None:
    put(google)
    google.objects["models/google/gemma/a.bin"].crc32c = ""
    with pytest.raises(GuestError, match="not one that Cloud Storage knows"):
        fetched(google, tmp_path)


def test_files_that_are_there_already_are_not_overwritten(google: Google, tmp_path: Path) -> None:
    put(google)
    bucket = Bucket(job(google))
    bucket.files()
    (tmp_path / "a.bin").touch()
    with pytest.raises(FileExistsError):
        bucket.fetch([RemoteFile("a.bin", 300_000)], tmp_path, lambda _: None)
