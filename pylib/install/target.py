"""Is this the cluster that the config means?  A kubeconfig's current context is easily another."""

from __future__ import annotations

import re

from pylib.config.model import Config
from pylib.errors import ConfigError, Problem

_GKE = re.compile(r"gke_[^_]+_[^_]+_[^_]+")


def gke_context(config: Config) -> str:
    """What ``gcloud container clusters get-credentials`` calls the config's cluster."""
    cluster = config.cluster
    return f"gke_{config.project}_{cluster.location or config.region}_{cluster.name}"


def check_context(config: Config, context: str) -> None:
    """Refuse a context whose name says that it is another GKE cluster than the config's.

    A context that was renamed, or that is no GKE cluster's, says nothing.  Raises
    :class:`ConfigError`.
    """
    wanted = gke_context(config)
    if context == wanted or not _GKE.fullmatch(context):
        return
    project, location, name = wanted.removeprefix("gke_").split("_")
    message = f"the kubeconfig's current context {context} is not the config's cluster, {wanted}"
    fix = (
        f"Add --context {wanted} (gcloud container clusters get-credentials {name} "
        f"--location {location} --project {project} makes it), or --context {context} if it "
        "is the right cluster after all."
    )
    raise ConfigError("install", [Problem("", message, fix)])
