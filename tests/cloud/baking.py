"""One bake as the tests run it."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylib.bake.cache import CacheRecipe
from pylib.bake.make import Step
from pylib.bake.plan import Bake, Place
from pylib.bake.runner import Baked, Tools, run_bake
from pylib.bake.weights import WeightsRecipe
from pylib.errors import VfsError
from tests.cloud.fake import FakeCompute

IMAGE = "docker.io/vllm/vllm-openai:v0.33.0"
ZONES = ("us-central1-a", "us-central1-b")


SOURCE = "gs://models/google/gemma-7b"


def request(**changes: Any) -> Bake:
    """The bake of one image."""
    recipe = CacheRecipe(changes.pop("images", (IMAGE,)))
    place = Place("my-project", "my-project", changes.pop("zones", ZONES))
    plain: dict[str, Any] = {
        "recipe": recipe,
        "size_gib": 60,
        "place": place,
        "image_name": "vllm-v0-33-0",
        "owner": "ann",
        "family": "vllm-cache",
        "labels": {"team": "search"},
    }
    return Bake(**{**plain, **changes})


def weights_request(**changes: Any) -> Bake:
    """The bake of one model."""
    recipe = WeightsRecipe(SOURCE, "google/gemma-7b", listing="ef" * 32)
    return request(**{"recipe": recipe, "image_name": "gemma-7b", "family": "gemma", **changes})


def pack(job: Mapping[str, Any]) -> dict[str, str]:
    """Metadata of a VM, without the payload."""
    return {"vfs-job": json.dumps(dict(job)), "enable-guest-attributes": "TRUE"}


@dataclass
class Client:
    """One process after another against one cloud."""

    cloud: FakeCompute
    journal: Path
    steps: list[Step] = field(default_factory=list)
    kept: list[Baked] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def bake(self, bake: Bake | None = None) -> Baked:
        """Run the verb's core once."""
        tools = Tools(
            compute=self.cloud,
            journal=self.journal,
            pack=pack,
            say=self.steps.append,
            new_id=lambda: str(uuid.UUID(int=next(self.numbers))),
            new_token=lambda: f"{next(self.numbers):06x}",
        )
        return run_bake(bake or request(), tools, self.kept.append)

    def error(self) -> str:
        """What one run says when it fails; empty when it does not."""
        try:
            self.bake()
        except VfsError as error:
            return str(error)
        return ""
