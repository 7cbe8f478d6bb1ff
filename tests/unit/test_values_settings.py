"""Each setting of the config reaches the values where the chart looks for it."""

from __future__ import annotations

from typing import Any

import pytest

from pylib.config.parse import parse_config
from pylib.errors import ConfigError, Problem
from pylib.lock import Lock, parse_lock
from pylib.values import check_lock, lock_problems, make_values, values_file
from pylib.yamlio import parse_one
from tests.unit.bad_configs.tables import BASE, LOCK, Edits, edited, message

VERSION = '  vllmVersion: "0.33.0"\n'
WEIGHTS = "weights:\n  kind: disk\n  type: pd-ssd\n  sizeGiB: 1024\n"
GS = "source: gs://my-models/gemma/gemma-7b"
DOWNLOAD = (
    "version: 1\nmode: download\nproject: my-project\nregion: us-central1\n"
    "cluster: {name: c}\nrelease: {name: r, namespace: vllm}\n"
)


def _values(config: Edits) -> dict[str, Any]:
    return make_values(parse_config(edited(BASE, config)), parse_lock(LOCK))


@pytest.mark.parametrize(
    ("weights", "source", "values"),
    [
        pytest.param(
            "{kind: claim, claims: {a: models}}",
            GS,
            {"kind": "claim", "verify": "none", "claim": {"claims": {"a": "models"}}},
            id="claim",
        ),
        pytest.param(
            "{kind: claim, claims: {a: models}, subPath: b/c, verify: manifest}",
            GS,
            {
                "kind": "claim",
                "verify": "manifest",
                "claim": {"claims": {"a": "models"}, "subPath": "b/c"},
            },
            id="a folder of a claim, verified",
        ),
        pytest.param(
            "{kind: none, sizeGiB: 20}",
            "source: hf://google/gemma-7b",
            {
                "kind": "none",
                "verify": "none",
                "none": {"repository": "google/gemma-7b", "sizeGiB": 20},
            },
            id="an emptyDir",
        ),
        pytest.param(
            "{kind: none, claims: {a: cache}, tokenSecret: {name: hub}}",
            "source: hf://google/gemma-7b\n  revision: main",
            {
                "kind": "none",
                "verify": "none",
                "none": {
                    "repository": "google/gemma-7b",
                    "revision": "main",
                    "claims": {"a": "cache"},
                    "tokenSecret": {"name": "hub", "key": "token"},
                },
            },
            id="a claim to download into, with revision and token",
        ),
    ],
)
def test_each_kind_of_weights_has_its_own_values(
    weights: str, source: str, values: dict[str, Any]
) -> None:
    assert _values({WEIGHTS: f"weights: {weights}\n", GS: source})["weights"] == values


@pytest.mark.parametrize(
    ("edits", "key", "value"),
    [
        pytest.param(
            {"    maxNodes: 5\n": "    maxNodes: 5\n    provisioning: spot\n"},
            "cells",
            [
                {
                    "name": "a",
                    "zone": "us-central1-a",
                    "nodePool": "l4-a",
                    "accelerator": "nvidia-l4",
                    "machineType": "g2-standard-24",
                    "spot": True,
                }
            ],
            id="Spot",
        ),
        pytest.param(
            {"nodePool: {name: l4-a}": "computeClass: {name: l4}", "  - name: a\n    z": "  - z"},
            "cells",
            [
                {
                    "name": "us-central1-a",
                    "zone": "us-central1-a",
                    "computeClass": "l4",
                    "machineType": "g2-standard-24",
                }
            ],
            id="a compute class, in a cell without a name",
        ),
        pytest.param(
            {GS: f"{GS}\n  servedName: org/gemma"},
            "model",
            {"name": "gemma-7b", "directory": "gemma", "servedName": "org/gemma", "sizeGiB": 16},
            id="a served name",
        ),
        pytest.param(
            {
                "  args: [--max-model-len=8192]\n": "  args: []\n  env: {B: '1', A: ''}\n"
                "  apiKey: {secret: {name: key, key: k}, form: file}\n"
            },
            "server",
            {
                "args": [],
                "extraEnv": [{"name": "B", "value": "1"}, {"name": "A", "value": ""}],
                "apiKey": {"secretName": "key", "key": "k", "as": "file"},
                "shmSizeGiB": 8,
            },
            id="environment in the given order, and an API key",
        ),
        pytest.param(
            {VERSION: f"{VERSION}  priorityClassName: high\n"},
            "priorityClassName",
            "high",
            id="a priority class",
        ),
        pytest.param(
            {"  namespace: vllm\n": "  namespace: vllm\n  serviceAccount: mine\n"},
            "serviceAccount",
            {"create": False, "name": "mine"},
            id="an existing service account",
        ),
        pytest.param(
            {"minReplicas: 1": "enabled: false"}, "autoscaling", {"enabled": False}, id="no scaling"
        ),
        pytest.param(
            {
                "source: stackdriver": "source: keda\n  keda: {serverAddress: http://p:9090, "
                "authenticationRef: me, activation: {query: up, threshold: 0.5}}",
                "minReplicas: 1": "minReplicas: 0",
            },
            "autoscaling",
            {
                "enabled": True,
                "source": "keda",
                "metric": "running",
                "targetRunning": 10,
                "targetWaiting": 5,
                "minReplicas": 0,
                "maxReplicas": 5,
                "keda": {
                    "serverAddress": "http://p:9090",
                    "activation": {"query": "up", "threshold": 0.5},
                    "authenticationRef": "me",
                },
            },
            id="KEDA",
        ),
        pytest.param(
            {"source: stackdriver": "source: keda\n  keda: {serverAddress: http://p:9090}"},
            "autoscaling",
            {
                "enabled": True,
                "source": "keda",
                "metric": "running",
                "targetRunning": 10,
                "targetWaiting": 5,
                "minReplicas": 1,
                "maxReplicas": 5,
                "keda": {"serverAddress": "http://p:9090"},
            },
            id="KEDA without a signal to start on",
        ),
        pytest.param(
            {"autoscaling:\n": "monitoring: {intervalSeconds: 5, rules: true}\nautoscaling:\n"},
            "monitoring",
            {"podMonitoring": {"enabled": True, "interval": "5s"}, "rules": {"enabled": True}},
            id="monitoring",
        ),
    ],
)
def test_a_setting_reaches_the_values(edits: Edits, key: str, value: object) -> None:
    assert _values(edits)[key] == value


