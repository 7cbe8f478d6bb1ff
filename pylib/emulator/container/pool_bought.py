"""How a node pool's nodes are bought: Spot, reserved, flex-start, and what excludes what.

Rules: GoogleCloudPlatform/cluster-toolkit modules/compute/gke-node-pool/main.tf@01a7a3e, and
ReservationAffinity in https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/NodeConfig.
The wording is ours: GKE's own was not at hand.
"""

from __future__ import annotations

from pylib.emulator.container.operations import invalid_argument
from pylib.emulator.errors import Json
from pylib.facts.gke import FLEX_START_SECONDS, RESERVATION_KEY


def check_bought(config: Json) -> None:
    """400 for ways to buy nodes that exclude each other, or a reservation that is not named."""
    affinity = config.get("reservationAffinity", {})
    kind = affinity.get("consumeReservationType", "UNSPECIFIED")
    if kind == "SPECIFIC_RESERVATION":
        if affinity.get("key") != RESERVATION_KEY or not affinity.get("values"):
            raise invalid_argument(
                f"A specific reservation needs key {RESERVATION_KEY} and values."
            )
        if config.get("spot"):
            raise invalid_argument("Spot VMs cannot consume reservations.")
    if config.get("flexStart"):
        _check_flex_start(config, kind)


def _check_flex_start(config: Json, reservation: str) -> None:
    if config.get("spot"):
        raise invalid_argument("Flex-start and Spot cannot be used together.")
    if reservation != "NO_RESERVATION":
        raise invalid_argument("Flex-start requires reservation affinity NO_RESERVATION.")
    seconds = float(config.get("maxRunDuration", "0s").removesuffix("s"))
    if seconds > FLEX_START_SECONDS:
        raise invalid_argument(f"Max run duration must be at most {FLEX_START_SECONDS}s.")
