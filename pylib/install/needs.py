"""What the cluster must have: a Kubernetes that is new enough, the kinds, the namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylib.chart import chart_path
from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.wording import gke_cluster
from pylib.install.site import Site
from pylib.snapshot.bodies import dig
from pylib.yamlio import parse_one

_AT_LEAST = re.compile(r">=\s*v?(\d+)\.(\d+)")
_OF_VERSION = re.compile(r"(\d+)\.(\d+)")


def version(site: Site) -> Iterator[Cause]:
    """The chart's least Kubernetes version against the server's."""
    chart = parse_one((chart_path() / "Chart.yaml").read_text(encoding="utf-8")).body
    wanted = str(chart["kubeVersion"])
    found = site.kube.version()
    if _numbers(_OF_VERSION, found) < _numbers(_AT_LEAST, wanted):
        yield Cause(
            "kubernetes-too-old",
            Severity.ERROR,
            f"Cluster/{site.kube.context}",
            f"runs Kubernetes {found}; the chart needs {wanted}",
            f"gcloud container clusters upgrade {_cluster(site)} --master, then its node pools",
            final=True,
        )


def _numbers(pattern: re.Pattern[str], text: str) -> tuple[int, int]:
    found = pattern.match(text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def kinds(site: Site) -> Iterator[Cause]:
    """Kinds of the release that the server does not know, each with the two ways out."""
    wanted = dict.fromkeys((m.api_version, m.kind) for m in (*site.objects, *site.hooks))
    for api_version, kind in wanted:
        if site.kube.serves(api_version, kind):
            continue
        yield Cause(
            "kind-not-served",
            Severity.ERROR,
            f"{kind}/{api_version}",
            f"the cluster has no such kind, and the release has {_names(site, api_version, kind)}",
            _ways_out(site, api_version, kind),
            final=True,
        )


def _names(site: Site, api_version: str, kind: str) -> str:
    names = [
        m.name
        for m in (*site.objects, *site.hooks)
        if (m.api_version, m.kind) == (api_version, kind)
    ]
    return names[0] if len(names) == 1 else f"{len(names)} of it, such as {names[0]}"


def _ways_out(site: Site, api_version: str, kind: str) -> str:
    """First how to do without, then how to have it.

    https://cloud.google.com/stackdriver/docs/managed-prometheus/setup-managed,
    https://cloud.google.com/kubernetes-engine/docs/how-to/expose-custom-metrics-autoscaling,
    https://keda.sh/docs/latest/deploy/.
    """
    cluster = _cluster(site)
    prometheus = f"gcloud container clusters update {cluster} --enable-managed-prometheus"
    known = {
        "PodMonitoring": f"set monitoring.enabled: false in the config (chart: "
        f"monitoring.podMonitoring.enabled), or run: {prometheus}",
        "Rules": f"set monitoring.rules: false in the config (chart: monitoring.rules.enabled), "
        f"or run: {prometheus}",
        "AutoscalingMetric": "set autoscaling.source: stackdriver, or use GKE 1.35.1-gke.1396000 "
        f"or later and run: gcloud container clusters update {cluster} --hpa-profile=performance",
        "ScaledObject": "set autoscaling.source: stackdriver, or install KEDA: helm install keda "
        "keda --repo https://kedacore.github.io/charts -n keda --create-namespace",
    }
    otherwise = f"take it out of the release, or install what defines {api_version}"
    return known.get(kind, otherwise)


def namespace(site: Site, *, create: bool) -> Iterator[Cause]:
    """The namespace is there, or may be made, and does not end."""
    name = site.release.namespace
    kubectl = f"kubectl --context {site.kube.context}"
    if site.namespace is None and not create:
        yield Cause(
            "namespace-missing",
            Severity.ERROR,
            f"Namespace/{name}",
            "does not exist",
            f"add --create-namespace, or run: {kubectl} create namespace {name}",
            final=True,
        )
    elif dig(site.namespace, "metadata", "deletionTimestamp"):
        yield Cause(
            "namespace-ending",
            Severity.ERROR,
            f"Namespace/{name}",
            "is being deleted, and takes nothing new",
            f"wait until it is gone: {kubectl} wait --for=delete namespace/{name} --timeout=10m",
            final=True,
        )


def _cluster(site: Site) -> str:
    """gcloud's positional argument and flags for the cluster of the context."""
    return gke_cluster(site.kube.context).removeprefix("--cluster=")
