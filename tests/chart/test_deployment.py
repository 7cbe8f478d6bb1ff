"""The Deployment: command, arguments, environment, probes, shutdown, pass-through fields."""

from typing import Any

import pytest

from tests.chart.helmtool import serve


def test_the_server_is_started_by_vllm_serve_with_the_model_first() -> None:
    server = serve().server()
    assert server["command"] == ["vllm", "serve"]
    assert server["args"] == [
        "/model-data/gemma/gemma-7b",
        "--served-model-name=gemma-7b",
        "--port=8000",
        "--tensor-parallel-size=1",
        "--shutdown-timeout=60",
    ]


def test_given_arguments_come_last_and_verbatim() -> None:
    args = ["--max-model-len=300", "--override-generation-config={'a': 1}"]
    assert serve({"server": {"args": args}}).server()["args"][-2:] == args


def test_a_given_command_replaces_vllm_serve() -> None:
    command = ["python3", "-m", "vllm.entrypoints.openai.api_server"]
    assert serve({"server": {"command": command}}).server()["command"] == command


def test_a_served_name_replaces_the_models() -> None:
    args = serve({"model": {"servedName": "google/gemma"}}).server()["args"]
    assert "--served-model-name=google/gemma" in args


def test_a_model_without_a_directory_lies_at_the_root_of_the_disk() -> None:
    args = serve({"model": {"directory": ""}}).server()["args"]
    assert args[0] == "/model-data/gemma-7b"


@pytest.mark.parametrize(
    ("version", "has_drain"),
    [("0.5.3", False), ("0.17.1", False), ("0.18.0", True), ("0.18.0rc1", True), ("1.0.0", True)],
)
def test_shutdown_timeout_is_passed_from_vllm_0_18_on(version: str, has_drain: bool) -> None:
    args = serve({"vllmVersion": version}).server()["args"]
    assert ("--shutdown-timeout=60" in args) is has_drain


def test_no_drain_passes_no_shutdown_timeout() -> None:
    args = serve({"shutdown": {"drainSeconds": 0}}).server()["args"]
    assert not any(arg.startswith("--shutdown-timeout") for arg in args)


@pytest.mark.parametrize(
    ("values", "image", "has_drain"),
    [
        ({}, "docker.io/vllm/vllm-openai:v0.33.0", True),
        ({"vllmVersion": "0.5.3"}, "docker.io/vllm/vllm-openai:v0.5.3", False),
        ({"image": {"tag": "v0.5.3"}}, "docker.io/vllm/vllm-openai:v0.5.3", False),
        ({"image": {"tag": "v0.20.1-x86_64"}}, "docker.io/vllm/vllm-openai:v0.20.1-x86_64", True),
        (
            {"vllmVersion": "0.5.3", "image": {"repository": "eu.gcr.io/p/vllm", "tag": "mine"}},
            "eu.gcr.io/p/vllm:mine",
            False,
        ),
        (
            {"image": {"tag": "v0.33.0", "digest": f"sha256:{'a' * 64}"}},
            f"docker.io/vllm/vllm-openai:v0.33.0@sha256:{'a' * 64}",
            True,
        ),
    ],
)
def test_image_and_version_follow_from_each_other(
    values: dict[str, Any], image: str, has_drain: bool
) -> None:
    server = serve(values).server()
    assert server["image"] == image
    assert ("--shutdown-timeout=60" in server["args"]) is has_drain


def test_pull_policy_is_if_not_present_so_that_a_cached_image_starts_without_a_registry() -> None:
    pod = serve().pod()
    policies = {c["imagePullPolicy"] for c in [*pod["containers"], *pod["initContainers"]]}
    assert policies == {"IfNotPresent"}


def test_gpus_and_tensor_parallelism_come_from_one_value() -> None:
    server = serve({"gpusPerPod": 8}).server()
    assert "--tensor-parallel-size=8" in server["args"]
    assert server["resources"]["requests"]["nvidia.com/gpu"] == "8"
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "8"


def test_the_server_has_no_cpu_limit() -> None:
    resources = serve().server()["resources"]
    assert resources["requests"] == {
        "cpu": "8",
        "ephemeral-storage": "10Gi",
        "memory": "32Gi",
        "nvidia.com/gpu": "1",
    }
    assert resources["limits"] == {
        "ephemeral-storage": "10Gi",
        "memory": "32Gi",
        "nvidia.com/gpu": "1",
    }


