"""What would stop a bake or an installation, looked for before anything is made; with a fix each.

Nothing here changes anything.  A check that cannot be made says so; it does not pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pylib.bake.plan import BOOT_GIB, Bake, Place
from pylib.cloud.api import Cloud
from pylib.cloud.faults import FIXES, CallError, Kind
from pylib.config.model import Config, Disk
from pylib.config.types import GS_SOURCE
from pylib.errors import Problem
from pylib.facts import gke_bake, machines

Found = Iterator["Check"]

_NO_WAY = frozenset({Kind.CREDENTIALS, Kind.TLS, Kind.PROXY})
"""Failures that every further check would meet too."""


class State(StrEnum):
    """``unknown``: the check could not be made; ``note``: nothing to check, but to know."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOTE = "note"


@dataclass(frozen=True)
class Check:
    """One finding; ``fix`` is empty when there is nothing to do."""

    name: str
    state: State
    text: str
    fix: str = ""


@dataclass(frozen=True)
class Question:
    """What the checks are about: the config, the bakes that it asks for, and what keeps it from
    asking for one."""

    config: Config
    bakes: tuple[Bake, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def place(self) -> Place | None:
        """Where they all run; ``None`` when there is nothing to bake."""
        return self.bakes[0].place if self.bakes else None


def examine(cloud: Cloud, question: Question) -> tuple[Check, ...]:
    """All checks, in the order in which a failure makes the next ones moot.

    Raises nothing for what Google Cloud answers; without credentials that is the only finding.
    """
    found: list[Check] = []
    for name, check in _CHECKS:
        try:
            found += check(cloud, question)
        except CallError as error:
            found.append(_unknown(name, error))
            if error.kind in _NO_WAY:
                break
    return tuple(found)


def _unknown(name: str, error: CallError) -> Check:
    sure = error.kind in {*_NO_WAY, Kind.DENIED, Kind.DISABLED, Kind.ABSENT}
    state = State.FAILED if sure else State.UNKNOWN
    return Check(name, state, f"{error.what}: {error.detail}", FIXES[error.kind])


def _credentials(cloud: Cloud, question: Question) -> Found:
    project = question.config.project
    cloud.granted(project, ["resourcemanager.projects.get"])
    yield Check("credentials", State.OK, f"project {project} answers")


def _wishes(cloud: Cloud, question: Question) -> Found:
    del cloud
    for problem in question.problems:
        yield Check("config", State.FAILED, f"{problem.path} {problem.message}", problem.fix)


def _model(cloud: Cloud, question: Question) -> Found:
    """Whether the caller sees the model's files; the bake VM reads them as somebody else."""
    for bake in question.bakes:
        match = GS_SOURCE.fullmatch(str(bake.recipe.inputs().get("source", "")))
        if match is None:
            continue
        found = cloud.objects(match["bucket"], f"{match['path'].strip('/')}/")
        size = sum(item.size for item in found) / 2**30
        yield Check("model", State.OK, f"{len(found)} objects, {size:.2f} GiB")
        if bake.place.service_account is None:
            text = f"the bake VM reads bucket {match['bucket']} as nobody: it must be public"
            fix = "Else bake with --service-account, which has roles/storage.objectViewer on it."
            yield Check("model", State.NOTE, text, fix)


def _apis(cloud: Cloud, question: Question) -> Found:
    wanted = gke_bake.SERVICES if question.bakes else gke_bake.SERVING_SERVICES
    enabled = cloud.enabled(wanted)
    off = [name for name in wanted if not enabled[name]]
    for name in off:
        fix = f"gcloud services enable {name} --project={question.config.project}"
        yield Check("apis", State.FAILED, f"{name} is not enabled", fix)
    if not off:
        yield Check("apis", State.OK, f"{len(wanted)} services are enabled")


def _permissions(cloud: Cloud, question: Question) -> Found:
    place = question.place
    if place is None:
        return
    wanted = {*gke_bake.BAKE_PERMISSIONS}
    if place.external_ip:
        wanted |= gke_bake.EXTERNAL_IP_PERMISSIONS
    if place.service_account:
        wanted.add("iam.serviceAccounts.actAs")
    if place.images_project == place.project:
        wanted |= gke_bake.IMAGE_PERMISSIONS
    else:
        yield from _granted(cloud, place.images_project, gke_bake.IMAGE_PERMISSIONS)
    yield from _granted(cloud, place.project, wanted)


def _up_permissions(cloud: Cloud, question: Question) -> Found:
    """Who only bakes does without, so that nothing fails for want of them."""
    project = question.config.project
    missing = sorted(gke_bake.UP_PERMISSIONS - cloud.granted(project, gke_bake.UP_PERMISSIONS))
    if missing:
        text = f"up would also need, on {project}: {', '.join(missing)}"
        yield Check("permissions of up", State.NOTE, text, "Grant them, or bake and install alone.")
    else:
        yield Check("permissions of up", State.OK, f"all on {project} are there")


def _granted(cloud: Cloud, project: str, wanted: Iterable[str]) -> Found:
    names = frozenset(wanted)
    missing = sorted(names - cloud.granted(project, names))
    if not missing:
        text = f"all {len(names)} permissions on {project} are there"
        yield Check("permissions", State.OK, text)
        return
    fix = (
        "gcloud iam roles create vllmFastStartBake "
        f"--project={project} --permissions={','.join(missing)}, and bind it to the caller"
    )
    yield Check("permissions", State.FAILED, f"missing on {project}: {', '.join(missing)}", fix)


def _types(cloud: Cloud, question: Question) -> Found:
    place = question.place
    if place is None:
        return
    for zone in place.zones:
        if cloud.machine_type(zone, place.machine_type) is None:
            fix = "Name another with --machine-type, or other zones with --zone."
            text = f"{zone} offers no {place.machine_type}"
            yield Check("machine type", State.FAILED, text, fix)
        elif not cloud.has_disk_type(zone, place.disk_type):
            fix = "Name another with --disk-type, or other zones with --zone."
            yield Check("disk type", State.FAILED, f"{zone} offers no {place.disk_type}", fix)
        else:
            text = f"{zone} offers {place.machine_type} and {place.disk_type}"
            yield Check("machine and disk type", State.OK, text)


def _quota(cloud: Cloud, question: Question) -> Found:
    place, region = question.place, question.config.region
    if place is None:
        return
    machine = cloud.machine_type(place.zones[0], place.machine_type)
    cpus = machine.vcpus if machine else 0
    disk = 2 * max(bake.size_gib for bake in question.bakes) + 2 * BOOT_GIB
    needs = {
        gke_bake.cpu_metric(place.machine_type): cpus,
        "CPUS_ALL_REGIONS": cpus,
        gke_bake.disk_metric(place.disk_type): disk,
        "INSTANCES": 2,
        "IMAGES": len(question.bakes),
        "IN_USE_ADDRESSES": 2 if place.external_ip else 0,
    }
    short = False
    for quota in cloud.quotas(region):
        need = needs.get(quota.metric, 0)
        if quota.free < need:
            short = True
            text = f"{quota.metric} in {quota.place}: {quota.free:g} left, {need:g} needed"
            yield Check("quota", State.FAILED, text, FIXES[Kind.QUOTA])
    if not short:
        yield Check("quota", State.OK, f"enough for {cpus} vCPUs and {disk} GiB of disk")


def _egress(cloud: Cloud, question: Question) -> Found:
    place = question.place
    if place is None:
        return
    if place.external_ip:
        yield Check("network", State.NOTE, "the bake VM gets an external address (--external-ip)")
        return
    region, network = question.config.region, place.network
    name = place.subnetwork or network
    if any(n.network == network and n.subnetworks in ((), (name,)) for n in cloud.nats(region)):
        yield Check("network", State.OK, f"Cloud NAT serves network {network} in {region}")
        return
    subnet = cloud.subnetwork(region, name)
    outside = [name for bake in question.bakes for name in bake.recipe.outside]
    if subnet is not None and subnet.private_access and not outside:
        text = f"subnetwork {name} has Private Google Access, and all that is read is on it"
        yield Check("network", State.OK, text)
        return
    yield Check(
        "network",
        State.FAILED,
        f"the bake VM has no way out: no external address, no Cloud NAT on {network} in {region}, "
        + (f"and {outside[0]} is not Google's" if outside else "no Private Google Access"),
        f"gcloud compute routers create vfs-router --network={network} --region={region}, then "
        "gcloud compute routers nats create vfs-nat --router=vfs-router "
        f"--region={region} --auto-allocate-nat-external-ips --nat-all-subnet-ip-ranges; "
        "or bake with --external-ip",
    )


def _attach(cloud: Cloud, question: Question) -> Found:
    del cloud
    weights = question.config.weights
    for cell in question.config.cells:
        disks: dict[str, str] = {cell.bootDisk.type: "boot disk"}
        if isinstance(weights, Disk):
            disks[weights.type] = "weights disk"
        for disk, what in disks.items():
            if machines.attaches(cell.machineType, disk) is False:
                family = machines.family_of(cell.machineType)
                known = ", ".join(sorted(family.disk_types)) if family else ""
                text = f"cell {cell.key}: {cell.machineType} attaches no {disk} ({what})"
                yield Check("disks of nodes", State.FAILED, text, f"Use one of: {known}.")


def _images_project(cloud: Cloud, question: Question) -> Found:
    config = question.config
    other = config.imagesProject
    if other is None or other == config.project:
        return
    yield from _granted(cloud, other, ["compute.images.useReadOnly"])
    yield Check(
        "image project",
        State.NOTE,
        f"nodes of {config.project} read images of {other}: GKE's own account needs to be let in",
        f"gcloud projects add-iam-policy-binding {other} --role=roles/compute.imageUser "
        "--member=serviceAccount:service-PROJECT_NUMBER@container-engine-robot.iam."
        f"gserviceaccount.com, with the number of {config.project}",
    )


def _cluster(cloud: Cloud, question: Question) -> Found:
    config = question.config
    location = config.cluster.location or config.region
    cluster = cloud.cluster(location, config.cluster.name)
    if cluster is None:
        state = State.FAILED if config.cluster.existing else State.NOTE
        text = f"there is no cluster {config.cluster.name} in {location}"
        yield Check("cluster", state, text, "Create it, or mend cluster.name or .location.")
        return
    least = gke_bake.SECONDARY_BOOT_DISK_VERSION
    if config.imageCache.enabled and _version(cluster.version) < _version(least):
        text = f"cluster {cluster.name} is GKE {cluster.version}; an image cache needs {least}"
        yield Check("cluster", State.FAILED, text, "Upgrade it, or set imageCache.enabled: false.")
        return
    yield Check("cluster", State.OK, f"cluster {cluster.name} is GKE {cluster.version}")


def _version(text: str) -> tuple[int, ...]:
    """``1.30.1-gke.1329000`` as numbers."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", text))


_CHECKS: tuple[tuple[str, Callable[[Cloud, Question], Iterable[Check]]], ...] = (
    ("credentials", _credentials),
    ("config", _wishes),
    ("model", _model),
    ("apis", _apis),
    ("permissions", _permissions),
    ("permissions of up", _up_permissions),
    ("machine type", _types),
    ("quota", _quota),
    ("network", _egress),
    ("disks of nodes", _attach),
    ("image project", _images_project),
    ("cluster", _cluster),
)
