"""What the emulator refuses before a service looks at it, and what it keeps of each call."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylib.emulator import Emulator, Fault, Settings
from pylib.emulator.routes import Route, Router
from pylib.errors import ConfigError
from tests.cloud.emulated import AT, GLOBAL, ZONAL, ZONE, Bench, Raw, started

DISK = {"name": "data", "sizeGb": "10"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"name": "data", "sise": 1}', 'Unknown name "sise": Cannot find field.'),
        (
            b'{"name": "data", "diskEncryptionKey": {"key": "k"}}',
            "Unknown name \"key\" at 'diskEncryptionKey': Cannot find field.",
        ),
        (b'{"name": "a", "name": "b"}', "Failed to load JSON"),
        (b'{"name": 7}', "Failed to parse name field"),
        (b'{"sizeGb": "ten"}', "Failed to parse sizeGb field"),
        (b"{", "Failed to load JSON"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_body_is_judged_by_googles_message_types(raw: Raw, body: bytes, why: str) -> None:
    status, reason, message = raw.send("POST", f"{ZONAL}/disks", body).refusal
    assert (status, reason) == (400, "badRequest")
    assert message.startswith(f"Invalid JSON payload received. {why}")


def test_a_query_is_judged_by_googles_message_types(raw: Raw) -> None:
    assert raw.send("GET", f"{ZONAL}/disks", limit=3).refusal == (
        400,
        "badRequest",
        'Invalid JSON payload received. Unknown name "limit": Cannot bind query parameter. '
        "Field 'limit' could not be found in request message.",
    )
    assert raw.send("GET", f"{ZONAL}/disks", alt="json", prettyPrint="false").status == 200


def test_a_method_without_a_body_takes_none(raw: Raw) -> None:
    raw.vm()
    answer = raw.send("POST", f"{ZONAL}/instances/vm/stop", {"force": True})
    assert answer.refusal[2] == "Request has a body, but this method takes none."


def test_what_the_emulator_does_not_know_is_not_taken_for_absent(raw: Raw) -> None:
    path = f"{GLOBAL}/addresses"
    assert raw.send("GET", path).refusal == (
        501,
        "notImplemented",
        f"The emulator does not know GET {path}",
    )


def test_a_permission_that_is_missing_is_named(emulated: Bench) -> None:
    emulated.emulator.change(denied=frozenset({"compute.disks.create"}))
    assert emulated.raw.send("POST", f"{ZONAL}/disks", DISK).refusal == (
        403,
        "forbidden",
        "Required 'compute.disks.create' permission for "
        f"'projects/demo-project/zones/{ZONE}/disks'",
    )
    emulated.emulator.change(denied=frozenset(), granted=frozenset({"compute.disks.get"}))
    assert emulated.raw.send("GET", f"{ZONAL}/disks").status == 403
    assert emulated.raw.send("GET", f"{ZONAL}/disks/none").status == 404


def test_a_service_that_is_off_says_how_to_turn_it_on(tmp_path: Path) -> None:
    settings = Settings(disabled_services=frozenset({"compute"}))
    with started(tmp_path, settings=settings) as bench:
        answer = bench.raw.send("GET", f"{ZONAL}/disks")
        status, reason, message = answer.refusal
        assert (status, reason) == (403, "accessNotConfigured")
        assert message.startswith(
            "Compute Engine API has not been used in project demo-project before or it is disabled."
            " Enable it by visiting https://console.developers.google.com/apis/api/"
            "compute.googleapis.com/overview?project=demo-project then retry."
        )
        assert answer.doc["error"]["details"][0]["reason"] == "SERVICE_DISABLED"
        assert answer.doc["error"]["errors"][0]["domain"] == "usageLimits"


def test_another_project_is_not_found_and_a_second_one_can_be_set(tmp_path: Path) -> None:
    path = "/compute/v1/projects/images-project/global/images"
    with started(tmp_path) as bench:
        assert bench.raw.send("GET", path).status == 404
        bench.emulator.change(other_projects={"images-project": "42"})
        assert bench.raw.get(path)["kind"] == "compute#imageList"
        bench.raw.disk()
        disk = f"projects/demo-project/zones/{ZONE}/disks/data"
        bench.raw.done("POST", path, {"name": "image", "sourceDisk": disk})
        source = "projects/images-project/global/images/image"
        bench.raw.disk("copy", sourceImage=source)
        assert "items" not in bench.raw.get(f"{GLOBAL}/images")


def test_the_journal_has_every_call_and_no_credential(emulated: Bench) -> None:
    raw = emulated.raw
    headers = {"Authorization": "Bearer secret-token", "User-Agent": "me/1"}
    operation = raw.send("POST", f"{ZONAL}/disks", DISK, headers=headers).doc
    raw.send("GET", f"{ZONAL}/disks/none")
    raw.send("GET", "/nowhere")
    emulated.emulator.faults.add(Fault("compute.regions.list", "drop-before"))
    with pytest.raises(ConnectionError):
        raw.send("GET", f"{AT}/regions")
    first, second, third, fourth = emulated.emulator.journal()
    assert (first.method, first.status, first.body) == ("compute.disks.insert", 200, DISK)
    assert (first.operation, first.authorized, first.agent) == (operation["name"], True, "me/1")
    assert first.changes
    assert (second.method, second.status, second.authorized) == ("compute.disks.get", 404, False)
    assert not second.changes
    assert (third.method, third.status) == ("unknown", 501)
    assert (fourth.status, fourth.faults) == (0, ("drop-before",))
    assert emulated.emulator.journal("compute.disks.get") == [second]
    assert "secret-token" not in (emulated.emulator.folder / "state.sqlite-wal").read_text(
        encoding="utf-8", errors="replace"
    )


def test_an_inventory_tells_what_is_left_and_what_changed(emulated: Bench) -> None:
    raw = emulated.raw
    raw.disk("foreign")
    before = emulated.emulator.inventory()
    raw.disk(labels={"bake-run": "1"})
    after = emulated.emulator.inventory()
    path = f"projects/demo-project/zones/{ZONE}/disks"
    assert after.labelled("bake-run", "1") == [f"{path}/data"]
    assert after.differs(before) == before.differs(after) == [f"{path}/data"]
    assert after.paths("disks") == [f"{path}/data", f"{path}/foreign"]
    assert after.paths("images") == []
    assert after.docs[f"{path}/data"]["labels"] == {"bake-run": "1"}


def test_an_error_of_the_emulator_itself_is_answered_and_ends_the_test(tmp_path: Path) -> None:
    def broken(*_: object) -> dict[str, object]:
        raise LookupError("no such thing")

    emulator = Emulator(tmp_path, guest="simulated")
    emulator.start()
    emulator._now.dispatcher._router = Router([Route("test.broken", "GET", "/broken", broken)])
    assert Raw(emulator.url).send("GET", "/broken").refusal[2] == "The emulator failed"
    assert "no such thing" in emulator.failures[0]
    with pytest.raises(RuntimeError, match="the emulator failed: GET /broken"):
        emulator.__exit__(None)


def test_an_answer_that_is_none_of_googles_types_is_an_error_of_the_emulator(
    emulated: Bench,
) -> None:
    dispatcher = emulated.emulator._now.dispatcher
    route = Route("compute.disks.get", "GET", "/x", lambda *_: {"sise": 1}, answer="Disk")
    dispatcher._router = Router([route])
    assert emulated.raw.send("GET", "/x").status == 500
    assert "compute.disks.get answers what Disk is not" in dispatcher.failures.pop()


def test_an_emulator_that_is_not_started_has_no_state(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path, guest="simulated")
    assert emulator.failures == []
    with pytest.raises(RuntimeError, match="the emulator is not started"):
        emulator.journal()
    emulator.change(page_size=1)
    assert emulator.settings.page_size == 1
    emulator.stop()


def test_a_policy_that_the_emulator_does_not_enforce_cannot_be_set() -> None:
    with pytest.raises(ConfigError, match=r"policies: 'compute\.noSuchPolicy' is not enforced"):
        Settings(policies=frozenset({"compute.noSuchPolicy"}))
