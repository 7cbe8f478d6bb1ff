"""How the real adapter is started and told where it is; the adapter itself is not run here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from tests.cluster.bed.adapter_rules import Cluster
from tests.cluster.bed.certificates import Authority
from tests.cluster.bed.metadata_server import MetadataServer
from tests.cluster.bed.real_adapter import RealAdapter

CLUSTER = Cluster("my-project", "us-central1", "vllm-cluster")
GOOGLE = {"Metadata-Flavor": "Google"}


def made(folder: Path, binary: Path) -> RealAdapter:
    """One that would serve a control plane whose kubeconfig is in the folder."""
    authority = Authority.create(folder, "ca")
    certificate = authority.issue("adapter", hosts=["127.0.0.1"])
    kubeconfig, monitoring = folder / "kubeconfig", "http://127.0.0.1:1/"
    return RealAdapter(
        binary, folder, kubeconfig, monitoring, CLUSTER, certificate, authority.certificate
    )


def test_its_command_line_is_its_deployments_and_names_what_a_pod_would_find(
    tmp_path: Path,
) -> None:
    one = made(tmp_path, Path("/adapter"))
    assert one.command() == [
        "/adapter",
        "--use-new-resource-model=true",
        "--fallback-for-container-metrics=true",
        "--stackdriver-endpoint=http://127.0.0.1:1/",
        "--bind-address=127.0.0.1",
        f"--secure-port={one.port}",
        f"--tls-cert-file={tmp_path}/adapter.crt",
        f"--tls-private-key-file={tmp_path}/adapter.key",
        f"--lister-kubeconfig={tmp_path}/kubeconfig",
        f"--authentication-kubeconfig={tmp_path}/kubeconfig",
        f"--authorization-kubeconfig={tmp_path}/kubeconfig",
        "--client-qps=100",
        "--client-burst=200",
    ]


def test_it_sees_no_credentials_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/home/somebody/key.json")
    settings = made(tmp_path, Path("/adapter")).settings()
    assert settings["HOME"] == str(tmp_path)
    assert set(settings) - set(os.environ) == {"GCE_METADATA_HOST"}
    assert "GOOGLE_APPLICATION_CREDENTIALS" not in settings


def test_an_adapter_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    binary = tmp_path / "adapter"
    binary.write_text("#!/bin/sh\necho no such metric server\nexit 1\n")
    binary.chmod(0o755)
    one = made(tmp_path, binary)
    with pytest.raises(AssertionError, match="no such metric server"):
        one.start()
    one.stop()


@pytest.fixture
def metadata() -> Iterator[MetadataServer]:
    """The metadata server of one node."""
    with MetadataServer(CLUSTER) as one:
        yield one


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("project/project-id", "my-project"),
        ("instance/attributes/cluster-location", "us-central1"),
        ("instance/attributes/cluster-name", "vllm-cluster"),
        ("instance/hostname", "node-1.c.my-project.internal"),
    ],
)
def test_the_metadata_server_says_where_the_adapter_runs(
    metadata: MetadataServer, key: str, text: str
) -> None:
    url = f"http://{metadata.host}/computeMetadata/v1/{key}"
    found = urllib3.request("GET", url, headers=GOOGLE)
    assert (found.status, found.data.decode()) == (200, text)
    assert found.headers["Metadata-Flavor"] == "Google"


def test_the_metadata_server_hands_out_a_token(metadata: MetadataServer) -> None:
    path = "instance/service-accounts/default/token"
    scope = "https://www.googleapis.com/auth/monitoring.read"
    url = f"http://{metadata.host}/computeMetadata/v1/{path}"
    found = urllib3.request("GET", url, fields={"scopes": scope}, headers=GOOGLE)
    assert found.json() == {"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}


def test_the_metadata_server_refuses_who_does_not_say_that_it_is_meant(
    metadata: MetadataServer,
) -> None:
    url = f"http://{metadata.host}/computeMetadata/v1/project/project-id"
    assert urllib3.request("GET", url).status == 403


def test_the_metadata_server_does_not_know_other_keys(metadata: MetadataServer) -> None:
    url = f"http://{metadata.host}/computeMetadata/v1/universe/universe_domain"
    assert urllib3.request("GET", url, headers=GOOGLE).status == 404
