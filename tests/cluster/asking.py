"""An adapter as a test asks it: its pods, its Monitoring, its answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import urllib3

from tests.cluster.bed.adapter_rules import Cluster
from tests.cluster.bed.certificates import Authority, Issued
from tests.cluster.bed.monitoring import FakeMonitoring

CLUSTER = Cluster("my-project", "us-central1", "vllm-cluster")
METRIC = "prometheus.googleapis.com/vllm:num_requests_running/gauge"
ESCAPED = "prometheus.googleapis.com|vllm:num_requests_running|gauge"
GROUP = "/apis/custom.metrics.k8s.io"


class Pods:
    """The cluster's pods, for the stand-in."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.asked: list[tuple[str, str]] = []

    def names(self, namespace: str, selector: str) -> list[str]:
        self.asked.append((namespace, selector))
        return self.all

    def exists(self, namespace: str, name: str) -> bool:
        return bool(namespace) and name in self.all


class Served:
    """An adapter that runs, and the Monitoring that it reads."""

    def __init__(
        self,
        monitoring: FakeMonitoring,
        port: int,
        authority: Authority,
        client: Issued | None = None,
    ) -> None:
        self.monitoring = monitoring
        self.namespace = "vllm"
        self._root = f"https://127.0.0.1:{port}"
        self._pool = pool(authority, client)

    def ask(self, path: str, query: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and body of a GET."""
        found = self._pool.request("GET", self._root + path, fields=dict(query or {}))
        is_json = found.headers["Content-Type"].startswith("application/json")
        return found.status, found.json() if is_json else found.data.decode()

    def path(self, metric: str, pod: str = "*", version: str = "v1beta2") -> str:
        """Where a metric of pods is."""
        return f"{GROUP}/{version}/namespaces/{self.namespace}/pods/{pod}/{metric}"

    def values(self, metric: str = ESCAPED) -> dict[str, str]:
        """Quantities by pod."""
        status, body = self.ask(self.path(metric))
        assert status == 200, body
        return {item["describedObject"]["name"]: item["value"] for item in body["items"]}

    def error(self, metric: str = ESCAPED, pod: str = "*") -> tuple[int, str, str]:
        """Code, reason and message of a refusal."""
        status, body = self.ask(self.path(metric, pod))
        assert (body["kind"], body["status"], body["code"]) == ("Status", "Failure", status)
        return status, body.get("reason", ""), body["message"]

    def queries(self) -> list[Mapping[str, str]]:
        """What the adapter asked of Monitoring for series."""
        asked = self.monitoring.requests
        return [request.query for request in asked if request.path.endswith("/timeSeries")]

    def put(self, values: Mapping[str, float], metric: str = METRIC, **more: Any) -> None:
        """Write series of this namespace; ``ago`` seconds ago."""
        more.setdefault("at", time.time() - more.pop("ago", 10))
        more.setdefault("namespace", self.namespace)
        self.monitoring.set(metric, values, **more)


def pool(authority: Authority, client: Issued | None = None) -> urllib3.PoolManager:
    """A client that trusts the authority, with a certificate of its own or without."""
    return urllib3.PoolManager(
        ca_certs=str(authority.certificate),
        cert_file=client and str(client.certificate),
        key_file=client and str(client.key),
        retries=False,
    )
