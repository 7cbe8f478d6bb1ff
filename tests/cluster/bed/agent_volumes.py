"""A pod's volumes as folders, and its containers' paths rewritten to them.

Real: claims, volumes, attachments, config maps and secrets are read from the API server, and a pod
waits for them with the kubelet's words.  Simulated: nothing is mounted.  A path below a mount is
rewritten to its folder wherever it stands in a container's words, environment or config maps;
read-only mounts, size limits, users and file modes are not enforced.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylib.kube import Body, Kube

TERMINATION_LOG = "/dev/termination-log"


class NotYetError(Exception):
    """Something that the pod needs is not there; with the reason that its event has."""

    def __init__(self, message: str, reason: str = "FailedMount") -> None:
        super().__init__(message)
        self.reason = reason


class ConfigError(Exception):
    """The container cannot be made: ``CreateContainerConfigError``."""


@dataclass(frozen=True)
class Paths:
    """Folders that stand for paths in a container."""

    folders: Mapping[str, Path]

    def rewrite(self, text: str) -> str:
        """``text`` with each path below a mount replaced."""
        if not self.folders:
            return text
        known = "|".join(re.escape(path) for path in sorted(self.folders, key=len, reverse=True))
        pattern = rf"(?<![\w./-])({known})(?=/|$|[^\w./-])"
        return re.sub(pattern, lambda match: str(self.folders[match[1]]), text)


@dataclass
class Volumes:
    """The volumes of one pod; ``disks`` are folders by volume handle."""

    kube: Kube
    pod: Body
    folder: Path
    disks: Mapping[str, Path]
    _folders: dict[str, Path] = field(default_factory=dict)
    _files: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Find everything that the pod mounts; raises :class:`NotYetError` for what is absent."""
        for volume in self.pod["spec"].get("volumes", []):
            name = volume["name"]
            if "configMap" in volume:
                said = volume["configMap"]
                self._files[name] = self._projected(name, "ConfigMap", said["name"], said)
            elif "secret" in volume:
                said = volume["secret"]
                self._files[name] = self._projected(name, "Secret", said["secretName"], said)
            elif "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                self._folders[name] = self._claimed(name, claim)
            elif "emptyDir" in volume:
                self._folders[name] = self.folder / "volumes" / name
                self._folders[name].mkdir(parents=True, exist_ok=True)
            else:
                raise ValueError(f"the agent knows no volume like {volume}")

    def paths(self, container: Mapping[str, Any]) -> Paths:
        """Folders of one container's mounts; config maps and secrets are its own copies."""
        own = self.folder / container["name"]
        log = own / "termination-log"
        own.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        folders = {container.get("terminationMessagePath", TERMINATION_LOG): log}
        for mount in container.get("volumeMounts", []):
            name = mount["name"]
            folder = self._folders.get(name, own / "mounts" / name)
            folders[mount["mountPath"]] = folder / mount.get("subPath", "")
            folders |= _parent(Path(mount["mountPath"]), folders[mount["mountPath"]], own)
        paths = Paths(folders)
        for mount in container.get("volumeMounts", []):
            for file, content in self._files.get(mount["name"], {}).items():
                target = own / "mounts" / mount["name"] / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_rewritten(content, paths))
        return paths

    def environment(self, container: Mapping[str, Any], paths: Paths) -> dict[str, str]:
        """The container's variables; raises :class:`ConfigError` for an absent source."""
        found: dict[str, str] = {}
        for variable in container.get("env", []):
            source = variable.get("valueFrom")
            if source is None:
                found[variable["name"]] = paths.rewrite(variable.get("value", ""))
            elif (value := self._value(source)) is not None:
                found[variable["name"]] = value
        if container.get("envFrom"):
            raise ValueError("the agent knows no envFrom")
        return found

    def _value(self, source: Mapping[str, Any]) -> str | None:
        for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            if said := source.get(key):
                return self._referenced(kind, said)
        path = source.get("fieldRef", {}).get("fieldPath")
        known = {
            "metadata.name": self.pod["metadata"]["name"],
            "metadata.namespace": self.pod["metadata"]["namespace"],
            "spec.nodeName": self.pod["spec"]["nodeName"],
        }
        if path not in known:
            raise ValueError(f"the agent knows no variable from {dict(source)}")
        return str(known[path])

    def _referenced(self, kind: str, said: Mapping[str, Any]) -> str | None:
        namespace = self.pod["metadata"]["namespace"]
        body = self.kube.get("v1", kind, said["name"], namespace)
        optional = said.get("optional", False)
        if body is None:
            if optional:
                return None
            raise ConfigError(f'{kind.lower()} "{said["name"]}" not found')
        data = _data(body)
        if said["key"] not in data:
            if optional:
                return None
            place = f"{kind} {namespace}/{said['name']}"
            raise ConfigError(f"couldn't find key {said['key']} in {place}")
        return data[said["key"]].decode()

    def _projected(
        self, volume: str, kind: str, name: str, said: Mapping[str, Any]
    ) -> dict[str, bytes]:
        body = self.kube.get("v1", kind, name, self.pod["metadata"]["namespace"])
        setup = f'MountVolume.SetUp failed for volume "{volume}" : '
        if body is None:
            if said.get("optional"):
                return {}
            raise NotYetError(f'{setup}{kind.lower()} "{name}" not found')
        data = _data(body)
        items = said.get("items")
        if not items:
            return data
        if absent := [item["key"] for item in items if item["key"] not in data]:
            what = {"Secret": "secret", "ConfigMap": "config"}[kind]
            prefix = "" if kind == "Secret" else "configmap "
            raise NotYetError(f"{setup}{prefix}references non-existent {what} key: {absent[0]}")
        return {item["path"]: data[item["key"]] for item in items}

    def _claimed(self, volume: str, name: str) -> Path:
        namespace = self.pod["metadata"]["namespace"]
        claim = self.kube.get("v1", "PersistentVolumeClaim", name, namespace)
        waits = (
            f"Unable to attach or mount volumes: unmounted volumes=[{volume}], unattached "
            f"volumes=[], failed to process volumes=[{volume}]: error processing PVC "
            f"{namespace}/{name}: "
        )
        if claim is None:
            raise NotYetError(f'{waits}persistentvolumeclaim "{name}" not found')
        if claim.get("status", {}).get("phase") != "Bound":
            raise NotYetError(f"{waits}PVC is not bound")
        bound = claim["spec"]["volumeName"]
        body = self.kube.get("v1", "PersistentVolume", bound)
        if body is None:
            raise NotYetError(f'{waits}persistentvolume "{bound}" not found')
        if not self._is_attached(bound):
            raise NotYetError("", reason="")  # the controller of attachments says why
        return self.disks[body["spec"]["csi"]["volumeHandle"]]

    def _is_attached(self, volume: str) -> bool:
        node = self.pod["spec"]["nodeName"]
        return any(
            found["spec"]["nodeName"] == node
            and found["spec"]["source"].get("persistentVolumeName") == volume
            and found.get("status", {}).get("attached", False)
            for found in self.kube.list("storage.k8s.io/v1", "VolumeAttachment")
        )


