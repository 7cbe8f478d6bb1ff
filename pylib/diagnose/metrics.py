"""Autoscaling that does not scale: the adapter, its registration, the metric, its age.

Conditions and words: kubernetes/kubernetes pkg/controller/podautoscaler@v1.36.3, kube-aggregator's
availability controller, and GoogleCloudPlatform/k8s-stackdriver custom-metrics-stackdriver-adapter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import Scene, is_ready
from pylib.diagnose.wording import gke_project, seconds, sentence
from pylib.snapshot.bodies import Body, condition, name_of, part, parts, ref_of, word
from pylib.snapshot.plain import plain

PATIENCE_SECONDS = 180
"""How long the first sample of a new pod may take: scrape, ingestion, and the adapter's window."""

_CUSTOM = "custom.metrics.k8s.io"
_EXTERNAL = "external.metrics.k8s.io"
_FORBIDDEN = re.compile(r"Error 403|PermissionDenied|Forbidden")
_UNREGISTERED = re.compile(r"no (?:custom|external) metrics API \(\S+\) registered")
_DOWN = re.compile(
    r"unable to handle the request|connection refused|no endpoints available|i/o timeout"
)

# What the adapter answers when it finds nothing, and what that means.  It looks back five minutes.
_ABSENT = (
    (
        "metric-missing",
        re.compile(r"could not find the descriptor|could not find the metric"),
        "Cloud Monitoring has no such metric, or the adapter may not read it",
    ),
    (
        "metric-stale",
        re.compile(r"will not return any time series|no metrics returned"),
        "there is no sample of its pods from the last five minutes",
    ),
    (
        "metric-missing",
        re.compile(r"Cannot find metric\(s\) that match type = .{1,300} label = pod", re.DOTALL),
        "its samples carry no label pod, so the adapter cannot tell the pods apart",
    ),
    (
        "metric-missing",
        re.compile(r"did not receive metrics"),
        "the samples are of other pods than its own",
    ),
)


def causes(scene: Scene) -> Iterator[Cause]:
    """Why HorizontalPodAutoscalers and ScaledObjects do not scale."""
    yield from _scaled_objects(scene)
    for hpa in scene.snapshot.of("HorizontalPodAutoscaler"):
        able, active = condition(hpa, "AbleToScale"), condition(hpa, "ScalingActive")
        if word(able, "status") == "False":
            yield _unable(scene, hpa, able)
        elif word(active, "status") == "False":
            yield from _inactive(scene, hpa, active)
        else:
            yield from _at_most(hpa)


def _inactive(scene: Scene, hpa: Body, active: Body) -> Iterator[Cause]:
    reason, message = word(active, "reason"), word(active, "message")
    if reason == "ScalingDisabled":
        target = word(hpa, "spec", "scaleTargetRef", "name")
        yield Cause(
            "scaling-disabled",
            Severity.WARNING,
            ref_of(hpa),
            f"does nothing while Deployment/{target} has 0 replicas",
            scene.kubectl(f"scale deployment {target} --replicas=1"),
        )
    elif not reason.startswith("FailedGet"):
        yield _cause(hpa, "scaling-inactive", sentence(message), _describe(scene, hpa))
    elif any(map(is_ready, scene.pods())):
        yield _metric(scene, hpa, message)


def _metric(scene: Scene, hpa: Body, message: str) -> Cause:
    """The first thing that is missing on the way from the pod to the autoscaler."""
    group = _EXTERNAL if "external metric" in message or _is_external(hpa) else _CUSTOM
    services = [
        service
        for service in scene.snapshot.of("APIService")
        if name_of(service).endswith(f".{group}")
    ]
    down = [item for item in services if word(condition(item, "Available"), "status") != "True"]
    if _UNREGISTERED.search(message) or (not services and scene.snapshot.could_read("APIService")):
        return _cause(
            hpa,
            "adapter-absent",
            f"nothing serves {group} in this cluster, so no metric reaches the autoscaler",
            "install the custom metrics adapter: https://cloud.google.com/stackdriver/docs/"
            "managed-prometheus/hpa#stackdriver-adapter",
        )
    if services and len(down) == len(services):
        return _down(hpa, down[0])
    if services and _DOWN.search(message):
        return _down(hpa, services[0])
    name = _name_of_metric(hpa, message)
    if _FORBIDDEN.search(message):
        return _cause(
            hpa,
            "metric-forbidden",
            f"the adapter may not read {name}: {sentence(message)}",
            _grant(scene),
        )
    for code, pattern, why in _ABSENT:
        if pattern.search(message):
            return _missing(scene, hpa, code, f"keeps its size, for {name} is missing: {why}")
    return _cause(
        hpa, "metric-unavailable", f"cannot read its metrics: {sentence(message)}", _raw(scene, hpa)
    )


