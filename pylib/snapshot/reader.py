"""Reading from the API server so that one refusal costs one kind, and is written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pylib.errors import KubeError
from pylib.kube import Kube
from pylib.snapshot.bodies import Body
from pylib.snapshot.model import Unread
from pylib.snapshot.redact import slim

T = TypeVar("T")

_UNAUTHORIZED = 401


class Reader:
    """A cluster as one namespace's reader sees it; ``unread`` grows with each refusal."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube = kube
        self.namespace = namespace
        self.unread: dict[str, str] = {}

    def attempt(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        """What ``read`` returns; ``otherwise`` when the server refuses ``what``.

        A server that is away, or knows no such user, refuses everything: that goes on as the
        :class:`~pylib.errors.KubeError` it is.
        """
        try:
            return read()
        except KubeError as error:
            if error.status in (0, _UNAUTHORIZED):
                raise
            self.unread.setdefault(what, str(error))
            return otherwise

    def many(
        self,
        api_version: str,
        kind: str,
        *,
        labels: str = "",
        fields: str = "",
        namespace: str | None = "",
    ) -> list[Body]:
        """Objects of a kind, slimmed: in the reader's namespace, or ``None`` for all."""
        place = self.namespace if namespace == "" else namespace
        return [
            slim(body)
            for body in self.whole(kind, api_version, kind, place, labels=labels, fields=fields)
        ]

    def whole(
        self,
        what: str,
        api_version: str,
        kind: str,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
    ) -> list[dict[str, Any]]:
        """Objects of a kind as they are; a refusal is one of ``what``."""
        none: list[dict[str, Any]] = []
        return self.attempt(
            what,
            lambda: self.kube.list(api_version, kind, namespace, labels=labels, fields=fields),
            none,
        )

    def one(
        self, api_version: str, kind: str, name: str, *, namespace: str | None = ""
    ) -> Body | None:
        """One object, slimmed; ``None`` when it is absent or refused."""
        place = self.namespace if namespace == "" else namespace
        found = self.attempt(kind, lambda: self.kube.get(api_version, kind, name, place), None)
        return None if found is None else slim(found)

    def all_unread(self) -> tuple[Unread, ...]:
        """What was refused, by kind."""
        return tuple(Unread(what, reason) for what, reason in sorted(self.unread.items()))
