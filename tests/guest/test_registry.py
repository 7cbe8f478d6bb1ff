"""The payload's client of registries, against one on this machine that is unkind on demand."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from pylib.guest.payload import web
from pylib.guest.payload.auth import Authority, is_google
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.image import Image, resolve
from pylib.guest.payload.job import ImageJob, parse_job
from pylib.guest.payload.metadata import Token
from pylib.guest.payload.registry import Address, Repository
from pylib.guest.payload.web import Request, Session
from tests.disk.layers import Image as Made
from tests.disk.layers import Layer, digest_of, gzipped, image, index, plain
from tests.disk.registry import Answer, Registry, serving

pytestmark = pytest.mark.usefixtures("closed")

SECRET = "ya29.secret"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that would have been slept."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture
def registry() -> Iterator[Registry]:
    """An empty one."""
    with serving(Registry()) as one:
        yield one


def job(registry: Registry, *images: Any, **more: Any) -> ImageJob:
    """A job for images there."""
    found = {
        "version": 1,
        "kind": "image",
        "nonce": "n",
        "device": "/dev/x",
        "images": list(images),
        "endpoints": {registry.address: [f"http://{registry.address}"]},
    }
    return parse_job(json.dumps({**found, **more}))


def look(registry: Registry, reference: Any, **more: Any) -> Image:
    """What the payload makes of one reference."""
    asked = job(registry, reference, **more)
    return resolve(asked.images[0], asked, Session())


def small(**how: Any) -> Made:
    """An image of one layer."""
    return image([gzipped(Layer().file("f", b"x"))], **how)


def spoilt(registry: Registry, body: dict[str, Any], kind: str = "") -> str:
    """The reference of an image whose manifest is this."""
    made = replace(small(), manifest=json.dumps(body).encode(), media_type=kind)
    return registry.push("app:v1", made)


def test_an_image_is_resolved_to_digest_layers_and_size(registry: Registry) -> None:
    made = small()
    found = look(registry, registry.push("team/app:v1", made))
    assert (found.digest, found.platform, len(found.layers)) == (made.digest, "linux/amd64", 1)
    assert found.size == len(made.manifest) + sum(len(blob) for blob in made.blobs.values())


@pytest.mark.parametrize("docker", [True, False])
def test_of_an_index_the_platform_is_taken(registry: Registry, docker: bool) -> None:
    ours = small(docker=docker)
    others = image([plain(Layer().file("g"))], docker=docker, architecture="arm64")
    reference = registry.push("a:v1", index([("arm64", others), ("amd64", ours)], docker=docker))
    assert look(registry, reference).platforms == ("linux/amd64", "linux/arm64")
    with pytest.raises(GuestError, match="is not made for linux/s390x; it is for linux/amd64"):
        look(registry, reference, platform="linux/s390x")


def test_another_platform_is_refused(registry: Registry) -> None:
    reference = registry.push("a:v1", small(architecture="arm64"))
    with pytest.raises(GuestError, match="is made for linux/arm64, not for linux/amd64"):
        look(registry, reference)


@pytest.mark.fault("G8")
def test_a_tag_that_was_moved_is_refused(registry: Registry) -> None:
    reference = registry.push("a:v1", small())
    wanted = {"reference": reference, "digest": digest_of(b"before")}
    with pytest.raises(GuestError, match="as the job says: the tag was moved since"):
        look(registry, wanted)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"schemaVersion": 1}, "Docker's schema 1"),
        ({"mediaType": "text/html"}, "answers text/html, which is no image"),
        ({"layers": []}, "its manifest or config is malformed"),
        ({"manifests": []}, "is not made for linux/amd64; it is for "),
    ],
)
def test_what_is_no_image_is_refused(registry: Registry, body: dict[str, Any], said: str) -> None:
    with pytest.raises(GuestError, match=said):
        look(registry, spoilt(registry, body))


def _changed(change: Callable[[dict[str, Any]], None]) -> Made:
    made = small()
    body = json.loads(made.manifest)
    change(body)
    return replace(made, manifest=json.dumps(body).encode())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body: body["layers"].append(body["layers"][0]), "has 2 layers, and its config 1"),
        (lambda body: body["layers"][0].update(mediaType="a/b"), "layer of type a/b"),
        (lambda body: body["layers"][0].update(digest="md5:1"), "names a layer by md5:1"),
    ],
)
def test_layers_that_cannot_be_are_refused(
    registry: Registry, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    with pytest.raises(GuestError, match=said):
        look(registry, registry.push("a:v1", _changed(change)))


@pytest.mark.parametrize(
    ("body", "said"), [(b"<html>", "answers no JSON"), (b"[]", "JSON that is no object")]
)
def test_a_page_for_people_is_refused(registry: Registry, body: bytes, said: str) -> None:
    made = replace(small(), manifest=body)
    with pytest.raises(GuestError, match=said):
        look(registry, registry.push("a:v1", made))


def test_a_manifest_of_another_digest_is_refused(registry: Registry) -> None:
    made = small()
    registry.push("a:v1", made)
    registry.unkind = lambda _, answer: replace(answer, body=answer.body + b" ")
    with pytest.raises(GuestError, match="what came has digest"):
        look(registry, f"{registry.address}/a@{made.digest}")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "answers 404: it is not there"),
        (403, "403: it refuses; for a private repository of Google's"),
        (418, "answers 418"),
        (503, "answers 503"),
    ],
)
def test_a_refusal_is_told_with_its_meaning(registry: Registry, status: int, said: str) -> None:
    registry.unkind = lambda _, answer: replace(answer, status=status)
    with pytest.raises(GuestError, match=said):
        look(registry, registry.push("a:v1", small()))
    assert len(registry.asked) == (web.TRIES if status == 503 else 1)


def test_a_server_that_is_down_for_a_while_is_asked_again(
    registry: Registry, pauses: list[float]
) -> None:
    made = small()
    reference = registry.push("a:v1", made)
    busy = [Answer(429, headers=(("Retry-After", "9"),)), Answer(500)]
    registry.unkind = lambda _, answer: busy.pop(0) if busy else answer
    assert look(registry, reference).digest == made.digest
    assert len(pauses) == 2
    assert 9 * 0.75 <= pauses[0] <= 9
    assert pauses[1] <= web.LONGEST_PAUSE


def test_a_connection_that_breaks_is_made_again(registry: Registry) -> None:
    made = small()
    reference = registry.push("a:v1", made)
    cut = [1]

    def unkind(_: str, answer: Answer) -> Answer:
        return replace(answer, cut=len(answer.body), status=500) if cut and cut.pop() else answer

    registry.unkind = unkind
    assert look(registry, reference).digest == made.digest


def test_endpoints_are_tried_in_order_and_all_are_named(registry: Registry) -> None:
    made = small()
    reference = registry.push("a:v1", made)
    good = f"http://{registry.address}"
    dead = "http://127.0.0.1:9"
    both = {registry.address: [dead, good]}
    assert look(registry, reference, endpoints=both).digest == made.digest
    with pytest.raises(GuestError, match=r"127\.0\.0\.1:9 does not answer: .*Connection refused"):
        look(registry, reference, endpoints={registry.address: [dead]})


def test_a_token_is_fetched_when_the_registry_asks_for_one(registry: Registry) -> None:
    registry.tokens = True
    made = small()
    assert look(registry, registry.push("a/b:v1", made)).digest == made.digest
    [asked] = {path for path in registry.asked if path.startswith("/token")}
    assert asked == "/token?service=test&scope=repository%3Aa%2Fb%3Apull"


def test_a_token_server_that_refuses_is_named(registry: Registry) -> None:
    registry.tokens = True
    registry.unkind = lambda _, answer: replace(answer, status=403)
    with pytest.raises(GuestError, match="gives no token for a/b: status 403; for a private"):
        look(registry, registry.push("a/b:v1", small()))


def test_a_challenge_that_is_not_known_ends_in_a_refusal(registry: Registry) -> None:
    refusal = Answer(401, headers=(("WWW-Authenticate", "Digest realm=x"),))
    registry.unkind = lambda *_: refusal
    with pytest.raises(GuestError, match="answers 401: it refuses"):
        look(registry, registry.push("a/b:v1", small()))


def account(**how: Any) -> Authority:
    """That of a VM with a service account."""
    return Authority("p/r", with_account=True, fetch_token=lambda: Token(SECRET, **how))


def test_an_account_s_token_goes_to_google_alone_and_is_kept_while_fresh() -> None:
    assert is_google("europe-docker.pkg.dev")
    assert is_google("gcr.io")
    assert not is_google("pkg.dev.example.com")
    authority = account(until=float("inf"))
    assert authority.renew("https://gcr.io", ["Basic realm=x"], Session())
    first = authority.header("https://gcr.io")
    assert first.startswith("Basic ")
    authority.fetch_token = lambda: Token("other", 0.0)
    assert authority.renew("https://gcr.io", ["Basic realm=x"], Session())
    assert authority.header("https://gcr.io") == first
    stale = account(until=0.0)
    stale.renew("https://gcr.io", ["Basic realm=x"], Session())
    stale.fetch_token = lambda: Token("other", 0.0)
    stale.renew("https://gcr.io", ["Basic realm=x"], Session())
    assert stale.header("https://gcr.io") != first
    assert SECRET not in repr(Token(SECRET, 0.0))


def test_a_realm_that_is_not_the_registry_s_never_sees_the_account(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = account(until=float("inf"))
    seen: list[str] = []
    original = registry.answer

    def answer(path: str, authorization: str, asked_range: str) -> Answer:
        seen.append(authorization)
        return original(path, authorization, asked_range)

    monkeypatch.setattr(registry, "answer", answer)
    challenge = [f'Bearer realm="http://{registry.address}/token"']
    assert authority.renew("https://europe-docker.pkg.dev", challenge, Session())
    assert authority.renew(f"http://{registry.address}", challenge, Session())
    assert seen[0] == ""
    assert seen[1].startswith("Basic ")


def test_a_refusal_of_the_account_names_the_role(registry: Registry) -> None:
    address = Address("gcr.io", "p/r", (f"http://{registry.address}",), with_account=True)
    registry.unkind = lambda _, answer: replace(answer, status=403)
    with pytest.raises(GuestError, match=r"give the VM's service account the role roles/artifact"):
        Repository(address).document("manifests", "v1", Session())


def test_redirects_lead_on_without_the_secret_and_not_for_ever(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push("a:v1", small())
    hops: list[str] = []

    def unkind(path: str, answer: Answer) -> Answer:
        hops.append(path)
        return Answer(307, headers=(("Location", f"/v2/next{len(hops)}"),))

    registry.unkind = unkind
    with pytest.raises(GuestError, match="redirects more than 5 times"):
        Session().send(Request(f"http://{registry.address}/v2/", {}))
    registry.unkind = lambda *_: Answer(302, headers=(("Location", "ftp://host/x"),))
    with pytest.raises(GuestError, match="redirects to ftp://host/x, which is not https"):
        Session().send(Request(f"http://{registry.address}/v2/", {}))
    with serving(Registry()) as other:
        to = f"http://{other.address}/v2/x"
        registry.unkind = lambda *_: Answer(302, headers=(("Location", to),))
        seen: list[str] = []
        original = other.answer

        def answer(path: str, authorization: str, asked_range: str) -> Answer:
            seen.append(authorization)
            return original(path, authorization, asked_range)

        monkeypatch.setattr(other, "answer", answer)
        secret = {"Authorization": "Bearer x"}
        reply = Session().send(Request(f"http://{registry.address}/v2/", secret))
        assert (reply.status, reply.redirected, reply.url, seen) == (404, True, to, [""])


def test_a_body_longer_than_memory_is_refused(registry: Registry) -> None:
    registry.unkind = lambda *_: Answer(body=b"x" * 100)
    reply = Session().send(Request(f"http://{registry.address}/v2/", {}))
    with pytest.raises(GuestError, match="answers more than 99 bytes"):
        reply.read(99)
