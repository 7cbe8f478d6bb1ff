"""IAM policies, permissions, services and service accounts on the emulator."""

from __future__ import annotations

import pytest

from tests.cloud.emulated import PROJECT, Bench, Json, Raw

V1, V3 = f"/v1/projects/{PROJECT}", f"/v3/projects/{PROJECT}"
SERVICES = f"{V1}/services"
POOL = f"principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/{PROJECT}.svc.id.goog/subject/ns/custom-metrics/sa/adapter"
VIEWER: Json = {"role": "roles/monitoring.viewer", "members": ["user:me@example.com"]}
CONDITION = {"title": "soon", "expression": "request.time < timestamp('2030-01-01T00:00:00Z')"}


def _set(raw: Raw, **policy: object) -> Json:
    return raw.post(f"{V1}:setIamPolicy", {"policy": policy})


def _get(raw: Raw, version: int = 3) -> Json:
    options = {"options": {"requestedPolicyVersion": version}}
    return raw.post(f"{V1}:getIamPolicy", options)


def _refused(raw: Raw, **policy: object) -> tuple[int, str, str]:
    return raw.send("POST", f"{V1}:setIamPolicy", {"policy": policy}).refusal


def test_a_project_has_an_id_and_a_number(raw: Raw) -> None:
    assert raw.get(V1)["projectNumber"] == "123456789012"
    assert raw.get(V3)["name"] == "projects/123456789012"
    for path in ("/v1/projects/other", "/v3/projects/other"):
        assert raw.send("GET", path).refusal == (
            403,
            "forbidden",
            "Permission denied on resource project other.",
        )


def test_a_policy_is_read_changed_and_written_back(raw: Raw) -> None:
    policy = _get(raw)
    assert policy == {"version": 1, "etag": policy["etag"]}
    written = _set(raw, bindings=[VIEWER], etag=policy["etag"])
    assert written["etag"] != policy["etag"]
    assert _get(raw) == written


@pytest.mark.fault("B33")
def test_a_policy_that_changed_meanwhile_is_not_overwritten(raw: Raw) -> None:
    etag = _get(raw)["etag"]
    _set(raw, bindings=[VIEWER], etag=etag)
    answer = raw.send("POST", f"{V1}:setIamPolicy", {"policy": {"bindings": [], "etag": etag}})
    assert answer.refusal == (
        409,
        "aborted",
        "There were concurrent policy changes. Please retry the whole read-modify-write with "
        "exponential backoff.",
    )
    assert answer.doc["error"]["status"] == "ABORTED"
    assert _get(raw)["bindings"] == [VIEWER]


def test_a_policy_without_an_etag_overwrites(raw: Raw) -> None:
    _set(raw, bindings=[VIEWER])
    _set(raw, bindings=[{**VIEWER, "members": []}])
    assert _get(raw)["bindings"] == []


@pytest.mark.fault("B33")
def test_conditions_need_version_three_and_are_hidden_from_older_readers(raw: Raw) -> None:
    bindings = [VIEWER, {**VIEWER, "condition": CONDITION}]
    why = "Policies with conditional role bindings must specify version 3 or higher."
    assert _refused(raw, bindings=bindings, version=1) == (400, "badRequest", why)
    _set(raw, bindings=bindings, version=3)
    assert _get(raw)["bindings"] == bindings
    old = _get(raw, 1)
    assert old["version"] == 1
    assert [one["role"] for one in old["bindings"]] == [
        "roles/monitoring.viewer",
        "roles/monitoring.viewer_withcond_1",
    ]
    assert _refused(raw, bindings=[VIEWER], version=1)[2] == why
    _set(raw, bindings=[VIEWER], version=3)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"version": 2}, "Invalid policy version 2."),
        (
            {"bindings": [{**VIEWER, "role": "viewer"}]},
            "Role viewer is not supported for this resource.",
        ),
        (
            {"bindings": [{**VIEWER, "members": ["me@example.com"]}]},
            "The member me@example.com is of an unknown type. Please set a valid type prefix for "
            "the member.",
        ),
        (
            {"bindings": [{**VIEWER, "members": [POOL]}]},
            f"Identity Pool does not exist ({PROJECT}.svc.id.goog). Please check that you specified"
            " a valid resource name as returned in the `name` attribute in the configuration API.",
        ),
    ],
)
def test_a_policy_that_is_wrong_is_refused(raw: Raw, policy: Json, message: str) -> None:
    assert _refused(raw, **policy) == (400, "badRequest", message)


