"""compute.projects, regions, zones, and what a zone offers: machine, disk and accelerator types."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pylib.emulator.catalog import DEFAULT_GIB, GPUS, MACHINES, Machine
from pylib.emulator.errors import Json, not_found
from pylib.emulator.lists import page
from pylib.emulator.naming import fingerprint, link
from pylib.emulator.quota import project_quotas, region_quotas
from pylib.emulator.routes import Row, compute
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World
from pylib.facts.disks import DISK_TYPES

_MADE = "1969-12-31T16:00:00.000-08:00"
METADATA = "projectMetadata"


def metadata_of(world: World, project: str) -> Json:
    """Metadata that all VMs of the project see."""
    doc = world.store.get(Ref(METADATA, project, "global", project)) or {}
    items = doc.get("items", [])
    found: Json = {"kind": "compute#metadata", "fingerprint": fingerprint(items)}
    return {**found, "items": items} if items else found


def get_project(world: World, call: Call) -> Json:
    """The project, with its quotas."""
    number = world.number(call.project)
    return {
        "kind": "compute#project",
        "id": number,
        "creationTimestamp": "2024-01-01T00:00:00.000-08:00",
        "name": call.project,
        "commonInstanceMetadata": metadata_of(world, call.project),
        "quotas": project_quotas(world, call.project),
        "defaultServiceAccount": f"{number}-compute@developer.gserviceaccount.com",
        "selfLink": link(f"projects/{call.project}"),
        "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
        "defaultNetworkTier": "PREMIUM",
    }


def region_doc(world: World, project: str, region: str) -> Json:
    """A region, with its quotas."""
    base = f"projects/{project}"
    return {
        "kind": "compute#region",
        "id": str(1000 + world.settings.regions.index(region)),
        "creationTimestamp": _MADE,
        "name": region,
        "description": region,
        "status": "UP",
        "zones": [link(f"{base}/zones/{region}-{one}") for one in world.settings.zones],
        "quotas": region_quotas(world, project, region),
        "selfLink": link(f"{base}/regions/{region}"),
    }


def zone_doc(world: World, project: str, zone: str) -> Json:
    """A zone; one that is unreachable is DOWN."""
    base = f"projects/{project}"
    return {
        "kind": "compute#zone",
        "id": str(2000 + world.settings.all_zones().index(zone)),
        "creationTimestamp": _MADE,
        "name": zone,
        "description": zone,
        "status": "DOWN" if zone in world.settings.unreachable else "UP",
        "region": link(f"{base}/regions/{zone.rpartition('-')[0]}"),
        "selfLink": link(f"{base}/zones/{zone}"),
    }


def machine_doc(project: str, zone: str, machine: Machine) -> Json:
    """A machine type of a zone."""
    doc: Json = {
        "kind": "compute#machineType",
        "id": str(3000 + list(MACHINES).index(machine.name)),
        "creationTimestamp": _MADE,
        "name": machine.name,
        "description": f"{machine.vcpus} vCPUs, {machine.memory_mib} MB RAM",
        "guestCpus": machine.vcpus,
        "memoryMb": machine.memory_mib,
        "maximumPersistentDisks": 128,
        "maximumPersistentDisksSizeGb": "263168",
        "zone": zone,
        "isSharedCpu": False,
        "selfLink": link(f"projects/{project}/zones/{zone}/machineTypes/{machine.name}"),
    }
    if machine.gpus:
        gpus = {
            "guestAcceleratorType": machine.accelerator,
            "guestAcceleratorCount": machine.gpus,
        }
        doc["accelerators"] = [gpus]
    return doc


def disk_type_doc(project: str, zone: str, name: str) -> Json:
    """A disk type of a zone."""
    about = DISK_TYPES[name]
    return {
        "kind": "compute#diskType",
        "id": str(4000 + list(DISK_TYPES).index(name)),
        "creationTimestamp": _MADE,
        "name": name,
        "validDiskSize": f"{about.min_gib}GB-{about.max_gib}GB",
        "defaultDiskSizeGb": str(DEFAULT_GIB.get(name, 100)),
        "zone": link(f"projects/{project}/zones/{zone}"),
        "selfLink": link(f"projects/{project}/zones/{zone}/diskTypes/{name}"),
    }


def accelerator_doc(project: str, zone: str, name: str) -> Json:
    """A GPU type of a zone."""
    return {
        "kind": "compute#acceleratorType",
        "id": str(5000 + GPUS.index(name)),
        "creationTimestamp": _MADE,
        "name": name,
        "description": name,
        "maximumCardsPerInstance": 8,
        "zone": link(f"projects/{project}/zones/{zone}"),
        "selfLink": link(f"projects/{project}/zones/{zone}/acceleratorTypes/{name}"),
    }


Make = Callable[[World, Call, str], Json]
Names = Callable[[World, Call], Iterable[str]]


def _offers(
    collection: str, item: str, key: str, path: str, names: Names, make: Make
) -> tuple[Row, ...]:
    """``list`` and ``get`` of things that are as they are; ``key`` is the path's name of one."""
    request = item[0].upper() + item[1:]

    def get(world: World, call: Call) -> Json:
        if call.params[key] not in names(world, call):
            where = call.path.removeprefix("/compute/v1/")
            raise not_found(where)
        return make(world, call, call.params[key])

    def list_(world: World, call: Call) -> Json:
        docs = [make(world, call, name) for name in names(world, call)]
        scope = f"zones/{call.params['zone']}" if "zone" in call.params else ""
        return page(world, call, docs, scope, collection, item)

    return (
        ("get", "GET", f"{path}/{{{key}}}", get, f"Get{request}Request", request, "get"),
        ("list", "GET", path, list_, f"List{request}sRequest", f"{request}List", "list"),
    )


_ZONE = "/zones/{zone}"
ROUTES = (
    *compute("projects", (("get", "GET", "", get_project, "GetProjectRequest", "Project", "get"),)),
    *compute(
        "regions",
        _offers(
            "regions",
            "region",
            "region",
            "/regions",
            lambda world, _: world.settings.regions,
            lambda world, call, name: region_doc(world, call.project, name),
        ),
    ),
    *compute(
        "zones",
        _offers(
            "zones",
            "zone",
            "zone",
            "/zones",
            lambda world, _: world.settings.all_zones(),
            lambda world, call, name: zone_doc(world, call.project, name),
        ),
    ),
    *compute(
        "machineTypes",
        _offers(
            "machineTypes",
            "machineType",
            "machineType",
            f"{_ZONE}/machineTypes",
            lambda _world, _call: MACHINES,
            lambda _, call, name: machine_doc(call.project, call.params["zone"], MACHINES[name]),
        ),
    ),
    *compute(
        "diskTypes",
        _offers(
            "diskTypes",
            "diskType",
            "diskType",
            f"{_ZONE}/diskTypes",
            lambda _world, _call: DISK_TYPES,
            lambda _, call, name: disk_type_doc(call.project, call.params["zone"], name),
        ),
    ),
    *compute(
        "acceleratorTypes",
        _offers(
            "acceleratorTypes",
            "acceleratorType",
            "acceleratorType",
            f"{_ZONE}/acceleratorTypes",
            lambda _world, _call: GPUS,
            lambda _, call, name: accelerator_doc(call.project, call.params["zone"], name),
        ),
    ),
)
