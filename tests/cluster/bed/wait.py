"""Waiting for a fact, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from pylib.errors import KubeError

T = TypeVar("T")


class TooLateError(AssertionError):
    """What was waited for did not come; the message says what, and what was there instead."""


def until(
    found: Callable[[], T], seconds: float, what: str, *, step: float = 0.1, show: object = None
) -> T:
    """The first true answer of ``found``; asks every ``step`` seconds, ``seconds`` at most.

    A cluster that is away for a moment counts as no answer.  ``show``, when callable, says in the
    error what there was instead.
    """
    end = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            last = answer = found()
            if answer:
                return answer
        except KubeError as error:
            last = error
        if time.monotonic() > end:
            seen = show() if callable(show) else last
            raise TooLateError(f"{what}: not within {seconds:g} s; last: {seen!r}")
        time.sleep(step)
