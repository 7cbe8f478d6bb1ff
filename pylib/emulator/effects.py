"""What an operation does when it ends; named, since the name is kept in the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pylib.emulator.errors import Json
from pylib.emulator.world import World

Act = Callable[[World, Json], None]


class LaterError(Exception):
    """What an operation waits for has not happened yet; ask again in ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


def nothing(_world: World, _operation: Json) -> None:
    """For a part that has nothing to do."""


@dataclass(frozen=True)
class Effect:
    """``work`` is slow, outside the transaction; ``done`` ends it; ``failed`` takes it back.

    ``work`` and ``done`` may raise :class:`pylib.emulator.errors.OperationFailedError`, ``done``
    also :class:`LaterError`.
    """

    done: Act = nothing
    failed: Act = nothing
    work: Act | None = None


_EFFECTS: dict[str, Effect] = {"": Effect()}


def register(name: str, effect: Effect) -> str:
    """Give the effect its name; returns the name."""
    _EFFECTS[name] = effect
    return name


def effect(name: str) -> Effect:
    """The effect of that name."""
    return _EFFECTS[name]
