"""Download mode: the Job, its claim, and nothing of serving."""

import re
from typing import Any

import pytest

from tests.chart.helmtool import download, notes
from tests.chart.scripts import FILES

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB: dict[str, Any] = {
    "download": {
        "source": "hf://google/gemma-7b",
        "revision": COMMIT,
        "tokenSecret": {"name": "hf", "key": "read"},
    }
}


def container(over: dict[str, Any] | None = None) -> dict[str, Any]:
    """The only container of the Job."""
    found: dict[str, Any] = (
        download(over).one("Job").get("spec", "template", "spec", "containers", 0)
    )
    return found


def test_download_mode_renders_nothing_that_serves() -> None:
    assert download().kinds() == [
        "ConfigMap",
        "Job",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "ServiceAccount",
    ]


def test_the_job_bears_the_hash_of_its_spec_since_it_cannot_change() -> None:
    def name(over: dict[str, Any]) -> str:
        return download(over).one("Job").name

    assert re.fullmatch(r"fetch-download-[0-9a-f]{8}", name({}))
    assert name({}) == name({"commonLabels": {}})
    changes: list[dict[str, Any]] = [
        {"download": {"source": "gs://models/gemma/gemma-2b"}},
        {"download": {"retries": 3}},
        {"download": {"image": {"tag": "503.0.0-slim"}}},
    ]
    assert len({name(over) for over in [{}, *changes]}) == 4


def test_another_vllm_version_downloads_nothing_again() -> None:
    assert download({"vllmVersion": "0.5.3"}).one("Job").name == download().one("Job").name


def test_the_job_gives_up_in_time_and_tries_again_only_where_that_helps() -> None:
    values = {"download": {"retries": 4, "deadlineSeconds": 600}}
    spec = download(values).one("Job").get("spec")
    assert spec["backoffLimit"] == 4
    assert spec["activeDeadlineSeconds"] == 600
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert "ttlSecondsAfterFinished" not in spec
    fail, ignore = spec["podFailurePolicy"]["rules"]
    codes = {"containerName": "download", "operator": "In", "values": [2]}
    assert fail == {"action": "FailJob", "onExitCodes": codes}
    assert ignore == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}


def test_no_gpu_node_is_used() -> None:
    pod = download().one("Job").get("spec", "template", "spec")
    assert "tolerations" not in pod
    assert "nodeSelector" not in pod
    assert "nvidia.com/gpu" not in str(pod)


def test_the_claim_is_a_file_system_that_a_plain_pod_can_mount() -> None:
    claim = {"sizeGiB": 200, "storageClassName": "premium-rwo"}
    objects = download({"download": {"claim": claim}})
    spec = objects.one("PersistentVolumeClaim").get("spec")
    assert spec == {
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "storageClassName": "premium-rwo",
        "resources": {"requests": {"storage": "200Gi"}},
    }
    volumes = objects.one("Job").get("spec", "template", "spec", "volumes")
    name = objects.one("PersistentVolumeClaim").name
    assert volumes[0] == {"name": "data", "persistentVolumeClaim": {"claimName": name}}


@pytest.mark.parametrize(
    ("values", "args"),
    [
        (
            {},
            ["--source=gs://models/gemma/gemma-7b", "--root=/data", "--directory=gemma/gemma-7b"],
        ),
        (
            {"download": {"directory": "other/name"}},
            ["--source=gs://models/gemma/gemma-7b", "--root=/data", "--directory=other/name"],
        ),
        (
            HUB,
            [
                "--source=hf://google/gemma-7b",
                f"--revision={COMMIT}",
                "--root=/data",
                "--directory=google/gemma-7b",
                "--token-file=/etc/vllm-fast-start/hf-token/token",
            ],
        ),
    ],
)
def test_the_destination_is_the_path_in_the_source_unless_said(
    values: dict[str, Any], args: list[str]
) -> None:
    assert container(values)["args"] == args


def test_the_script_is_a_package_that_python_runs() -> None:
    job = container()
    assert job["command"] == ["python3", "-B", "-m", "download"]
    assert {"name": "PYTHONPATH", "value": "/scripts"} in job["env"]
    mount = {"name": "scripts", "mountPath": "/scripts/download", "readOnly": True}
    assert mount in job["volumeMounts"]
    data = download().one("ConfigMap").get("data")
    sources = {path.name: path.read_text() for path in (FILES / "download").glob("*.py")}
    assert {name: text.rstrip() for name, text in data.items()} == {
        name: text.rstrip() for name, text in sources.items()
    }


def test_the_token_is_a_file() -> None:
    objects = download(HUB)
    volumes = objects.one("Job").get("spec", "template", "spec", "volumes")
    assert volumes[-1]["secret"] == {
        "secretName": "hf",
        "defaultMode": 0o440,
        "items": [{"key": "read", "path": "token"}],
    }
    assert "secretKeyRef" not in objects.text


def test_the_image_is_pinned() -> None:
    repository = "gcr.io/google.com/cloudsdktool/google-cloud-cli"
    assert container()["image"] == f"{repository}:502.0.0-slim"
    digest = f"sha256:{'1' * 64}"
    found = container({"download": {"image": {"digest": digest}}})["image"]
    assert found == f"{repository}:502.0.0-slim@{digest}"


def test_resources_are_passed() -> None:
    resources = {"requests": {"cpu": "4"}, "limits": {"memory": "8Gi"}}
    found = container({"download": {"resources": resources}})["resources"]
    assert found["requests"]["cpu"] == "4"
    assert found["limits"]["memory"] == "8Gi"


def test_pull_secrets_and_tolerations_reach_the_job() -> None:
    toleration = {"key": "batch", "operator": "Exists"}
    values = {"imagePullSecrets": ["registry"], "tolerations": [toleration]}
    pod = download(values).one("Job").get("spec", "template", "spec")
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["tolerations"] == [toleration]


@pytest.mark.parametrize(("values", "needs_metadata"), [({}, True), (HUB, False)])
def test_only_a_bucket_needs_the_metadata_server(
    values: dict[str, Any], needs_metadata: bool
) -> None:
    objects = download(values)
    policy = objects.one("NetworkPolicy").get("spec")
    blocks = [to["ipBlock"]["cidr"] for rule in policy["egress"] for to in rule.get("to", [])]
    assert blocks == (["169.254.169.252/32", "169.254.169.254/32"] if needs_metadata else [])
    ports = [port["port"] for rule in policy["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 443, *([988, 80] if needs_metadata else [])]
    assert "ingress" not in policy
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    labels = objects.one("Job").get("spec", "template", "metadata", "labels")
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()


def test_notes_name_the_job_the_target_and_the_next_command() -> None:
    name = download().one("Job").name
    text = notes(
        {"mode": "download", "download": {"source": "gs://models/gemma/gemma-7b"}}, "fetch"
    )
    assert text == (
        f"vLLM fast start 0.1.0: the download Job {name} fills a disk.\n"
        "\n"
        "From:  gs://models/gemma/gemma-7b\n"
        "To:    /gemma/gemma-7b on claim fetch-download (100 GiB)\n"
        "\n"
        "Next, wait for it, and read the manifest's sha256 at the end of its log:\n"
        "\n"
        f"  kubectl -n serving wait --for=condition=complete --timeout=7200s job/{name}\n"
        f"  kubectl -n serving logs job/{name}\n"
        "\n"
        "Then make an image from the claim's disk. helm uninstall keeps the claim; "
        "once the image is made, delete it, and its disk with it:\n"
        "\n"
        "  kubectl -n serving delete persistentvolumeclaim/fetch-download"
    )
