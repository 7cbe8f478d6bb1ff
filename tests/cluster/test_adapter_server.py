"""What the adapter's stand-in does as a server: discovery, start, stop, who may call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from tests.cluster.asking import CLUSTER, ESCAPED, GROUP, METRIC, Pods, Served, pool
from tests.cluster.bed.adapter import StandIn
from tests.cluster.bed.adapter_rules import StatusError, from_google, quantity
from tests.cluster.bed.certificates import Authority, Issued
from tests.cluster.bed.monitoring import FakeMonitoring


@pytest.fixture(scope="module")
def monitoring() -> Iterator[FakeMonitoring]:
    """Cloud Monitoring; each test begins with an empty one."""
    with FakeMonitoring() as one:
        yield one


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """What signs the adapter's own certificate."""
    return Authority.create(tmp_path_factory.mktemp("pki"), "adapter-ca")


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Issued:
    """The adapter's own certificate."""
    return authority.issue("adapter", hosts=["127.0.0.1"])


def test_an_error_that_is_no_json_of_googles_is_passed_on_whole() -> None:
    error = from_google(502, b"<html>Bad Gateway</html>")
    assert error.message == (
        "googleapi: got HTTP response code 502 with body: <html>Bad Gateway</html>"
    )


def test_discovery_names_one_metric_at_most_and_none_of_prometheus(
    monitoring: FakeMonitoring, authority: Authority, certificate: Issued
) -> None:
    monitoring.clear()
    monitoring.set(METRIC, {"a": 3}, namespace="vllm")
    assert _discovered(monitoring, authority, certificate) == []
    for metric in ("z", "y"):
        monitoring.set(
            f"custom.googleapis.com/{metric}", {"a": 1}, namespace="x", resource="k8s_pod"
        )
    assert _discovered(monitoring, authority, certificate) == ["*/custom.googleapis.com|y"]


def _discovered(monitoring: FakeMonitoring, authority: Authority, certificate: Issued) -> list[str]:
    one = StandIn(Pods(), monitoring.url, CLUSTER, certificate)
    one.start()
    served = Served(monitoring, one.port, authority)
    _, group = served.ask(GROUP)
    assert group["preferredVersion"]["version"] == "v1beta2"
    _, listed = served.ask(f"{GROUP}/v1beta2")
    one.stop()
    return [resource["name"] for resource in listed["resources"]]


def test_it_does_not_start_without_monitoring(
    monitoring: FakeMonitoring, certificate: Issued
) -> None:
    monitoring.clear()
    monitoring.fail(403)
    with pytest.raises(StatusError) as caught:
        StandIn(Pods(), monitoring.url, CLUSTER, certificate).start()
    assert caught.value.message == (
        "googleapi: Error 403: Permission monitoring.timeSeries.list denied "
        "(or the resource may not exist)., forbidden"
    )


def test_it_comes_back_on_the_port_that_it_left(
    monitoring: FakeMonitoring, authority: Authority, certificate: Issued
) -> None:
    monitoring.clear()
    one = StandIn(Pods(), monitoring.url, CLUSTER, certificate)
    one.start()
    served = Served(monitoring, one.port, authority)
    assert served.ask("/healthz") == (200, "ok")
    one.stop()
    with pytest.raises(urllib3.exceptions.HTTPError):
        served.ask("/healthz")
    one.start()
    assert served.ask("/healthz") == (200, "ok")
    one.stop()


def test_with_a_front_proxys_authority_only_that_proxy_is_heard(
    monitoring: FakeMonitoring, authority: Authority, certificate: Issued, tmp_path: Path
) -> None:
    monitoring.clear()
    monitoring.set(METRIC, {"a": 3}, namespace="vllm", at=time.time() - 10)
    front = Authority.create(tmp_path, "front")
    pods = Pods()
    pods.all = ["a"]
    one = StandIn(pods, monitoring.url, CLUSTER, certificate, front.certificate)
    one.start()
    path = Served(monitoring, one.port, authority).path(ESCAPED)
    assert Served(monitoring, one.port, authority).error() == (
        403,
        "Forbidden",
        f'forbidden: User "system:anonymous" cannot get path "{path}"',
    )
    found = pool(authority, front.issue("front-proxy-client")).request(
        "GET", f"https://127.0.0.1:{one.port}{path}", headers={"X-Remote-User": "somebody"}
    )
    one.stop()
    assert found.status == 200


@pytest.mark.parametrize(
    ("thousandths", "text"),
    [(0, "0"), (1, "1m"), (999, "999m"), (1_500_000, "1500"), (10**9, "1M"), (10**18, "1P")],
)
def test_quantities_have_the_text_that_kubernetes_gives_them(thousandths: int, text: str) -> None:
    assert quantity(thousandths) == text
