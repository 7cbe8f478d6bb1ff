"""What the closed schema refuses: typos, wrong types, names that no cloud or cluster takes."""

from typing import Any

import pytest

from tests.chart.helmtool import DOWNLOAD, HELM, HELM3, SERVE, ZONE, merged, refusal

FRAME = (
    "values don't meet the specifications of the schema(s) in the following chart(s):\n"
    "vllm-fast-start:\n"
)
OBJECT_NAME = "^(?:[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$"
RELATIVE = "^(?:[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*)?$"
WORD = "[A-Za-z0-9_][A-Za-z0-9._-]*"


def cell(**fields: Any) -> dict[str, Any]:
    """Values with one cell."""
    return {"cells": [{"zone": ZONE, "nodePool": "p", **fields}]}


def disk(**fields: Any) -> dict[str, Any]:
    """Values with other fields of the disk."""
    return {"weights": {"disk": fields}}


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "typo at the top": ({"modle": {}}, "at '': additional properties 'modle' not allowed"),
    "typo inside": (
        disk(sizeGib=1),
        "at '/weights/disk': additional properties 'sizeGib' not allowed",
    ),
    "typo in a cell": (
        cell(nodepool="p"),
        "at '/cells/0': additional properties 'nodepool' not allowed",
    ),
    "cell without zone": (
        {"cells": [{"nodePool": "p"}]},
        "at '/cells/0': missing property 'zone'",
    ),
    "region for zone": (
        cell(zone="us-central1"),
        "at '/cells/0/zone': 'us-central1' does not match pattern "
        "'^(?:[a-z]+-[a-z]+[0-9]+-[a-z])$'",
    ),
    "cells as a map": ({"cells": {"zone": ZONE}}, "at '/cells': got object, want array"),
    "size as text": (
        disk(sizeGiB="1TB"),
        "at '/weights/disk/sizeGiB': got string, want null or integer",
    ),
    "size with a fraction": (
        disk(sizeGiB=1.5),
        "at '/weights/disk/sizeGiB': got number, want null or integer",
    ),
    "size of nothing": (disk(sizeGiB=0), "at '/weights/disk/sizeGiB': minimum: got 0, want 1"),
    "size beyond any disk": (
        disk(sizeGiB=10**12),
        "at '/weights/disk/sizeGiB': maximum: got 1×10¹², want 65,536",
    ),
    "read-ahead between pages": (
        disk(readAheadKiB=4097),
        "at '/weights/disk/readAheadKiB': multipleOf: got 4,097, want 4",
    ),
    "unknown disk type": (
        disk(type="pd-fast"),
        "at '/weights/disk/type': value must be one of "
        "'pd-ssd', 'pd-balanced', 'hyperdisk-ml', 'hyperdisk-balanced'",
    ),
    "unknown weights kind": (
        {"weights": {"kind": "nfs"}},
        "at '/weights/kind': value must be one of '', 'claim', 'disk', 'none'",
    ),
    "project with capitals": (
        disk(project="My_Project"),
        "at '/weights/disk/project': 'My_Project' does not match pattern "
        "'^(?:([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9])?$'",
    ),
    "revision too long": (
        disk(current="a" * 21),
        f"at '/weights/disk/current': '{'a' * 21}' does not match pattern "
        "'^(?:[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?)?$'",
    ),
    "disk name with a slash": (
        disk(revisions=[{"name": "r", "disks": {ZONE: "zones/a"}}]),
        "at '/weights/disk/revisions/0/disks/us-central1-a': 'zones/a' does not match pattern "
        "'^(?:[a-z]([-a-z0-9]{0,61}[a-z0-9])?)$'",
    ),
    "short manifest hash": (
        disk(revisions=[{"name": "r", "disks": {}, "manifestSha256": "abc"}]),
        "at '/weights/disk/revisions/0/manifestSha256': 'abc' does not match pattern "
        "'^(?:[0-9a-f]{64})$'",
    ),
    "path out of the disk": (
        {"model": {"directory": "../etc"}},
        f"at '/model/directory': '../etc' does not match pattern '{RELATIVE}'",
    ),
    "absolute path": (
        {"model": {"directory": "/models"}},
        f"at '/model/directory': '/models' does not match pattern '{RELATIVE}'",
    ),
    "shell in a model name": (
        {"model": {"name": "a;rm -rf"}},
        f"at '/model/name': 'a;rm -rf' does not match pattern '^(?:{WORD})?$'",
    ),
    "digest without sha256": (
        {"image": {"digest": "a" * 64}},
        f"at '/image/digest': '{'a' * 64}' does not match pattern '^(?:sha256:[0-9a-f]{{64}})?$'",
    ),
    "tag in the repository": (
        {"image": {"repository": "vllm/vllm-openai:v1"}},
        "at '/image/repository': 'vllm/vllm-openai:v1' does not match pattern "
        "'^(?:[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)$'",
    ),
    "version with a v": (
        {"vllmVersion": "v0.33.0"},
        "at '/vllmVersion': 'v0.33.0' does not match pattern "
        r"'^(?:[0-9]+\\.[0-9]+\\.[0-9]+((rc|\\.post)[0-9]+)?)?$'",
    ),
    "version as a number": ({"vllmVersion": 0.33}, "at '/vllmVersion': got number, want string"),
    "argument as a number": (
        {"server": {"args": ["--max-model-len", 300]}},
        "at '/server/args/1': got number, want string",
    ),
    "arguments as text": (
        {"server": {"args": "--x"}},
        "at '/server/args': got string, want array",
    ),
    "variable without a name": (
        {"server": {"extraEnv": [{"value": "x"}]}},
        "at '/server/extraEnv/0': missing property 'name'",
    ),
    "privileged port": ({"server": {"port": 80}}, "at '/server/port': minimum: got 80, want 1,024"),
    "port of text": ({"service": {"port": "8000"}}, "at '/service/port': got string, want integer"),
    "secret name with capitals": (
        {"server": {"apiKey": {"secretName": "Key"}}},
        f"at '/server/apiKey/secretName': 'Key' does not match pattern '{OBJECT_NAME}'",
    ),
    "key neither env nor file": (
        {"server": {"apiKey": {"as": "arg"}}},
        "at '/server/apiKey/as': value must be one of 'env', 'file'",
    ),
    "no gpu": ({"gpusPerPod": 0}, "at '/gpusPerPod': minimum: got 0, want 1"),
    "memory in words": (
        {"resources": {"limits": {"memory": "lots"}}},
        "at '/resources/limits/memory': 'lots' does not match pattern "
        r"'^(?:[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)$'",
    ),
    "yes for a switch": (
        {"autoscaling": {"enabled": "yes"}},
        "at '/autoscaling/enabled': got string, want boolean",
    ),
    "unknown source of metrics": (
        {"autoscaling": {"source": "datadog"}},
        "at '/autoscaling/source': value must be one of 'stackdriver', 'gke', 'keda'",
    ),
    "accelerator of another maker": (
        cell(accelerator="amd-mi300x"),
        "at '/cells/0/accelerator': 'amd-mi300x' does not match pattern "
        "'^(?:nvidia-[a-z0-9]+(-[a-z0-9]+)*)$'",
    ),
    "cell name too long": (
        cell(name="a" * 64),
        f"at '/cells/0/name': '{'a' * 64}' does not match pattern "
        "'^(?:[a-z]([-a-z0-9]{0,61}[a-z0-9])?)$'",
    ),
    "unicode in a label": (
        {"commonLabels": {"team": "größe"}},
        "at '/commonLabels/team': 'größe' does not match pattern "
        "'^(?:([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?)$'",
    ),
    "probe period beyond a minute": (
        {"startup": {"periodSeconds": 61}},
        "at '/startup/periodSeconds': maximum: got 61, want 60",
    ),
    "negative drain": (
        {"shutdown": {"drainSeconds": -1}},
        "at '/shutdown/drainSeconds': minimum: got -1, want 0",
    ),
    "budget in words": (
        {"podDisruptionBudget": {"maxUnavailable": "half"}},
        "at '/podDisruptionBudget/maxUnavailable': 'half' does not match pattern '^(?:[0-9]+%)$'",
    ),
    "external service": (
        {"service": {"type": "ExternalName"}},
        "at '/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'",
    ),
    "scrape interval without a unit": (
        {"monitoring": {"podMonitoring": {"interval": "15"}}},
        "at '/monitoring/podMonitoring/interval': '15' does not match pattern "
        "'^(?:[1-9][0-9]*[sm])$'",
    ),
}


