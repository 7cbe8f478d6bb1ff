"""What may come later, so that its absence is a warning: nodes, and the metrics to scale on."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.nodes import pairs
from pylib.diagnose.wording import gke_cluster
from pylib.facts import gke
from pylib.install.site import Site
from pylib.snapshot.bodies import condition, parts, word, words
from pylib.snapshot.pods import pod_spec
from pylib.snapshot.reader import Reader

CUSTOM_METRICS = "custom.metrics.k8s.io"
ADAPTER = (
    "https://raw.githubusercontent.com/GoogleCloudPlatform/k8s-stackdriver/master/"
    "custom-metrics-stackdriver-adapter/deploy/production/adapter_new_resource_model.yaml"
)
"""https://cloud.google.com/kubernetes-engine/docs/tutorials/autoscaling-metrics"""


def nodes(site: Site, reader: Reader) -> Iterator[Cause]:
    """Cells for which no node is there: right where the pool starts from zero, else a mistake."""
    said: set[str] = set()
    for owner in site.of("Deployment", "Job"):
        selector = words(pod_spec(dict(owner.body)), "nodeSelector")
        labels = pairs(selector)
        if not selector or labels in said or _count(reader, labels) != 0:
            continue
        said.add(labels)
        lacking = [
            f"{key}={value}"
            for key, value in sorted(selector.items())
            if _count(reader, f"{key}={value}") == 0
        ]
        what = f"no node has {', '.join(lacking)}" if lacking else f"no node has all of {labels}"
        pool = selector.get(gke.NODE_POOL, "POOL")
        yield Cause(
            "node-selector-unmatched",
            Severity.WARNING,
            owner.ref,
            f"{what}; its pods wait until the cluster autoscaler adds a node",
            f"gcloud container node-pools describe {pool} {gke_cluster(site.kube.context)} "
            "--format='yaml(locations,autoscaling,config.accelerators)'",
        )


def _count(reader: Reader, labels: str) -> int | None:
    """Nodes with these labels, ``None`` when they may not be seen."""
    found = reader.whole("Node", "v1", "Node", None, labels=labels)
    return None if "Node" in reader.unread else len(found)


def metrics(site: Site, reader: Reader) -> Iterator[Cause]:
    """The API that the autoscalers of the stackdriver source ask; without it the size stays."""
    scalers = [m for m in site.of("HorizontalPodAutoscaler") if _on_custom_metrics(m.body)]
    if not scalers:
        return
    services = reader.whole("APIService", "apiregistration.k8s.io/v1", "APIService", None)
    ours = [body for body in services if word(body, "spec", "group") == CUSTOM_METRICS]
    kubectl = f"kubectl --context {site.kube.context}"
    if not ours and "APIService" not in reader.unread:
        yield Cause(
            "metrics-api-missing",
            Severity.WARNING,
            scalers[0].ref,
            f"nothing serves {CUSTOM_METRICS}, so the number of pods stays where it is",
            f"{kubectl} apply -f {ADAPTER}",
        )
    elif ours and not any(word(condition(b, "Available"), "status") == "True" for b in ours):
        reason = word(condition(ours[0], "Available"), "message")
        yield Cause(
            "metrics-api-down",
            Severity.WARNING,
            scalers[0].ref,
            f"{CUSTOM_METRICS} is registered and does not answer ({reason}), so the number of pods "
            "stays where it is",
            f"{kubectl} -n custom-metrics get pods",
        )


def _on_custom_metrics(scaler: object) -> bool:
    names = (word(metric, "pods", "metric", "name") for metric in parts(scaler, "spec", "metrics"))
    return any(gke.STACKDRIVER_METRIC.fullmatch(name) for name in names)
