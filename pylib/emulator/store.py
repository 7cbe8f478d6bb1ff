"""State in SQLite: it outlives the client, and a restart of the emulator."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pylib.emulator.errors import Json

_TABLES = """
CREATE TABLE IF NOT EXISTS resource (
  kind TEXT, project TEXT, scope TEXT, name TEXT, doc TEXT,
  PRIMARY KEY (kind, project, scope, name));
CREATE TABLE IF NOT EXISTS job (
  id INTEGER PRIMARY KEY AUTOINCREMENT, due REAL, kind TEXT, key TEXT, data TEXT);
CREATE TABLE IF NOT EXISTS request (
  id TEXT PRIMARY KEY, time REAL, what TEXT, operation TEXT);
CREATE TABLE IF NOT EXISTS call (
  n INTEGER PRIMARY KEY AUTOINCREMENT, doc TEXT);
CREATE TABLE IF NOT EXISTS moment (key TEXT, time REAL);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER);
"""


class Ref(NamedTuple):
    """Where a resource is: collection, project, ``global`` or ``zones/Z``, and name."""

    kind: str
    project: str
    scope: str
    name: str

    @property
    def path(self) -> str:
        """Partial URL, as Compute Engine's messages name it."""
        return f"projects/{self.project}/{self.scope}/{self.kind}/{self.name}"


class Store:
    """All state of one emulator; one transaction at a time."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.RLock()
        self.changed = threading.Condition(self._lock)
        self._depth = 0
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._db.executescript(
            # The machine may crash without harm to anyone: only processes are to be outlived.
            f"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; {_TABLES}"
        )

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside or, when it raises, none; waiters are told of the change."""
        with self._lock:
            if self._depth:
                yield
                return
            self._db.execute("BEGIN")
            self._depth = 1
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            else:
                self._db.execute("COMMIT")
            finally:
                self._depth = 0
                self.changed.notify_all()

    def execute(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Rows of one statement."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def get(self, ref: Ref) -> Json | None:
        """One resource."""
        rows = self.execute(
            "SELECT doc FROM resource WHERE kind=? AND project=? AND scope=? AND name=?", *ref
        )
        return _load(rows[0][0]) if rows else None

    def put(self, ref: Ref, doc: Json) -> None:
        """Write one resource, new or old."""
        self.execute("INSERT OR REPLACE INTO resource VALUES (?,?,?,?,?)", *ref, json.dumps(doc))

    def drop(self, ref: Ref) -> None:
        """Take one resource away."""
        self.execute("DELETE FROM resource WHERE kind=? AND project=? AND scope=? AND name=?", *ref)

    def find(self, kind: str, project: str = "", scope: str = "") -> dict[Ref, Json]:
        """Resources of a collection in order of name; an empty argument is any."""
        rows = self.execute(
            "SELECT project, scope, name, doc FROM resource WHERE kind=?"
            " AND (?='' OR project=?) AND (?='' OR scope=?) ORDER BY scope, name",
            kind,
            *(project, project),
            *(scope, scope),
        )
        return {Ref(kind, str(p), str(s), str(n)): _load(doc) for p, s, n, doc in rows}

    def all(self) -> dict[Ref, Json]:
        """Every resource there is."""
        rows = self.execute("SELECT kind, project, scope, name, doc FROM resource")
        return {Ref(str(k), str(p), str(s), str(n)): _load(d) for k, p, s, n, d in rows}

    def count(self, name: str) -> int:
        """The next number of a counter, from 1."""
        rows = self.execute(
            "INSERT INTO counter VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1"
            " RETURNING value",
            name,
        )
        return _int(rows[0][0])

    def note(self, key: str, time: float) -> None:
        """Remember that ``key`` happened."""
        self.execute("INSERT INTO moment VALUES (?, ?)", key, time)

    def noted(self, key: str, since: float) -> int:
        """How often ``key`` happened after ``since``."""
        rows = self.execute("SELECT COUNT(*) FROM moment WHERE key=? AND time>?", key, since)
        return _int(rows[0][0])


def _load(text: object) -> Json:
    doc: Json = json.loads(str(text))
    return doc


def _int(value: object) -> int:
    return int(str(value))
