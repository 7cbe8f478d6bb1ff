"""List prices of what a bake uses, in US dollars, for an estimate: us-central1, on demand."""

from __future__ import annotations

from pylib.facts import Evidence, Source

MACHINE_HOUR = {
    "e2": 0.0335,
    "n2": 0.0486,
    "n2d": 0.0423,
    "n1": 0.0475,
    "c3": 0.0503,
}
"""Per vCPU of a ``standard`` machine, its memory included, and hour."""
GPU_MACHINE_HOUR = {
    "g2-standard-4": 0.71,
    "g2-standard-8": 0.85,
    "g2-standard-12": 1.00,
    "g2-standard-16": 1.15,
    "g2-standard-24": 2.00,
    "g2-standard-32": 1.73,
    "g2-standard-48": 4.00,
    "g2-standard-96": 8.00,
    "a2-highgpu-1g": 3.67,
    "a2-highgpu-2g": 7.35,
    "a2-highgpu-4g": 14.69,
    "a2-highgpu-8g": 29.39,
    "a2-ultragpu-1g": 5.07,
}
"""Per machine and hour, its GPUs included."""
DISK_GIB_MONTH = {
    "pd-standard": 0.04,
    "pd-balanced": 0.10,
    "pd-ssd": 0.17,
    "pd-extreme": 0.125,
    "hyperdisk-balanced": 0.08,
    "hyperdisk-ml": 0.08,
}
IMAGE_GIB_MONTH = 0.05
HOURS_A_MONTH = 730

SOURCE = Source(
    "https://cloud.google.com/compute/vm-instance-pricing and "
    "https://cloud.google.com/compute/disks-image-pricing (recalled)",
    Evidence.UNVERIFIED,
)
