"""Claims that do not bind, disks that do not attach."""

from __future__ import annotations

import pytest

from pylib.diagnose import Cause, Severity, diagnose
from pylib.snapshot.model import Unread
from tests.unit.cluster_objects import (
    Json,
    body,
    causes,
    claim,
    created,
    event,
    mounting,
    node,
    one,
    pod,
    ready,
    stored,
    volume,
)

USER = ready(mounting("weights"))
NAMES_DISK = {"spec": {"volumeName": "disk-a"}}
SOURCE = "projects/my-project/zones/us-central1-a/disks/gemma-7b"


def holder(name: str = "weights", namespace: str = "inference", uid: str = "") -> Json:
    """A volume's claimRef."""
    reference = {"name": name, "namespace": namespace}
    return {"spec": {"claimRef": {**reference, "uid": uid} if uid else reference}}


def storage_class(name: str, *, default: bool = False) -> Json:
    """A StorageClass."""
    mark = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return body("StorageClass", name, {"metadata": {"annotations": mark}})


def about_claim(*objects: Json, wanted: Json | None = None) -> Cause:
    """The cause of a pending claim that a pod mounts."""
    return one(USER, node(), wanted or claim(), *objects)


# --- claims ---------------------------------------------------------------------------------------


def test_a_bound_claim_has_no_cause() -> None:
    assert causes(USER, node(), claim(phase="Bound")) == []


def test_a_claim_that_is_not_there() -> None:
    assert one(USER, node()) == Cause(
        "claim-absent",
        Severity.ERROR,
        "PersistentVolumeClaim/weights",
        "does not exist in namespace inference, and pods mount it",
        "kubectl -n inference get pvc  # then set the right one in weights.claim.claims",
    )
    assert causes(USER, node(), unread=(Unread("PersistentVolumeClaim", "no"),)) == []


def test_a_claim_of_a_deployment_counts_before_there_are_pods() -> None:
    template = {"spec": {"replicas": 1, "template": mounting("weights")}}
    assert one(body("Deployment", "v-a", template)).code == "claim-absent"


def test_a_claim_that_lost_its_volume() -> None:
    found = one(USER, node(), claim("weights", NAMES_DISK, phase="Lost"))
    assert (found.code, found.message, found.final) == (
        "claim-lost",
        "was bound to PersistentVolume/disk-a, which was deleted; a claim does not bind twice",
        True,
    )


def test_a_claim_for_a_volume_that_is_not_there() -> None:
    found = about_claim(wanted=claim("weights", NAMES_DISK))
    assert (found.code, found.message, found.next) == (
        "claim-not-bound",
        "asks for PersistentVolume/disk-a, which does not exist",
        "kubectl get pv disk-a; then run helm upgrade, which makes it",
    )


def test_a_volume_of_a_deleted_claim_of_the_same_name() -> None:
    released = volume("disk-a", holder(uid="old"), {"status": {"phase": "Released"}})
    assert about_claim(released, wanted=claim("weights", NAMES_DISK)) == Cause(
        "claim-bound-to-old-uid",
        Severity.ERROR,
        "PersistentVolumeClaim/weights",
        "asks for PersistentVolume/disk-a, which still belongs to a deleted claim of the same name "
        "(phase Released, its claimRef has the old uid)",
        "kubectl patch pv disk-a --type=json "
        """-p='[{"op":"remove","path":"/spec/claimRef/uid"}]'""",
        final=True,
    )


def test_a_real_volume_that_was_released() -> None:
    [found] = diagnose(stored("volume_released"))
    assert (found.code, found.object) == ("claim-bound-to-old-uid", "PersistentVolumeClaim/weights")


@pytest.mark.parametrize(
    "reference", [holder(name="other", uid="x"), holder(namespace="lab", uid="x")]
)
def test_a_volume_of_another_claim(reference: Json) -> None:
    owner = reference["spec"]["claimRef"]
    found = about_claim(volume("disk-a", reference), wanted=claim("weights", NAMES_DISK))
    assert (found.code, found.message, found.final) == (
        "volume-of-another-claim",
        "asks for PersistentVolume/disk-a, which belongs to the claim "
        f"{owner['namespace']}/{owner['name']}",
        True,
    )


