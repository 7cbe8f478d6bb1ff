"""What a vLLM command line asks of the pod, and what it costs at start-up or in secrecy."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.facts.vllm import Gate
from pylib.validate.vllm_line import Line
from pylib.validate.vllm_problems import Problem, ServingContext, Target

PARALLELISM = "vllm-parallelism"
EAGER = "vllm-eager"
KEY = "vllm-api-key"

WORKER_SIZES = (
    "--tensor-parallel-size",
    "--pipeline-parallel-size",
    "--prefill-context-parallel-size",
)
"""Their product is the number of GPUs of one replica: vllm/config/parallel.py world_size."""

SEVERAL_NODES = (
    "--data-parallel-address",
    "--data-parallel-external-lb",
    "--data-parallel-hybrid-lb",
    "--data-parallel-rank",
    "--data-parallel-start-rank",
    "--headless",
    "--nnodes",
    "--node-rank",
)
"""Arguments of a server that is more than this container."""

_LEVELS = Gate("0.12.0")


def serving_problems(line: Line, target: Target, context: ServingContext) -> Iterator[Problem]:
    """Parallelism against GPUs, eager mode, and a key in plain sight."""
    yield from _parallelism(line, context)
    yield from _eager(line, target)
    yield from _secret(line)


def _parallelism(line: Line, context: ServingContext) -> Iterator[Problem]:
    if context.gpus is None or any(map(line.last, SEVERAL_NODES)):
        return
    if line.value("--distributed-executor-backend") in {"ray", "external_launcher"}:
        return
    sizes = {name: line.integer(name, 1) for name in (*WORKER_SIZES, *_replicas(line))}
    wanted = 1
    for size in sizes.values():
        wanted *= size or 0
    if wanted in {0, context.gpus}:
        return
    said = " * ".join(f"{name} {size}" for name, size in sizes.items() if size != 1)
    too_many = wanted > context.gpus
    yield Problem(
        PARALLELISM,
        "error" if too_many else "warning",
        f"vLLM uses {_gpus(wanted)}{f' ({said})' if said else ''}, and the container has "
        f"{context.gpus}",
        f"Ask for {_gpus(wanted)}, or write --tensor-parallel-size={context.gpus}"
        f"{' alone' if len(said.split(' * ')) > 1 else ''}.",
        next((g.index for name in sizes for g in line.all(name)), None),
    )


def _replicas(line: Line) -> tuple[str, ...]:
    """The argument that says how many data-parallel replicas run in this container."""
    local = "--data-parallel-size-local"
    return (local,) if line.last(local) else ("--data-parallel-size",)


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"


def _eager(line: Line, target: Target) -> Iterator[Problem]:
    eager = line.last("--enforce-eager")
    if eager and not eager.values and not eager.spelled.startswith("--no"):
        yield _slow(
            "--enforce-eager saves the compilation and the CUDA graphs at start-up, and each token "
            "costs more from then on",
            "Drop it, and "
            + (
                "keep the compile cache (VLLM_CACHE_ROOT) from start to start, or write "
                "--max-cudagraph-capture-size for fewer graphs."
                if target.table.flag("--max-cudagraph-capture-size", target.version)
                else "take the longer start."
            ),
            eager.index,
        )
    level = line.last("--optimization-level")
    if level and level.value == "0" and _LEVELS.has(target.version):
        yield _slow(
            f"{level.spelled} compiles nothing and captures no CUDA graphs: each token costs more",
            "Drop it, and keep the compile cache (VLLM_CACHE_ROOT) from start to start.",
            level.index,
        )


def _slow(message: str, fix: str, index: int) -> Problem:
    return Problem(EAGER, "note", message, fix, index)


def _secret(line: Line) -> Iterator[Problem]:
    for given in line.all("--api-key"):
        if any(value and "$(" not in value for value in given.values):
            yield Problem(
                KEY,
                "error",
                "--api-key holds a secret in plain text, for all who can read the object",
                "Set the variable VLLM_API_KEY from a Secret, drop --api-key, and revoke the key.",
                given.index,
            )
