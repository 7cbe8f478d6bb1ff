"""A resource is ours only when name and labels say so."""

from __future__ import annotations

from collections.abc import Mapping

from pylib.config.model import Config
from pylib.names import release_labels


def ours(labels: Mapping[str, str], config: Config) -> bool:
    """Whether a resource with these labels is of the config's release."""
    wanted = release_labels(config.release.name, config.release.namespace)
    return all(labels.get(key) == value for key, value in wanted.items())
