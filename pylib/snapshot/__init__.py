"""One look at a release in a cluster, as plain data: taken, stored in a file, read again."""

from __future__ import annotations

from pylib.snapshot.model import Snapshot
from pylib.snapshot.reading import take
from pylib.snapshot.store import from_json, to_json

__all__ = ["Snapshot", "from_json", "take", "to_json"]
