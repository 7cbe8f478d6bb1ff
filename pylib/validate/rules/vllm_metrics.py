"""Metrics that autoscalers ask for, and the vLLM release that should export them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pylib.facts import gke
from pylib.facts.vllm import METRICS, Version, metric_problem
from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.metrics import gauges, pod_metrics
from pylib.validate.rules.objects import Hit, Objects, Path, PodTemplate, at, each, texts
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import is_server, version_of

_NAME = re.compile(r"vllm:[A-Za-z0-9_:]+")
_OF_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


@dataclass(frozen=True)
class _Asked:
    """A metric that an object asks for; ``kind`` as the Stackdriver adapter's name says it."""

    manifest: Manifest
    path: Path
    name: str
    pods: tuple[PodTemplate, ...]
    kind: str = ""


@rule(
    name="vllm-metric",
    severity=Severity.ERROR,
    summary="An autoscaler asks for a metric that this vLLM exports",
    explain=(
        "vLLM renames and drops metrics between releases (gpu_cache_usage_perc became "
        "kv_cache_usage_perc): an autoscaler on one that is not there never scales up, and says so "
        "only in its status. Source: vllm/v1/metrics/loggers.py of each release, kept in "
        "pylib/facts/vllm.py; the release is that of the pods which the autoscaler is for. A name "
        "that no release has gives a warning. See "
        "https://docs.vllm.ai/en/latest/usage/metrics/."
    ),
)
def vllm_metric(objects: Objects) -> Iterator[Hit]:
    """Metric names that the targets' release does not have, or has as another kind."""
    for asked in (*_of_hpas(objects), *_of_autoscaling_metrics(objects), *_of_keda(objects)):
        name = _OF_HISTOGRAM.sub("", asked.name)
        metric = METRICS.get(asked.name) or METRICS.get(name)
        if metric is None:
            yield at(
                asked.manifest,
                *asked.path,
                message=f"no vLLM release that we know exports {asked.name}",
                fix=f"Use one of {', '.join(_gauge_names())}.",
                severity=Severity.WARNING,
            )
            continue
        if asked.kind and asked.kind != metric.kind:
            yield at(
                asked.manifest,
                *asked.path,
                message=f"{asked.name} is a {metric.kind.value}, not a {asked.kind}",
                fix=f"Write |{metric.kind.value} at the end."
                if asked.manifest.kind == "HorizontalPodAutoscaler"
                else f"GKE takes gauges only: use one of {', '.join(_gauge_names())}.",
            )
        yield from _gone(asked, name, _versions(asked.pods, objects))


def _gauge_names() -> Iterable[str]:
    return (
        name for name, metric in METRICS.items() if metric.kind == "gauge" and not metric.gate.until
    )


def _gone(asked: _Asked, name: str, versions: Iterable[Version]) -> Iterator[Hit]:
    for version in versions:
        problem = metric_problem(name, version)
        if problem:
            yield at(
                asked.manifest,
                *asked.path,
                message=problem,
                fix="Use vllm:num_requests_running or vllm:num_requests_waiting.",
            )
            return


def _versions(pods: Iterable[PodTemplate], objects: Objects) -> Iterator[Version]:
    for pod in pods:
        for container in filter(is_server, pod.containers(init=False)):
            version = Version.parse(version_of(container, objects))
            if version is not None:
                yield version


def _targets(scaler: Manifest, objects: Objects) -> tuple[PodTemplate, ...]:
    kind = str(scaler.get("spec", "scaleTargetRef", "kind", default="Deployment"))
    name = str(scaler.get("spec", "scaleTargetRef", "name", default=""))
    owner = objects.by_name(kind, scaler.namespace, name)
    return objects.pods_of(owner) if owner else ()


def _of_hpas(objects: Objects) -> Iterator[_Asked]:
    for hpa in objects.of_kind("HorizontalPodAutoscaler"):
        for index, full in pod_metrics(hpa):
            match = gke.STACKDRIVER_METRIC.fullmatch(full)
            name, kind = (match["metric"], match["kind"]) if match else (full, "")
            kind = kind if kind in gke.STACKDRIVER_KINDS else ""
            if _NAME.fullmatch(name):
                path = ("spec", "metrics", index, "pods", "metric", "name")
                yield _Asked(hpa, path, name, _targets(hpa, objects), kind)


def _of_autoscaling_metrics(objects: Objects) -> Iterator[_Asked]:
    for metric in objects.of_kind("AutoscalingMetric"):
        for path, gauge in gauges(metric):
            name = str(gauge.get("prometheusMetricName", ""))
            labels = texts(metric.get(*path[:3], "pod", "selector", "matchLabels"))
            if _NAME.fullmatch(name):
                pods = objects.pods_matching(labels, metric.namespace)
                yield _Asked(metric, (*path, "prometheusMetricName"), name, pods, "gauge")


def _of_keda(objects: Objects) -> Iterator[_Asked]:
    for scaler in objects.of_kind("ScaledObject"):
        for index, trigger in each(scaler, "spec", "triggers"):
            query = texts(trigger.get("metadata")).get("query", "")
            for name in dict.fromkeys(_NAME.findall(query)):
                path = ("spec", "triggers", index, "metadata", "query")
                yield _Asked(scaler, path, name, _targets(scaler, objects))
