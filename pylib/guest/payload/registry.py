"""One repository of a registry: manifests and blobs by digest, whatever the registry makes of it.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pylib.guest.payload.auth import Authority, hint, is_google
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.job import ImageJob
from pylib.guest.payload.reference import Reference
from pylib.guest.payload.web import BROKEN, RETRIED, TRIES, Reply, Request, Session, pause_before

DOCKER = "application/vnd.docker.distribution.manifest"
MANIFESTS = frozenset({f"{DOCKER}.v2+json", "application/vnd.oci.image.manifest.v1+json"})
INDEXES = frozenset({f"{DOCKER}.list.v2+json", "application/vnd.oci.image.index.v1+json"})
_ACCEPT = ", ".join([*sorted(INDEXES), *sorted(MANIFESTS)])
_LARGEST_MANIFEST = 8 << 20
_RENEWALS = 2


@dataclass(frozen=True)
class Document:
    """A manifest, an index or a config, as the registry holds it."""

    body: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Its name."""
        return f"sha256:{hashlib.sha256(self.body).hexdigest()}"


@dataclass(frozen=True)
class Address:
    """Where a repository is; picklable, so that a layer's process makes its own client of it."""

    host: str
    repository: str
    endpoints: tuple[str, ...]
    with_account: bool


def address_of(reference: Reference, job: ImageJob) -> Address:
    """Where ``reference`` is; only Google's registries get the VM's token."""
    account = job.auth == "service-account" and is_google(reference.host)
    endpoints = job.endpoints_of(reference.host)
    return Address(reference.host, reference.repository, endpoints, account)


@dataclass
class Repository:
    """A client; threads share it, each with a session of its own."""

    address: Address
    authority: Authority = field(init=False)

    def __post_init__(self) -> None:
        """Begin without authorization: registries say what they want."""
        self.authority = Authority(self.address.repository, self.address.with_account)

    def document(self, kind: str, target: str, session: Session) -> Document:
        """``manifests`` by tag or digest, or ``blobs`` by digest, small enough for memory."""
        reply = self.ask(kind, target, {"Accept": _ACCEPT} if kind == "manifests" else {}, session)
        body = reply.read(_LARGEST_MANIFEST)
        found = Document(body, reply.header("Content-Type").partition(";")[0].strip())
        if target.startswith("sha256:") and found.digest != target:
            raise GuestError(f"{self._name(kind, target)}: what came has digest {found.digest}")
        return found

    def ask(self, kind: str, target: str, headers: Mapping[str, str], session: Session) -> Reply:
        """A reply with status 200 or 206, from the first endpoint that gives one.

        Raises :class:`GuestError` with each endpoint's answer.
        """
        answers = []
        for endpoint in self.address.endpoints:
            try:
                reply = self._patiently(endpoint, kind, target, headers, session)
            except BROKEN as error:
                answers.append(f"{urlsplit(endpoint).netloc} does not answer: {error}")
                continue
            if reply.status in {200, 206}:
                return reply
            reply.drop()
            answers.append(f"{urlsplit(endpoint).netloc} answers {self._meaning(reply.status)}")
        raise GuestError(f"{self._name(kind, target)}: {'; '.join(answers)}")

    def _patiently(
        self, endpoint: str, kind: str, target: str, headers: Mapping[str, str], session: Session
    ) -> Reply:
        for attempt in range(1, TRIES):
            try:
                reply = self._authorized(endpoint, kind, target, headers, session)
            except BROKEN:
                pause_before(attempt)
                continue
            if reply.status not in RETRIED:
                return reply
            wait = reply.header("Retry-After")
            reply.drop()
            pause_before(attempt, wait)
        return self._authorized(endpoint, kind, target, headers, session)

    def _authorized(
        self, endpoint: str, kind: str, target: str, headers: Mapping[str, str], session: Session
    ) -> Reply:
        """A reply that is 401 only when new authorization does not help either."""
        url = f"{endpoint}/v2/{self.address.repository}/{kind}/{target}"
        for renewal in range(_RENEWALS + 1):
            known = self.authority.header(endpoint)
            secret = {"Authorization": known} if known else {}
            reply = session.send(Request(url, {**headers, **secret}))
            if reply.status != 401 or renewal == _RENEWALS:
                return reply
            challenges = reply.headers("WWW-Authenticate")
            if not self.authority.renew(endpoint, challenges, session):
                return reply
            reply.drop()
        raise AssertionError("the last renewal returns")

    def _name(self, kind: str, target: str) -> str:
        mark = "@" if target.startswith("sha256:") else ":"
        what = "" if kind == "manifests" else "blob of "
        return f"{what}{self.address.host}/{self.address.repository}{mark}{target}"

    def _meaning(self, status: int) -> str:
        if status in {401, 403}:
            return f"{status}: it refuses{hint(with_account=self.address.with_account)}"
        if status == 404:
            return "404: it is not there"
        return str(status)
