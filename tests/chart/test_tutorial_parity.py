"""The tutorial's manifests, field by field: what is the same, and where we differ, why.

Source: GoogleCloudPlatform/cloud-solutions, projects/serve-llm-app-using-gke, before the commit
8fb10eb8 that archived it; one section per file.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.chart.helmtool import DOWNLOAD, Objects, download, serve

VALUES: dict[str, Any] = {
    "vllmVersion": "0.5.3",
    "model": {"name": "gemma-7b", "directory": "gemma", "sizeGiB": 16},
    "gpusPerPod": 2,
    "cells": [
        {"zone": "us-central1-a", "nodePool": "vllm-pool", "accelerator": "nvidia-l4"},
    ],
    "server": {"extraEnv": [{"name": "VLLM_ATTENTION_BACKEND", "value": "FLASHINFER"}]},
    "autoscaling": {"enabled": True},
}


@pytest.fixture(scope="module")
def tutorial() -> Objects:
    """The tutorial's deployment, as our chart makes it."""
    return serve(VALUES, release="vllm-openai", namespace="default")


@pytest.fixture(scope="module")
def pod(tutorial: Objects) -> Mapping[str, Any]:
    """Its pod."""
    return tutorial.pod()


@pytest.fixture(scope="module")
def server(tutorial: Objects) -> Mapping[str, Any]:
    """Its container."""
    return tutorial.server()


@pytest.fixture(scope="module")
def job() -> Mapping[str, Any]:
    """The spec of the download Job."""
    spec: Mapping[str, Any] = download().one("Job").get("spec")
    return spec


class TestPvcForDownloader:
    """download-model/pvc-for-downloader.yaml."""

    def test_access_mode_size_and_class_are_the_same(self) -> None:
        spec = download().one("PersistentVolumeClaim").get("spec")
        assert spec["accessModes"] == ["ReadWriteOnce"]
        assert spec["resources"]["requests"]["storage"] == "100Gi"
        assert spec["storageClassName"] == "standard-rwo"

    def test_volume_mode_is_filesystem_since_a_block_volume_cannot_be_mounted_as_the_job_does(
        self,
    ) -> None:
        assert download().one("PersistentVolumeClaim").get("spec", "volumeMode") == "Filesystem"

    def test_the_name_is_the_releases_since_block_pvc_would_be_one_per_namespace(self) -> None:
        assert download().one("PersistentVolumeClaim").name == "fetch-download"


