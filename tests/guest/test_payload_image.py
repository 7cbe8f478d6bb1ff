"""What a registry may answer for an image, and what of it is refused; and its refusals."""

from __future__ import annotations

import hashlib
import io
import json
from email.message import Message
from typing import Any

import pytest

from pylib.guest.payload import registry
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.registry import DOCKER, Address, Repository
from pylib.guest.payload.web import TRIES, Reply, Request, Session, _redirected

DIGEST = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"


class _Response:
    """As much of http.client's response as a reply needs."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.status, self._body, self.length = status, io.BytesIO(body), len(body)
        self.headers = Message()
        for name, value in headers.items():
            self.headers[name] = value

    def getheader(self, name: str) -> str | None:
        return self.headers[name]

    def read(self, count: int) -> bytes:
        return self._body.read(count)

    def close(self) -> None:
        self._body.close()


class Scripted(Session):
    """Answers in a row; the last one again and again.  ``sent`` are the requests."""

    def __init__(self, *answers: tuple[int, bytes, dict[str, str]] | OSError) -> None:
        super().__init__()
        self._answers, self.sent = list(answers), list[Request]()

    def send(self, request: Request) -> Reply:
        self.sent.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        made: Any = _Response(*answer)
        return Reply(made, request.url)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    made: list[tuple[int, str]] = []
    monkeypatch.setattr(registry, "pause_before", lambda a, wait="": made.append((a, wait)))
    return made


def repository(*, with_account: bool = False) -> Repository:
    return Repository(Address("r.io", "a/b", ("https://r.io",), with_account))


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(403, "403: it refuses; for a private"), (404, "404: it is not there"), (418, "418")],
)
def test_a_refusal_is_told_at_once(
    status: int, meaning: str, pauses: list[tuple[int, str]]
) -> None:
    session = Scripted((status, b"", {}))
    with pytest.raises(GuestError, match=f"r.io/a/b:t: r.io answers {meaning}"):
        repository().document("manifests", "t", session)
    assert (len(session.sent), pauses) == (1, [])


def test_a_503_is_tried_again_after_what_the_server_asks(pauses: list[tuple[int, str]]) -> None:
    session = Scripted((503, b"", {"Retry-After": "9"}), (200, b"{}", {"Content-Type": "a; b"}))
    found = repository().document("manifests", "t", session)
    assert (found.body, found.media_type, pauses) == (b"{}", "a", [(1, "9")])


def test_a_registry_that_stays_broken_is_named(pauses: list[tuple[int, str]]) -> None:
    session = Scripted(OSError("cut"))
    with pytest.raises(GuestError, match=r"r\.io does not answer: cut"):
        repository().document("manifests", "t", session)
    assert (len(session.sent), len(pauses)) == (TRIES, TRIES - 1)


def test_other_bytes_than_the_digest_s_are_refused() -> None:
    with pytest.raises(GuestError, match=f"what came has digest {DIGEST}"):
        repository().document("blobs", f"sha256:{'0' * 64}", Scripted((200, b"{}", {})))


def test_a_challenge_is_answered_with_a_token() -> None:
    challenge = 'Bearer realm="https://auth.io/t",service="s"'
    session = Scripted(
        (401, b"", {"WWW-Authenticate": challenge}), (200, b'{"token": "k"}', {}), (200, b"{}", {})
    )
    assert repository().document("blobs", DIGEST, session).body == b"{}"
    assert session.sent[1].url == "https://auth.io/t?service=s&scope=repository%3Aa%2Fb%3Apull"
    assert session.sent[2].headers["Authorization"] == "Bearer k"


def test_a_refused_token_is_told() -> None:
    challenge = 'Bearer realm="https://auth.io/t"'
    session = Scripted((401, b"", {"WWW-Authenticate": challenge}), (403, b"", {}))
    with pytest.raises(GuestError, match=r"auth\.io gives no token for a/b: status 403"):
        repository().document("blobs", DIGEST, session)


def test_without_an_account_a_basic_challenge_is_a_refusal() -> None:
    session = Scripted((401, b"", {"WWW-Authenticate": "Basic realm=x"}))
    with pytest.raises(GuestError, match="401: it refuses"):
        repository().document("blobs", DIGEST, session)


def test_a_redirect_to_another_host_loses_the_secret() -> None:
    assert _redirected("https://a/x", "https://b/y", {"Authorization": "k"}) == ("https://b/y", {})


def test_a_redirect_out_of_https_is_refused() -> None:
    with pytest.raises(GuestError, match="which is not https"):
        _redirected("https://a/x", "http://a/y", {})


def test_documents_that_are_no_image_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from pylib.guest.payload.image import resolve
    from pylib.guest.payload.job import parse_job

    assert resolve
    assert parse_job
    assert json.dumps(DOCKER)
