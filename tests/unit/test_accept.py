"""Acceptance as a whole, and of a release that is not ready, or does not answer as it should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pylib.accept import State, judge
from pylib.accept.model import Completion, Read, Reply
from pylib.config.model import Claim, ImageCache, NoWeights
from pylib.snapshot.model import Unread
from tests.unit.accepted import (
    POD,
    changed,
    config,
    evidence,
    inside,
    one,
    verdict,
    without,
)
from tests.unit.cluster_objects import stored

READY = "release ready"
COMPLETION = "completion served"
PHASES = "weights loaded as predicted"


def test_of_a_release_that_is_well_all_passes_with_what_was_seen() -> None:
    found = judge(evidence())
    assert [(check.name, check.state) for check in found] == [
        (name, State.PASSED)
        for name in (
            "baked image",
            "weights disk made",
            READY,
            "image cache disk of the node",
            "image from the node's cache",
            "weights disk attached READ_ONLY",
            "weights mounted read-only",
            "read-ahead of the mounted device",
            PHASES,
            COMPLETION,
            "metric reaches the autoscaler",
        )
    ]
    assert all(check.seen and not check.why and not check.next for check in found)


def test_what_the_config_does_not_have_is_not_asked_for() -> None:
    bare = config(imageCache=ImageCache(enabled=False), weights=NoWeights(kind="none"))
    bare = bare.model_copy(
        update={"autoscaling": bare.autoscaling.model_copy(update={"enabled": False})}
    )
    assert [check.name for check in judge(evidence(config=bare))] == [READY, COMPLETION]


def test_of_somebody_elses_claim_only_what_its_volume_says_is_held_against_it() -> None:
    claimed = config(weights=Claim(kind="claim", claims={"a": "theirs"}))
    bare = changed(
        "PersistentVolume",
        {"metadata": {"annotations": {"vllm-fast-start/disk-type": None}}, "spec": {"csi": None}},
    )
    names = {check.name for check in judge(evidence(config=claimed, snapshot=bare))}
    assert "weights mounted read-only" in names
    assert not names & {"weights disk attached READ_ONLY", PHASES, "weights disk made"}


# --- ready ----------------------------------------------------------------------------------------


def test_without_a_ready_pod_what_needs_one_could_not_be_checked() -> None:
    pods = changed("Pod", {"status": {"conditions": [{"type": "Ready", "status": "False"}]}})
    counted = changed("Deployment", {"status": {"readyReplicas": 0}}, pods)
    found = {check.name: check for check in judge(evidence(snapshot=counted))}
    assert found[READY].state is State.FAILED
    assert found[READY].seen == "0 of 1 pods ready"
    for name in ("image from the node's cache", "weights disk attached READ_ONLY", COMPLETION):
        assert found[name].state is State.UNCHECKED
        assert found[name].why == "cell a has no pod that is ready"


def test_a_release_that_is_absent_being_changed_or_at_zero_is_not_ready() -> None:
    absent = without("Deployment", "Pod")
    assert verdict(READY, snapshot=absent) == ("failed", "it is not there")
    refused = replace(absent, unread=(Unread("Deployment", "Forbidden"),))
    assert verdict(READY, snapshot=refused) == ("unchecked", "Deployments were not read")
    newer = changed("Deployment", {"metadata": {"generation": 99}})
    assert verdict(READY, snapshot=newer)[0] == "failed"
    old = changed("Deployment", {"status": {"updatedReplicas": 0}})
    assert verdict(READY, snapshot=old)[0] == "failed"
    zero = changed("Deployment", {"spec": {"replicas": 0}})
    assert verdict(READY, snapshot=zero)[0] == "unchecked"


def test_a_release_that_cannot_start_says_why() -> None:
    unbound = changed("PersistentVolumeClaim", {"status": {"phase": "Lost"}})
    waits = changed("Pod", {"status": {"conditions": [], "phase": "Pending"}}, unbound)
    counted = changed("Deployment", {"status": {"readyReplicas": 0}}, waits)
    state, why = verdict(READY, snapshot=counted)
    assert state == "failed"
    assert why.startswith("PersistentVolumeClaim/v-a-r1: ")


# --- completion -----------------------------------------------------------------------------------


def answered(status: int, text: str) -> dict[str, Any]:
    """Evidence of a pod that answers so."""
    reply = Reply(status, text, 1.0)
    return {"inside": {POD: inside(completion=Read(Completion(reply, reply, 16)))}}


def test_a_completion_says_how_long_first_token_and_all_took() -> None:
    seen = one(COMPLETION).seen
    assert seen == "HTTP 200, first token after 0.05 s, 16 in 0.61 s: 'four, five'"


@pytest.mark.parametrize(
    ("status", "text", "why"),
    [
        (200, " \n", "the answer holds no text"),
        (500, '{"error": "dead"}', '{"error": "dead"}'),
        (0, "refused", "no answer in 1.0 s: refused"),
        (401, "Unauthorized", "the server refuses the key that its pod holds"),
    ],
)
def test_what_is_no_completion_fails(status: int, text: str, why: str) -> None:
    state, reason = verdict(COMPLETION, **answered(status, text))
    assert state == "failed"
    assert reason.startswith(why)


def test_a_pod_that_lets_nobody_in_was_not_asked() -> None:
    refused = inside(completion=Read(None, "exec in Pod/x: forbidden (HTTP 403)"))
    found = one(COMPLETION, inside={POD: refused})
    assert (found.state, found.why) == (State.UNCHECKED, "exec in Pod/x: forbidden (HTTP 403)")
    assert found.next == "helm test v -n inference"


# --- phases ---------------------------------------------------------------------------------------


def loaded(seconds: str) -> dict[str, Any]:
    """Evidence of a log with another time."""
    found = stored("accepted")
    logs = tuple(
        replace(log, text=log.text.replace("took 0.50 seconds", f"took {seconds} seconds"))
        for log in found.logs
    )
    assert logs != found.logs
    return {"snapshot": replace(found, logs=logs)}


def test_a_load_may_take_half_as_long_again_as_predicted() -> None:
    assert verdict(PHASES, **loaded("51.0")) == ("passed", "")
    state, why = verdict(PHASES, **loaded("68.9"))
    assert (state, why) == ("failed", "2.0 times the prediction; up to 1.5 pass")
    assert one(PHASES, **loaded("68.9")).seen.startswith("took 68.9 s, predicted 34 s (16 GiB ")


def test_without_a_log_or_a_description_of_the_disk_the_load_is_not_judged() -> None:
    silent = replace(stored("accepted"), logs=())
    assert verdict(PHASES, snapshot=silent)[0] == "unchecked"
    plain = changed("Pod", {"metadata": {"annotations": {"vllm-fast-start/model-size-gib": None}}})
    state, why = verdict(PHASES, snapshot=plain)
    assert state == "unchecked"
    assert why.startswith("model size, disk type and size")