@pytest.mark.parametrize("reference", [holder(), holder(uid="new"), {}])
def test_a_volume_that_is_about_to_bind_is_no_cause(reference: Json) -> None:
    assert causes(USER, node(), volume("disk-a", reference), claim("weights", NAMES_DISK)) == []


def test_a_volume_that_does_not_fit_its_claim() -> None:
    wanted = claim("weights", NAMES_DISK)
    said = 'Cannot bind to requested volume "disk-a": requested PV is too small'
    found = about_claim(volume(), event(wanted, "VolumeMismatch", said), wanted=wanted)
    assert (found.code, found.message, found.final) == (
        "claim-not-bound",
        f"is not bound: {said}",
        True,
    )


def test_no_class_and_no_default_class() -> None:
    found = about_claim(storage_class("slow"), storage_class("fast"))
    assert found.message == (
        "names no StorageClass, and the cluster has no default one (there are: slow, fast)"
    )
    assert found.next == (
        "set storageClassName for the claim in the values, e.g. standard-rwo; "
        "kubectl -n inference delete pvc weights; then run helm upgrade"
    )
    assert about_claim().message.endswith("(there are: none)")


def test_a_class_that_is_not_there() -> None:
    wanted = claim("weights", {"spec": {"storageClassName": "premium"}})
    found = about_claim(storage_class("standard-rwo", default=True), wanted=wanted)
    assert found.message == ("is not bound: there is no StorageClass premium, only standard-rwo")
    assert found.final


def test_a_disk_that_cannot_be_made() -> None:
    wanted = claim("weights", {"spec": {"storageClassName": "standard-rwo"}})
    said = "failed to provision volume: QUOTA_EXCEEDED: SSD_TOTAL_GB."
    found = about_claim(
        storage_class("standard-rwo", default=True),
        event(wanted, "ProvisioningFailed", said),
        wanted=wanted,
    )
    assert (found.message, found.final) == (
        "is not bound: failed to provision volume: QUOTA_EXCEEDED: SSD_TOTAL_GB",
        False,
    )


def test_a_claim_that_waits_for_its_first_pod_is_no_cause() -> None:
    wanted = claim("weights", {"spec": {"storageClassName": "standard-rwo"}})
    assert causes(USER, node(), wanted, storage_class("standard-rwo", default=True)) == []


# --- disks ----------------------------------------------------------------------------------------


BOUND = claim("weights", NAMES_DISK, phase="Bound")


def attaching(message: str, *more: Json, reason: str = "FailedAttachVolume") -> Cause:
    """The cause when the volumes of a pod on node n1 fail so."""
    mine = created(mounting("weights"))
    return one(mine, node(), BOUND, volume(), event(mine, reason, message), *more)


FAILED = 'AttachVolume.Attach failed for volume "disk-a" : rpc error: code = '


@pytest.mark.parametrize(
    ("message", "code", "text", "command"),
    [
        (
            'NotFound desc = Could not find disk Key{"gemma-7b"}: googleapi: Error 404: x, '
            "notFound",
            "disk-missing",
            f"the disk {SOURCE} does not exist, so v-a-1 waits (Could not find disk "
            'Key{"gemma-7b"}: googleapi: Error 404: x, notFound)',
            "gcloud compute disks list --project=my-project --filter=name=gemma-7b"
            "  # then name the right disk in weights.disk.revisions",
        ),
        (
            "InvalidArgument desc = Failed to Attach: googleapi: Error 400: "
            "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE",
            "disk-in-use-read-write",
            f"the disk {SOURCE} is attached elsewhere, and one of the two attachments writes, so "
            "v-a-1 waits (Failed to Attach: googleapi: Error 400: "
            "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE)",
            "gcloud compute disks describe gemma-7b --zone=us-central1-a --project=my-project "
            '--format="value(users)"  # detach the user that writes',
        ),
        (
            "InvalidArgument desc = Maximum hyperdisk-ml disks count should be less than or equal "
            "to [16]",
            "attach-limit",
            f"the disk {SOURCE} is one disk more than may be attached, so v-a-1 waits (Maximum "
            "hyperdisk-ml disks count should be less than or equal to [16])",
            "kubectl describe csinode n1  # or a second disk and cell when the disk has too many "
            "readers",
        ),
        (
            "PermissionDenied desc = Required 'compute.disks.use' permission",
            "disk-forbidden",
            f"the disk {SOURCE} may not be used by the cluster, so v-a-1 waits (Required "
            "'compute.disks.use' permission)",
            "gcloud compute disks get-iam-policy gemma-7b --zone=us-central1-a "
            "--project=my-project",
        ),
    ],
    ids=["missing", "in use", "limit", "forbidden"],
)  # fmt: skip
def test_disks_that_do_not_attach(message: str, code: str, text: str, command: str) -> None:
    found = attaching(FAILED + message)
    assert (found.code, found.object) == (code, "PersistentVolume/disk-a")
    assert (found.message, found.next) == (text, command)
    assert found.final == (code in ("disk-missing", "disk-forbidden"))


