"""A rendered Kubernetes object and where it came from; what render hands to validate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Lines = Mapping[tuple[str | int, ...], int]
"""Line of each node, 1-based, by its path of keys and indices, as ``("spec", "ports", 0)``."""


@dataclass(frozen=True)
class Manifest:
    """One Kubernetes object.

    ``file`` is the path as the user named it, ``-`` for standard input; ``line`` is the 1-based
    line on which the object starts; ``lines`` gives the line of each field inside it.
    """

    body: Mapping[str, Any]
    file: str = "-"
    line: int = 1
    lines: Lines = field(default_factory=dict, compare=False, repr=False)

    @property
    def kind(self) -> str:
        """``kind`` of the object, empty when absent."""
        return str(self.body.get("kind") or "")

    @property
    def api_version(self) -> str:
        """``apiVersion`` of the object, empty when absent."""
        return str(self.body.get("apiVersion") or "")

    @property
    def group(self) -> str:
        """API group, empty for the core group."""
        group, slash, _ = self.api_version.partition("/")
        return group if slash else ""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """``metadata`` of the object, an empty mapping when absent or malformed."""
        found = self.body.get("metadata")
        return found if isinstance(found, Mapping) else {}

    @property
    def name(self) -> str:
        """``metadata.name``, or ``metadata.generateName`` with a ``*`` behind it."""
        name = self.metadata.get("name")
        if name:
            return str(name)
        generated = self.metadata.get("generateName")
        return f"{generated}*" if generated else ""

    @property
    def namespace(self) -> str:
        """``metadata.namespace``, empty when the manifest leaves it to the client."""
        return str(self.metadata.get("namespace") or "")

    @property
    def ref(self) -> str:
        """``Kind/namespace/name``, without the namespace where there is none: for messages."""
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)

    def get(self, *path: str | int, default: Any = None) -> Any:
        """Value at a path of keys and indices; ``default`` as soon as a step is missing."""
        node: Any = self.body
        for step in path:
            if isinstance(step, int):
                if not isinstance(node, list) or not -len(node) <= step < len(node):
                    return default
                node = node[step]
            elif isinstance(node, Mapping) and step in node:
                node = node[step]
            else:
                return default
        return default if node is None else node

    def line_of(self, *path: str | int) -> int:
        """Line of the field at ``path``, or of its nearest parent that the file does hold."""
        for end in range(len(path), 0, -1):
            found = self.lines.get(path[:end])
            if found is not None:
                return found
        return self.line


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> tuple[Manifest, ...]:
    """The manifests whose ``kind`` is one of ``kinds``, in order."""
    return tuple(m for m in manifests if m.kind in kinds)
