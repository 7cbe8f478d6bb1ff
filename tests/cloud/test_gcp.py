"""Google's real clients against HTTP answers: addresses, retries, kinds of failure, records."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pylib.cloud.api import Cloud
from pylib.cloud.faults import CallError, Kind
from pylib.cloud.gcp import SERVICES, GoogleCloud, connect, endpoints
from pylib.cloud.records import (
    DiskSpec,
    Operation,
)
from pylib.cloud.wait import wait
from pylib.errors import ConfigError
from tests.cloud.fake_parts import ManualClock
from tests.cloud.stub import Answer, Stub, refusal, serving

REQUEST = "00000000-0000-0000-0000-000000000001"
DISK = {
    "name": "d",
    "id": "7",
    "zone": "https://x/projects/p/zones/us-central1-a",
    "status": "READY",
    "sizeGb": "60",
    "type": "https://x/diskTypes/pd-ssd",
    "labels": {"bake-run": "r"},
    "users": ["https://x/instances/v"],
}
PENDING = {"name": "op-1", "status": "PENDING"}
DONE = {"name": "op-1", "status": "DONE", "targetId": "7"}
SPEC = DiskSpec("d", "us-central1-a", 60, "pd-ssd", {"bake-run": "r"})


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A server at the other end."""
    with serving() as found:
        yield found


@pytest.fixture
def cloud(stub: Stub) -> GoogleCloud:
    """Google's clients, pointed at it."""
    return connect("p", endpoint=stub.url, clock=ManualClock())


def _error(call: Callable[[], object]) -> CallError:
    with pytest.raises(CallError) as caught:
        call()
    return caught.value


def test_the_clients_are_what_the_bake_asks_for(cloud: GoogleCloud) -> None:
    needed: Cloud = cloud
    assert needed.project == "p"


def test_found_absent_and_unknown_are_three_answers(stub: Stub, cloud: GoogleCloud) -> None:
    stub.answers = [Answer(DISK)]
    found = cloud.disk("us-central1-a", "d")
    assert found is not None
    assert (found.id, found.size_gib, found.type, found.users) == ("7", 60, "pd-ssd", ("v",))
    stub.answers = [refusal(404, "notFound")]
    assert cloud.disk("us-central1-a", "d") is None
    stub.answers = [Answer(raw="<html>proxy</html>", status=404)]
    assert _error(lambda: cloud.disk("us-central1-a", "d")).kind is Kind.UNKNOWN


@pytest.mark.fault("B1", "B3", "B4")
@pytest.mark.parametrize(
    "passing",
    [
        Answer(drop=True),
        Answer(raw="<html>502</html>", status=502),
        Answer(raw="<html>fine?</html>"),
        refusal(500, "internalError"),
        refusal(503, "backendError"),
        refusal(429, "rateLimitExceeded"),
        refusal(403, "rateLimitExceeded"),
        refusal(403, "userRateLimitExceeded"),
    ],
)
def test_a_passing_failure_is_tried_again_with_the_same_request_id(
    stub: Stub, cloud: GoogleCloud, passing: Answer
) -> None:
    stub.answers = [passing, passing, Answer(DONE)]

    operation = cloud.insert_disk(SPEC, REQUEST)

    assert operation.done
    assert [asked.query["requestId"] for asked in stub.asked] == [REQUEST] * 3
    assert cloud.counts == {"disks.insert d": 3}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(401, "authError"), Kind.CREDENTIALS),
        (refusal(403, "forbidden"), Kind.DENIED),
        (refusal(403, "accessNotConfigured"), Kind.DISABLED),
        (refusal(403, "quotaExceeded"), Kind.QUOTA),
        (refusal(409, "alreadyExists"), Kind.EXISTS),
        (refusal(400, "resourceInUseByAnotherResource"), Kind.IN_USE),
        (refusal(400, "resourceNotReady"), Kind.NOT_READY),
        (refusal(412, "conditionNotMet"), Kind.CONDITION),
        (
            refusal(412, "conditionNotMet", "Constraint constraints/compute.x violated"),
            Kind.POLICY,
        ),
        (refusal(400, "invalid"), Kind.INVALID),
        (refusal(503, "ZONE_RESOURCE_POOL_EXHAUSTED"), Kind.STOCKOUT),
    ],
)
def test_a_refusal_is_not_tried_again_and_has_its_kind(
    stub: Stub, cloud: GoogleCloud, answer: Answer, kind: Kind
) -> None:
    stub.answers = [answer]

    error = _error(lambda: cloud.insert_disk(SPEC, REQUEST))

    assert error.kind is kind
    assert len(stub.asked) == 1
    assert str(error).startswith("disks.insert d: ")


@pytest.mark.fault("B3")
def test_retry_after_is_honoured_in_seconds_and_as_a_date(stub: Stub, cloud: GoogleCloud) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    for header, least in (("70", 70), (later, 80)):
        start = cloud.clock.time()
        busy = refusal(429, "rateLimitExceeded")
        stub.answers = [
            Answer(busy.body, 429, {"Retry-After": header}),
            Answer(DISK),
        ]
        cloud.disk("us-central1-a", "d")
        assert cloud.clock.time() - start >= least