class TestModelDownloaderJob:
    """download-model/model-downloader-job.yaml."""

    def test_deadline_retries_completions_and_parallelism_are_the_same(
        self, job: Mapping[str, Any]
    ) -> None:
        assert job["activeDeadlineSeconds"] == 7200
        assert job["backoffLimit"] == 2
        assert job["completions"] == job["parallelism"] == 1

    def test_completion_mode_and_selector_are_left_to_kubernetes_which_sets_the_same(
        self, job: Mapping[str, Any]
    ) -> None:
        assert "completionMode" not in job
        assert "manualSelector" not in job

    def test_restart_policy_is_the_same(self, job: Mapping[str, Any]) -> None:
        assert job["template"]["spec"]["restartPolicy"] == "Never"

    def test_the_name_is_fixed_by_content_since_generate_name_cannot_be_applied(self) -> None:
        assert download().one("Job").get("metadata", "generateName") is None

    def test_the_model_goes_from_the_buckets_folder_to_the_same_path_on_the_disk(
        self, job: Mapping[str, Any]
    ) -> None:
        (container,) = job["template"]["spec"]["containers"]
        assert DOWNLOAD["download"]["source"] == "gs://models/gemma/gemma-7b"
        assert "--directory=gemma/gemma-7b" in container["args"]

    def test_gcloud_copies_instead_of_gcs_fuse_so_no_sidecar_annotations_and_no_bucket_volume(
        self, job: Mapping[str, Any]
    ) -> None:
        assert "annotations" not in job["template"]["metadata"]
        assert not any("csi" in volume for volume in job["template"]["spec"]["volumes"])

    def test_the_disk_is_mounted_and_not_formatted_so_nothing_is_privileged(
        self, job: Mapping[str, Any]
    ) -> None:
        (container,) = job["template"]["spec"]["containers"]
        assert "privileged" not in container["securityContext"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False

    def test_the_image_is_pinned_since_debian_latest_moves(self, job: Mapping[str, Any]) -> None:
        (container,) = job["template"]["spec"]["containers"]
        assert container["image"].endswith(":502.0.0-slim")

    def test_no_gpu_is_tolerated_since_a_copy_needs_none(self, job: Mapping[str, Any]) -> None:
        assert "tolerations" not in job["template"]["spec"]

    def test_it_has_a_service_account_and_resources_which_the_tutorials_lacks(
        self, job: Mapping[str, Any]
    ) -> None:
        assert job["template"]["spec"]["serviceAccountName"] == "fetch"
        (container,) = job["template"]["spec"]["containers"]
        assert container["resources"]["requests"]["cpu"] == "2"


class TestExamplePdPv:
    """serving/example-pd-pv.yaml."""

    def test_the_volume_is_the_same(self, tutorial: Objects) -> None:
        spec = tutorial.one("PersistentVolume").get("spec")
        assert spec["storageClassName"] == ""
        assert spec["capacity"] == {"storage": "1024Gi"}
        assert spec["accessModes"] == ["ReadOnlyMany"]
        assert spec["csi"] == {
            "driver": "pd.csi.storage.gke.io",
            "volumeHandle": "projects/my-project/zones/us-central1-a/disks/gemma-7b-a",
            "fsType": "ext4",
            "readOnly": True,
        }
        assert spec["mountOptions"] == ["read_ahead_kb=4096"]

    def test_the_zone_affinity_is_the_same(self, tutorial: Objects) -> None:
        (term,) = tutorial.one("PersistentVolume").get(
            "spec", "nodeAffinity", "required", "nodeSelectorTerms"
        )
        (expression,) = term["matchExpressions"]
        assert expression == {
            "key": "topology.gke.io/zone",
            "operator": "In",
            "values": ["us-central1-a"],
        }

    def test_reclaim_policy_is_said_which_the_tutorial_leaves_to_the_default(
        self, tutorial: Objects
    ) -> None:
        pv = tutorial.one("PersistentVolume")
        assert pv.get("spec", "persistentVolumeReclaimPolicy") == "Retain"

    def test_the_claim_is_the_same(self, tutorial: Objects) -> None:
        spec = tutorial.one("PersistentVolumeClaim").get("spec")
        assert spec["storageClassName"] == ""
        assert spec["accessModes"] == ["ReadOnlyMany"]
        assert spec["resources"]["requests"]["storage"] == "1024Gi"

    def test_names_bind_instead_of_labels_which_could_match_a_volume_of_another_zone(
        self, tutorial: Objects
    ) -> None:
        claim, pv = tutorial.one("PersistentVolumeClaim"), tutorial.one("PersistentVolume")
        assert "selector" not in claim.get("spec")
        assert claim.get("spec", "volumeName") == pv.name
        assert pv.get("spec", "claimRef", "name") == claim.name

    def test_facts_are_annotations_instead_of_the_labels_pv_usage_pv_spec_and_pv_zone(
        self, tutorial: Objects
    ) -> None:
        annotations = tutorial.one("PersistentVolume").get("metadata", "annotations")
        assert annotations["vllm-fast-start/disk-type"] == "pd-ssd"


class TestVllmOpenaiUsePd:
    """serving/vllm-openai-use-pd.yaml."""

    def test_names_and_app_label_follow_the_release_with_the_cell_behind(
        self, tutorial: Objects
    ) -> None:
        deployment = tutorial.one("Deployment")
        assert deployment.name == "vllm-openai-us-central1-a"
        assert deployment.get("metadata", "labels", "app") == "vllm-openai"
        assert deployment.get("spec", "selector", "matchLabels", "app") == "vllm-openai"

    def test_replicas_are_left_to_the_hpa_which_the_tutorials_one_fights(
        self, tutorial: Objects
    ) -> None:
        assert "replicas" not in tutorial.one("Deployment").get("spec")
        cells = [{**cell, "replicas": 1} for cell in VALUES["cells"]]
        without = serve({**VALUES, "cells": cells, "autoscaling": {"enabled": False}})
        assert without.one("Deployment").get("spec", "replicas") == 1

    def test_the_image_is_the_same_with_its_registry(self, server: Mapping[str, Any]) -> None:
        assert server["image"] == "docker.io/vllm/vllm-openai:v0.5.3"

    def test_the_container_is_called_vllm_instead_of_inference_server(
        self, server: Mapping[str, Any]
    ) -> None:
        assert server["name"] == "vllm"

    def test_the_model_is_the_first_argument_since_vllm_serve_0_5_3_knows_no_model_option(
        self, server: Mapping[str, Any]
    ) -> None:
        assert server["command"] == ["vllm", "serve"]
        assert server["args"][0] == "/model-data/gemma/gemma-7b"

    def test_tensor_parallelism_is_the_same(self, server: Mapping[str, Any]) -> None:
        assert "--tensor-parallel-size=2" in server["args"]

    def test_the_models_name_is_short_where_the_tutorials_clients_send_a_path(
        self, server: Mapping[str, Any]
    ) -> None:
        assert "--served-model-name=gemma-7b" in server["args"]

    def test_no_argument_is_given_that_0_5_3_does_not_know(self, server: Mapping[str, Any]) -> None:
        options = {arg.partition("=")[0] for arg in server["args"][1:]}
        assert options == {"--served-model-name", "--port", "--tensor-parallel-size"}

    def test_the_attention_backend_is_the_same(self, server: Mapping[str, Any]) -> None:
        backend = {"name": "VLLM_ATTENTION_BACKEND", "value": "FLASHINFER"}
        assert backend in server["env"]

    def test_gpus_are_the_same(self, server: Mapping[str, Any]) -> None:
        assert server["resources"]["limits"]["nvidia.com/gpu"] == "2"
        assert server["resources"]["requests"]["nvidia.com/gpu"] == "2"

    def test_cpu_is_8_without_a_limit_since_2_slow_the_start_which_is_cpu_bound(
        self, server: Mapping[str, Any]
    ) -> None:
        assert server["resources"]["requests"]["cpu"] == "8"
        assert "cpu" not in server["resources"]["limits"]

    def test_memory_is_above_the_tutorials_25_gi_so_that_the_page_cache_holds_the_model(
        self, server: Mapping[str, Any]
    ) -> None:
        assert server["resources"]["requests"]["memory"] == "32Gi"

    def test_ephemeral_storage_is_10_gi_since_the_weights_are_on_a_disk(
        self, server: Mapping[str, Any]
    ) -> None:
        assert server["resources"]["requests"]["ephemeral-storage"] == "10Gi"

    def test_shared_memory_is_in_memory_with_a_size(self, pod: Mapping[str, Any]) -> None:
        (shm,) = [volume for volume in pod["volumes"] if volume["name"] == "shm"]
        assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}

    def test_the_weights_are_mounted_read_only_by_volume_and_by_mount(
        self, pod: Mapping[str, Any], server: Mapping[str, Any]
    ) -> None:
        (weights,) = [volume for volume in pod["volumes"] if volume["name"] == "weights"]
        assert weights["persistentVolumeClaim"]["readOnly"] is True
        mount = {"name": "weights", "mountPath": "/model-data", "readOnly": True}
        assert mount in server["volumeMounts"]

    def test_accelerator_and_node_pool_are_selected(self, pod: Mapping[str, Any]) -> None:
        assert pod["nodeSelector"]["cloud.google.com/gke-accelerator"] == "nvidia-l4"
        assert pod["nodeSelector"]["cloud.google.com/gke-nodepool"] == "vllm-pool"

    def test_the_zone_is_selected_by_the_standard_label_which_the_node_autoscaler_knows(
        self, pod: Mapping[str, Any]
    ) -> None:
        assert pod["nodeSelector"]["topology.kubernetes.io/zone"] == "us-central1-a"
        assert "topology.gke.io/zone" not in pod["nodeSelector"]

    def test_the_service_account_is_the_releases_own_instead_of_default(
        self, pod: Mapping[str, Any]
    ) -> None:
        assert pod["serviceAccountName"] == "vllm-openai"

    def test_there_are_probes_ports_tolerations_a_strategy_and_a_budget_which_the_tutorial_lacks(
        self, tutorial: Objects, pod: Mapping[str, Any], server: Mapping[str, Any]
    ) -> None:
        assert {"startupProbe", "readinessProbe", "livenessProbe", "ports"} <= server.keys()
        assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"
        assert tutorial.one("Deployment").get("spec", "strategy", "type") == "RollingUpdate"
        assert tutorial.one("PodDisruptionBudget").name == "vllm-openai-us-central1-a"

    def test_the_service_is_the_same_but_for_the_ports_name(self, tutorial: Objects) -> None:
        service = tutorial.one("Service")
        assert service.name == "vllm-openai"
        assert service.get("spec", "type") == "ClusterIP"
        assert service.get("spec", "selector") == {"app": "vllm-openai"}
        (port,) = service.get("spec", "ports")
        assert (port["protocol"], port["port"], port["targetPort"]) == ("TCP", 8000, "http")
        assert tutorial.server()["ports"][0]["containerPort"] == 8000


