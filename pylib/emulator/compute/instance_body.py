"""What ``instances.insert`` takes, checked part by part.

Sources: https://cloud.google.com/compute/docs/reference/rest/v1/instances,
https://cloud.google.com/compute/docs/metadata/setting-custom-metadata (limits) and
https://cloud.google.com/compute/docs/instances/limit-vm-runtime.
"""

from __future__ import annotations

import re

from pylib.emulator import access
from pylib.emulator.catalog import MACHINES
from pylib.emulator.compute.networks import NETWORK, network_url, subnetwork_url
from pylib.emulator.errors import ApiError, Json, invalid, not_found, required
from pylib.emulator.naming import fingerprint, last, link, one_of, parse_url
from pylib.emulator.store import Ref
from pylib.emulator.world import World

_KEY = re.compile(r"[a-zA-Z0-9-_]{1,128}")
_VALUE_BYTES = 262_144
_ALL_BYTES = 524_288
_RUN_SECONDS = (30, 120 * 24 * 3600)
_MODELS = ("STANDARD", "SPOT", "FLEX_START", "RESERVATION_BOUND")


def region_of(ref: Ref) -> str:
    """Region of a zonal resource."""
    return ref.scope.removeprefix("zones/").rpartition("-")[0]


def machine_type(body: Json, ref: Ref) -> str:
    """Name of the machine type, from a URL of the VM's zone."""
    url = body.get("machineType", "")
    if not url:
        raise required("resource.machineType")
    found = parse_url(url, "machineTypes", ref.project, "resource.machineType")
    if found.scope != ref.scope:
        raise invalid("resource.machineType", url, "It must be in the zone of the instance.")
    if found.name not in MACHINES:
        raise not_found(found.path)
    return found.name


def metadata(body: Json, field: str = "resource.metadata") -> Json:
    """Metadata with its fingerprint; keys are unique, and there is not too much of it."""
    items = body.get("items", [])
    keys = [item.get("key", "") for item in items]
    for index, key in enumerate(keys):
        if not _KEY.fullmatch(key):
            why = f"Must be a match of regex '{_KEY.pattern}'"
            raise invalid(f"{field}.items[{index}].key", key, why)
    for index, item in enumerate(items):
        size = len(item.get("value", "").encode())
        if size > _VALUE_BYTES:
            why = f"Metadata value size is {size} bytes; the maximum is {_VALUE_BYTES}."
            raise invalid(f"{field}.items[{index}].value", "", why)
    double = {key for key in keys if keys.count(key) > 1}
    if double:
        raise invalid(field, "", f"Metadata has duplicate keys: {', '.join(sorted(double))}")
    total = sum(len(str(item.get("value", "")).encode()) + len(item["key"]) for item in items)
    if total > _ALL_BYTES:
        why = f"Metadata has a size of {total} bytes; the maximum is {_ALL_BYTES}."
        raise invalid(field, "", why)
    found: Json = {"kind": "compute#metadata", "fingerprint": fingerprint(items)}
    return {**found, "items": items} if items else found


def scheduling(body: Json, machine: str) -> Json:
    """Scheduling with its defaults; what contradicts itself is refused."""
    asked = body.get("scheduling", {})
    field = "resource.scheduling"
    model = asked.get("provisioningModel", "SPOT" if asked.get("preemptible") else "STANDARD")
    one_of(model, _MODELS, f"{field}.provisioningModel")
    spot = model == "SPOT"
    gpus = bool(MACHINES[machine].gpus)
    found: Json = {
        "onHostMaintenance": "TERMINATE" if spot else "MIGRATE",
        "automaticRestart": not spot,
        "preemptible": spot,
        "provisioningModel": model,
        **asked,
    }
    one_of(found["onHostMaintenance"], ("MIGRATE", "TERMINATE"), f"{field}.onHostMaintenance")
    if gpus and found["onHostMaintenance"] != "TERMINATE":
        message = "Instances with guest accelerators do not support live migration."
        raise ApiError(400, "invalid", message)
    if spot and found["automaticRestart"]:
        why = "Preemptible instances cannot be restarted automatically."
        raise invalid(f"{field}.automaticRestart", "true", why)
    _check_end(found, field, spot=spot)
    return found


def _check_end(found: Json, field: str, *, spot: bool) -> None:
    action, limit = found.get("instanceTerminationAction"), found.get("maxRunDuration")
    if action is not None:
        one_of(action, ("DELETE", "STOP"), f"{field}.instanceTerminationAction")
    if limit is None:
        if action is not None and not spot:
            why = "It can only be set for Spot VMs, or with a maximum run duration."
            raise invalid(f"{field}.instanceTerminationAction", action, why)
        return
    seconds = int(limit.get("seconds", 0))
    least, most = _RUN_SECONDS
    if not least <= seconds <= most:
        why = f"Must be between {least} and {most} seconds."
        raise invalid(f"{field}.maxRunDuration.seconds", seconds, why)
    if action is None:
        raise required(f"{field}.instanceTerminationAction")


