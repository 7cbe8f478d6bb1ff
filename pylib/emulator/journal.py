"""What was asked and what was answered, in order."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from pylib.emulator.errors import Json
from pylib.emulator.store import Store


@dataclass(frozen=True)
class Entry:
    """One call; ``status`` is 0 when no answer went out.  Credentials are never kept: only
    whether some came."""

    method: str
    verb: str
    path: str
    status: int
    time: float
    query: Json = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    operation: str = ""
    faults: tuple[str, ...] = ()
    authorized: bool = False
    agent: str = ""

    @property
    def changes(self) -> bool:
        """True for a call that could have changed something."""
        return self.verb != "GET"


class Journal:
    """All calls since the folder was made."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, entry: Entry) -> None:
        """One more."""
        self._store.execute("INSERT INTO call (doc) VALUES (?)", json.dumps(asdict(entry)))

    def entries(self, method: str = "") -> list[Entry]:
        """All calls, or those of one method."""
        rows = self._store.execute("SELECT doc FROM call ORDER BY n")
        docs = [json.loads(str(row[0])) for row in rows]
        found = [Entry(**{**doc, "faults": tuple(doc["faults"])}) for doc in docs]
        return [one for one in found if method in {"", one.method}]