def test_a_server_that_only_refuses_is_not_called_unknown(stub: Stub, cloud: GoogleCloud) -> None:
    stub.answers = [refusal(429, "rateLimitExceeded")]
    assert _error(lambda: cloud.insert_disk(SPEC, REQUEST)).kind is Kind.RATE
    stub.answers = [Answer(drop=True)]
    assert _error(lambda: cloud.insert_disk(SPEC, REQUEST)).kind is Kind.UNKNOWN


def test_an_operation_is_polled_at_the_same_address_until_it_is_done(
    stub: Stub, cloud: GoogleCloud
) -> None:
    stub.answers = [Answer(PENDING), Answer(PENDING), Answer(DONE)]

    done = wait(cloud, cloud.insert_disk(SPEC, REQUEST), 60)

    assert done.target_id == "7"
    assert [asked.path for asked in stub.asked[1:]] == [
        "/compute/v1/projects/p/zones/us-central1-a/operations/op-1"
    ] * 2


@pytest.mark.fault("B6")
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("QUOTA_EXCEEDED", Kind.QUOTA),
        ("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", Kind.STOCKOUT),
        ("RESOURCE_ALREADY_EXISTS", Kind.EXISTS),
        ("RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", Kind.IN_USE),
        ("RESOURCE_NOT_FOUND", Kind.ABSENT),
        ("PERMISSIONS_ERROR", Kind.DENIED),
    ],
)
def test_an_operation_done_with_an_error_raises_though_http_said_200(
    stub: Stub, cloud: GoogleCloud, code: str, kind: Kind
) -> None:
    failed = {**DONE, "error": {"errors": [{"code": code, "message": "no"}]}}
    stub.answers = [Answer(failed)]

    operation = cloud.insert_disk(SPEC, REQUEST)

    assert _error(lambda: wait(cloud, operation, 60)).kind is kind


@pytest.mark.fault("B6")
def test_an_operation_with_only_an_http_error_raises(stub: Stub, cloud: GoogleCloud) -> None:
    stub.answers = [
        Answer({**DONE, "httpErrorStatusCode": 412, "httpErrorMessage": "PRECONDITION FAILED"})
    ]
    operation = cloud.insert_disk(SPEC, REQUEST)

    assert _error(lambda: wait(cloud, operation, 60)).kind is Kind.CONDITION


@pytest.mark.fault("B7", "B8")
def test_an_operation_that_never_ends_or_is_forgotten_leaves_it_unknown(
    stub: Stub, cloud: GoogleCloud
) -> None:
    operation = Operation("p", "global", "op-1", "images.insert i", done=False)
    stub.answers = [Answer(PENDING)]
    start = cloud.clock.time()
    error = _error(lambda: wait(cloud, operation, 100))
    assert error.kind is Kind.UNKNOWN
    assert "operation op-1 is not done after 100 s" in str(error)
    assert cloud.clock.time() - start == 100
    stub.answers = [refusal(404, "notFound")]
    assert _error(lambda: wait(cloud, operation, 100)).kind is Kind.UNKNOWN
    stub.answers = [refusal(403, "forbidden")]
    assert _error(lambda: wait(cloud, operation, 100)).kind is Kind.DENIED


def test_operations_of_regions_and_of_no_place_have_their_own_address(
    stub: Stub, cloud: GoogleCloud
) -> None:
    stub.answers = [Answer(DONE)]
    for scope in ("regions/us-central1", "global"):
        cloud.operation(Operation("p", scope, "op-1", "x", done=False))
    assert [asked.path for asked in stub.asked] == [
        "/compute/v1/projects/p/regions/us-central1/operations/op-1",
        "/compute/v1/projects/p/global/operations/op-1",
    ]


@pytest.mark.fault("B31")
def test_an_endpoint_is_one_address_for_every_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VFS_ENDPOINT", "https://gateway.example:8443")
    assert endpoints() == dict.fromkeys(SERVICES, "https://gateway.example:8443")
    assert endpoints("http://127.0.0.1:1") == dict.fromkeys(SERVICES, "http://127.0.0.1:1")
    monkeypatch.delenv("VFS_ENDPOINT")
    assert endpoints() == SERVICES
    for bad in ("localhost:80", "ftp://x", "http://x/path", "http://user@x", "http://"):
        with pytest.raises(ConfigError, match="is not the address of a server"):
            endpoints(bad)


@pytest.mark.fault("B18")
def test_without_credentials_the_message_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    missing = tmp_path_factory.mktemp("none") / "credentials.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(missing))
    error = _error(lambda: connect("p"))
    assert error.kind is Kind.CREDENTIALS
    assert str(error).endswith("Run: gcloud auth application-default login")


def test_nothing_secret_reaches_the_log_or_the_message(
    stub: Stub, cloud: GoogleCloud, caplog: pytest.LogCaptureFixture
) -> None:
    said = "Authorization: Bearer ya29.abcdefghijkl and hf_abcdefghijkl"
    stub.answers = [refusal(503, "backendError", said), refusal(403, "forbidden", said)]
    with caplog.at_level(logging.INFO, logger="pylib.cloud"):
        error = _error(lambda: cloud.insert_disk(SPEC, REQUEST))
    assert "disks.insert d: try 1" in caplog.text
    for text in (caplog.text, str(error)):
        assert "ya29" not in text
        assert "hf_" not in text
