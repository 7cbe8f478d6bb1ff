"""A guest that does not succeed, and an image that fails its check: nothing is published."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylib.errors import BakeError
from tests.cloud.baking import Client
from tests.cloud.fake import FakeCompute


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A client with nothing baked yet."""
    journal = tmp_path / "bake.journal"
    return Client(FakeCompute(journal=journal), journal)


@pytest.mark.fault("B20", "B24", "G1", "G2", "G15", "G16")
@pytest.mark.parametrize(
    ("guest", "said"),
    [
        ("fail", "the guest failed in phase pull (line 12): umount: busy"),
        ("stops", "stopped before it reported its result"),
        ("old", "stopped before it reported its result"),
        ("gone", "is gone before it reported"),
        ("silent", "has reported nothing for 600 s"),
        ("runs", "reported success but is still RUNNING; not imaged."),
    ],
)
def test_a_guest_that_does_not_succeed_publishes_nothing(
    client: Client, guest: str, said: str
) -> None:
    client.cloud.guest = guest

    with pytest.raises(BakeError) as caught:
        client.bake()

    assert said in str(caught.value)
    assert client.cloud.made() == []
    assert client.cloud.left() == []


def test_a_failure_shows_the_serial_output_without_its_secrets(client: Client) -> None:
    client.cloud.guest = "fail"

    with pytest.raises(BakeError) as caught:
        client.bake()

    assert "| last words" in str(caught.value)
    assert "ya29" not in str(caught.value)


@pytest.mark.parametrize("check", ["fail", "stops", "gone", "silent", "wrong"])
def test_an_image_that_fails_its_check_is_deleted(client: Client, check: str) -> None:
    client.cloud.check = check

    with pytest.raises(BakeError):
        client.bake()

    assert client.cloud.made() == []
    assert client.cloud.left() == []