@pytest.mark.parametrize(("values", "message"), REFUSALS.values(), ids=list(REFUSALS))
def test_refused(values: dict[str, Any], message: str) -> None:
    found = refusal(merged(SERVE, values))
    assert FRAME in found
    assert message in [line.strip().removeprefix("- ") for line in found.splitlines()]


def test_serving_needs_a_model_weights_and_cells() -> None:
    found = refusal({})
    assert {line.strip() for line in found.removeprefix(FRAME).splitlines()[2:]} == {
        f"- at '/model/name': '' does not match pattern '^(?:{WORD})$'",
        "- at '/weights/kind': value must be one of 'claim', 'disk', 'none'",
        "- at '/cells': minItems: got 0, want 1",
    }


def test_a_required_key_cannot_be_taken_away() -> None:
    assert "missing property 'cells'" in refusal(merged(SERVE, {"cells": None}))


def test_a_disk_needs_project_size_current_and_revisions() -> None:
    values: dict[str, Any] = {"project": "", "sizeGiB": None, "current": "", "revisions": []}
    found = refusal(merged(SERVE, disk(**values)))
    for part in (
        "- at '/weights/disk/project': '' does not match pattern",
        "- at '/weights/disk/sizeGiB': got null, want integer",
        "- at '/weights/disk/current': '' does not match pattern",
        "- at '/weights/disk/revisions': minItems: got 0, want 1",
    ):
        assert part in found