class TestPodMonitoring:
    """serving/pod-monitoring.yaml."""

    def test_version_selector_path_and_interval_are_the_same(self, tutorial: Objects) -> None:
        monitoring = tutorial.one("PodMonitoring")
        assert monitoring.api_version == "monitoring.googleapis.com/v1"
        assert monitoring.get("metadata", "labels", "app") == "vllm-openai"
        assert monitoring.get("spec", "selector", "matchLabels") == {"app": "vllm-openai"}
        (endpoint,) = monitoring.get("spec", "endpoints")
        assert (endpoint["path"], endpoint["interval"]) == ("/metrics", "15s")

    def test_the_port_is_named_since_a_number_leaves_the_label_container_empty(
        self, tutorial: Objects
    ) -> None:
        (endpoint,) = tutorial.one("PodMonitoring").get("spec", "endpoints")
        assert endpoint["port"] == "http"

    def test_the_name_is_the_releases_instead_of_vllm_inference(self, tutorial: Objects) -> None:
        assert tutorial.one("PodMonitoring").name == "vllm-openai"


class TestHpaVllmOpenai:
    """serving/hpa-vllm-openai.yaml."""

    def test_target_bounds_metric_and_average_are_the_same(self, tutorial: Objects) -> None:
        hpa = tutorial.one("HorizontalPodAutoscaler")
        assert hpa.api_version == "autoscaling/v2"
        assert hpa.get("spec", "scaleTargetRef", "kind") == "Deployment"
        assert (hpa.get("spec", "minReplicas"), hpa.get("spec", "maxReplicas")) == (1, 5)
        (metric,) = hpa.get("spec", "metrics")
        assert metric == {
            "type": "Pods",
            "pods": {
                "metric": {"name": "prometheus.googleapis.com|vllm:num_requests_running|gauge"},
                "target": {"type": "AverageValue", "averageValue": "10"},
            },
        }

    def test_behavior_is_said_which_the_tutorial_leaves_to_the_default(
        self, tutorial: Objects
    ) -> None:
        behavior = tutorial.one("HorizontalPodAutoscaler").get("spec", "behavior")
        assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0

    def test_the_name_is_the_deployments_instead_of_vllm_openai_hpa(
        self, tutorial: Objects
    ) -> None:
        deployment = tutorial.one("Deployment")
        assert tutorial.one("HorizontalPodAutoscaler").name == deployment.name
