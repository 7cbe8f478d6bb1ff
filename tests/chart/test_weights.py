"""The weights kinds: disk, claim, none."""

from typing import Any

import pytest

from tests.chart.helmtool import REVISION, SERVE, ZONE, Objects, merged, serve

CLAIM: dict[str, Any] = {"weights": {"kind": "claim", "claim": {"claims": {ZONE: "models"}}}}
NONE: dict[str, Any] = {
    "weights": {"kind": "none", "none": {"repository": "google/gemma-7b", "sizeGiB": 20}},
    "resources": {"limits": {"ephemeral-storage": "40Gi"}},
}


def volumes(objects: Objects) -> dict[str, Any]:
    """Volumes of the pod by name."""
    return {volume["name"]: volume for volume in objects.pod()["volumes"]}


def test_the_volume_is_read_only_by_access_mode_and_by_attachment() -> None:
    pv = serve().one("PersistentVolume")
    assert pv.get("spec", "accessModes") == ["ReadOnlyMany"]
    assert pv.get("spec", "csi") == {
        "driver": "pd.csi.storage.gke.io",
        "volumeHandle": "projects/my-project/zones/us-central1-a/disks/gemma-7b-a",
        "fsType": "ext4",
        "readOnly": True,
    }


def test_volume_and_claim_name_each_other_and_no_class_makes_an_empty_disk() -> None:
    objects = serve()
    pv, claim = objects.one("PersistentVolume"), objects.one("PersistentVolumeClaim")
    assert pv.name == f"serving-vllm-{ZONE}-{REVISION}"
    assert claim.name == f"vllm-{ZONE}-{REVISION}"
    assert claim.get("spec", "volumeName") == pv.name
    reference = pv.get("spec", "claimRef")
    assert (reference["namespace"], reference["name"]) == (claim.namespace, claim.name)
    assert claim.get("spec", "storageClassName") == ""
    assert pv.get("spec", "storageClassName") == ""
    assert pv.namespace == ""


def test_volume_and_claim_agree_on_size_and_mode() -> None:
    objects = serve({"weights": {"disk": {"sizeGiB": 2048}}})
    pv, claim = objects.one("PersistentVolume"), objects.one("PersistentVolumeClaim")
    assert pv.get("spec", "capacity", "storage") == "2048Gi"
    assert claim.get("spec", "resources", "requests", "storage") == "2048Gi"
    assert claim.get("spec", "accessModes") == pv.get("spec", "accessModes")
    assert claim.get("spec", "volumeMode") == pv.get("spec", "volumeMode") == "Filesystem"


def test_the_disk_outlives_the_release() -> None:
    assert serve().one("PersistentVolume").get("spec", "persistentVolumeReclaimPolicy") == "Retain"


def test_the_volume_is_bound_to_the_zone_of_its_cell() -> None:
    required = serve().one("PersistentVolume").get("spec", "nodeAffinity", "required")
    expression = {"key": "topology.gke.io/zone", "operator": "In", "values": [ZONE]}
    assert required == {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}


@pytest.mark.parametrize("kib", [4096, 1048576])
def test_read_ahead_is_a_mount_option_in_plain_digits(kib: int) -> None:
    pv = serve({"weights": {"disk": {"readAheadKiB": kib}}}).one("PersistentVolume")
    assert pv.get("spec", "mountOptions") == [f"read_ahead_kb={kib}"]


def test_facts_for_validation_stand_on_the_volume() -> None:
    values = {"weights": {"disk": {"type": "hyperdisk-ml", "fsType": "xfs"}}}
    pv = serve(values).one("PersistentVolume")
    assert pv.get("metadata", "annotations") == {
        "vllm-fast-start/disk-type": "hyperdisk-ml",
        "vllm-fast-start/revision": REVISION,
    }
    assert pv.get("spec", "csi", "fsType") == "xfs"


def test_every_listed_revision_has_its_volume_and_pods_mount_the_current_one() -> None:
    revisions = [
        {"name": "old", "disks": {ZONE: "disk-old"}},
        {"name": "new", "disks": {ZONE: "disk-new"}, "manifestSha256": "a" * 64},
    ]
    objects = serve({"weights": {"disk": {"current": "new", "revisions": revisions}}})
    assert [pv.name for pv in objects.all("PersistentVolume")] == [
        f"serving-vllm-{ZONE}-old",
        f"serving-vllm-{ZONE}-new",
    ]
    assert len(objects.all("PersistentVolumeClaim")) == 2
    claim = {"claimName": f"vllm-{ZONE}-new", "readOnly": True}
    assert volumes(objects)["weights"]["persistentVolumeClaim"] == claim


def test_a_revision_may_have_disks_of_its_own_type_and_size() -> None:
    revisions = [
        {"name": "old", "disks": {ZONE: "disk-old"}},
        {"name": "new", "disks": {ZONE: "disk-new"}, "type": "hyperdisk-ml", "sizeGiB": 200},
    ]
    objects = serve({"weights": {"disk": {"current": "new", "revisions": revisions}}})
    old, new = objects.all("PersistentVolume")
    key = "vllm-fast-start/disk-type"
    assert [pv.get("metadata", "annotations", key) for pv in (old, new)] == [
        "pd-ssd",
        "hyperdisk-ml",
    ]
    assert [pv.get("spec", "capacity", "storage") for pv in (old, new)] == ["1024Gi", "200Gi"]
    sizes = [
        claim.get("spec", "resources", "requests", "storage")
        for claim in objects.all("PersistentVolumeClaim")
    ]
    assert sizes == ["1024Gi", "200Gi"]


