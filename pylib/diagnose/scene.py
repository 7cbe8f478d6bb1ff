"""A snapshot with the questions that all areas ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pylib.snapshot.bodies import Body, condition, dig, named, part, parts, word
from pylib.snapshot.model import Snapshot
from pylib.snapshot.pods import SERVER, claim_names
from pylib.snapshot.times import seconds_between


@dataclass(frozen=True)
class Scene:
    """What diagnosis looks at."""

    snapshot: Snapshot

    def kubectl(self, words: str) -> str:
        """A kubectl command in the release's namespace."""
        return f"kubectl -n {self.snapshot.namespace} {words}"

    def pods(self) -> Iterator[Body]:
        """The pods that are meant to run: not those that end or have ended well."""
        for pod in self.snapshot.of("Pod"):
            ending = dig(pod, "metadata", "deletionTimestamp") is not None
            if not ending and word(pod, "status", "phase") != "Succeeded":
                yield pod

    def age(self, time: str) -> float:
        """Seconds from a time to the snapshot; 0 for what is no time."""
        return max(0.0, seconds_between(time, self.snapshot.taken) or 0.0)

    def events(self, body: Body, *reasons: str) -> list[Body]:
        """The Events about an object for these reasons, newest first."""
        return [
            event
            for event in reversed(self.snapshot.events_of(body))
            if word(event, "reason") in reasons
        ]

    def claims(self, pod: Body) -> list[tuple[str, Body | None]]:
        """The claims that a pod mounts, by name, each with its object where it was found."""
        names = claim_names([pod])
        return [(name, self.snapshot.get("PersistentVolumeClaim", name)) for name in names]

    def volume_of(self, claim: Body | None) -> Body | None:
        """The PersistentVolume that a claim names."""
        name = word(claim, "spec", "volumeName")
        return self.snapshot.get("PersistentVolume", name) if name else None


def is_ready(pod: Body) -> bool:
    """Whether a pod's Ready condition is true."""
    return word(condition(pod, "Ready"), "status") == "True"


def has_started(pod: Body) -> bool:
    """Whether any container of a pod runs or ran."""
    return any(
        part(status, "state", state)
        for status in container_statuses(pod)
        for state in ("running", "terminated")
    )


def container_statuses(pod: Body) -> list[Body]:
    """The statuses of all containers, those that run first come first."""
    return [
        *parts(pod, "status", "initContainerStatuses"),
        *parts(pod, "status", "containerStatuses"),
    ]


def server_of(pod: Body) -> Body:
    """The spec of the container that serves."""
    return named(parts(pod, "spec", "containers"), SERVER)


def newest(events: list[Body]) -> str:
    """The message of the first of ``events``, which are newest first."""
    return word(events[0], "message") if events else ""
