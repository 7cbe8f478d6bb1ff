"""What the VM tells the host: one guest attribute, rewritten at each phase and now and then.

A thread writes, so that a slow metadata server holds nothing up; the last report is written by
whoever ends the job, and its result is told by the exit status as well.
https://cloud.google.com/compute/docs/metadata/manage-guest-attributes
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Any

from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.metadata import Metadata

PATH = "vfs/report"
SECONDS_BETWEEN = 6.0
"""Guest attributes take ten requests a minute."""
_LARGEST = 200 << 10
"""Bytes of a value: 256 KiB are the limit."""
_LAST_TRIES = 5
_LOG = logging.getLogger(__name__)


def _nothing() -> int:
    return 0


@dataclass
class Report:
    """The present state; ``set_guest_attribute`` writes a path and returns the HTTP status."""

    nonce: str
    set_guest_attribute: Callable[[str, bytes], int] = field(
        default_factory=lambda: Metadata().set_guest_attribute
    )
    _phase: str = "start"
    _total: int = 0
    _done: Callable[[], int] = _nothing
    _ended: bool = False
    _since: float = field(default_factory=time.monotonic)
    _seconds: dict[str, float] = field(default_factory=dict)
    _changed: Condition = field(default_factory=Condition)
    _thread: Thread | None = None

    def begin(self) -> None:
        """Say that the VM is up; raises :class:`GuestError` when nobody can hear it."""
        status = self.set_guest_attribute(PATH, self._state())
        if status != 200:
            raise GuestError(
                f"guest attributes cannot be written (status {status}): the VM needs the metadata "
                "enable-guest-attributes=TRUE, which a project or an organization may forbid"
            )
        self._thread = Thread(target=self._keep_telling, daemon=True)
        self._thread.start()

    def phase(self, name: str, total: int = 0, done: Callable[[], int] = _nothing) -> None:
        """Begin a phase of ``total`` bytes, of which ``done()`` are done."""
        with self._changed:
            now = time.monotonic()
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
            self._phase, self._since, self._total, self._done = name, now, total, done
            self._changed.notify()
        _LOG.info("phase %s", name)

    def seconds(self) -> dict[str, float]:
        """How long each phase took that is over."""
        return {name: round(seconds, 2) for name, seconds in self._seconds.items()}

    def succeed(self, digest: str, facts: Mapping[str, Any]) -> None:
        """The last word; raises :class:`GuestError` when it cannot be written."""
        body = self._state(result="ok", digest=digest, facts=facts)
        if len(body) > _LARGEST:
            slim = [{**image, "layers": len(image["layers"])} for image in facts["images"]]
            body = self._state(result="ok", digest=digest, facts={**facts, "images": slim})
        self._end(body)

    def fail(self, message: str, line: str) -> None:
        """The last word; raises :class:`GuestError` when it cannot be written."""
        file, _, number = line.rpartition(":")
        said = f"{message} [{file}]" if file else message
        self._end(self._state(result="fail", message=said[:8000], line=int(number or 0)))

    def _end(self, body: bytes) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        status = 0
        for attempt in range(_LAST_TRIES):
            status = self.set_guest_attribute(PATH, body)
            if status == 200:
                return
            time.sleep(attempt + 1)
        raise GuestError(f"the last report cannot be written: status {status}")

    def _state(
        self,
        *,
        result: str = "",
        message: str = "",
        line: int = 0,
        digest: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> bytes:
        return json.dumps(
            {
                "nonce": self.nonce,
                "phase": self._phase,
                "done_bytes": self._done(),
                "total_bytes": self._total,
                "result": result,
                "message": message,
                "line": line,
                "digest": digest,
                "facts": facts or {},
            }
        ).encode()

    def _keep_telling(self) -> None:
        """A lost report is no harm: the next one says more."""
        last = time.monotonic()
        while True:
            with self._changed:
                wait = max(0.0, last + SECONDS_BETWEEN - time.monotonic())
                self._changed.wait_for(lambda: self._ended, wait)
                if self._ended:
                    return
            last = time.monotonic()
            try:
                self.set_guest_attribute(PATH, self._state())
            except (GuestError, OSError) as error:
                _LOG.warning("a report was not written: %s", error)
