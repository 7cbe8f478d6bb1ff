"""The real gcloud as a client of an emulator."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from pylib.emulator import Emulator
from pylib.proc import Completed, run
from tests.cloud.emulated import PROJECT, ZONE

needs_gcloud = pytest.mark.skipif(
    shutil.which("gcloud") is None,
    reason="gcloud is not installed; put Google's Cloud SDK on PATH",
)


class Gcloud:
    """gcloud against an emulator, with credentials off and a configuration of its own."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        url = emulator.url
        self._settings = {
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_CORE_PROJECT": PROJECT,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "true",
            "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_COMPUTE_ZONE": ZONE,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{url}/compute/v1/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER": f"{url}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER": f"{url}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE": f"{url}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{url}/storage/v1/",
        }

    def __call__(self, words: str, **how: Any) -> Completed:
        """What a command line prints."""
        return run(["gcloud", *shlex.split(words)], settings=self._settings, timeout=120, **how)

    def paste(self, script: str, tools: Path) -> Completed:
        """What lines print that are pasted into a shell, with ``tools`` before all on its path."""
        path = f"{tools}:{os.environ['PATH']}"
        settings = {**self._settings, "PATH": path}
        return run(["bash", "-eu"], stdin=script, settings=settings, timeout=300)

    def json(self, words: str) -> Any:
        """What a command line prints, as JSON."""
        return json.loads(self(f"{words} --format=json").stdout)

    def refused(self, words: str) -> str:
        """Why a command line is refused."""
        return self(words, ok_codes=(1,)).stderr
