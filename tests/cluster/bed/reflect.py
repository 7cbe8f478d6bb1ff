"""Keeps up with all objects of a kind, as the reflectors of Kubernetes' own clients do."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pylib.errors import KubeError
from pylib.kube import Body, Kube

_WATCH_SECONDS = 60.0
_PAUSE_SECONDS = 0.2
_GONE = "DELETED"


class Reflector:
    """A thread that lists, then watches from there, and begins anew when the stream ends.

    ``changed`` is called on that thread, with ``None`` in place of an object that is gone; never
    after :meth:`close`.
    """

    def __init__(
        self,
        kube: Kube,
        api_version: str,
        kind: str,
        changed: Callable[[str, Body | None], None],
        *,
        namespace: str | None = None,
        labels: str = "",
    ) -> None:
        self._kube = kube
        self._what = (api_version, kind, namespace)
        self._labels = labels
        self._changed = changed
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._synced = threading.Event()
        thread = threading.Thread(target=self._follow, name=f"reflect-{kind}", daemon=True)
        thread.start()

    def wait(self, seconds: float = 30.0) -> None:
        """Return when the first list has been handed on."""
        if not self._synced.wait(seconds):
            raise TimeoutError(f"no list of {self._what[1]} within {seconds:g} s")

    def close(self) -> None:
        """Hand on nothing more; the thread ends with its stream, and nobody waits for it."""
        self._ends.set()
        with self._lock:
            self._known.clear()

    def _follow(self) -> None:
        while not self._ends.is_set():
            try:
                version = self._list()
                self._synced.set()
                self._watch(version)
            except KubeError:  # away for a moment, or the version is too old to go on from
                self._ends.wait(_PAUSE_SECONDS)

    def _list(self) -> str:
        found = self._kube.raw("GET", self._path(), {"labelSelector": self._labels})
        now = {item["metadata"]["uid"]: item for item in found["items"]}
        for uid in self._known - now.keys():
            self._hand_on(uid, None)
        for uid, body in now.items():
            self._hand_on(uid, body)
        return str(found["metadata"]["resourceVersion"])

    def _path(self) -> str:
        """The list's path, for kinds whose plural is their name and an s."""
        api_version, kind, namespace = self._what
        group = "apis" if "/" in api_version else "api"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"/{group}/{api_version}{scope}/{kind.lower()}s"

    def _watch(self, version: str) -> None:
        stream = self._kube.watch(
            *self._what, labels=self._labels, seconds=_WATCH_SECONDS, resource_version=version
        )
        for kind, body in stream:
            if self._ends.is_set():
                return
            self._hand_on(body["metadata"]["uid"], None if kind == _GONE else body)

    def _hand_on(self, uid: str, body: Body | None) -> None:
        with self._lock:
            if self._ends.is_set():
                return
            if body is None:
                self._known.discard(uid)
            else:
                self._known.add(uid)
            self._changed(uid, body)