def test_a_disk_that_one_attachment_writes_to_because_its_volume_is_not_read_only() -> None:
    mine = created(mounting("weights"))
    writable = volume("disk-a", {"spec": {"csi": {"readOnly": False}}})
    said = 'Multi-Attach error for volume "disk-a" Volume is already used by pod(s) v-a-0'
    found = one(mine, node(), BOUND, writable, event(mine, "FailedAttachVolume", said))
    assert found.code == "disk-in-use-read-write"
    assert found.next.endswith("  # and set csi.readOnly: true")


def test_a_handle_that_is_none_leaves_places_to_fill_in() -> None:
    mine = created(mounting("weights"))
    odd = volume("disk-a", {"spec": {"csi": {"volumeHandle": "odd"}}})
    said = event(mine, "FailedAttachVolume", FAILED + "NotFound desc = Could not find disk x")
    found = one(mine, node(), BOUND, odd, said)
    assert found.next.startswith(
        "gcloud compute disks list --project=my-project --filter=name=DISK"
    )


def test_a_disk_type_that_the_machine_does_not_take() -> None:
    found = attaching(
        f"{FAILED}InvalidArgument desc = 'pd-ssd' is not a compatible disk type with the machine "
        "type a3-ultragpu-8g, please review"
    )
    assert (found.code, found.object, found.message) == (
        "disk-type-unsupported",
        "PersistentVolume/disk-a",
        "is a pd-ssd disk, which does not attach to machine type a3-ultragpu-8g",
    )


def test_a_mount_that_fails_for_another_reason() -> None:
    text = (
        'MountVolume.MountDevice failed for volume "disk-a" : rpc error: code = InvalidArgument '
        "desc = failure parsing mount flags: read_ahead_kb=fast"
    )
    found = attaching(text, reason="FailedMount")
    assert (found.code, found.object, found.final) == ("mount-failed", "Pod/v-a-1", True)
    assert found.message == f"cannot mount its volumes: {text}"
    assert not attaching("MountVolume.SetUp failed: x", reason="FailedMount").final


def test_the_failure_matters_and_not_that_tries_are_held_back() -> None:
    mine = created(mounting("weights"))
    first = event(
        mine,
        "FailedAttachVolume",
        FAILED + "NotFound desc = Could not find disk x",
        "2026-03-01T12:01:00Z",
    )
    held = event(
        mine,
        "FailedAttachVolume",
        FAILED
        + "Unavailable desc = ControllerPublish not permitted on node due to backoff condition",
    )
    assert one(mine, node(), BOUND, volume(), first, held).code == "disk-missing"
    assert one(mine, node(), BOUND, volume(), held).code == "mount-failed"


def test_an_attachment_tells_what_its_event_told_an_hour_ago() -> None:
    mine = created(mounting("weights"))
    attachment = body(
        "VolumeAttachment",
        "csi-1",
        {
            "spec": {"nodeName": "n1", "source": {"persistentVolumeName": "disk-a"}},
            "status": {"attached": False, "attachError": {"message": "Could not find disk x"}},
        },
    )
    found = one(mine, node(), BOUND, volume(), attachment)
    assert (found.code, found.message) == (
        "disk-missing",
        f"the disk {SOURCE} does not exist, so v-a-1 waits (Could not find disk x)",
    )
    attachment["status"]["attached"] = True
    assert causes(mine, node(), BOUND, volume(), attachment) == []


def test_mounts_of_pods_that_run_are_history() -> None:
    mine = pod(mounting("weights"))
    said = event(mine, "FailedMount", "MountVolume.SetUp failed")
    assert causes(mine, node(), BOUND, volume(), said) == []
