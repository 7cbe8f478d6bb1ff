"""Which release of vLLM has which metric, weights loader and variable.

Read in the releases' own source packages and wheels, every release from 0.5.3 to 0.33.0; a
``since`` of 0.5.3 means 0.5.3 or earlier.  The arguments are in :mod:`pylib.facts.vllm_flags`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType

OLDEST = "0.5.3"
"""The oldest release that was read."""

NEWEST = "0.33.0"
"""The newest release that was read, and the one that a new config starts with."""

_VERSION = re.compile(r"v?(\d+(?:\.\d+){2,3})(?:\.post(\d+))?(?:[-+_].*)?")


@dataclass(frozen=True, order=True)
class Version:
    """A release of vLLM; ordered as releases are, so that 0.9.0 < 0.9.0.1 < 0.9.1."""

    release: tuple[int, ...]
    post: int = 0

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """The version in ``0.5.3.post1`` or in an image tag such as ``v0.11.0-cu129``.

        ``None`` for anything else: ``latest``, a nightly, a release candidate.
        """
        match = _VERSION.fullmatch(text)
        if match is None:
            return None
        return cls(tuple(int(part) for part in match[1].split(".")), int(match[2] or 0))

    def __str__(self) -> str:
        dotted = ".".join(map(str, self.release))
        return f"{dotted}.post{self.post}" if self.post else dotted


@dataclass(frozen=True)
class Gate:
    """Releases that have a thing: from ``since``, before ``until`` when that is given."""

    since: str
    until: str | None = None

    def has(self, version: Version) -> bool:
        """True when that release has it."""
        return not self.later(version) and not self.gone(version)

    def later(self, version: Version) -> bool:
        """True when only a later release has it."""
        return version < _known(self.since)

    def gone(self, version: Version) -> bool:
        """True when that release has it no more."""
        return self.until is not None and version >= _known(self.until)

    def __str__(self) -> str:
        if self.until is None:
            return f"vLLM {self.since} and newer"
        return f"vLLM {self.since} up to, not including, {self.until}"


@cache
def _known(text: str) -> Version:
    version = Version.parse(text)
    if version is None:
        raise ValueError(f"{text!r} is no release of vLLM")
    return version


class MetricKind(StrEnum):
    """Prometheus types."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric as it stands under ``/metrics``, exported without further flags."""

    kind: MetricKind
    gate: Gate


def _metric(kind: MetricKind, since: str = OLDEST, until: str | None = None) -> Metric:
    return Metric(kind, Gate(since, until))


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "vllm:num_requests_running": _metric(MetricKind.GAUGE),
        "vllm:num_requests_waiting": _metric(MetricKind.GAUGE),
        "vllm:num_requests_waiting_by_reason": _metric(MetricKind.GAUGE, "0.20.0"),
        "vllm:num_requests_swapped": _metric(MetricKind.GAUGE, OLDEST, "0.9.1"),
        "vllm:kv_cache_usage_perc": _metric(MetricKind.GAUGE, "0.9.2"),
        # In 0.11 it takes --show-hidden-metrics-for-version=0.10; later it is gone.
        "vllm:gpu_cache_usage_perc": _metric(MetricKind.GAUGE, OLDEST, "0.11.0"),
        "vllm:cpu_cache_usage_perc": _metric(MetricKind.GAUGE, OLDEST, "0.9.1"),
        "vllm:avg_prompt_throughput_toks_per_s": _metric(MetricKind.GAUGE, OLDEST, "0.7.0"),
        "vllm:avg_generation_throughput_toks_per_s": _metric(MetricKind.GAUGE, OLDEST, "0.7.0"),
        "vllm:engine_sleep_state": _metric(MetricKind.GAUGE, "0.11.1"),
        "vllm:prompt_tokens_total": _metric(MetricKind.COUNTER),
        "vllm:generation_tokens_total": _metric(MetricKind.COUNTER),
        "vllm:request_success_total": _metric(MetricKind.COUNTER),
        "vllm:num_preemptions_total": _metric(MetricKind.COUNTER),
        "vllm:prefix_cache_queries_total": _metric(MetricKind.COUNTER, "0.9.2"),
        "vllm:prefix_cache_hits_total": _metric(MetricKind.COUNTER, "0.9.2"),
        "vllm:time_to_first_token_seconds": _metric(MetricKind.HISTOGRAM),
        "vllm:time_per_output_token_seconds": _metric(MetricKind.HISTOGRAM, OLDEST, "0.12.0"),
        "vllm:inter_token_latency_seconds": _metric(MetricKind.HISTOGRAM, "0.10.2"),
        "vllm:e2e_request_latency_seconds": _metric(MetricKind.HISTOGRAM),
        "vllm:request_queue_time_seconds": _metric(MetricKind.HISTOGRAM, "0.6.4"),
    }
)
"""vllm/engine/metrics.py (before 0.8.0) and vllm/v1/metrics/loggers.py (the default engine since),
in each release.  Counters stand with the ``_total`` that the Prometheus client adds."""


def metric_problem(name: str, version: Version) -> str | None:
    """Why that release exports no such metric; ``None`` when it does, or the name is not ours."""
    metric = METRICS.get(name)
    if metric is None or metric.gate.has(version):
        return None
    return f"vLLM {version} does not export {name}; {metric.gate} do"