def test_the_identity_pool_is_there_once_there_is_a_cluster(emulated: Bench) -> None:
    emulated.emulator.add_cluster("demo", "us-central1")
    _set(emulated.raw, bindings=[{**VIEWER, "members": [POOL]}])
    for wrong in (PROJECT, "42"):
        other = POOL.replace("123456789012", wrong)
        refusal = _refused(emulated.raw, bindings=[{**VIEWER, "members": [other]}])
        assert refusal[2].startswith("Identity Pool does not exist")


def test_a_policy_request_must_be_whole(raw: Raw) -> None:
    assert raw.send("POST", f"{V1}:setIamPolicy", {}).refusal[2] == "Policy is required."
    options = {"options": {"requestedPolicyVersion": 2}}
    refusal = raw.send("POST", f"{V1}:getIamPolicy", options).refusal
    assert refusal[2] == "Invalid requested policy version 2."
    assert raw.send("POST", f"{V1}:setIamPolicy", b"[]").refusal[:2] == (400, "parseError")
    assert raw.send("POST", f"{V1}:setIamPolicy", b"{").refusal[:2] == (400, "parseError")


@pytest.mark.parametrize("path", [V1, V3])
def test_permissions_are_tested_by_what_the_caller_has(emulated: Bench, path: str) -> None:
    asked = {"permissions": ["compute.disks.create", "compute.disks.delete"]}
    test = f"{path}:testIamPermissions"
    assert emulated.raw.post(test, asked) == asked
    emulated.emulator.change(denied=frozenset({"compute.disks.delete"}))
    assert emulated.raw.post(test, asked) == {"permissions": ["compute.disks.create"]}
    emulated.emulator.change(granted=frozenset())
    assert emulated.raw.post(test, asked) == {}


@pytest.mark.parametrize(
    ("permissions", "message"),
    [
        (["compute"], "Permission compute is not valid for this resource."),
        (["compute.disks.*"], "Permission compute.disks.* is not valid for this resource."),
        (["a.b.c"] * 101, "At most 100 permissions can be tested at once."),
    ],
)
def test_only_permissions_can_be_tested(raw: Raw, permissions: list[str], message: str) -> None:
    answer = raw.send("POST", f"{V1}:testIamPermissions", {"permissions": permissions})
    assert answer.refusal == (400, "badRequest", message)


def test_services_are_on_or_off_and_can_be_turned(emulated: Bench) -> None:
    raw = emulated.raw
    emulated.emulator.change(disabled_services=frozenset({"containerfilesystem.googleapis.com"}))
    one = f"{SERVICES}/containerfilesystem.googleapis.com"
    assert raw.get(one)["state"] == "DISABLED"
    assert raw.post(f"{one}:enable")["response"]["service"]["state"] == "ENABLED"
    assert raw.get(one)["state"] == "ENABLED"
    raw.post(f"{one}:disable")
    assert raw.get(one)["state"] == "DISABLED"
    names = ["compute.googleapis.com", "containerfilesystem.googleapis.com"]
    done = raw.post(f"{SERVICES}:batchEnable", {"serviceIds": names})
    assert [one["state"] for one in done["response"]["services"]] == ["ENABLED", "ENABLED"]
    assert done["done"]
    assert raw.get("/v1/operations/noop.DONE_OPERATION")["done"]
    enabled = raw.get(SERVICES, filter="state:ENABLED")["services"]
    assert len(enabled) == len(raw.get(SERVICES)["services"])
    found = raw.get(f"{SERVICES}:batchGet", names=f"projects/{PROJECT}/services/{names[0]}")
    assert found["services"][0]["state"] == "ENABLED"


def test_a_service_that_nobody_knows_is_off_and_cannot_be_turned_on(raw: Raw) -> None:
    assert raw.get(f"{SERVICES}/none.googleapis.com")["state"] == "DISABLED"
    refusal = raw.send("POST", f"{SERVICES}/none.googleapis.com:enable").refusal
    assert refusal == (
        403,
        "forbidden",
        "Not found or permission denied for service(s): none.googleapis.com.",
    )


def test_a_service_account_of_the_project_can_be_looked_at(raw: Raw) -> None:
    default = "123456789012-compute@developer.gserviceaccount.com"
    assert raw.get(f"/v1/projects/-/serviceAccounts/{default}")["email"] == default
    own = f"baker@{PROJECT}.iam.gserviceaccount.com"
    assert raw.get(f"{V1}/serviceAccounts/{own}")["displayName"] == "baker"
    refusal = raw.send("GET", f"{V1}/serviceAccounts/me@else.where").refusal
    assert refusal == (404, "notFound", "Unknown service account: me@else.where")