def _parent(mount: Path, folder: Path, own: Path) -> dict[str, Path]:
    """The folder above a mount that is there only for it, such as /scripts of /scripts/download."""
    if mount.parent.exists():
        return {}
    found = own / "root" / mount.parent.relative_to("/")
    found.mkdir(parents=True, exist_ok=True)
    link = found / mount.name
    if not link.is_symlink():
        link.symlink_to(folder)
    return {str(mount.parent): found}


def words(
    container: Mapping[str, Any], paths: Paths, environment: Mapping[str, str]
) -> Sequence[str]:
    """Command and arguments, with ``$(NAME)`` of known variables filled in, as the kubelet does."""

    def fill(match: re.Match[str]) -> str:
        return environment.get(match[1], match[0])

    said = [*container.get("command", []), *container.get("args", [])]
    return [paths.rewrite(re.sub(r"(?<!\$)\$\((\w+)\)", fill, word)) for word in said]


def _data(body: Body) -> dict[str, bytes]:
    text = body.get("data") or {}
    if body["kind"] == "Secret":
        return {key: base64.b64decode(value) for key, value in text.items()}
    binary = body.get("binaryData") or {}
    return {key: value.encode() for key, value in text.items()} | {
        key: base64.b64decode(value) for key, value in binary.items()
    }


def _rewritten(content: bytes, paths: Paths) -> bytes:
    try:
        return paths.rewrite(content.decode()).encode()
    except UnicodeDecodeError:
        return content
