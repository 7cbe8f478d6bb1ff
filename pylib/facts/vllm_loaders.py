"""How vLLM loads weights, by release: strategies, and the settings that each loader takes.

Read in vllm/config/load.py and vllm/model_executor/model_loader/ (loader.py before 0.9.0) of every
release from 0.5.3 to 0.33.0, and tried: each release's own loader was given right and wrong
settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pylib.facts.vllm import OLDEST, Gate

STRATEGIES: Mapping[str, Gate] = MappingProxyType(
    {
        "lazy": Gate("0.10.2"),
        "eager": Gate("0.10.2"),
        "torchao": Gate("0.11.1"),
        "prefetch": Gate("0.18.0"),
    }
)
"""Values of --safetensors-load-strategy.  Before 0.24.0 the parser takes any word, and a word that
the release does not know loads lazily, without a sign."""

STRATEGY_CHECKED = Gate("0.24.0")
"""Releases that refuse an unknown strategy, one beside enable_multithread_load, a setting of a
wrong type, and an unknown setting of runai_streamer; those before ignore them."""

LAZY_FORMATS = frozenset({"auto", "hf", "safetensors", "mistral"})
"""Load formats that read safetensors files by the strategy; the others have readers of their own:
default_loader.py, _get_weights_iterator."""

DEFAULT_FORMATS = LAZY_FORMATS | {"pt", "npcache", "fastsafetensors", "instanttensor"}
"""Load formats of the default loader, which checks their settings."""

MULTITHREADED_FORMATS = LAZY_FORMATS | {"pt"}
"""Load formats that enable_multithread_load speeds up."""

MULTITHREAD = Gate("0.10.2")
RUNAI_STREAMER = Gate("0.6.6")

DEFAULT_THREADS = 8
"""Threads of enable_multithread_load, and of the prefetch strategy, when none are asked for; each
reads one file at a time."""

SettingKind = Literal["bool", "positive", "memory", "str"]


@dataclass(frozen=True)
class Setting:
    """A key of --model-loader-extra-config: ``positive`` is an integer of at least 1, ``memory``
    one of at least -1 (no limit)."""

    kind: SettingKind
    gate: Gate


_PATTERN = MappingProxyType({"pattern": Setting("str", Gate(OLDEST))})
_DEFAULT = MappingProxyType(
    {
        "enable_multithread_load": Setting("bool", MULTITHREAD),
        "num_threads": Setting("positive", MULTITHREAD),
        "enable_weights_track": Setting("bool", Gate("0.21.0")),
    }
)
_RUNAI = MappingProxyType(
    {
        "distributed": Setting("bool", Gate("0.11.1")),
        "concurrency": Setting("positive", RUNAI_STREAMER),
        "memory_limit": Setting("memory", RUNAI_STREAMER),
    }
)

SETTINGS: Mapping[str, Mapping[str, Setting]] = MappingProxyType(
    {
        **dict.fromkeys(sorted(DEFAULT_FORMATS), _DEFAULT),
        "runai_streamer": _RUNAI,
        "sharded_state": _PATTERN,
        "runai_streamer_sharded": _PATTERN,
        "dummy": MappingProxyType({}),
    }
)
"""Settings by load format.  One that is not here takes settings that were not read."""

_PARALLEL_WORDS = (
    "runai_streamer", "fastsafetensors", "instanttensor", "prefetch", "enable_multithread_load"
)  # fmt: skip


def reads_in_parallel(arguments: Iterable[str]) -> bool:
    """Whether these arguments choose a way of loading with many reads in flight.

    The lazy default reads one window at a time:
    https://docs.vllm.ai/en/latest/models/extensions/runai_model_streamer.html.
    """
    return any(word in argument for argument in arguments for word in _PARALLEL_WORDS)
