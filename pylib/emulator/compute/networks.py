"""compute.networks, subnetworks and routers: one auto-mode network ``default``, read only."""

from __future__ import annotations

from pylib.emulator.errors import Json, not_found
from pylib.emulator.lists import page
from pylib.emulator.naming import link
from pylib.emulator.routes import compute
from pylib.emulator.world import Call, World

NETWORK = "default"
_MADE = "2024-01-01T00:00:00.000-08:00"


def network_url(project: str) -> str:
    """URL of the network."""
    return link(f"projects/{project}/global/networks/{NETWORK}")


def subnetwork_url(project: str, region: str) -> str:
    """URL of the network's subnetwork in a region."""
    return link(f"projects/{project}/regions/{region}/subnetworks/{NETWORK}")


def _network(world: World, project: str) -> Json:
    return {
        "kind": "compute#network",
        "id": "6000",
        "creationTimestamp": _MADE,
        "name": NETWORK,
        "autoCreateSubnetworks": True,
        "subnetworks": [subnetwork_url(project, one) for one in world.settings.regions],
        "routingConfig": {"routingMode": "REGIONAL"},
        "selfLink": network_url(project),
    }


def _subnetwork(world: World, project: str, region: str) -> Json:
    index = world.settings.regions.index(region)
    return {
        "kind": "compute#subnetwork",
        "id": str(6100 + index),
        "creationTimestamp": _MADE,
        "name": NETWORK,
        "network": network_url(project),
        "ipCidrRange": f"10.{128 + index}.0.0/20",
        "gatewayAddress": f"10.{128 + index}.0.1",
        "region": link(f"projects/{project}/regions/{region}"),
        "privateIpGoogleAccess": world.settings.private_google_access,
        "purpose": "PRIVATE",
        "stackType": "IPV4_ONLY",
        "selfLink": subnetwork_url(project, region),
    }


def _router(project: str, region: str) -> Json:
    nat = {
        "name": "nat",
        "natIpAllocateOption": "AUTO_ONLY",
        "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
    }
    return {
        "kind": "compute#router",
        "id": "6200",
        "creationTimestamp": _MADE,
        "name": "nat-router",
        "network": network_url(project),
        "region": link(f"projects/{project}/regions/{region}"),
        "nats": [nat],
        "selfLink": link(f"projects/{project}/regions/{region}/routers/nat-router"),
    }


def get_network(world: World, call: Call) -> Json:
    """The network."""
    if call.params["network"] != NETWORK:
        raise not_found(f"projects/{call.project}/global/networks/{call.params['network']}")
    return _network(world, call.project)


def list_networks(world: World, call: Call) -> Json:
    """All networks."""
    docs = [_network(world, call.project)]
    return page(world, call, docs, "global", "networks", "network")


def get_subnetwork(world: World, call: Call) -> Json:
    """A subnetwork."""
    region, name = call.params["region"], call.params["subnetwork"]
    if name != NETWORK:
        raise not_found(f"projects/{call.project}/regions/{region}/subnetworks/{name}")
    return _subnetwork(world, call.project, region)


def list_subnetworks(world: World, call: Call) -> Json:
    """Subnetworks of a region."""
    region = call.params["region"]
    docs = [_subnetwork(world, call.project, region)]
    return page(world, call, docs, f"regions/{region}", "subnetworks", "subnetwork")


def list_routers(world: World, call: Call) -> Json:
    """Routers of a region: the one with Cloud NAT, where the settings put one."""
    region = call.params["region"]
    docs = [_router(call.project, region)] if region in world.settings.nat_regions else []
    return page(world, call, docs, f"regions/{region}", "routers", "router")


_SUBNETWORKS = "/regions/{region}/subnetworks"
ROUTES = (
    *compute(
        "networks",
        (
            (
                "get",
                "GET",
                "/global/networks/{network}",
                get_network,
                "GetNetworkRequest",
                "Network",
                "get",
            ),
            (
                "list",
                "GET",
                "/global/networks",
                list_networks,
                "ListNetworksRequest",
                "NetworkList",
                "list",
            ),
        ),
    ),
    *compute(
        "subnetworks",
        (
            (
                "get",
                "GET",
                f"{_SUBNETWORKS}/{{subnetwork}}",
                get_subnetwork,
                "GetSubnetworkRequest",
                "Subnetwork",
                "get",
            ),
            (
                "list",
                "GET",
                _SUBNETWORKS,
                list_subnetworks,
                "ListSubnetworksRequest",
                "SubnetworkList",
                "list",
            ),
        ),
    ),
    *compute(
        "routers",
        (
            (
                "list",
                "GET",
                "/regions/{region}/routers",
                list_routers,
                "ListRoutersRequest",
                "RouterList",
                "list",
            ),
        ),
    ),
)
