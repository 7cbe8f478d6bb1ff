"""What there is, to tell after a run what of it is left and that nothing foreign was touched."""

from __future__ import annotations

from collections.abc import Mapping

from pylib.emulator.errors import Json
from pylib.emulator.store import Ref

_OWN = {"operations", "guestAttributes", "services", "policies", "projectMetadata"}


class Inventory:
    """Resources at one moment, by path."""

    def __init__(self, resources: Mapping[Ref, Json]) -> None:
        self.docs = {ref.path: doc for ref, doc in resources.items() if ref.kind not in _OWN}

    def labelled(self, key: str, value: str) -> list[str]:
        """Paths of what carries a label, in order."""
        found = self.docs.items()
        return sorted(path for path, doc in found if doc.get("labels", {}).get(key) == value)

    def paths(self, kind: str = "") -> list[str]:
        """Paths of all there is, or of one collection such as ``disks``, in order."""
        return sorted(path for path in self.docs if not kind or f"/{kind}/" in path)

    def differs(self, before: Inventory) -> list[str]:
        """Paths of what came, went or changed since ``before``, in order."""
        both = self.docs.keys() | before.docs.keys()
        return sorted(path for path in both if self.docs.get(path) != before.docs.get(path))
