"""Secrets and ConfigMaps that pods name: absent, empty, with a line end too many."""

from __future__ import annotations

import pytest

from pylib.diagnose import Cause, Severity
from pylib.snapshot.model import SecretKeys, Unread
from tests.unit.cluster_objects import (
    Json,
    causes,
    created,
    event,
    node,
    one,
    pod,
    ready,
)


def naming(name: str, key: str) -> Json:
    """What makes a pod need a key of a Secret."""
    items = [{"key": key, "path": "k"}]
    return {"spec": {"volumes": [{"name": "k", "secret": {"secretName": name, "items": items}}]}}


NEEDS = ready(naming("keys", "api-key"))
CREATE = (
    "kubectl -n inference create secret generic keys --from-file={}=FILE --dry-run=client -o yaml "
    "| kubectl apply -f -"
)


@pytest.mark.parametrize(
    ("keys", "code", "message", "command"),
    [
        (
            None,
            "secret-missing",
            "does not exist in namespace inference; pods that name it cannot start",
            CREATE.format("KEY"),
        ),
        (
            {"other": "filled"},
            "secret-missing",
            "has no key api-key (it has: other); pods that name it cannot start",
            CREATE.format("api-key"),
        ),
        (
            {"api-key": "blank"},
            "secret-empty",
            "holds nothing under api-key",
            CREATE.format("api-key"),
        ),
        (
            {"api-key": "newline"},
            "secret-newline",
            "has a line end after the value of api-key, which becomes a part of it",
            CREATE.format("api-key"),
        ),
    ],
    ids=["absent", "without the key", "empty", "line end"],
)  # fmt: skip
def test_secrets(keys: dict[str, str] | None, code: str, message: str, command: str) -> None:
    found = one(NEEDS, node(), secrets=(SecretKeys("keys", keys),))
    is_error = code != "secret-newline"
    severity = Severity.ERROR if is_error else Severity.WARNING
    assert found == Cause(code, severity, "Secret/keys", message, command, final=is_error)


def test_a_good_secret_and_one_that_may_not_be_read_are_no_cause() -> None:
    good = SecretKeys("keys", {"api-key": "filled", "unused": "blank"})
    assert causes(NEEDS, node(), secrets=(good,)) == []
    assert causes(NEEDS, node(), unread=(Unread("Secret", "no"),)) == []


def test_a_registrys_secret_is_only_a_warning() -> None:
    mine = ready({"spec": {"imagePullSecrets": [{"name": "registry"}]}})
    found = one(mine, node(), secrets=(SecretKeys("registry", None),))
    assert (found.code, found.severity) == ("secret-missing", Severity.WARNING)
    assert found.message == (
        "does not exist in namespace inference; registries are asked without it"
    )


def test_a_config_map_that_is_not_there() -> None:
    text = 'MountVolume.SetUp failed for volume "scripts" : configmap "v-scripts" not found'
    mine = created()
    found = one(mine, node(), event(mine, "FailedMount", text))
    assert (found.code, found.message, found.next) == (
        "config-missing",
        f"cannot start: {text}",
        "kubectl -n inference get configmap v-scripts  # helm upgrade makes the chart's own anew",
    )


def test_a_key_that_a_config_map_lacks() -> None:
    said = "couldn't find key a in ConfigMap inference/settings"
    waits = {"reason": "CreateContainerConfigError", "message": said}
    mine = pod({"status": {"containerStatuses": [{"name": "vllm", "state": {"waiting": waits}}]}})
    found = one(mine, node())
    assert found.next.startswith("kubectl -n inference get configmap settings")


def test_a_secret_that_may_not_be_read_is_known_from_the_kubelet() -> None:
    mine = created()
    said = event(
        mine, "FailedMount", 'MountVolume.SetUp failed for volume "k" : secret "keys" not found'
    )
    assert causes(mine, node(), said) == [], "the Secret itself was looked at"
    found = one(mine, node(), said, unread=(Unread("Secret", "no"),))
    assert (found.code, found.next) == (
        "secret-missing",
        "kubectl -n inference describe pod v-a-1",
    )
