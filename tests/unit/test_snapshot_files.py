"""Snapshots as files: no secrets in them, read again from anybody's hands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylib.diagnose import diagnose
from pylib.errors import ConfigError
from pylib.snapshot import from_json, to_json
from pylib.snapshot.model import Log, Revision, SecretKeys, Tenant, Unread
from pylib.snapshot.plain import plain
from pylib.snapshot.pulls import Pull, duration, pulls
from pylib.snapshot.redact import slim, without_secrets
from pylib.snapshot.times import seconds_between, to_the_second
from pylib.timeline import timeline
from tests.unit.cluster_objects import (
    FIXTURES,
    body,
    event,
    node,
    pod,
    ready,
    snapshot,
    stored,
)

# --- secrets in what is kept ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("token hf_abcdefghijklmnopqrst end", "token (redacted) end"),
        ("Authorization: Bearer abcdefghij.klm", "Authorization: Bearer (redacted)"),
        ("--api-key=hunter2 --port=8000", "--api-key=(redacted) --port=8000"),
        ("--hf-token hunter2", "--hf-token (redacted)"),
        ("args: {'api_key': ['hunter2'], 'tp': 2}", "args: {'api_key': (redacted), 'tp': 2}"),
        ("https://user:hunter2@host/path", "https://user:(redacted)@host/path"),
        ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nrest", "(redacted)\nrest"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc", "(redacted)"),
        ("ya29.abcdefghijklmnopqrstu", "(redacted)"),
        ("--max-tokens=9 --tokenizer=gemma", "--max-tokens=9 --tokenizer=gemma"),
        ("prompt tokens: 12, finished", "prompt tokens: 12, finished"),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_taken_out(text: str, kept: str) -> None:
    assert without_secrets(text) == kept


def test_objects_are_kept_without_secrets_and_without_what_nobody_reads() -> None:
    container = {
        "name": "vllm",
        "args": ["--api-key", "hunter2", "--port=8000", "--password=hunter2"],
        "env": [
            {"name": "HF_TOKEN", "value": "hunter2"},
            {"name": "PORT", "value": "8000"},
            {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}},
        ],
    }
    whole = body("Pod", "p", {"spec": {"containers": [container]}})
    whole["metadata"] |= {
        "managedFields": [{}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"},
    }
    found = slim(whole)
    assert found["metadata"] == {**body("Pod", "p")["metadata"], "annotations": {"a": "b"}}
    [kept] = found["spec"]["containers"]
    assert kept["args"] == ["--api-key", "(redacted)", "--port=8000", "--password=(redacted)"]
    assert [variable.get("value") for variable in kept["env"]] == ["(redacted)", "8000", None]
    assert kept["env"][2]["valueFrom"] == {"secretKeyRef": {"name": "keys", "key": "a"}}


def test_nodes_are_kept_without_images_and_annotations() -> None:
    found = slim(
        node("n1", {"status": {"images": [{}] * 50}, "metadata": {"annotations": {"a": "b"}}})
    )
    assert set(found["status"]) == {"allocatable", "conditions"}
    assert "annotations" not in found["metadata"]


# --- files ----------------------------------------------------------------------------------------


def test_a_snapshot_comes_back_from_its_file() -> None:
    found = snapshot(
        ready(),
        kubernetes="1.36",
        logs=(Log("p", "vllm", "text\n", previous=True),),
        secrets=(SecretKeys("a", None), SecretKeys("b", {"k": "filled"})),
        revisions=(Revision(1, "deployed", "2026-03-01T12:00:00Z"),),
        tenants=(Tenant("n1", "lab/other", 2),),
        label_counts={"a=b": 0},
        unread=(Unread("Node", "no"),),
    )
    assert from_json(to_json(found)) == found
    assert to_json(from_json(to_json(found))) == to_json(found)


@pytest.mark.parametrize("file", sorted(path.stem for path in FIXTURES.glob("*.json")))
def test_real_snapshots_come_back_from_their_files(file: str) -> None:
    assert from_json(to_json(stored(file))) == stored(file)


FIX = "Name a file that `python -m pylib observe --save FILE` wrote."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[]", "is not a snapshot"),
        ("null", "is not a snapshot"),
        ('{"format": "1"}', "is not a snapshot"),
        ('{"format": 2}', "has format 2; this version reads 1"),
    ],
)  # fmt: skip
def test_what_is_no_snapshot_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_json(text, "bundle.json")
    assert str(caught.value) == f"bundle.json: 1 problem\nbundle.json: {message}\n    {FIX}"


def test_a_file_of_deep_nesting_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not JSON"):
        from_json("[" * 100_000)


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
)
_KEYS = st.sampled_from(
    [
        "metadata",
        "spec",
        "status",
        "name",
        "labels",
        "conditions",
        "type",
        "containers",
        "message",
        "containerStatuses",
        "state",
        "terminated",
        "exitCode",
        "lastTransitionTime",
        "reason",
        "nodeSelector",
        "volumes",
        "persistentVolumeClaim",
        "claimName",
        "involvedObject",
        "kind",
    ]
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=30,
)
_KINDS = st.sampled_from(
    [
        "Pod",
        "Deployment",
        "ReplicaSet",
        "Job",
        "Service",
        "EndpointSlice",
        "Event",
        "Node",
        "PersistentVolumeClaim",
        "PersistentVolume",
        "HorizontalPodAutoscaler",
        "ScaledObject",
        "APIService",
        "StorageClass",
        "VolumeAttachment",
    ]
)


@given(st.lists(st.tuples(_KINDS, _JSON, _JSON, _JSON), max_size=4), st.text(max_size=30))
def test_no_object_of_any_shape_is_a_crash(parts: list[tuple[Any, ...]], taken: str) -> None:
    objects = [
        {"kind": kind, "metadata": meta, "spec": spec, "status": status}
        for kind, meta, spec, status in parts
    ]
    found = from_json(json.dumps({"format": 1, "taken": taken, "objects": objects}))
    diagnose(found)
    timeline(found)
    slimmed = [slim(one) for one in objects]
    assert len(slimmed) == len(objects)


@given(_JSON)
def test_no_file_of_any_shape_is_a_crash(whole: Any) -> None:
    fields = ["objects", "logs", "secrets", "revisions", "tenants", "label_counts", "unread"]
    found = from_json(json.dumps({"format": 1, **dict.fromkeys(fields, whole)}))
    assert from_json(to_json(found)) == found


# --- small parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00.987654321Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T13:00:00+01:00", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00", "2026-03-01T12:00:00Z"),
        ("yesterday", ""),
        ("", ""),
        ("0001-01-01T00:00:00+23:00", ""),
        ("2026-13-45T99:00:00Z", ""),
    ],
)
def test_times_come_in_one_spelling(text: str, moment: str) -> None:
    assert to_the_second(text) == moment


def test_seconds_between_two_times() -> None:
    assert seconds_between("2026-03-01T12:00:00Z", "2026-03-01T12:01:00.5Z") == 60.5
    assert seconds_between("", "2026-03-01T12:01:00Z") is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n  b\tc", "a b c"),
        ("\x1b[31mred\x1b[0m \x07", "\\x1b[31mred\\x1b[0m \\x07"),
        ("safe\u202eevil", "safe\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("x" * 20, "xxxxxxxxx…"),
    ],
    ids=["lines", "terminal", "direction", "surrogate", "long"],
)
def test_text_from_a_cluster_is_one_plain_line(text: str, line: str) -> None:
    assert plain(text, 10 if "xx" in text else 600) == line


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2.606s", 2.606),
        ("1m2.5s", 62.5),
        ("1h0m1s", 3601.0),
        ("350ms", 0.35),
        ("12µs", 1.2e-5),
        ("", None),
        ("2", None),
        ("2.6s later", None),
        ("99999999h", None),
    ],
)
def test_durations_as_go_writes_them(text: str, seconds: float | None) -> None:
    assert duration(text) == (seconds if seconds is None else pytest.approx(seconds))


def test_a_pull_is_read_from_its_events() -> None:
    mine = pod()
    begun = event(mine, "Pulling", 'Pulling image "a:1"', "2026-03-01T12:00:01Z")
    ended = event(
        mine,
        "Pulled",
        'Successfully pulled image "a:1" in 2.6s (3.1s including waiting). Image size: 9600 bytes.',
        "2026-03-01T12:00:04Z",
    )
    again = event(
        mine, "Pulled", 'Container image "a:1" already present on machine', "2026-03-01T12:00:05Z"
    )
    begin, end = "2026-03-01T12:00:01Z", "2026-03-01T12:00:04Z"
    done = Pull("a:1", pulled=True, done=True, started=begin, ended=end, seconds=3.1, size=9600)
    assert pulls([begun]) == {"a:1": Pull("a:1", pulled=True, started="2026-03-01T12:00:01Z")}
    assert pulls([begun, ended, again]) == {"a:1": done}
    later = event(mine, "Pulling", 'Pulling image "a:1"', "2026-03-01T12:00:04Z")
    assert pulls([begun, ended, later]) == {"a:1": done}, "events of one second have no order"
    there = Pull(
        "a:1", done=True, started="2026-03-01T12:00:05Z", ended="2026-03-01T12:00:05Z", seconds=0.0
    )
    assert pulls([again]) == {"a:1": there}
    short = event(mine, "Pulled", 'Successfully pulled image "a:1" in 2s', "2026-03-01T12:00:04Z")
    assert pulls([short])["a:1"].seconds == 2.0


def test_the_pods_of_an_object_are_those_that_its_selector_matches() -> None:
    deployment = body("Deployment", "v-a", {"spec": {"selector": {"matchLabels": {"app": "v"}}}})
    mine, other = ready(), pod(name="other")
    found = snapshot(deployment, mine, other)
    assert list(found.pods(deployment)) == [mine]
    assert list(found.pods(body("Deployment", "empty"))) == []
