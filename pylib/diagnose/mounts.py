"""A pod on its node whose volumes do not attach or mount: the disk, its driver, Secrets as files.

Messages are those of kubernetes-sigs/gcp-compute-persistent-disk-csi-driver
pkg/gce-pd-csi-driver/controller.go@b560165, wrapped by the attach-detach controller and the kubelet
(kubernetes/kubernetes pkg/volume/util/operationexecutor@v1.36.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import Scene, has_started
from pylib.diagnose.wording import gke_project
from pylib.facts import gke
from pylib.snapshot.bodies import Body, dig, name_of, ref_of, word
from pylib.snapshot.plain import plain

_VOLUME = re.compile(r'for volume "([^"]{1,253})"')
# The driver refuses further tries for a while after a failure; then the failure is the news.
_ECHOES = ("due to backoff condition", "timed out waiting for the condition")
_MACHINE = re.compile(r"'([\w-]+)' is not a compatible disk type with the machine type ([\w-]+)")


@dataclass(frozen=True)
class _Kind:
    code: str
    pattern: re.Pattern[str]
    says: str
    final: bool = False


_KINDS = (
    _Kind(
        "disk-missing",
        re.compile(r"[Cc]ould not find (disk|volume with ID)|was not found, notFound"),
        "does not exist",
        final=True,
    ),
    _Kind(
        "disk-in-use-read-write",
        re.compile(r"RESOURCE_IN_USE_BY_ANOTHER_RESOURCE|already being used by|Multi-Attach error"),
        "is attached elsewhere, and one of the two attachments writes",
    ),
    _Kind(
        "attach-limit",
        re.compile(
            r"volume attachment limit|Exceeded limit 'maximum|disks count should be less than"
            r"|ResourceExhausted"
        ),
        "is one disk more than may be attached",
    ),
    _Kind(
        "disk-forbidden",
        re.compile(r"PermissionDenied|Error 403: Required|forbidden", re.IGNORECASE),
        "may not be used by the cluster",
        final=True,
    ),
)


def causes(scene: Scene) -> Iterator[Cause]:
    """Why volumes keep pods from starting."""
    for pod in scene.pods():
        if word(pod, "spec", "nodeName") and not has_started(pod):
            message = _message(scene, pod)
            if message:
                yield from _of(scene, pod, message)


def _message(scene: Scene, pod: Body) -> str:
    """The newest failure that says something new; Events go after an hour, attachments stay."""
    said = [
        word(event, "message") for event in scene.events(pod, "FailedAttachVolume", "FailedMount")
    ]
    said += [
        f'AttachVolume.Attach failed for volume "{_attached(item)}" : {error}'
        for item in scene.snapshot.of("VolumeAttachment")
        if word(item, "spec", "nodeName") == word(pod, "spec", "nodeName")
        and (error := word(item, "status", "attachError", "message"))
        and dig(item, "status", "attached") is not True
    ]
    telling = [text for text in said if not any(echo in text for echo in _ECHOES)]
    return (telling or said or [""])[0]


def _attached(attachment: Body) -> str:
    return word(attachment, "spec", "source", "persistentVolumeName")


def _of(scene: Scene, pod: Body, message: str) -> Iterator[Cause]:
    # Secrets and ConfigMaps are volumes too; the diagnosis of secrets reads these messages.
    if re.search(r'(secret|configmap) "[^"]*" not found|non-existent (secret|config) key', message):
        return
    match = _VOLUME.search(message)
    volume = scene.snapshot.get("PersistentVolume", match[1]) if match else None
    machine = _MACHINE.search(message)
    if machine:
        yield _machine(pod, volume, machine)
        return
    for kind in _KINDS:
        if volume is not None and kind.pattern.search(message):
            yield _disk(scene, pod, volume, kind, message)
            return
    yield Cause(
        "mount-failed",
        Severity.ERROR,
        ref_of(pod),
        f"cannot mount its volumes: {plain(message)}",
        scene.kubectl(f"describe pod {name_of(pod)}"),
        final="failure parsing mount flags" in message,
    )


def _machine(pod: Body, volume: Body | None, match: re.Match[str]) -> Cause:
    return Cause(
        "disk-type-unsupported",
        Severity.ERROR,
        ref_of(volume) if volume else ref_of(pod),
        f"is a {match[1]} disk, which does not attach to machine type {match[2]}",
        "make the weights disk of a type that attaches: hyperdisk-ml, or another machine type",
        final=True,
    )


def _disk(scene: Scene, pod: Body, volume: Body, kind: _Kind, message: str) -> Cause:
    handle = word(volume, "spec", "csi", "volumeHandle")
    return Cause(
        kind.code,
        Severity.ERROR,
        ref_of(volume),
        f"the disk {plain(handle)} {kind.says}, so {name_of(pod)} waits ({_core(message)})",
        _next(scene, pod, volume, kind.code),
        final=kind.final,
    )


def _core(message: str) -> str:
    """The message without what wraps it: the volume, the call, the rpc code."""
    return plain(re.split(r" : |desc = ", message)[-1], 200)


def _next(scene: Scene, pod: Body, volume: Body, code: str) -> str:
    handle = gke.VOLUME_HANDLE.fullmatch(word(volume, "spec", "csi", "volumeHandle"))
    place = f"--zone={handle['place']} --project={handle['project']}" if handle else "--zone=ZONE"
    disk = handle["disk"] if handle else "DISK"
    read_only = dig(volume, "spec", "csi", "readOnly") is True
    project = handle["project"] if handle else gke_project(scene.snapshot.context)
    commands = {
        "disk-missing": f"gcloud compute disks list --project={project} --filter=name={disk}"
        "  # then name the right disk in weights.disk.revisions",
        "disk-in-use-read-write": f"gcloud compute disks describe {disk} {place} "
        '--format="value(users)"'
        + ("  # detach the user that writes" if read_only else "  # and set csi.readOnly: true"),
        "attach-limit": f"kubectl describe csinode {word(pod, 'spec', 'nodeName')}"
        "  # or a second disk and cell when the disk has too many readers",
        "disk-forbidden": f"gcloud compute disks get-iam-policy {disk} {place}",
    }
    return commands[code]


def absent_files(scene: Scene, pod: Body) -> list[str]:
    """Messages about Secrets and ConfigMaps that a pod mounts and that are not there."""
    return [
        word(event, "message")
        for event in scene.events(pod, "FailedMount")
        if "not found" in word(event, "message") or "non-existent" in word(event, "message")
    ]