def test_a_download_has_no_server_but_a_source_and_a_claim() -> None:
    config = parse_config(
        f"{DOWNLOAD}model: {{source: gs://my-models/gemma/gemma-7b, sizeGiB: 16}}\n"
    )
    assert make_values(config, Lock(version=1)) == {
        "mode": "download",
        "download": {
            "source": "gs://my-models/gemma/gemma-7b",
            "directory": "gemma/gemma-7b",
            "claim": {"sizeGiB": 100, "storageClassName": "standard-rwo"},
            "deadlineSeconds": 7200,
        },
    }


def test_a_download_gives_no_reasons_for_a_server_that_it_does_not_start() -> None:
    config = parse_config(edited(BASE, {"version: 1\n": "version: 1\nmode: download\n"}))
    assert "budgetSeconds" not in values_file(config, parse_lock(LOCK), ())


def test_a_download_takes_revision_token_and_service_account() -> None:
    config = parse_config(
        f"{DOWNLOAD.replace('vllm}', 'vllm, serviceAccount: mine}')}"
        "model: {source: hf://google/gemma-7b, revision: main, directory: models, sizeGiB: 16}\n"
        "download: {claimSizeGiB: 50, storageClassName: ssd, deadlineSeconds: 60,"
        " tokenSecret: {name: hub, key: t}}\n"
    )
    assert make_values(config, Lock(version=1)) == {
        "mode": "download",
        "download": {
            "source": "hf://google/gemma-7b",
            "revision": "main",
            "directory": "models/gemma-7b",
            "claim": {"sizeGiB": 50, "storageClassName": "ssd"},
            "deadlineSeconds": 60,
            "tokenSecret": {"name": "hub", "key": "t"},
        },
        "serviceAccount": {"create": False, "name": "mine"},
    }


def test_the_configs_own_values_are_laid_over_the_made_ones_by_helms_rules() -> None:
    own = """values:
  gpusPerPod: 1
  server: {args: [--seed=1], extra: {deep: true}}
  shutdown: null
  monitoring: {rules: null}
  podAnnotations: {team: a}
autoscaling:
"""
    values = _values({"autoscaling:\n": own})
    assert values["gpusPerPod"] == 1
    assert values["server"] == {"args": ["--seed=1"], "shmSizeGiB": 8, "extra": {"deep": True}}
    assert values["shutdown"] is None  # which makes helm drop the chart's default as well
    assert values["monitoring"] == {
        "podMonitoring": {"enabled": True, "interval": "15s"},
        "rules": None,
    }
    assert list(values)[-1] == "podAnnotations"


def test_texts_that_helm_would_take_for_numbers_are_written_in_quotes() -> None:
    config = parse_config(edited(BASE, {"[--max-model-len=8192]": "['1e3', '09', 'y', '0o7']"}))
    text = values_file(config, parse_lock(LOCK), ())
    assert "    - '1e3'\n    - '09'\n    - 'y'\n    - '0o7'\n" in text
    assert parse_one(text).body["server"]["args"] == ["1e3", "09", "y", "0o7"]


