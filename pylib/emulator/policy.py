"""Organization policies.

Wording: GoogleCloudPlatform/compute-image-tools pull request 1476 and
fortinet/fortigate-terraform-deploy issue 34.
"""

from __future__ import annotations

from pylib.emulator.errors import ApiError, Json
from pylib.emulator.store import Ref
from pylib.emulator.world import World

_PAGE = "https://cloud.google.com/resource-manager/docs/organization-policy/org-policy-constraints"


def check_instance(world: World, ref: Ref, body: Json) -> None:
    """412 for a VM that a policy forbids."""
    check_location(world, ref)
    policies = world.settings.policies
    outside = any(card.get("accessConfigs") for card in body.get("networkInterfaces", []))
    if outside and "compute.vmExternalIpAccess" in policies:
        raise _violated(
            f"Constraint constraints/compute.vmExternalIpAccess violated for project "
            f"{world.number(ref.project)}. Add instance {ref.path} to the constraint to use "
            "external IP with it."
        )
    shielded = body.get("shieldedInstanceConfig", {}).get("enableSecureBoot", False)
    if not shielded and "compute.requireShieldedVm" in policies:
        raise _violated(
            f"Constraint constraints/compute.requireShieldedVm violated for project "
            f"projects/{ref.project}. Secure Boot is not enabled in the "
            f"'shielded_instance_config' field. See {_PAGE} for more information."
        )


def check_location(world: World, ref: Ref) -> None:
    """412 for a place that a policy forbids."""
    kind, _, place = ref.scope.partition("/")
    if "gcp.resourceLocations" not in world.settings.policies or not place:
        return
    if not {place, place.rpartition("-")[0]} & set(world.settings.locations):
        raise _violated(
            f"Location {kind.removesuffix('s').upper()}:{place} violates constraint "
            f"constraints/gcp.resourceLocations on the resource {ref.path}."
        )


def _violated(message: str) -> ApiError:
    return ApiError(412, "conditionNotMet", message)
