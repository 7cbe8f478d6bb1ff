"""One look at a release: everything that diagnosis and the timeline read, as plain data.

A file of it is a support bundle: it holds no content of Secrets.  What could not be read stands in
``unread``: found, absent and unknown are three answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pylib.snapshot.bodies import Body, name_of, part, word, words

FORMAT = 1
"""Version of the file; a change that readers must know raises it."""


@dataclass(frozen=True)
class Unread:
    """A kind, or a part of one, that could not be read, and the server's reason."""

    what: str
    reason: str


@dataclass(frozen=True)
class Log:
    """The last lines of one container's log; ``previous`` is its run before the last restart."""

    pod: str
    container: str
    text: str
    previous: bool = False


@dataclass(frozen=True)
class SecretKeys:
    """A Secret that pods name: ``keys`` says ``filled``, ``blank`` (nothing but white space) or
    ``newline`` (ends in one) of each key; ``None`` when there is no such Secret."""

    name: str
    keys: Mapping[str, str] | None


@dataclass(frozen=True)
class Revision:
    """One revision in helm's record of the release, and its status, as ``pending-upgrade``."""

    number: int
    status: str
    modified: str = ""


@dataclass(frozen=True)
class Tenant:
    """A pod of anyone that holds GPUs of a node that the release may run on."""

    node: str
    pod: str
    gpus: int


@dataclass(frozen=True)
class Snapshot:
    """``objects`` are JSON as the server has it, less what is secret or long; ``taken`` is RFC 3339
    in UTC; ``label_counts`` counts the nodes that carry a label (``key=value``) of a node selector.
    """

    taken: str
    context: str
    release: str
    namespace: str
    kubernetes: str = ""
    objects: tuple[Body, ...] = ()
    logs: tuple[Log, ...] = ()
    secrets: tuple[SecretKeys, ...] = ()
    revisions: tuple[Revision, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    label_counts: Mapping[str, int] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()

    def of(self, *kinds: str) -> list[Body]:
        """The objects of these kinds, in the order they were read."""
        return [body for kind in kinds for body in self._by_kind.get(kind, [])]

    def get(self, kind: str, name: str) -> Body | None:
        """One object; ``None`` when it was not found, see :meth:`could_read`."""
        return self._by_name.get((kind, name))

    def could_read(self, what: str) -> bool:
        """Whether an object of this kind that is not here is known to be absent."""
        return all(unread.what != what for unread in self.unread)

    def events_of(self, body: Body) -> list[Body]:
        """The Events about an object, oldest first."""
        return self._events.get((word(body, "kind"), name_of(body)), [])

    def log(self, pod: str, container: str, *, previous: bool = False) -> str | None:
        """The end of a container's log, ``None`` when there was none to read."""
        wanted = (pod, container, previous)
        return next(
            (log.text for log in self.logs if (log.pod, log.container, log.previous) == wanted),
            None,
        )

    def pods(self, owner: Body) -> Iterator[Body]:
        """The pods that an object's selector matches."""
        selector = words(owner, "spec", "selector", "matchLabels")
        for pod in self.of("Pod"):
            if selector and selector.items() <= words(pod, "metadata", "labels").items():
                yield pod

    @cached_property
    def _by_kind(self) -> dict[str, list[Body]]:
        found: dict[str, list[Body]] = {}
        for body in self.objects:
            found.setdefault(word(body, "kind"), []).append(body)
        return found

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], Body]:
        return {(word(body, "kind"), name_of(body)): body for body in self.objects}

    @cached_property
    def _events(self) -> dict[tuple[str, str], list[Body]]:
        found: dict[tuple[str, str], list[Body]] = {}
        for event in sorted(self.of("Event"), key=event_time):
            about = part(event, "involvedObject")
            found.setdefault((word(about, "kind"), word(about, "name")), []).append(event)
        return found


def event_time(event: Any) -> str:
    """When an Event was last seen (RFC 3339), from whichever field its writer filled."""
    return (
        word(event, "series", "lastObservedTime")
        or word(event, "lastTimestamp")
        or word(event, "eventTime")
        or word(event, "firstTimestamp")
        or word(event, "metadata", "creationTimestamp")
    )
