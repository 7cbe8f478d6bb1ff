"""What a bake will take and cost, before it starts: a guess that says where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from pylib.bake.plan import Bake
from pylib.facts import Evidence, Source, prices

SECONDS_FIXED = 420
SECONDS_PER_GIB = 6.5
TIME_SOURCE = Source(
    "one image of about 20 GiB on a disk of 100 GiB took 12 minutes with gke-disk-image-builder, "
    "of which 5 to fill, 2 to image: "
    "https://github.com/GoogleCloudPlatform/gke-disk-image-builder; the check of the image is "
    "counted as one more fill",
    Evidence.REPORTED,
)


@dataclass(frozen=True)
class Estimate:
    """``dollars`` is ``None`` where no price is known; ``month`` is what keeping the image costs
    at most, as if all of it were full."""

    seconds: float
    dollars: float | None
    month: float


def estimate(bake: Bake) -> Estimate:
    """Time and cost of one bake that nothing disturbs."""
    size = bake.size_gib
    seconds = SECONDS_FIXED + SECONDS_PER_GIB * size
    return Estimate(
        seconds=seconds,
        dollars=_dollars(bake, seconds / 3600),
        month=round(size * prices.IMAGE_GIB_MONTH, 2),
    )


def _dollars(bake: Bake, hours: float) -> float | None:
    series, _, rest = bake.place.machine_type.partition("-")
    cpus = rest.rpartition("-")[2]
    cpu = prices.MACHINE_HOUR.get(series)
    disk = prices.DISK_GIB_MONTH.get(bake.place.disk_type)
    if cpu is None or disk is None or not cpus.isdecimal():
        return None
    disks = 2 * bake.size_gib * disk / prices.HOURS_A_MONTH
    return round((cpu * int(cpus) + disks) * hours, 2)
