"""Who must be let in: readers of the model's bucket, and the reader of metrics.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pylib import gcloud
from pylib.cloud.pools import Policy
from pylib.cloud.serving import Holder
from pylib.config.model import Config
from pylib.config.types import GS_SOURCE
from pylib.provision.action import Action, Verb

READER = "roles/storage.objectViewer"
METRICS_READER = "roles/monitoring.viewer"
ADAPTER_NAMESPACE = "custom-metrics"
ADAPTER_ACCOUNT = "custom-metrics-stackdriver-adapter"
"""What Google's own manifest calls them: GoogleCloudPlatform/k8s-stackdriver
custom-metrics-stackdriver-adapter/deploy/production/adapter_new_resource_model.yaml@673c7dd."""


@dataclass(frozen=True)
class Grant:
    """A role of a member on a project or a bucket."""

    holder: Holder
    name: str
    role: str
    member: str


def pod_identity(project: str, number: str, namespace: str, account: str) -> str:
    """How policies name a Kubernetes service account: by the project's number, then by its id.

    https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity
    """
    pool = f"projects/{number}/locations/global/workloadIdentityPools/{project}.svc.id.goog"
    return f"principal://iam.googleapis.com/{pool}/subject/ns/{namespace}/sa/{account}"


def wanted_grants(
    config: Config, number: str, service_account: str | None, account: str
) -> Iterator[Grant]:
    """What the config's release needs; ``service_account`` is the bake VM's, ``account`` the name
    of the release's Kubernetes service account."""
    bucket = GS_SOURCE.fullmatch(config.model.source or "")
    if bucket is not None and service_account:
        member = f"serviceAccount:{service_account}"
        yield Grant("bucket", bucket["bucket"], READER, member)
    if bucket is not None and config.mode == "download":
        member = pod_identity(config.project, number, config.release.namespace, account)
        yield Grant("bucket", bucket["bucket"], READER, member)
    if reads_metrics(config):
        member = pod_identity(config.project, number, ADAPTER_NAMESPACE, ADAPTER_ACCOUNT)
        yield Grant("project", config.project, METRICS_READER, member)


def reads_metrics(config: Config) -> bool:
    """Whether the autoscaler's metric comes through the adapter."""
    scaling = config.autoscaling
    return config.mode == "serve" and scaling.enabled and scaling.source == "stackdriver"


def plan_grant(grant: Grant, policy: Policy) -> Action:
    """Give the role, unless the member has it."""
    name = f"{grant.role} on {grant.holder} {grant.name} for {grant.member}"
    if policy.holds(grant.role, grant.member):
        return Action(Verb.REUSE, "role", name, spec=grant)
    if grant.holder == "bucket":
        line = gcloud.grant_on_bucket(grant.name, grant.role, grant.member)
    else:
        line = gcloud.grant_on_project(grant.name, grant.role, grant.member)
    return Action(Verb.CREATE, "role", name, "", (line,), grant)