def test_every_cache_lies_on_the_writable_volume() -> None:
    env = serve().env()
    assert {k: v for k, v in env.items() if str(v).startswith("/")} == {
        "HOME": "/cache",
        "XDG_CACHE_HOME": "/cache/xdg",
        "XDG_CONFIG_HOME": "/cache/config",
        "HF_HOME": "/cache/huggingface",
        "VLLM_CACHE_ROOT": "/cache/vllm",
        "TRITON_CACHE_DIR": "/cache/triton",
        "TORCHINDUCTOR_CACHE_DIR": "/cache/torchinductor",
        "FLASHINFER_WORKSPACE_BASE": "/cache/flashinfer",
        "CUDA_CACHE_PATH": "/cache/cuda",
    }
    assert env["USER"] == "vllm"
    assert env["VLLM_NO_USAGE_STATS"] == "1"
    assert env["DO_NOT_TRACK"] == "1"


def test_local_weights_keep_the_hugging_face_libraries_offline() -> None:
    env = serve().env()
    assert env["HF_HUB_OFFLINE"] == "1"
    assert env["TRANSFORMERS_OFFLINE"] == "1"


def test_extra_environment_replaces_a_name_instead_of_giving_it_twice() -> None:
    extra = [{"name": "HF_HOME", "value": "/elsewhere"}, {"name": "NCCL_DEBUG", "value": "INFO"}]
    env = serve({"server": {"extraEnv": extra}}).server()["env"]
    names = [e["name"] for e in env]
    assert len(names) == len(set(names))
    assert env[-2:] == extra


def test_extra_environment_sources_are_passed() -> None:
    sources = [{"configMapRef": {"name": "vllm-env"}}]
    assert serve({"server": {"extraEnvFrom": sources}}).server()["envFrom"] == sources


def test_shared_memory_and_caches_have_sizes() -> None:
    values = {"server": {"shmSizeGiB": 12, "cacheSizeGiB": 6}}
    volumes = {v["name"]: v for v in serve(values).pod()["volumes"]}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "12Gi"}
    assert volumes["cache"]["emptyDir"] == {"sizeLimit": "6Gi"}
    assert volumes["tmp"]["emptyDir"] == {"sizeLimit": "1Gi"}


def test_every_mount_has_its_volume() -> None:
    secret = {"secretName": "key", "as": "file"}
    values = {"server": {"apiKey": secret, "chatTemplate": {"inline": "x"}}}
    pod = serve(values).pod()
    volumes = {v["name"] for v in pod["volumes"]}
    containers = [*pod["containers"], *pod["initContainers"]]
    mounts = {m["name"] for c in containers for m in c["volumeMounts"]}
    assert mounts == volumes


@pytest.mark.parametrize(
    ("budget", "period", "threshold"), [(1200, 2, 600), (301, 2, 151), (1, 60, 1), (61, 60, 2)]
)
def test_the_startup_probe_covers_the_budget_and_no_more_than_a_period_beyond(
    budget: int, period: int, threshold: int
) -> None:
    values = {"startup": {"budgetSeconds": budget, "periodSeconds": period}}
    probe = serve(values).server()["startupProbe"]
    assert probe["periodSeconds"] == period
    assert probe["failureThreshold"] == threshold
    assert probe["httpGet"] == {"path": "/health", "port": "http"}


def test_no_probe_waits_before_its_first_try() -> None:
    assert "initialDelaySeconds" not in serve().text


def test_readiness_is_asked_often_and_liveness_forgives_a_busy_server() -> None:
    server = serve().server()
    assert server["readinessProbe"]["periodSeconds"] == 2
    assert server["livenessProbe"]["periodSeconds"] == 10
    assert server["livenessProbe"]["timeoutSeconds"] == 10
    assert server["livenessProbe"]["failureThreshold"] == 3