def test_a_rollback_leaves_every_claim_in_place() -> None:
    revisions = [{"name": name, "disks": {ZONE: f"disk-{name}"}} for name in ("old", "new")]

    def claims(current: str) -> set[str]:
        values = {"weights": {"disk": {"current": current, "revisions": revisions}}}
        return {c.name for c in serve(values).all("PersistentVolumeClaim")}

    assert claims("old") == claims("new")


def test_the_model_is_mounted_read_only() -> None:
    mount = {"name": "weights", "mountPath": "/model-data", "readOnly": True}
    assert mount in serve().server()["volumeMounts"]


def test_an_init_container_of_the_same_image_checks_the_files_first() -> None:
    revision = {"name": REVISION, "disks": {ZONE: "d"}, "manifestSha256": "b" * 64}
    objects = serve({"weights": {"disk": {"revisions": [revision]}}})
    (check,) = objects.pod()["initContainers"]
    assert check["image"] == objects.server()["image"]
    assert check["command"] == ["python3", "-B", "/scripts/check_weights.py"]
    assert check["args"] == [
        "--root=/model-data",
        "--model=gemma/gemma-7b",
        f"--manifest-sha256={'b' * 64}",
    ]
    assert {m["mountPath"]: m["readOnly"] for m in check["volumeMounts"]} == {
        "/model-data": True,
        "/scripts": True,
    }
    assert list(objects.one("ConfigMap").get("data")) == ["check_weights.py"]


def test_without_a_manifest_hash_the_manifest_is_believed() -> None:
    (check,) = serve().pod()["initContainers"]
    assert not any(arg.startswith("--manifest-sha256") for arg in check["args"])


@pytest.mark.parametrize("values", [SERVE, merged(SERVE, CLAIM)], ids=["disk", "claim"])
def test_verify_none_leaves_out_the_check_and_its_script(values: dict[str, Any]) -> None:
    objects = serve(merged(values, {"weights": {"verify": "none"}}))
    assert "initContainers" not in objects.pod()
    assert objects.all("ConfigMap") == []
    assert "scripts" not in volumes(objects)


def test_an_existing_claim_is_mounted_read_only_and_nothing_is_made() -> None:
    objects = serve(CLAIM)
    assert objects.all("PersistentVolume") == []
    assert objects.all("PersistentVolumeClaim") == []
    claim = {"claimName": "models", "readOnly": True}
    assert volumes(objects)["weights"]["persistentVolumeClaim"] == claim
    assert objects.server()["args"][0] == "/model-data/gemma/gemma-7b"
    assert objects.env()["HF_HUB_OFFLINE"] == "1"


def test_a_folder_of_the_claim_may_stand_for_its_root() -> None:
    objects = serve(merged(CLAIM, {"weights": {"claim": {"subPath": "llm/models"}}}))
    containers = [objects.server(), *objects.pod()["initContainers"]]
    mounts = [m for c in containers for m in c["volumeMounts"] if m["name"] == "weights"]
    assert [m["subPath"] for m in mounts] == ["llm/models"] * 2


def test_no_weights_means_a_download_into_an_empty_dir() -> None:
    objects = serve(NONE)
    assert objects.server()["args"][0] == "google/gemma-7b"
    assert "--revision=main" in objects.server()["args"]
    assert "--served-model-name=gemma-7b" in objects.server()["args"]
    assert volumes(objects)["weights"] == {"name": "weights", "emptyDir": {"sizeLimit": "20Gi"}}
    env = objects.env()
    assert env["HF_HUB_CACHE"] == "/model-data"
    assert "HF_HUB_OFFLINE" not in env
    assert "HF_TOKEN_PATH" not in env
    mount = {"name": "weights", "mountPath": "/model-data"}
    assert mount in objects.server()["volumeMounts"]
    assert "initContainers" not in objects.pod()
    assert objects.all("ConfigMap") == []


def test_no_weights_may_download_into_a_claim_that_keeps_them() -> None:
    values = {"weights": {"none": {"sizeGiB": None, "claims": {ZONE: "cache"}, "revision": "v1"}}}
    objects = serve(merged(NONE, values))
    weights = {"name": "weights", "persistentVolumeClaim": {"claimName": "cache"}}
    assert volumes(objects)["weights"] == weights
    assert "--revision=v1" in objects.server()["args"]


def test_a_hugging_face_token_is_a_file_and_never_an_environment_variable() -> None:
    token = {"weights": {"none": {"tokenSecret": {"name": "hf", "key": "read"}}}}
    objects = serve(merged(NONE, token))
    assert objects.env()["HF_TOKEN_PATH"] == "/etc/vllm-fast-start/hf-token/token"
    assert volumes(objects)["hf-token"]["secret"] == {
        "secretName": "hf",
        "defaultMode": 0o440,
        "items": [{"key": "read", "path": "token"}],
    }
    assert "secretKeyRef" not in objects.text