def interfaces(world: World, body: Json, ref: Ref) -> list[Json]:
    """Network interfaces with their addresses."""
    asked = body.get("networkInterfaces", [])
    if not asked:
        raise required("resource.networkInterfaces")
    return [_interface(world, card, index, ref) for index, card in enumerate(asked)]


def _interface(world: World, card: Json, index: int, ref: Ref) -> Json:
    field = f"resource.networkInterfaces[{index}]"
    region = region_of(ref)
    _check_network(card, field, ref, region)
    path = f"projects/{ref.project}/regions/{region}/subnetworks/{NETWORK}"
    access.require(world, "compute.subnetworks.use", path)
    outside = card.get("accessConfigs", [])
    if outside:
        access.require(world, "compute.subnetworks.useExternalIp", path)
    host = world.store.count("address")
    found: Json = {
        "kind": "compute#networkInterface",
        "name": f"nic{index}",
        "network": network_url(ref.project),
        "subnetwork": subnetwork_url(ref.project, region),
        "networkIP": f"10.128.{host // 250}.{2 + host % 250}",
        "stackType": "IPV4_ONLY",
        "fingerprint": fingerprint([ref.path, host]),
    }
    if outside:
        found["accessConfigs"] = [
            {
                "kind": "compute#accessConfig",
                "type": "ONE_TO_ONE_NAT",
                "name": one.get("name", "External NAT"),
                "natIP": f"203.0.113.{1 + host % 250}",
                "networkTier": "PREMIUM",
            }
            for one in outside
        ]
    return found


def _check_network(card: Json, field: str, ref: Ref, region: str) -> None:
    if network := card.get("network"):
        found = parse_url(network, "networks", ref.project, f"{field}.network")
        if found.name != NETWORK:
            raise not_found(found.path)
    if subnetwork := card.get("subnetwork"):
        found = parse_url(subnetwork, "subnetworks", ref.project, f"{field}.subnetwork")
        if found.name != NETWORK:
            raise not_found(found.path)
        if found.scope != f"regions/{region}":
            why = "It must be in the region of the instance."
            raise invalid(f"{field}.subnetwork", subnetwork, why)


def service_accounts(world: World, body: Json, ref: Ref) -> list[Json]:
    """The VM's service account, at most one, which the caller must be allowed to act as."""
    asked = body.get("serviceAccounts", [])
    if len(asked) > 1:
        raise invalid("resource.serviceAccounts", "", "At most one service account is allowed.")
    found: list[Json] = []
    for one in asked:
        email = one.get("email", "default")
        if email == "default":
            email = f"{world.number(ref.project)}-compute@developer.gserviceaccount.com"
        path = f"projects/{ref.project}/serviceAccounts/{email}"
        access.require(world, "compute.instances.setServiceAccount", ref.path)
        access.require(world, "iam.serviceAccounts.actAs", path)
        found.append({"email": email, "scopes": one.get("scopes", [])})
    return found


def document(world: World, body: Json, ref: Ref, machine: str) -> Json:
    """The parts of a VM's document that come from its body, checked."""
    tags = body.get("tags", {}).get("items", [])
    doc: Json = {
        "name": ref.name,
        "machineType": link(f"projects/{ref.project}/{ref.scope}/machineTypes/{machine}"),
        "metadata": metadata(body.get("metadata", {})),
        "scheduling": scheduling(body, machine),
        "networkInterfaces": interfaces(world, body, ref),
        "tags": {"fingerprint": fingerprint(tags), **({"items": tags} if tags else {})},
        "shieldedInstanceConfig": {
            "enableSecureBoot": False,
            "enableVtpm": True,
            "enableIntegrityMonitoring": True,
            **body.get("shieldedInstanceConfig", {}),
        },
        "canIpForward": body.get("canIpForward", False),
        "deletionProtection": body.get("deletionProtection", False),
        "startRestricted": False,
        "cpuPlatform": "Intel Ice Lake",
    }
    if accounts := service_accounts(world, body, ref):
        doc["serviceAccounts"] = accounts
    if "description" in body:
        doc["description"] = body["description"]
    return doc


def wants_outside(doc: Json) -> bool:
    """Whether the VM has an external address."""
    return any(card.get("accessConfigs") for card in doc["networkInterfaces"])


def machine_of(doc: Json) -> str:
    """Name of a VM's machine type."""
    return last(doc["machineType"])