def _grant(scene: Scene) -> str:
    project = gke_project(scene.snapshot.context)
    return (
        f"gcloud projects add-iam-policy-binding {project} --role=roles/monitoring.viewer "
        "--member=ADAPTER"
    )


def _missing(scene: Scene, hpa: Body, code: str, message: str) -> Cause:
    since = scene.age(
        max(
            word(condition(pod, "Ready"), "lastTransitionTime")
            for pod in scene.pods()
            if is_ready(pod)
        )
    )
    fresh = since < PATIENCE_SECONDS
    yet = f" (its newest pod is ready for {seconds(since)} only)" if fresh else ""
    return Cause(
        code,
        Severity.NOTE if fresh else Severity.ERROR,
        ref_of(hpa),
        f"{message}{yet}",
        scene.kubectl("get podmonitoring -o yaml") + f"  # scraped? spelled so? or {_grant(scene)}",
    )


def _down(hpa: Body, service: Body) -> Cause:
    owner = part(service, "spec", "service")
    said = condition(service, "Available")
    shown = f"{plain(word(said, 'reason'))}: {sentence(word(said, 'message'))}"
    why = f" ({shown})" if word(said, "status") != "True" else ""
    return _cause(
        hpa,
        "adapter-down",
        f"keeps its size, for the metrics adapter behind {ref_of(service)} does not answer{why}",
        f"kubectl -n {word(owner, 'namespace')} get pods,endpointslices  # of Service "
        f"{word(owner, 'name')}",
    )


def _at_most(hpa: Body) -> Iterator[Cause]:
    limited = condition(hpa, "ScalingLimited")
    if word(limited, "status") == "True" and word(limited, "reason") == "TooManyReplicas":
        most = part(hpa, "spec").get("maxReplicas")
        yield Cause(
            "at-max-replicas",
            Severity.WARNING,
            ref_of(hpa),
            f"wants more pods than maxReplicas ({most}) allows",
            "raise autoscaling.maxReplicas in the values, and the node pool's --max-nodes",
        )


def _unable(scene: Scene, hpa: Body, able: Body) -> Cause:
    return _cause(
        hpa,
        "scaling-inactive",
        f"cannot change the size of its target: {sentence(word(able, 'message'))}",
        _describe(scene, hpa),
    )


def _scaled_objects(scene: Scene) -> Iterator[Cause]:
    for scaled in scene.snapshot.of("ScaledObject"):
        ready = condition(scaled, "Ready")
        if word(ready, "status") == "False":
            yield Cause(
                "scaledobject-not-ready",
                Severity.ERROR,
                ref_of(scaled),
                f"KEDA does not scale it: {sentence(word(ready, 'message'))}",
                scene.kubectl(f"describe scaledobject {name_of(scaled)}"),
            )


def _cause(hpa: Body, code: str, message: str, command: str) -> Cause:
    return Cause(code, Severity.ERROR, ref_of(hpa), message, command)


def _describe(scene: Scene, hpa: Body) -> str:
    return scene.kubectl(f"describe hpa {name_of(hpa)}")


def _raw(scene: Scene, hpa: Body) -> str:
    name = next(iter(_metrics_of(hpa)), "METRIC")
    return (
        f"kubectl get --raw '/apis/{_CUSTOM}/v1beta2/namespaces/{scene.snapshot.namespace}/pods/*/"
        f"{plain(name)}'"
    )


def _name_of_metric(hpa: Body, message: str) -> str:
    """The metric that the message is about, else all that the autoscaler has."""
    names = _metrics_of(hpa)
    named = [name for name in names if name in message]
    return ", ".join(map(plain, named or names)) or "metric"


def _metrics_of(hpa: Body) -> list[str]:
    found = (
        word(metric, kind, "metric", "name")
        for metric in parts(hpa, "spec", "metrics")
        for kind in ("pods", "external", "object")
    )
    return [name for name in found if name]


def _is_external(hpa: Body) -> bool:
    return any(word(metric, "type") == "External" for metric in parts(hpa, "spec", "metrics"))
