"""Endpoints, helm's record, Deployments; the order of causes and their words."""

from __future__ import annotations

import pytest

from pylib.diagnose import Cause, Severity, diagnose
from pylib.diagnose.cause import in_order
from pylib.diagnose.text import lines
from pylib.diagnose.wording import either, gke_cluster, gke_project, seconds
from pylib.snapshot.model import Revision, Unread
from pylib.snapshot.reading import HELM
from tests.unit.cluster_objects import (
    Json,
    body,
    causes,
    crashed,
    node,
    one,
    pod,
    ready,
    snapshot,
    state,
    stored,
)

SAY = "kubectl -n inference "
# --- endpoints ------------------------------------------------------------------------------------


def service(app: str = "v") -> Json:
    """The release's Service."""
    return body("Service", "v", {"spec": {"selector": {"app": app}}})


def slices(*, is_ready: bool | None = True) -> Json:
    """The Service's endpoints."""
    label = {"metadata": {"labels": {"kubernetes.io/service-name": "v"}}}
    conditions = {} if is_ready is None else {"ready": is_ready}
    return body("EndpointSlice", "v-1", label, {"endpoints": [{"conditions": conditions}]})


def test_a_service_that_selects_none_of_the_ready_pods() -> None:
    assert one(ready(), node(), service("other")) == Cause(
        "no-endpoints",
        Severity.ERROR,
        "Service/v",
        "has no ready endpoint: its selector app=other matches none of the ready pods",
        f"{SAY}get endpointslices -l kubernetes.io/service-name=v -o wide",
        final=True,
    )


def test_endpoints_that_are_late() -> None:
    found = one(ready(), node(), service(), slices(is_ready=False))
    assert (found.severity, found.message) == (
        Severity.WARNING,
        "has no ready endpoint: 1 ready pod should be behind it, and the control plane has not "
        "listed any yet",
    )


@pytest.mark.parametrize("is_ready", [True, None])
def test_a_service_with_endpoints_has_no_cause(is_ready: bool | None) -> None:
    assert causes(ready(), node(), service(), slices(is_ready=is_ready)) == []


def test_endpoints_are_no_news_without_ready_pods_or_sight_of_them() -> None:
    assert causes(pod(), node(), service()) == []
    assert causes(ready(), node(), service(), unread=(Unread("EndpointSlice", "no"),)) == []
    assert causes(ready(), node(), body("Service", "headless")) == []


# --- helm's record and Deployments ----------------------------------------------------------------


DEPLOYMENT = body("Deployment", "v-a", {"spec": {"replicas": 1}})


def test_a_release_that_is_not_there() -> None:
    assert one() == Cause(
        "release-absent",
        Severity.ERROR,
        "Release/v",
        "there is no such release in namespace inference of context "
        "gke_my-project_us-central1_vllm-cluster",
        "helm list --all-namespaces --all",
        final=True,
    )
    assert causes(unread=(Unread(HELM, "no"),)) == []


@pytest.mark.parametrize(
    ("before", "command"),
    [
        ("deployed", "helm rollback v 1 -n inference"),
        ("superseded", "helm rollback v 1 -n inference"),
        ("failed", "helm uninstall v -n inference  # the disks stay; then install again"),
    ],
)
def test_an_upgrade_that_is_not_over(before: str, command: str) -> None:
    history = (Revision(1, before), Revision(2, "pending-upgrade", "2026-03-01T12:04:00Z"))
    found = one(DEPLOYMENT, revisions=history)
    assert (found.code, found.severity, found.message, found.next) == (
        "helm-pending",
        Severity.WARNING,
        "revision 2 is pending-upgrade for 6 min: helm is still at work, or was interrupted and "
        "then refuses the next upgrade",
        command,
    )
    long_ago = (Revision(1, "pending-install", "2026-03-01T09:00:00Z"),)
    assert one(DEPLOYMENT, revisions=long_ago).severity is Severity.ERROR


def test_a_revision_that_failed() -> None:
    found = one(DEPLOYMENT, revisions=(Revision(2, "failed"),))
    assert (found.code, found.next) == ("helm-failed", "helm status v -n inference")
    assert causes(DEPLOYMENT, revisions=(Revision(2, "deployed"),)) == []


def test_deployments_that_are_paused_empty_or_late() -> None:
    paused = one(body("Deployment", "v-a", {"spec": {"replicas": 1, "paused": True}}))
    assert (paused.code, paused.next) == (
        "deployment-paused",
        "kubectl -n inference rollout resume deployment v-a",
    )
    empty = one(body("Deployment", "v-a", {"spec": {"replicas": 0}}))
    assert (empty.code, empty.severity) == ("scaled-to-zero", Severity.NOTE)
    late = state("Progressing", "False", "ProgressDeadlineExceeded")
    stuck = {"spec": {"progressDeadlineSeconds": 1200}, "status": {"conditions": [late]}}
    found = one(body("Deployment", "v-a", stuck))
    assert (found.code, found.message) == (
        "progress-deadline-exceeded",
        "made no progress for 20 min",
    )
    default = body("Deployment", "v-a", {"status": {"conditions": [late]}})
    assert one(default).message == "made no progress for 10 min"


def test_no_progress_is_no_news_beside_its_cause() -> None:
    late = state("Progressing", "False", "ProgressDeadlineExceeded")
    stuck = body("Deployment", "v-a", {"status": {"conditions": [late]}})
    failing = pod({"status": {"containerStatuses": [crashed()]}})
    assert one(stuck, failing, node()).code == "crash-loop"


# --- the whole ------------------------------------------------------------------------------------


def test_a_real_healthy_release_has_no_cause() -> None:
    assert diagnose(stored("healthy")) == ()


def test_errors_come_first_and_among_them_what_waiting_cannot_mend() -> None:
    def cause(code: str, severity: Severity, *, final: bool = False) -> Cause:
        return Cause(code, severity, "Pod/x", "", "", final=final)

    mixed = [
        cause("note", Severity.NOTE),
        cause("warning", Severity.WARNING),
        cause("error", Severity.ERROR),
        cause("other", Severity.ERROR),
        cause("final", Severity.ERROR, final=True),
    ]
    assert [found.code for found in in_order(mixed)] == [
        "final",
        "error",
        "other",
        "warning",
        "note",
    ]


def test_text_has_the_cause_on_the_first_line_and_the_command_on_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cause = Cause("code", Severity.ERROR, "Pod/x\x1b[31m", "bad\nthing", "do this")
    plain = ["error code Pod/x\\x1b[31m: bad thing", "    do this"]
    assert list(lines([cause])) == plain
    monkeypatch.delenv("NO_COLOR", raising=False)
    painted = list(lines([cause], colour=True))
    assert painted == [f"\x1b[31merror\x1b[0m {plain[0][6:]}", f"\x1b[2m{plain[1]}\x1b[0m"]
    monkeypatch.setenv("NO_COLOR", "1")
    assert list(lines([cause], colour=True)) == plain


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h")],
)
def test_how_long(number: float, words: str) -> None:
    assert seconds(number) == words


def test_words() -> None:
    assert either([]) == ""
    assert either(["a", "a"]) == "a"
    assert either(["a", "b", "c"]) == "a, b or c"
    assert gke_cluster("kind-test") == "--cluster=CLUSTER --location=LOCATION"
    assert gke_project("kind-test") == "PROJECT"
    assert snapshot().release == "v"
