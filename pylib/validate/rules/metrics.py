"""Names of metrics that autoscalers ask for."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.facts import gke
from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Hit, Objects, at, each, same_namespace, texts
from pylib.validate.rules.registry import rule
from pylib.validate.rules.workload import has_pods

_ADAPTER = "https://cloud.google.com/kubernetes-engine/docs/tutorials/autoscaling-metrics"
_NATIVE = "https://cloud.google.com/kubernetes-engine/docs/how-to/expose-custom-metrics-autoscaling"


def pod_metrics(hpa: Manifest) -> Iterator[tuple[int, str]]:
    """Names of an HPA's metrics of type Pods, with their indices."""
    for index, metric in each(hpa, "spec", "metrics"):
        name = hpa.get("spec", "metrics", index, "pods", "metric", "name")
        if metric.get("type") == "Pods" and isinstance(name, str):
            yield index, name


@rule(
    name="hpa-metric",
    severity=Severity.ERROR,
    summary="A metric's name is written as its adapter reads it",
    explain=(
        "The Stackdriver adapter reads prometheus.googleapis.com|<metric>|<kind>, GKE's own "
        "metrics autoscaling.gke.io|<AutoscalingMetric>|<metric>: with | for /. Any other spelling "
        "is not found, and the HPA stays where it is; it also never scales down while one of its "
        f"metrics is missing. Sources: {_ADAPTER}, {_NATIVE}."
    ),
)
def hpa_metric(objects: Objects) -> Iterator[Hit]:
    """Names in no known format, and a metric type that does not fit."""
    for hpa in objects.of_kind("HorizontalPodAutoscaler"):
        for index, name in pod_metrics(hpa):
            stackdriver = gke.STACKDRIVER_METRIC.fullmatch(name)
            known = stackdriver is not None and stackdriver["kind"] in gke.STACKDRIVER_KINDS
            if not known and name.startswith("prometheus.googleapis.com"):
                fix = "Write prometheus.googleapis.com|<metric>|gauge."
            elif name.startswith("autoscaling.gke.io") and not gke.GKE_METRIC.fullmatch(name):
                fix = "Write autoscaling.gke.io|<AutoscalingMetric>|<metric>."
            elif "/" in name:
                fix = "Write | in place of /."
            else:
                continue
            path = ("spec", "metrics", index, "pods", "metric", "name")
            yield at(hpa, *path, message=f"no adapter serves a metric named {name}", fix=fix)
        yield from _external(hpa)


def _external(hpa: Manifest) -> Iterator[Hit]:
    for index, _ in each(hpa, "spec", "metrics"):
        path = ("spec", "metrics", index, "external", "metric", "name")
        name = str(hpa.get(*path, default=""))
        if name != name.lower():
            yield at(
                hpa,
                *path,
                message=f"the external metric {name} has capitals, and the API server asks for it "
                "in lower case",
                fix=f"Write {name.lower()}, and serve it under that name.",
                severity=Severity.WARNING,
            )


@rule(
    name="hpa-metric-source",
    severity=Severity.ERROR,
    summary="An HPA on GKE's own metrics names an AutoscalingMetric that defines them",
    explain=(
        "autoscaling.gke.io|<resource>|<metric> is served by the AutoscalingMetric of that name in "
        f"the HPA's namespace, which must define that metric. Source: {_NATIVE}. Judged only where "
        "the manifests hold an AutoscalingMetric of that namespace."
    ),
)
def hpa_metric_source(objects: Objects) -> Iterator[Hit]:
    """Names of AutoscalingMetrics and metrics that are not defined."""
    for hpa in objects.of_kind("HorizontalPodAutoscaler"):
        for index, name in pod_metrics(hpa):
            match = gke.GKE_METRIC.fullmatch(name)
            if match is None:
                continue
            source = objects.by_name("AutoscalingMetric", hpa.namespace, match["resource"])
            if source is None and not _near(objects, hpa):
                continue
            defined = sorted(_defined(source)) if source else []
            if match["metric"] not in defined:
                known = f"Use one of {', '.join(defined)}." if defined else "Define it there."
                yield at(
                    hpa,
                    *("spec", "metrics", index, "pods", "metric", "name"),
                    message=f"no AutoscalingMetric {match['resource']} here defines "
                    f"{match['metric']}",
                    fix=known,
                )


def _near(objects: Objects, hpa: Manifest) -> bool:
    metrics = objects.of_kind("AutoscalingMetric")
    return any(same_namespace(item.namespace, hpa.namespace) for item in metrics)


def _defined(metric: Manifest) -> Iterator[str]:
    for _, gauge in gauges(metric):
        yield str(gauge.get("name", ""))


def gauges(metric: Manifest) -> Iterator[tuple[tuple[str | int, ...], dict[str, object]]]:
    """The gauges of an AutoscalingMetric, each with its path."""
    for i, item in each(metric, "spec", "metrics"):
        for j, container in each(item, "pod", "containers"):
            for k, source in each(container, "metrics"):
                gauge = source.get("gauge")
                if isinstance(gauge, dict):
                    path = ("spec", "metrics", i, "pod", "containers", j, "metrics", k, "gauge")
                    yield path, gauge


@rule(
    name="autoscaling-metric",
    severity=Severity.ERROR,
    summary="An AutoscalingMetric selects pods by plain labels and stays in its limits",
    explain=(
        "The selector of an AutoscalingMetric takes label names of letters, digits, hyphens and "
        "underscores only, so app.kubernetes.io/name is refused; a metric's name is a DNS label; a "
        f"cluster has at most {gke.MAX_AUTOSCALING_METRICS} such metrics. Needs GKE "
        f"{gke.AUTOSCALING_METRIC_SINCE}. Source: {_NATIVE}. Give the pods a plain label, app."
    ),
)
def autoscaling_metric(objects: Objects) -> Iterator[Hit]:
    """Selectors, names and counts that GKE refuses."""
    count = 0
    for metric in objects.of_kind("AutoscalingMetric"):
        for index, _ in each(metric, "spec", "metrics"):
            yield from _selector(metric, index, objects)
        count += len(list(gauges(metric)))
        if count > gke.MAX_AUTOSCALING_METRICS:
            yield at(
                metric,
                "spec",
                "metrics",
                message=f"with this there are {count} metrics, a cluster takes "
                f"{gke.MAX_AUTOSCALING_METRICS}",
                fix="Remove metrics that no autoscaler asks for.",
                severity=Severity.WARNING,
            )


def _selector(metric: Manifest, index: int, objects: Objects) -> Iterator[Hit]:
    path = ("spec", "metrics", index, "pod", "selector", "matchLabels")
    labels = texts(metric.get(*path))
    for name in labels:
        if not gke.AUTOSCALING_METRIC_LABEL.fullmatch(name):
            yield at(
                metric,
                *path,
                name,
                message=f"the label {name} has a dot or a slash, which GKE refuses here",
                fix="Select a plain label, such as app.",
            )
    if not labels or objects.pods_matching(labels, metric.namespace):
        return
    if has_pods(objects, metric.namespace):
        wanted = ", ".join(f"{key}={value}" for key, value in labels.items())
        yield at(
            metric,
            *path,
            message=f"no pod here has the labels {wanted}",
            fix="Select labels that the pod template has.",
        )
