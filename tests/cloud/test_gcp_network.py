"""Google's clients across a network that fails: DNS, proxies, foreign certificates."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.auth.transport.requests import AuthorizedSession

from pylib.bake.options import Options
from pylib.bake.request import image_request
from pylib.cloud.faults import CallError, Kind
from pylib.cloud.gcp import GoogleCloud, connect
from pylib.config.parse import load_config
from pylib.doctor import Question, examine
from tests.cloud.baking import request
from tests.cloud.emulated_bake import IMAGE, PROJECT, Bench
from tests.cloud.fake_parts import ManualClock
from tests.cloud.stub import Answer, Stub, serving

DISK = {"name": "d", "id": "7", "zone": "z", "status": "READY", "sizeGb": "60", "type": "t"}
FAR = "http://compute.example:8080"


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A server at the other end."""
    with serving() as found:
        found.answers = [Answer(DISK)]
        yield found


def _cloud(address: str) -> GoogleCloud:
    return connect("p", endpoint=address, anonymous=True, clock=ManualClock())


def _error(call: Callable[[], object]) -> CallError:
    with pytest.raises(CallError) as caught:
        call()
    return caught.value


@pytest.mark.fault("B5", "B31")
def test_every_call_goes_to_the_one_address_and_has_an_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, Any]] = []
    original: Callable[..., Any] = AuthorizedSession.request

    def spy(session: Any, method: str, url: str, **how: Any) -> Any:
        sent.append((url, how.get("timeout")))
        return original(session, method, url, **how)

    monkeypatch.setattr(AuthorizedSession, "request", spy)
    config = load_config(Path("values/gemma-7b-fast/config.yaml"))
    config = config.model_copy(update={"project": PROJECT})
    zones = bench.cloud.zones("us-central1")
    bake = image_request(config, Options(owner="me"), "c", zones)

    bench.bake(request(log_bucket="logs-of-bakes"))
    examine(bench.cloud, Question(config, (bake,)))

    assert bench.made() == [IMAGE]
    assert len(sent) == sum(bench.cloud.counts.values())
    assert {url[: len(bench.emulator.url) + 1] for url, _ in sent} == {f"{bench.emulator.url}/"}
    assert all(seconds is not None and 0 < seconds <= 60 for _, seconds in sent)


@pytest.mark.fault("B31")
def test_a_name_that_does_not_resolve_is_tried_again_and_then_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    cloud = _cloud(FAR)

    error = _error(lambda: cloud.disk("us-central1-a", "d"))

    assert error.kind is Kind.UNKNOWN
    assert "no answer in 8 tries" in str(error)
    assert "compute.example" in str(error)


@pytest.mark.fault("B31")
def test_the_proxy_of_the_environment_is_used(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", stub.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert _cloud(FAR).disk("us-central1-a", "d") is not None

    [asked] = stub.asked
    assert asked.headers["Host"] == "compute.example:8080"


@pytest.mark.fault("B4", "B31")
@pytest.mark.parametrize("status", [403, 407])
def test_a_page_of_a_proxy_that_refuses_is_not_taken_for_the_service(
    stub: Stub, status: int
) -> None:
    stub.answers = [Answer(raw="<html>Blocked by your company</html>", status=status)]

    error = _error(lambda: _cloud(stub.url).disk("us-central1-a", "d"))

    assert error.kind is Kind.PROXY
    assert str(error) == (
        f"disks.get d: HTTP {status} with a body that is not the service's\n"
        "    Something on the way refuses: check HTTPS_PROXY and NO_PROXY, or ask who runs the "
        "proxy to let googleapis.com through."
    )
    assert len(stub.asked) == 1


def _self_signed(folder: Path) -> tuple[Path, Path]:
    """Certificate and key of 127.0.0.1, which nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, secret


@pytest.mark.fault("B31")
def test_a_certificate_of_a_foreign_authority_is_refused_until_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(context) as stub:
        stub.answers = [Answer(DISK)]
        cloud = _cloud(stub.url)

        error = _error(lambda: cloud.disk("us-central1-a", "d"))

        assert error.kind is Kind.TLS
        assert "REQUESTS_CA_BUNDLE" in str(error)
        assert sum(cloud.counts.values()) == 1
        assert stub.asked == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert _cloud(stub.url).disk("us-central1-a", "d") is not None
