"""Rules over rendered manifests: importing this package fills the table of rules.

A module of rules is listed here once; nothing else knows it.
"""

from __future__ import annotations

from pylib.validate.rules import (
    autoscaling,
    builtin,
    claims,
    disk_mounts,
    disks,
    gpus,
    images,
    metrics,
    monitoring,
    naming,
    pod_baseline,
    pod_restricted,
    probes,
    resources,
    scheduling,
    scrapes,
    security,
    services,
    shutdown,
    start_time,
    static_disks,
    storage,
    vllm,
    vllm_arguments,
    vllm_metrics,
    workload,
)
from pylib.validate.rules.registry import RULES, Rule

MODULES = (
    builtin,
    storage,
    static_disks,
    disk_mounts,
    disks,
    claims,
    workload,
    services,
    probes,
    start_time,
    shutdown,
    resources,
    gpus,
    vllm,
    vllm_arguments,
    scheduling,
    images,
    autoscaling,
    metrics,
    vllm_metrics,
    monitoring,
    scrapes,
    naming,
    security,
    pod_baseline,
    pod_restricted,
)
"""Modules of rules, by topic."""

__all__ = ["MODULES", "RULES", "Rule"]
