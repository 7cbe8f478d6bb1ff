"""Downloading one blob: in pieces, over several connections, again from where a cut came.

The pieces come in order, each in a buffer, and nothing here proves them: what a layer unpacks to
has a digest in its image's config, which covers every byte that is kept, and is summed anyway.  The
blob's own would cover only how those were packed, at the price of one more SHA-256.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock

from pylib.guest.payload.buffers import Buffer, Channel, Flow, Ring
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.registry import Repository
from pylib.guest.payload.web import BROKEN, TRIES, Reply, Request, Session, pause_before

PIECE = 4 << 20
LANES = 4
_LANES_FROM = 4 * PIECE
"""A smaller blob is not worth more than one connection."""


@dataclass
class Blob:
    """What to fetch; ``size`` in bytes as the manifest says."""

    repository: Repository
    digest: str
    size: int
    _location: str = ""

    def ask(self, headers: Mapping[str, str], session: Session) -> Reply:
        """Ask for it where the registry last sent us, and there again when that is over."""
        if self._location:
            reply = session.send(Request(self._location, headers))
            if reply.status == 206:
                return reply
            reply.drop()
            self._location = ""
        reply = self.repository.ask("blobs", self.digest, headers, session)
        if reply.redirected:
            self._location = reply.url
        return reply


@dataclass
class Lane:
    """One connection: the present reply stands at byte ``_at`` and ends at ``_asked_to``."""

    blob: Blob
    session: Session = field(default_factory=Session)
    _reply: Reply | None = None
    _at: int = 0
    _asked_to: int = 0

    def read(self, buffer: Buffer, start: int, stop: int, request_stop: int) -> None:
        """Fill the buffer with bytes ``start`` to ``stop``, asking for all up to ``request_stop``.

        Raises :class:`GuestError` after several tries that brought nothing.
        """
        buffer.length = stop - start
        done = failures = 0
        while start + done < stop:
            try:
                count = self._some(buffer.view[done : stop - start], start + done, request_stop)
            except BROKEN:
                count = 0
            done += count
            failures = 0 if count else failures + 1
            if count == 0:
                self._cut(failures, start + done)

    def is_ranged(self) -> bool:
        """Whether the registry answers with a part when asked for a part."""
        reply = self._open(0, 1)
        if reply.status == 206:
            reply.drop()
            return True
        self._reply = reply
        return False

    def _some(self, view: memoryview, at: int, stop: int) -> int:
        if self._reply is None or self._at != at or self._asked_to == at:
            self._reply, self._at, self._asked_to = self._open(at, stop), at, stop
        count = self._reply.read_into(view)
        self._at += count
        return count

    def _open(self, at: int, stop: int) -> Reply:
        whole = at == 0 and stop == self.blob.size
        headers = {} if whole else {"Range": f"bytes={at}-{stop - 1}"}
        reply = self.blob.ask(headers, self.session)
        if reply.status == 206 and not reply.header("Content-Range").startswith(f"bytes {at}-"):
            raise GuestError(
                f"{self.blob.digest}: asked for bytes from {at}, the registry sends "
                f"{reply.header('Content-Range') or 'others'}"
            )
        if reply.status == 200:
            self._skip(reply, at)
        return reply

    def _skip(self, reply: Reply, count: int) -> None:
        """Read over what is there already, from a server that knows no ranges."""
        view = memoryview(bytearray(min(count, PIECE)))
        while count:
            read = reply.read_into(view[: min(count, PIECE)])
            if read == 0:
                raise ConnectionError("the reply ended early")
            count -= read

    def _cut(self, failures: int, at: int) -> None:
        if self._reply is not None:
            self.session.forget(self._reply.url)
            self._reply = None
        if failures >= TRIES:
            raise GuestError(
                f"{self.blob.digest}: the download broke off at byte {at} of {self.blob.size} "
                f"{failures} times"
            )
        pause_before(failures)


class Download:
    """The pieces of a blob; lanes run as threads of the flow."""

    def __init__(self, flow: Flow, blob: Blob) -> None:
        self._flow, self._blob = flow, blob
        self._ring = Ring(flow, LANES + 4, PIECE)
        self._order: Channel[Buffer] = flow.channel()
        self._next = 0
        self._lock = Lock()

    def start(self) -> None:
        """Begin to download."""
        self._flow.spawn(self._begin)

    def parts(self) -> Iterator[tuple[int, int]]:
        """Address and length of pieces in order, each there until the next is asked for."""
        size = 0
        while size < self._blob.size:
            buffer = self._order.get()
            buffer.ready.get()
            yield buffer.address, buffer.length
            size += buffer.length
            buffer.release()

    def _begin(self) -> None:
        lane = Lane(self._blob)
        if self._blob.size >= _LANES_FROM and lane.is_ranged():
            for _ in range(LANES - 1):
                self._flow.spawn(lambda: self._lane(Lane(self._blob), in_parts=True))
            self._lane(lane, in_parts=True)
        else:
            self._lane(lane, in_parts=False)

    def _lane(self, lane: Lane, *, in_parts: bool) -> None:
        while True:
            with self._lock:  # the piece and its buffer at once, or later pieces could hold all
                start, self._next = self._next, self._next + PIECE
                if start >= self._blob.size:
                    return
                buffer = self._ring.take()
                self._order.put(buffer)
            stop = min(start + PIECE, self._blob.size)
            buffer.share(1)
            lane.read(buffer, start, stop, stop if in_parts else self._blob.size)
            buffer.ready.put(stop)
