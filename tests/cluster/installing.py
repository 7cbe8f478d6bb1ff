"""Installing by the library on the control plane: what its tests share."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pylib.errors import InstallError
from pylib.install.install import Installed, Options, install_release
from pylib.kube import Body, Kube
from pylib.release import release_of_values
from tests.cluster.bed.bed import ROOT, Bed
from tests.cluster.bed.wait import until
from tests.cluster.release import (
    NAME,
    SECONDS,
    write_values,
)

NOTHING = "nothing to change: revision 1 is what"
CONTEXT = "gke_my-project_us-central1_vllm-cluster"
SCALED: dict[str, Any] = {"autoscaling": {"enabled": True}}
SHM: dict[str, Any] = {"server": {"shmSizeGiB": 2}}
"""A change that replaces every pod."""


@dataclass
class Installer:
    """Runs the library's install, and keeps what it said."""

    bed: Bed
    namespace: str
    folder: Path
    said: list[str] = field(default_factory=list)

    def __call__(self, over: dict[str, Any] | None = None, **options: Any) -> Installed:
        base = options.pop("base", None)
        named = {"base": base} if base else {}
        values = write_values(self.folder, over, **named)
        release = release_of_values(values, NAME, self.namespace)
        self.said.clear()
        return install_release(
            release,
            self.bed.kube,
            kubeconfig=self.bed.kubeconfig,
            options=Options(**{"timeout": SECONDS, **options}),
            say=self.said.append,
        )

    def refused(self, over: dict[str, Any] | None = None, **options: Any) -> str:
        """The message of an install that must not succeed."""
        with pytest.raises(InstallError) as caught:
            self(over, **options)
        assert caught.value.exit_code == 8
        return str(caught.value)


def codes(message: str) -> list[str]:
    """The code of each error in a refusal."""
    return [line.split()[1] for line in message.splitlines() if line.startswith("error ")]


def wrapped(folder: Path, monkeypatch: pytest.MonkeyPatch, before: str) -> Path:
    """Helm with a script that runs before its first upgrade; returns the folder of its marks."""
    real = ROOT / ".tools" / "bin" / "helm"
    tool = folder / "bin" / "helm"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\n"
        f"folder={folder} real={real}\n"
        'if [ "$1" = upgrade ] && [ ! -e "$folder/began" ]; then\n'
        f"{before}\n"
        "fi\n"
        'exec "$real" "$@"\n'
    )
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VFS_HELM", str(tool))
    return folder


_DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_MONITORING = "podmonitorings.monitoring.googleapis.com"


def remove_kind(bed: Bed) -> Body:
    """Take PodMonitoring from the cluster; returns its definition, for :func:`add_kind`."""
    kept = bed.kube.get(*_DEFINITION, _MONITORING) or {}
    bed.kube.delete(*_DEFINITION, _MONITORING)
    until(lambda: not _monitoring_is_served(bed), 30, "it went")
    return kept


def add_kind(bed: Bed, kept: Body) -> None:
    """Undo :func:`remove_kind`."""
    meta = {"name": _MONITORING, "annotations": kept["metadata"]["annotations"]}
    bed.kube.create({**kept, "metadata": meta})
    until(lambda: _monitoring_is_served(bed), 30, "it is back")


def _monitoring_is_served(bed: Bed) -> bool:
    """Asked anew, since a client keeps what it learned."""
    return Kube.connect(bed.kubeconfig).serves("monitoring.googleapis.com/v1", "PodMonitoring")
