"""A strict stand-in for custom-metrics-stackdriver-adapter: custom.metrics.k8s.io over HTTPS.

It gets its numbers from Cloud Monitoring's REST API just as the real one does; the rules of that
are in adapter_rules.py.  Paths follow the library that the real one is built with,
kubernetes-sigs/custom-metrics-apiserver@v1.35.0 (pkg/apiserver/endpoints/handlers/get.go,
pkg/registry/custom_metrics/reststorage.go), the order of questions
GoogleCloudPlatform/k8s-stackdriver@673c7dd custom-metrics-stackdriver-adapter/pkg/adapter/provider/
provider.go, the start adapter.go beside it.

Left out: the external metrics API, metrics of nodes, and the question to the API server whether the
caller may (it asks that itself before it passes a request on).
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import urllib3

from pylib.kube import Body, Kube
from tests.cluster.bed import adapter_objects as objects
from tests.cluster.bed import adapter_rules as rules
from tests.cluster.bed.adapter_objects import GROUP, VERSIONS
from tests.cluster.bed.adapter_rules import Cluster, StatusError
from tests.cluster.bed.certificates import Issued
from tests.cluster.bed.loopback import Answer, Loopback, Request, answer

_METRIC = re.compile(
    rf"/apis/{GROUP}/(?P<version>v1beta[12])/namespaces/(?P<namespace>[^/]+)"
    r"/(?P<resource>[^/]+)/(?P<name>[^/]+)/(?P<metric>[^/]+)"
)
_SELECTOR = "metricLabelSelector"
_Ask = Callable[..., dict[str, str]]


class Pods(Protocol):
    """What the adapter asks the cluster."""

    def names(self, namespace: str, selector: str) -> list[str]:
        """The pods of a namespace that a label selector chooses."""
        ...

    def exists(self, namespace: str, name: str) -> bool:
        """Whether there is such a pod."""
        ...


class KubePods:
    """The pods of a control plane."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def names(self, namespace: str, selector: str) -> list[str]:
        """The pods of a namespace that a label selector chooses."""
        listed = self._kube.list("v1", "Pod", namespace, labels=selector)
        return [str(pod["metadata"]["name"]) for pod in listed]

    def exists(self, namespace: str, name: str) -> bool:
        """Whether there is such a pod."""
        return self._kube.get("v1", "Pod", name, namespace) is not None


