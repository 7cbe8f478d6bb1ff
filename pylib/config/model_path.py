"""Where a model lies on the disk: what the config says, or what its source implies."""

from __future__ import annotations

from dataclasses import dataclass

from pylib.config.model import Config
from pylib.config.types import GS_SOURCE, HF_SOURCE


@dataclass(frozen=True)
class ModelPath:
    """``directory`` (may be empty) and ``name`` of a model on the disk."""

    directory: str
    name: str

    @property
    def whole(self) -> str:
        """Path of the model's files below the disk's root."""
        return "/".join(part for part in (self.directory, self.name) if part)


def implied_path(source: str) -> ModelPath:
    """``gs://bucket/dir/name`` lies at ``/dir/name``, ``hf://org/name`` at ``/org/name``."""
    hugging_face = HF_SOURCE.fullmatch(source)
    if hugging_face:
        return ModelPath(hugging_face["org"], hugging_face["name"])
    bucket = GS_SOURCE.fullmatch(source)
    parts = bucket["path"].strip("/").split("/") if bucket else [source]
    return ModelPath("/".join(parts[:-1]), parts[-1])


def model_path_of(config: Config) -> ModelPath:
    """Directory and name of the config's model; both empty when it says neither."""
    model = config.model
    implied = implied_path(model.source) if model.source else ModelPath("", "")
    directory = implied.directory if model.directory is None else model.directory
    return ModelPath(directory, model.name or implied.name)
