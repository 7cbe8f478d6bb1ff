"""Several calls in one request, as gcloud sends them: multipart/mixed, one HTTP message a part.

Source: https://cloud.google.com/compute/docs/api/how-tos/batch.
"""

from __future__ import annotations

import http
from email.message import Message
from email.parser import BytesParser

from pylib.emulator.server import Serves
from pylib.emulator.world import Response

PATHS = ("/batch", "/batch/compute/v1")
_BOUNDARY = "batch_emulator"


class Batching:
    """Takes batches apart for the one who serves single calls."""

    def __init__(self, serves: Serves) -> None:
        self._serves = serves

    def handle(
        self, verb: str, target: str, headers: dict[str, str], raw: bytes
    ) -> Response | None:
        """The answer to one request, or to all of a batch."""
        if verb != "POST" or target.partition("?")[0] not in PATHS:
            return self._serves.handle(verb, target, headers, raw)
        head = f"Content-Type: {headers.get('content-type', '')}\r\n\r\n".encode()
        whole = BytesParser().parsebytes(head + raw)
        parts: list[bytes] = []
        for part in whole.get_payload() if whole.is_multipart() else []:
            if isinstance(part, Message):
                answer = self._one(part, headers)
                if answer is None:
                    return None
                parts.append(answer)
        body = b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()
        return Response(200, body, f"multipart/mixed; boundary={_BOUNDARY}")

    def _one(self, part: Message, outer: dict[str, str]) -> bytes | None:
        payload = part.get_payload(decode=True)
        text = payload if isinstance(payload, bytes) else b""
        line, _, rest = text.lstrip().partition(b"\n")
        verb, target, *_ = line.decode().split()
        head, _, body = rest.replace(b"\r\n", b"\n").partition(b"\n\n")
        inner = BytesParser().parsebytes(head + b"\n\n")
        headers = {**outer, **{key.lower(): str(value) for key, value in inner.items()}}
        answer = self._serves.handle(verb, target, headers, body.rstrip(b"\n"))
        return None if answer is None else _part(part.get("Content-ID", ""), answer)


def _part(identity: str, answer: Response) -> bytes:
    name = f"<response-{identity.strip('<>')}>"
    phrase = http.HTTPStatus(answer.status).phrase
    head = (
        f"--{_BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: {name}\r\n\r\n"
        f"HTTP/1.1 {answer.status} {phrase}\r\nContent-Type: {answer.kind}\r\n"
        f"Content-Length: {len(answer.body)}\r\n\r\n"
    )
    return head.encode() + answer.body + b"\r\n"