class Monitoring:
    """Cloud Monitoring as the Go client calls it: once, without a deadline of its own."""

    def __init__(self, url: str, project: str) -> None:
        self._root = f"{url}v3/projects/{project}/"
        self._pool = urllib3.PoolManager(retries=False)

    def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The parsed answer; raises :class:`StatusError` as the adapter passes it on."""
        try:
            found = self._pool.request(
                "GET",
                self._root + quote(path, safe="/:"),
                fields=dict(query),
                headers={"Authorization": "Bearer a-token-of-the-metadata-server"},
            )
        except urllib3.exceptions.HTTPError as error:
            raise StatusError(500, "", f"Get {self._root}{path}: {error}") from None
        if found.status != 200:
            raise rules.from_google(found.status, found.data)
        parsed: dict[str, Any] = found.json()
        return parsed


class StandIn:
    """The adapter's server; :meth:`start` and :meth:`stop` at will, its port stays the same."""

    def __init__(
        self,
        pods: Pods,
        monitoring: str,
        cluster: Cluster,
        certificate: Issued,
        front_proxy_ca: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``monitoring`` is an address that ends in a slash.

        With the front proxy's authority, callers must have a certificate of it, as the API server
        has; without, anybody may call.
        """
        self._pods = pods
        self._cluster = cluster
        self._monitoring = Monitoring(monitoring, cluster.project)
        self._clock = clock
        self._needs_proxy = front_proxy_ca is not None
        self._listed: list[str] = []
        self.requests: list[Request] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        if front_proxy_ca is not None:
            context.load_verify_locations(front_proxy_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
        self._server = Loopback(self._respond, context)

    @property
    def port(self) -> int:
        """Port on loopback; 0 before the first start."""
        return self._server.port

    def start(self) -> None:
        """Listen.  As the real one it asks for descriptors first, and does not start without."""
        project, name = self._cluster.project, self._cluster.name
        terms = {"project_id": project, "cluster_name": name, "location": self._cluster.location}
        wanted = [f'resource.labels.{key} = "{value}"' for key, value in terms.items()]
        wanted.append('resource.type = one_of("k8s_pod","k8s_node","k8s_container")')
        found = self._monitoring.get("metricDescriptors", {"filter": " AND ".join(wanted)})
        numeric = [
            one["type"].replace("/", "|")
            for one in found.get("metricDescriptors", [])
            if one["valueType"] in {"INT64", "DOUBLE"}
        ]
        self._listed = numeric[:1]  # more only with --list-full-custom-metrics
        self._server.start()

    def stop(self) -> None:
        """Refuse connections."""
        self._server.stop()

    def _respond(self, request: Request) -> Answer:
        self.requests.append(request)
        if request.path in {"/healthz", "/livez", "/readyz"}:
            return answer(200, "ok")
        try:
            self._authenticate(request)
            found = self._found(request)
        except StatusError as error:
            return answer(error.code, error.body())
        return answer(404, "404 page not found\n") if found is None else answer(200, found)

    def _authenticate(self, request: Request) -> None:
        if self._needs_proxy and not (request.client and "x-remote-user" in request.headers):
            message = f'forbidden: User "system:anonymous" cannot get path "{request.path}"'
            raise StatusError(403, "Forbidden", message)

    def _found(self, request: Request) -> Body | None:
        if match := _METRIC.fullmatch(request.path):
            values = self._values(match, request.query)
            return objects.values(
                match["version"],
                match["namespace"],
                match["metric"],
                values,
                labels=rules.labels_of(request.query.get(_SELECTOR, "")),
                time=rules.rfc3339(self._clock()),
            )
        path = request.path.rstrip("/")
        if path == "/apis":
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [objects.group()]}
        if path == f"/apis/{GROUP}":
            return {"kind": "APIGroup", "apiVersion": "v1", **objects.group()}
        for version in VERSIONS:
            if path == f"/apis/{GROUP}/{version}":
                return objects.resources(version, self._listed)
        return None

    def _values(self, match: re.Match[str], query: Mapping[str, str]) -> dict[str, int]:
        """Thousandths by the name of each pod that has a value."""
        namespace, name, escaped = match["namespace"], match["name"], match["metric"]
        what = "selector" if name == "*" else "name"
        if match["resource"] != "pods":
            said = f'Get namespaced metric by {what} for resource "{match["resource"]}"'
            raise rules.not_supported(said)
        selector = query.get(_SELECTOR, "")
        if name == "*":
            chosen = self._pods.names(namespace, query.get("labelSelector", ""))
            return self._by_pod(namespace, chosen, escaped, selector)
        if not self._pods.exists(namespace, name):
            raise StatusError(404, "NotFound", f'pods "{name}" not found')
        found = self._by_pod(namespace, [name], escaped, selector)
        if not found:
            raise rules.not_found(escaped, name)
        return found

    def _by_pod(
        self, namespace: str, pods: list[str], escaped: str, selector: str
    ) -> dict[str, int]:
        metric = rules.metric_name(escaped)
        try:
            descriptor = self._monitoring.get(f"metricDescriptors/{metric}", {})
        except StatusError:
            raise rules.no_descriptor(metric) from None
        ask = partial(rules.query, metric, descriptor, self._cluster, namespace, selector=selector)
        # Of Prometheus' metrics there is no series by container, but it asks all the same.
        values = self._sums(ask, pods, as_container=False)
        values = values or self._sums(ask, pods, as_container=True)
        keys = {pod: f"{namespace}:{pod}" for pod in pods}
        return {pod: values[key] for pod, key in keys.items() if key in values}

    def _sums(self, ask: _Ask, pods: list[str], *, as_container: bool) -> dict[str, int]:
        found: dict[str, int] = {}
        for at in range(0, len(pods), rules.MOST_PODS):
            some = pods[at : at + rules.MOST_PODS]
            query = ask(some, as_container=as_container, now=self._clock())
            series = self._monitoring.get("timeSeries", query).get("timeSeries", [])
            if as_container:
                rules.check_one_container(series)
            found |= rules.values_of(series)
        return found