def test_the_grace_period_is_the_sum_of_its_parts() -> None:
    values = {"shutdown": {"preStopSeconds": 5, "drainSeconds": 100, "bufferSeconds": 20}}
    objects = serve(values)
    assert objects.pod()["terminationGracePeriodSeconds"] == 125
    assert objects.server()["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert "--shutdown-timeout=100" in objects.server()["args"]


def test_no_pre_stop_hook_without_a_wait() -> None:
    assert "lifecycle" not in serve({"shutdown": {"preStopSeconds": 0}}).server()


def test_the_progress_deadline_outlasts_a_new_node_and_the_start_budget() -> None:
    deployment = serve({"startup": {"budgetSeconds": 3000}}).one("Deployment")
    assert deployment.get("spec", "progressDeadlineSeconds") == 3900


def test_an_update_adds_a_pod_before_it_takes_one() -> None:
    assert serve().one("Deployment").get("spec", "strategy") == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_recreate_takes_no_bounds_along() -> None:
    strategy = serve({"strategy": {"type": "Recreate"}}).one("Deployment").get("spec", "strategy")
    assert strategy == {"type": "Recreate"}


def test_pass_through_fields_reach_the_pod() -> None:
    values: dict[str, Any] = {
        "imagePullSecrets": ["registry"],
        "priorityClassName": "serving-high",
        "affinity": {"podAntiAffinity": {}},
        "tolerations": [{"key": "team", "operator": "Exists"}],
        "extraVolumes": [{"name": "lora", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "lora", "mountPath": "/lora"}],
        "podAnnotations": {"example.com/team": "nlp"},
        "podLabels": {"team": "nlp"},
    }
    objects = serve(values)
    pod = objects.pod()
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["priorityClassName"] == "serving-high"
    assert pod["affinity"] == {"podAntiAffinity": {}}
    assert pod["tolerations"][-1] == {"key": "team", "operator": "Exists"}
    assert pod["volumes"][-1] == {"name": "lora", "emptyDir": {}}
    assert objects.server()["volumeMounts"][-1] == {"name": "lora", "mountPath": "/lora"}
    metadata = objects.one("Deployment").get("spec", "template", "metadata")
    assert metadata["annotations"]["example.com/team"] == "nlp"
    assert metadata["labels"]["team"] == "nlp"


def test_a_topology_spread_without_a_selector_counts_the_cells_pods() -> None:
    bare = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    own = {**bare, "labelSelector": {"matchLabels": {"team": "nlp"}}}
    pod = serve({"topologySpreadConstraints": [bare, own]}).pod()
    selector = {"matchLabels": {"app": "vllm", "cell": "us-central1-a"}}
    assert pod["topologySpreadConstraints"] == [{**bare, "labelSelector": selector}, own]


def test_facts_for_validation_stand_on_the_deployment_and_on_its_pods() -> None:
    values: dict[str, Any] = {
        "imageCache": {"images": ["vllm/vllm-openai:v0.33.0", "other:1"]},
        "cells": [{"zone": "us-central1-a", "nodePool": "p", "machineType": "g2-standard-24"}],
    }
    deployment = serve(values).one("Deployment")
    facts = {
        "vllm-fast-start/vllm-version": "0.33.0",
        "vllm-fast-start/weights-kind": "disk",
        "vllm-fast-start/model-size-gib": "16",
        "vllm-fast-start/cached-images": "vllm/vllm-openai:v0.33.0,other:1",
        "vllm-fast-start/machine-type": "g2-standard-24",
    }
    assert deployment.get("metadata", "annotations") == facts
    assert deployment.get("spec", "template", "metadata", "annotations") == facts


def test_an_inline_chat_template_is_mounted_and_a_change_of_it_restarts_pods() -> None:
    text = '{{ messages }}\n  "quoted": <tag> ${x}\n'
    objects = serve({"server": {"chatTemplate": {"inline": text}}})
    config = objects.one("ConfigMap", "vllm-chat-template")
    assert config.get("data") == {"chat-template.jinja": text}
    path = "/etc/vllm-fast-start/chat-template"
    assert f"--chat-template={path}/chat-template.jinja" in objects.server()["args"]
    mount = {"name": "chat-template", "mountPath": path, "readOnly": True}
    assert mount in objects.server()["volumeMounts"]
    checksum = "vllm-fast-start/chat-template-sha256"
    before = objects.one("Deployment").get("spec", "template", "metadata", "annotations")
    other = serve({"server": {"chatTemplate": {"inline": "other"}}}).one("Deployment")
    after = other.get("spec", "template", "metadata", "annotations")
    assert before[checksum] != after[checksum]


def test_a_chat_template_may_come_from_an_existing_config_map() -> None:
    values = {"server": {"chatTemplate": {"configMapName": "templates", "key": "gemma.jinja"}}}
    objects = serve(values)
    assert [m.name for m in objects.all("ConfigMap")] == ["vllm-scripts"]
    volume = {"name": "chat-template", "configMap": {"name": "templates"}}
    assert volume in objects.pod()["volumes"]
    path = "--chat-template=/etc/vllm-fast-start/chat-template/gemma.jinja"
    assert path in objects.server()["args"]


def test_extra_objects_are_rendered_as_templates() -> None:
    values = {
        "extraObjects": [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "{{ .Release.Name }}-key"},
            },
            "apiVersion: v1\nkind: LimitRange\nmetadata:\n  name: {{ .Release.Name }}-limits\n",
        ]
    }
    objects = serve(values)
    assert objects.one("Secret").name == "vllm-key"
    assert objects.one("LimitRange").name == "vllm-limits"
