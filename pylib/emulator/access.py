"""What the caller may do, and which services are on."""

from __future__ import annotations

from pylib.emulator.errors import ApiError, forbidden
from pylib.emulator.store import Ref
from pylib.emulator.world import World

TITLES = {
    "compute": "Compute Engine API",
    "container": "Kubernetes Engine API",
    "cloudresourcemanager": "Cloud Resource Manager API",
    "serviceusage": "Service Usage API",
    "storage": "Cloud Storage API",
    "iam": "Identity and Access Management (IAM) API",
    "containerfilesystem": "Container File System API",
    "artifactregistry": "Artifact Registry API",
    "monitoring": "Cloud Monitoring API",
    "logging": "Cloud Logging API",
}
"""Services that a project of the emulator knows, by the first part of their name."""


def has(world: World, permission: str) -> bool:
    """Whether the caller has the permission in every project."""
    granted = world.settings.granted
    return permission not in world.settings.denied and (granted is None or permission in granted)


def require(world: World, permission: str, path: str) -> None:
    """403 unless the caller has the permission on the resource."""
    if not has(world, permission):
        raise forbidden(permission, path)


def enabled(world: World, project: str, service: str) -> bool:
    """Whether a service such as ``compute`` is on in the project."""
    doc = world.store.get(Ref("services", project, "global", service))
    if doc is not None:
        return bool(doc["enabled"])
    off = {name.removesuffix(".googleapis.com") for name in world.settings.disabled_services}
    return service in TITLES and service not in off


def require_service(world: World, project: str, service: str) -> None:
    """403 in Google's words when the service is off."""
    if enabled(world, project, service):
        return
    name = f"{service}.googleapis.com"
    page = f"https://console.developers.google.com/apis/api/{name}/overview?project={project}"
    message = (
        f"{TITLES[service]} has not been used in project {project} before or it is disabled. "
        f"Enable it by visiting {page} then retry. If you enabled this API recently, wait a few "
        "minutes for the action to propagate to our systems and retry."
    )
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "SERVICE_DISABLED",
        "domain": "googleapis.com",
        "metadata": {"service": name, "consumer": f"projects/{project}"},
    }
    raise ApiError(403, "accessNotConfigured", message, details=[detail])
