"""Installing by the library on the control plane: what its tests share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pylib.errors import InstallError
from pylib.install.install import Installed, Options, install_release
from pylib.release import release_of_values
from tests.cluster.bed.bed import Bed
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
