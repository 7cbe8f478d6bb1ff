"""Cloud Storage as a source, where others wrote both the server and the program that uploads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pylib.guest.payload import ranges
from pylib.guest.payload.bucket import Bucket
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.listing import listing_digest
from pylib.guest.payload.weights_job import WeightsJob
from tests.guest.gcs import Storage, storage, why_not
from tests.guest.models import model, noise, place

REASON = why_not()
pytestmark = [
    pytest.mark.skipif(bool(REASON), reason=REASON),
    pytest.mark.usefixtures("closed"),
]
FILES = {**model(), "large.bin": noise(1, 9 << 20), "empty.txt": b"", "a b/größe.json": b"{}"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A bucket with a model, and another whose name begins alike."""
    folder = tmp_path_factory.mktemp("gcs")
    place(FILES, folder / "model")
    with storage(folder) as one:
        one.upload(folder / "model", "gs://models/google/gemma/")
        one.upload(folder / "model" / "sub", "gs://models/google/gemma-it/")
        yield one


def bucket(store: Storage, listing: str = "") -> Bucket:
    """The source of a job."""
    source, endpoints = "gs://models/google/gemma", {"storage": store.url}
    return Bucket(WeightsJob("n", source=source, endpoints=endpoints, listing=listing))


def test_what_gcloud_uploaded_is_what_comes(
    store: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE", 1 << 20)
    source = bucket(store)
    source.fetch(source.files(), tmp_path, lambda _: None)
    found = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*")}
    assert {name: path.read_bytes() for name, path in found.items() if path.is_file()} == FILES


def test_the_listing_is_that_of_gcloud(store: Storage) -> None:
    listed = store.listed("gs://models/google/gemma/")
    assert {path for path, _, _ in listed} == set(FILES)
    assert bucket(store, listing_digest(listed)).files()
    with pytest.raises(GuestError, match="changed since the bake began"):
        bucket(store, listing_digest(listed[1:])).files()


@pytest.mark.fault("G8")
def test_an_object_that_is_uploaded_again_under_way_is_refused(
    store: Storage, tmp_path: Path
) -> None:
    source = bucket(store)
    files = source.files()
    place({"empty.txt": b"no longer", "config.json": b"{}"}, tmp_path / "new")
    store.upload(tmp_path / "new", "gs://models/google/gemma/")
    with pytest.raises(GuestError, match="or an object changed since it was listed"):
        source.fetch(files, tmp_path / "out", lambda _: None)