def test_only_the_block_of_the_chosen_kind_is_required() -> None:
    found = refusal(merged(SERVE, {"weights": {"kind": "claim"}}))
    assert found.endswith("- at '/weights/claim/claims': minProperties: got 0, want 1")


def test_a_download_needs_a_source() -> None:
    found = refusal({"mode": "download"})
    assert "- at '/download/source': '' does not match pattern '^(?:gs://" in found


def test_download_and_serving_cannot_be_one_release() -> None:
    found = refusal(merged(DOWNLOAD, SERVE))
    assert "- at '/weights/kind': value must be ''" in found
    assert "- at '/cells': maxItems: got 1, want 0" in found


@pytest.mark.parametrize(
    "source",
    ["gs://models", "gs://Models/a", "gs://models/../a", "gs://models/a/", "s3://models/a",
     "hf://gemma-7b", "hf://a/b/c", "/models/a", "gs://models/a b", "gs://models/$(id)"],
)  # fmt: skip
def test_a_source_is_a_folder_in_a_bucket_or_a_model_on_hugging_face(source: str) -> None:
    found = refusal(merged(DOWNLOAD, {"download": {"source": source}}))
    assert f"at '/download/source': '{source}' does not match pattern" in found


@pytest.mark.parametrize(("values", "message"), list(REFUSALS.values())[:5])
def test_helm_3_says_the_same(values: dict[str, Any], message: str) -> None:
    del message
    four = refusal(merged(SERVE, values), helm=HELM)
    three = refusal(merged(SERVE, values), helm=HELM3)
    assert sorted(three.splitlines()) == sorted(four.splitlines())
