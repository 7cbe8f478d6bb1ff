"""A release that tests look at as ``observe`` does."""

from __future__ import annotations

from pathlib import Path

from pylib.diagnose import Cause, diagnose
from pylib.kube import Body
from pylib.snapshot import Snapshot, from_json, take, to_json
from tests.chart.helmtool import Values, merged
from tests.cluster.bed.wait import until
from tests.cluster.release import (
    NAME,
    SECONDS,
    Helm,
    pods,
    write_values,
)

FIXED: Values = {"autoscaling": {"enabled": False}}
SCALED: Values = {"autoscaling": {"enabled": True}}
METRIC = "prometheus.googleapis.com|vllm:num_requests_running|gauge"
NODE = "l4-1"
FLAGS = "--cluster=vllm-cluster --location=us-central1 --project=my-project"


class Site:
    """A namespace in which one release is installed and looked at."""

    def __init__(self, helm: Helm, namespace: str, folder: Path) -> None:
        self.helm = helm
        self.kube = helm.bed.kube
        self.namespace = namespace
        self.folder = folder

    def install(self, *over: Values) -> None:
        """Install and do not wait."""
        values: Values = {}
        for one in over:
            values = merged(values, one)
        self.helm.install(NAME, self.namespace, write_values(self.folder, values))

    def look(self) -> Snapshot:
        """A snapshot, as it comes back from a file."""
        return from_json(to_json(take(self.kube, NAME, self.namespace)))

    def cause(self, code: str) -> Cause:
        """The first cause, once it is of this code."""

        def found() -> list[Cause]:
            causes = list(diagnose(self.look()))
            return causes if causes and causes[0].code == code else []

        seen = until(found, SECONDS, f"{code} is found", show=lambda: diagnose(self.look()))
        return seen[0]

    def pod(self) -> str:
        """``Pod/name`` of the oldest pod."""
        found = sorted(
            pods(self.kube, self.namespace), key=lambda pod: pod["metadata"]["creationTimestamp"]
        )
        return f"Pod/{found[0]['metadata']['name']}"

    def create(self, kind: str, name: str, spec: Body) -> None:
        """An object of the core group in the namespace."""
        meta = {"name": name, "namespace": self.namespace}
        self.kube.create({"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": spec})


def claimed(name: str) -> Values:
    """Values with somebody else's claim."""
    return {"weights": {"kind": "claim", "disk": None, "claim": {"claims": {"a": name}}}}