def test_a_config_made_by_hand_without_server_or_weights_has_no_values() -> None:
    config, lock = parse_config(BASE), parse_lock(LOCK)
    with pytest.raises(ValueError, match=r"^a config in serve mode needs serving$"):
        make_values(config.model_copy(update={"serving": None}), lock)
    with pytest.raises(ValueError, match=r"^a config in serve mode needs weights$"):
        make_values(config.model_copy(update={"weights": None}), lock)
    serving = config.serving and config.serving.model_copy(update={"image": "no image"})
    with pytest.raises(ValueError, match=r"^'no image' is no image reference$"):
        make_values(config.model_copy(update={"serving": serving}), lock)


def test_a_lock_that_fits_is_let_through() -> None:
    check_lock(parse_config(BASE), parse_lock(LOCK), "config.lock.yaml")


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param({WEIGHTS: "weights: {kind: claim, claims: {a: models}}\n"}, id="a claim"),
        pytest.param({"version: 1\n": "version: 1\nmode: download\n"}, id="a download"),
    ],
)
def test_a_config_without_weights_disks_needs_no_lock(edits: Edits) -> None:
    check_lock(parse_config(edited(BASE, edits)), Lock(version=1), "config.lock.yaml")


def test_a_disk_needs_a_lock_and_the_message_shows_how_to_write_one() -> None:
    with pytest.raises(ConfigError) as caught:
        check_lock(parse_config(BASE), Lock(version=1), "config.lock.yaml")
    head = "config.lock.yaml: weights: is required, since weights.kind is disk"
    said = str(caught.value)
    assert said.startswith(message("config.lock.yaml", head))
    assert "    Bake the weights, or write what exists: weights: {current: REV, revisions: " in said


def _told(problems: tuple[Problem, ...]) -> list[tuple[str, str]]:
    return [(problem.path, problem.message) for problem in problems]


def test_every_cell_needs_a_disk_in_its_own_zone_for_every_revision() -> None:
    older = """    - name: first
      disks:
        a: {name: a-1, zone: us-central1-b, type: pd-balanced, sizeGiB: 10}
    - name: 308c477e9c54
"""
    second = (
        "    maxNodes: 5\n  - {name: b, zone: us-central1-b, nodePool: {name: b},"
        " machineType: g2-standard-24, accelerator: {type: nvidia-l4, count: 2}}\n"
    )
    config = parse_config(edited(BASE, {"    maxNodes: 5\n": second}))
    lock = parse_lock(edited(LOCK, {"    - name: 308c477e9c54\n": older}))
    assert _told(tuple(lock_problems(config, lock))) == [
        (
            "weights.revisions[0].disks.a.zone",
            "'us-central1-b' is not the config's 'us-central1-a'",
        ),
        ("weights.revisions[0].disks", "names no disk for the cell 'b'"),
        ("weights.revisions[1].disks", "names no disk for the cell 'b'"),
    ]


def test_the_current_revision_has_the_disks_that_the_config_asks_for() -> None:
    changed = {"  type: pd-ssd\n  sizeGiB: 1024\n": "  type: pd-balanced\n  sizeGiB: 2048\n"}
    found = tuple(lock_problems(parse_config(edited(BASE, changed)), parse_lock(LOCK)))
    assert [problem.message for problem in found] == [
        "'pd-ssd' is not the config's 'pd-balanced'",
        "1024 is not the config's 2048",
    ]
    assert {p.fix for p in found} == {"Bake again, or change the config to what exists."}


def test_an_existing_image_cache_needs_no_lock() -> None:
    kept = "imageCache: {existing: true, name: theirs, images: ['docker.io/a/b:c']}\ncells:\n"
    values = make_values(parse_config(edited(BASE, {"cells:\n": kept})), Lock(version=1))
    assert values["imageCache"] == {"diskImage": "theirs", "images": ["docker.io/a/b:c"]}


def test_an_image_cache_under_another_name_than_the_locks_is_refused() -> None:
    other = parse_config(edited(BASE, {"cells:\n": "imageCache: {name: other}\ncells:\n"}))
    lock = parse_lock(LOCK)
    assert lock.imageCache is not None
    with pytest.raises(ConfigError) as caught:
        check_lock(other, lock, "config.lock.yaml")
    assert str(caught.value) == (
        "config.lock.yaml: 1 problem\n"
        f"config.lock.yaml: imageCache.name: {lock.imageCache.name!r} is not the config's 'other'\n"
        "    Bake again, or change the config to what exists."
    )
