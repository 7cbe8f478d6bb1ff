"""How a vLLM command line says that weights are loaded, and whether that loads fast."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pylib.facts.vllm_loaders import (
    DEFAULT_THREADS,
    LAZY_FORMATS,
    MULTITHREAD,
    MULTITHREADED_FORMATS,
    RUNAI_STREAMER,
    STRATEGIES,
)
from pylib.validate.vllm_line import Line
from pylib.validate.vllm_problems import Problem, ServingContext, Target

IGNORED = "vllm-loader-ignored"
LAZY = "vllm-loader-lazy"
THREADS = "vllm-loader-threads"

FORMAT = "--load-format"
STRATEGY = "--safetensors-load-strategy"
EXTRA = "--model-loader-extra-config"
PREFETCH_THREADS = "--safetensors-prefetch-num-threads"
PREFETCH_BLOCK = "--safetensors-prefetch-block-size"
LEAST_CORES = 4


@dataclass(frozen=True)
class Loading:
    """What a command line asks of the loader.

    ``extra`` is the JSON of --model-loader-extra-config with single keys laid over it, ``None``
    when it is no JSON object.
    """

    line: Line
    load_format: str
    strategy: str | None
    extra: Mapping[str, Any] | None

    @property
    def multithreaded(self) -> bool:
        """True when the default loader reads several files at once."""
        return bool((self.extra or {}).get("enable_multithread_load"))

    def index(self, name: str) -> int | None:
        """Index of the last mention of an argument."""
        mentions = self.line.all(name)
        return mentions[-1].index if mentions else None


def loading_of(line: Line) -> Loading:
    """Read the loader's arguments."""
    strategy = line.value(STRATEGY)
    return Loading(
        line=line,
        load_format=(line.value(FORMAT) or "auto").lower(),
        strategy=None if strategy == "None" else strategy,
        extra=_extra(line),
    )


def _extra(line: Line) -> Mapping[str, Any] | None:
    found: dict[str, Any] = {}
    for given in line.all(EXTRA):
        parsed = _json(given.value)
        if given.key:
            found[given.key] = given.value if parsed is None else parsed
        elif not isinstance(parsed, dict):
            return None
        else:
            found |= parsed
    return found


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except (RecursionError, ValueError):
        return None


def loading_problems(
    loading: Loading, target: Target, context: ServingContext
) -> Iterator[Problem]:
    """What is asked for in vain, and what would load faster otherwise."""
    yield from _ignored(loading)
    yield from _lazy(loading, target, context)
    yield from _threads(loading, context)


def _ignored(loading: Loading) -> Iterator[Problem]:
    own_reader = loading.load_format not in LAZY_FORMATS
    if own_reader and loading.strategy:
        yield Problem(
            IGNORED,
            "warning",
            f"{STRATEGY}={loading.strategy} does nothing: {FORMAT}={loading.load_format} has a "
            "reader of its own",
            f"Drop {STRATEGY}, or {FORMAT}.",
            loading.index(STRATEGY),
        )
    if loading.multithreaded and loading.load_format not in MULTITHREADED_FORMATS:
        yield Problem(
            IGNORED,
            "warning",
            f"enable_multithread_load does nothing: {FORMAT}={loading.load_format} has a reader of "
            "its own",
            f"Drop {EXTRA}, or {FORMAT}.",
            loading.index(EXTRA),
        )
    prefetches = not own_reader and loading.strategy in {"prefetch", None}
    for name in (PREFETCH_THREADS, PREFETCH_BLOCK):
        if loading.line.last(name) and not prefetches:
            why = (
                f"{FORMAT}={loading.load_format}"
                if own_reader
                else f"{STRATEGY}={loading.strategy}"
            )
            yield Problem(
                IGNORED,
                "warning",
                f"{name} does nothing: {why} does not prefetch",
                f"Write {STRATEGY}=prefetch, or drop {name}.",
                loading.index(name),
            )


def _lazy(loading: Loading, target: Target, context: ServingContext) -> Iterator[Problem]:
    """Prefetch is automatic on network file systems only."""
    reads_lazily = loading.strategy in {None, "lazy"} and not loading.multithreaded
    if not (context.weights_on_block_device and loading.load_format in LAZY_FORMATS):
        return
    if reads_lazily and (ways := _faster(target)):
        yield Problem(
            LAZY,
            "warning",
            "the weights lie on a disk and are read lazily, one page fault at a time",
            f"Write {ways}.",
            loading.index(STRATEGY) if loading.strategy else None,
        )


def _faster(target: Target) -> str:
    """Ways to read in parallel that the release has, the best first; empty when it has none."""
    version = target.version
    ways = []
    if STRATEGIES["prefetch"].has(version):
        ways.append(f"{STRATEGY}=prefetch")
    elif MULTITHREAD.has(version):
        ways.append(f'{EXTRA}={{"enable_multithread_load":true}}')
    if RUNAI_STREAMER.has(version):
        ways.append(f"{FORMAT}=runai_streamer")
    return " or ".join(ways)


def readers(loading: Loading) -> tuple[int | None, str, bool]:
    """Threads that read, each a file; what says so; and whether that was asked for in so many
    words.  ``None`` where the loader reads otherwise."""
    if loading.load_format not in LAZY_FORMATS:
        return None, "", False
    if loading.multithreaded:
        asked = (loading.extra or {}).get("num_threads")
        return (
            asked if isinstance(asked, int) else DEFAULT_THREADS,
            "num_threads",
            asked is not None,
        )
    if loading.strategy == "prefetch":
        threads = loading.line.integer(PREFETCH_THREADS, DEFAULT_THREADS)
        return threads, PREFETCH_THREADS, loading.line.last(PREFETCH_THREADS) is not None
    return None, "", False


def _threads(loading: Loading, context: ServingContext) -> Iterator[Problem]:
    threads, name, asked = readers(loading)
    at = loading.index(EXTRA if name == "num_threads" else PREFETCH_THREADS if asked else STRATEGY)
    if threads and context.shards and context.shards < threads:
        files = "one file" if context.shards == 1 else f"{context.shards} files"
        yield Problem(
            THREADS,
            "warning" if asked else "note",
            f"{name} is {threads}, and the weights are {files}: each thread reads one file, so "
            f"{threads - context.shards} have nothing to do",
            f"Store the weights in {threads} files or more, or write "
            f"{FORMAT}=runai_streamer, which reads one file in parallel.",
            at,
        )
    cores = context.cpu_limit
    if cores is not None and cores < LEAST_CORES and (threads or _streams(loading)):
        yield Problem(
            THREADS,
            "warning",
            f"the weights are read in parallel, and the CPU limit is {cores:g}",
            f"Write a CPU limit of {LEAST_CORES} or more, or none.",
            at if threads else loading.index(FORMAT),
        )


def _streams(loading: Loading) -> bool:
    return loading.load_format in {"runai_streamer", "fastsafetensors", "instanttensor"}
