"""What is wrong with a vLLM command line and its environment, in the words that users read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylib.facts.vllm import NEWEST
from pylib.facts.vllm_flags import table
from pylib.validate.vllm_args import RULES, ServingContext, check_args

MODEL = "/model-data/gemma-7b"
FORMATS_OF_0_6_5 = (
    "auto, pt, safetensors, npcache, dummy, tensorizer, sharded_state, gguf, bitsandbytes or "
    "mistral"
)
MULTITHREADED = '--model-loader-extra-config={"enable_multithread_load":true}'

Row = tuple[str, str, str, str]


def check(
    *args: str,
    version: str | None = NEWEST,
    env: Mapping[str, str] | None = None,
    **context: Any,
) -> list[Row]:
    """Rule, severity, message and fix of each problem, of arguments behind a model."""
    known: dict[str, Any] = {
        "gpus": None,
        "weights_on_block_device": None,
        "shards": None,
        "cpu_limit": None,
    }
    said = ServingContext(**(known | context))
    problems = list(check_args((MODEL, *args), env or {}, version, said))
    assert {problem.rule for problem in problems} <= set(RULES)
    return [(p.rule, p.severity, p.message, p.fix) for p in problems]


@pytest.mark.parametrize(
    ("version", "args"),
    [
        ("0.5.3", ("--served-model-name=gemma-7b", "--port=8000", "--tensor-parallel-size=2")),
        ("0.33.0", ("--served-model-name", "gemma", "7b", "--port", "8000", "-tp", "2")),
        ("0.33.0", ("--tensor_parallel_size=2", "--max_model_len", "-1", "--shutdown-timeout=60")),
        ("0.33.0", ("--load-format=runai_streamer", "--max-model-len=auto", "-O2")),
        ("0.33.0", ("--load-format=SAFETENSORS", "-O", "1", "--max-model-len=8k")),
        ("0.33.0", ('--model-loader-extra-config={"num_threads":4}', "--trust-remote-code")),
        ("0.33.0", ("--model-loader-extra-config.num_threads=4", "--compilation-config.mode", "3")),
        ("0.33.0", ("--middleware=a", "--middleware=b", "--port=$(PORT)", "--api-key=$(KEY)")),
        ("0.33.0", ("--model-loader-extra-config=$(EXTRA)", "--load-format=$(FORMAT)")),
        ("0.6.5", ("-O3", "--served-model-name", "a", "--")),
        ("0.8.2", ("--multi-step-stream-outputs", "--enable-chunked-prefill=False")),
        ("0.33.0", ("--no-enforce-eager", "--safetensors-load-strategy=None")),
        ("0.33.0", ("--load-format=tensorizer", '--model-loader-extra-config={"any":1}')),
        ("0.33.0", ("--model-loader-extra-config={}", "--safetensors-prefetch-block-size=16M")),
        ("0.33.0", ("--optimization-level=O2", '--compilation-config={"mode":3}')),
    ],
)
def test_what_vllm_accepts_is_left_alone(version: str, args: Sequence[str]) -> None:
    assert check(*args, version=version) == []


@pytest.mark.parametrize(
    ("version", "args", "rule", "message", "fix"),
    [
        (
            "0.33.0",
            ("--tensor-paralel-size=2",),
            "vllm-argument-unknown",
            "vLLM 0.33.0 has no argument --tensor-paralel-size",
            "Write --tensor-parallel-size, or drop it.",
        ),
        (
            "0.33.0",
            ("--bogus", "1"),
            "vllm-argument-unknown",
            "vLLM 0.33.0 has no argument --bogus",
            "Drop it, or look it up in vllm serve --help=all.",
        ),
        (
            "0.33.0",
            ("-x",),
            "vllm-argument-unknown",
            "vLLM 0.33.0 has no argument -x",
            "Drop it, or look it up in vllm serve --help=all.",
        ),
        (
            "0.33.0",
            ("--port.number=1",),
            "vllm-argument-unknown",
            "vLLM 0.33.0 has no argument --port.number",
            "Write --port, or drop it.",
        ),
        (
            "0.33.0",
            ("--safetensors=1",),
            "vllm-argument-unknown",
            "--safetensors may be short for --safetensors-load-strategy, "
            "--safetensors-prefetch-block-size or --safetensors-prefetch-num-threads",
            "Write the whole name.",
        ),
        (
            "0.5.3",
            ("--shutdown-timeout=60",),
            "vllm-argument-version",
            "vLLM 0.5.3 has no argument --shutdown-timeout; vLLM 0.18.0 and newer have it",
            "Drop it, or serve with vLLM 0.18.0 or newer.",
        ),
        (
            "0.33.0",
            ("--swap-space", "4"),
            "vllm-argument-version",
            "vLLM 0.33.0 has no argument --swap-space; vLLM 0.5.3 up to, not including, 0.18.0 "
            "had it",
            "Drop it.",
        ),
        (
            "0.33.0",
            ("--cuda-graph-sizes", "4", "8"),
            "vllm-argument-version",
            "vLLM 0.33.0 has no argument --cuda-graph-sizes; vLLM 0.9.0 up to, not including, "
            "0.13.0 had it",
            "Drop it; in its place stands --cudagraph-capture-sizes.",
        ),
        (
            "0.9.0",
            ("--compilation-config.level=3",),
            "vllm-argument-unknown",
            "vLLM 0.9.0 has no argument --compilation-config.level",
            "Write --compilation-config, or drop it.",
        ),
        (
            "0.6.4",
            ("-O3",),
            "vllm-argument-unknown",
            "vLLM 0.6.4 has no argument -O3",
            "Drop it, or look it up in vllm serve --help=all.",
        ),
        (
            "0.33.0",
            ("--port",),
            "vllm-argument-value",
            "--port has no value",
            "Write --port=VALUE.",
        ),
        (
            "0.33.0",
            ("--model-loader-extra-config",),
            "vllm-argument-value",
            "--model-loader-extra-config has no value",
            "Write --model-loader-extra-config=VALUE.",
        ),
        (
            "0.33.0",
            ("--compilation-config=" + "[" * 100_000,),
            "vllm-argument-value",
            f"--compilation-config is not JSON: '{'[' * 59}…",
            "Write a JSON object, its keys and strings in double quotes.",
        ),
        (
            "0.33.0",
            ("-tp", "--port=1"),
            "vllm-argument-value",
            "-tp has no value",
            "Add its value.",
        ),
        (
            "0.33.0",
            ("--port=http",),
            "vllm-argument-value",
            "--port is 'http', not an integer",
            "Write an integer.",
        ),
        (
            "0.8.3",
            ("--max-model-len=8k",),
            "vllm-argument-value",
            "--max-model-len is '8k', not an integer",
            "Write an integer.",
        ),
        (
            "0.33.0",
            ("--max-model-len=8q",),
            "vllm-argument-value",
            "--max-model-len is '8q', not an integer, such as 8192 or 8k or auto",
            "Write an integer, such as 8192 or 8k or auto.",
        ),
        (
            "0.33.0",
            ("--gpu-memory-utilization=90%",),
            "vllm-argument-value",
            "--gpu-memory-utilization is '90%', not a number",
            "Write a number.",
        ),
        (
            "0.33.0",
            ("--gpu-memory-utilization=90",),
            "vllm-argument-value",
            "--gpu-memory-utilization is 90, not more than 0 and at most 1",
            "Write a number of more than 0 and at most 1.",
        ),
        (
            "0.33.0",
            ("--gpu-memory-utilization=0",),
            "vllm-argument-value",
            "--gpu-memory-utilization is 0, not more than 0 and at most 1",
            "Write a number of more than 0 and at most 1.",
        ),
        (
            "0.33.0",
            ("--shutdown-timeout", "-1"),
            "vllm-argument-value",
            "--shutdown-timeout is -1, not at least 0",
            "Write a number of at least 0.",
        ),
        (
            "0.33.0",
            ("-O5",),
            "vllm-argument-value",
            "-O5 is 5, not at least 0 and at most 3",
            "Write a number of at least 0 and at most 3.",
        ),
        (
            "0.33.0",
            ("--trust-remote-code=yes",),
            "vllm-argument-value",
            "--trust-remote-code takes no value, and has 'yes'",
            "Write --trust-remote-code.",
        ),
        (
            "0.33.0",
            ("--enforce-eager=false",),
            "vllm-argument-value",
            "--enforce-eager takes no value, and has 'false'",
            "Write --no-enforce-eager.",
        ),
        (
            "0.5.3",
            ("--enforce-eager=false",),
            "vllm-argument-value",
            "--enforce-eager takes no value, and has 'false'",
            "Drop it.",
        ),
        (
            "0.33.0",
            ("--compilation-config={mode:3}",),
            "vllm-argument-value",
            "--compilation-config is not JSON: '{mode:3}'",
            "Write a JSON object, its keys and strings in double quotes.",
        ),
        (
            "0.33.0",
            ("--safetensors-load-strategy=prefetched",),
            "vllm-argument-value",
            "--safetensors-load-strategy is 'prefetched', not one of its choices",
            "Write prefetch.",
        ),
        (
            "0.33.0",
            ("--uvicorn-log-level=9",),
            "vllm-argument-value",
            "--uvicorn-log-level is '9', not one of its choices",
            "Write one of critical, debug, error, info, trace or warning.",
        ),
        (
            "0.9.2",
            ("--block-size=256",),
            "vllm-argument-value",
            "--block-size is '256', which vLLM 0.9.2 does not know; "
            "vLLM 0.5.5 up to, not including, 0.6.0 do",
            "Write one of 1, 8, 16, 32, 64 or 128.",
        ),
        (
            "0.33.0",
            ("stray",),
            "vllm-argument-form",
            "stray stands alone: vllm serve takes one model, and /model-data/gemma-7b is it",
            "Drop it, or write the argument that it belongs to before it.",
        ),
        (
            "0.33.0",
            ("--model=other",),
            "vllm-argument-form",
            "the model is given twice, as /model-data/gemma-7b and as --model other",
            "Drop --model.",
        ),
        (
            "0.33.0",
            ("--load-format=runai",),
            "vllm-load-format",
            "vLLM 0.33.0 has no loader runai",
            "Write runai_streamer.",
        ),
        (
            "0.6.5",
            ("--load-format=x",),
            "vllm-load-format",
            "vLLM 0.6.5 has no loader x",
            f"Write one of {FORMATS_OF_0_6_5}.",
        ),
        (
            "0.6.5",
            ("--load-format=runai_streamer",),
            "vllm-load-format",
            "vLLM 0.6.5 has no loader runai_streamer yet; 0.6.6 is the first with it",
            f"Write one of {FORMATS_OF_0_6_5}, or serve with vLLM 0.6.6 or newer.",
        ),
        (
            "0.33.0",
            ("--load-format=bitsandbytes",),
            "vllm-load-format",
            "vLLM 0.33.0 has no loader bitsandbytes any more; 0.28.0 dropped it",
            "Write one of auto, hf, dummy, fastsafetensors, instanttensor, ipc_cache, mistral, "
            "modelexpress, npcache, pt, runai_streamer, runai_streamer_sharded or 3 more.",
        ),
        (
            "0.10.0",
            ("--load-format=SAFETENSORS",),
            "vllm-load-format",
            "vLLM 0.10.0 has no loader SAFETENSORS",
            "Write safetensors.",
        ),
        (
            "0.33.0",
            ("--model-loader-extra-config={bad",),
            "vllm-loader-setting",
            "--model-loader-extra-config is no JSON object: '{bad'",
            'Write an object, as in {"enable_multithread_load":true}.',
        ),
        (
            "0.33.0",
            ('--model-loader-extra-config={"enable_multithread_load":"true"}',),
            "vllm-loader-setting",
            "enable_multithread_load of --model-loader-extra-config is 'true', not true or false, "
            "without quotes",
            "Write true or false, without quotes.",
        ),
        (
            "0.33.0",
            ('--model-loader-extra-config={"num_threads":0}',),
            "vllm-loader-setting",
            "num_threads of --model-loader-extra-config is 0, not an integer of at least 1, "
            "without quotes",
            "Write an integer of at least 1, without quotes.",
        ),
        (
            "0.33.0",
            (
                "--load-format=runai_streamer",
                '--model-loader-extra-config={"memory_limit":-2}',
            ),
            "vllm-loader-setting",
            "memory_limit of --model-loader-extra-config is -2, not an integer of at least -1, "
            "without quotes",
            "Write an integer of at least -1, without quotes.",
        ),
        (
            "0.33.0",
            ("--load-format=sharded_state", '--model-loader-extra-config={"pattern":1}'),
            "vllm-loader-setting",
            "pattern of --model-loader-extra-config is 1, not a string",
            "Write a string.",
        ),
        (
            "0.33.0",
            ('--model-loader-extra-config={"concurrency":16}',),
            "vllm-loader-setting",
            "the loader auto of vLLM 0.33.0 takes no setting 'concurrency'",
            "Write enable_multithread_load, num_threads or enable_weights_track, or drop it.",
        ),
        (
            "0.10.1",
            (MULTITHREADED,),
            "vllm-loader-setting",
            "the loader auto of vLLM 0.10.1 takes no setting 'enable_multithread_load'; "
            "vLLM 0.10.2 and newer do",
            "Drop --model-loader-extra-config.",
        ),
        (
            "0.33.0",
            (MULTITHREADED, "--safetensors-load-strategy=prefetch"),
            "vllm-loader-conflict",
            "enable_multithread_load reads lazily, and --safetensors-load-strategy is prefetch: "
            "vLLM 0.33.0 refuses both together",
            "Drop one: --safetensors-load-strategy, or enable_multithread_load from "
            "--model-loader-extra-config.",
        ),
        (
            "0.33.0",
            ("--load-format=dummy", '--model-loader-extra-config={"pattern":"x"}'),
            "vllm-loader-setting",
            "the loader dummy of vLLM 0.33.0 takes no setting 'pattern'",
            "Drop --model-loader-extra-config.",
        ),
        (
            "0.33.0",
            ("--load-format", "dummi"),
            "vllm-load-format",
            "vLLM 0.33.0 has no loader dummi",
            "Write dummy.",
        ),
        (
            "0.33.0",
            ("--api-key", "s3cret"),
            "vllm-api-key",
            "--api-key holds a secret in plain text, for all who can read the object",
            "Set the variable VLLM_API_KEY from a Secret, drop --api-key, and revoke the key.",
        ),
    ],
)
def test_what_vllm_refuses_is_an_error(
    version: str, args: Sequence[str], rule: str, message: str, fix: str
) -> None:
    assert check(*args, version=version) == [(rule, "error", message, fix)]


@pytest.mark.parametrize(
    ("version", "args", "rule", "message", "fix"),
    [
        (
            "0.33.0",
            ("--tensor-parallel=2",),
            "vllm-argument-form",
            "--tensor-parallel is short for --tensor-parallel-size, until a release has another "
            "argument that begins so",
            "Write --tensor-parallel-size.",
        ),
        (
            "0.33.0",
            ("--port=1", "--port", "2"),
            "vllm-argument-duplicate",
            "--port is given twice, as --port 1 and as --port 2; the last one counts",
            "Drop --port 1.",
        ),
        (
            "0.33.0",
            ("-tp=1", "--tensor-parallel-size=2"),
            "vllm-argument-duplicate",
            "--tensor-parallel-size is given twice, as -tp 1 and as --tensor-parallel-size 2; the "
            "last one counts",
            "Drop -tp 1.",
        ),
        (
            "0.17.0",
            ("--safetensors-load-strategy=prefetch",),
            "vllm-load-strategy",
            "vLLM 0.17.0 does not know the strategy prefetch and loads lazily instead; "
            "vLLM 0.18.0 and newer know it",
            "Write lazy, eager or torchao.",
        ),
        (
            "0.17.0",
            ("--safetensors-load-strategy=fast",),
            "vllm-load-strategy",
            "vLLM 0.17.0 does not know the strategy fast and loads lazily instead",
            "Write lazy, eager or torchao.",
        ),
        (
            "0.20.0",
            (MULTITHREADED, "--safetensors-load-strategy=eager"),
            "vllm-loader-conflict",
            "enable_multithread_load reads lazily, and --safetensors-load-strategy is eager: "
            "vLLM 0.20.0 ignores the strategy",
            "Drop one: --safetensors-load-strategy, or enable_multithread_load from "
            "--model-loader-extra-config.",
        ),
        (
            "0.20.0",
            ('--model-loader-extra-config={"num_threads":"4"}',),
            "vllm-loader-setting",
            "num_threads of --model-loader-extra-config is '4', not an integer of at least 1, "
            "without quotes",
            "Write an integer of at least 1, without quotes.",
        ),
        (
            "0.20.0",
            ("--load-format=runai_streamer", '--model-loader-extra-config={"threads":4}'),
            "vllm-loader-setting",
            "the loader runai_streamer of vLLM 0.20.0 takes no setting 'threads'",
            "Write distributed, concurrency or memory_limit, or drop it.",
        ),
        (
            "0.33.0",
            ("--load-format=runai_streamer", "--safetensors-load-strategy=prefetch"),
            "vllm-loader-ignored",
            "--safetensors-load-strategy=prefetch does nothing: --load-format=runai_streamer has a "
            "reader of its own",
            "Drop --safetensors-load-strategy, or --load-format.",
        ),
        (
            "0.33.0",
            ("--load-format=fastsafetensors", MULTITHREADED),
            "vllm-loader-ignored",
            "enable_multithread_load does nothing: --load-format=fastsafetensors has a reader of "
            "its own",
            "Drop --model-loader-extra-config, or --load-format.",
        ),
        (
            "0.33.0",
            ("--load-format=instanttensor", "--safetensors-prefetch-num-threads=4"),
            "vllm-loader-ignored",
            "--safetensors-prefetch-num-threads does nothing: --load-format=instanttensor does not "
            "prefetch",
            "Write --safetensors-load-strategy=prefetch, or drop "
            "--safetensors-prefetch-num-threads.",
        ),
        (
            "0.33.0",
            ("--safetensors-load-strategy=lazy", "--safetensors-prefetch-block-size=32M"),
            "vllm-loader-ignored",
            "--safetensors-prefetch-block-size does nothing: --safetensors-load-strategy=lazy does "
            "not prefetch",
            "Write --safetensors-load-strategy=prefetch, or drop "
            "--safetensors-prefetch-block-size.",
        ),
    ],
)
def test_what_vllm_passes_over_in_silence_is_a_warning(
    version: str, args: Sequence[str], rule: str, message: str, fix: str
) -> None:
    assert check(*args, version=version) == [(rule, "warning", message, fix)]


def test_a_loader_that_takes_neither_has_no_conflict_between_them() -> None:
    args = ("--load-format=runai_streamer", "--safetensors-load-strategy=eager", MULTITHREADED)
    rules = [rule for rule, _, _, _ in check(*args)]
    assert rules == ["vllm-loader-setting", "vllm-loader-ignored", "vllm-loader-ignored"]


@pytest.mark.parametrize("version", [None, "latest", "0.33.1", "0.99.0"])
def test_without_a_release_that_was_read_nothing_is_an_error_for_its_version(
    version: str | None,
) -> None:
    found = check("--bogus", "--load-format=x", "--port=x", version=version)
    assert [(rule, severity) for rule, severity, _, _ in found] == [
        ("vllm-argument-unknown", "warning"),
        ("vllm-argument-value", "warning"),
        ("vllm-load-format", "warning"),
    ]


def test_the_model_behind_its_served_name_is_refused_since_0_17() -> None:
    args = ("--served-model-name=g", "--port=1", MODEL)
    context = ServingContext(None, None, None, None)
    (problem,) = check_args(args, {}, "0.17.0", context)
    assert (problem.rule, problem.severity, problem.index) == ("vllm-argument-form", "error", 2)
    assert problem.message == (
        f"the model {MODEL} is not the first argument, which vLLM 0.17.0 demands beside "
        "--served-model-name"
    )
    assert problem.fix == f"Move {MODEL} to the front."
    assert list(check_args(args, {}, "0.16.0", context)) == []


def test_a_problem_names_the_argument_that_it_is_about() -> None:
    context = ServingContext(None, None, None, None)
    args = (MODEL, "--served-model-name", "a", "b", "--bogus", "--port=x")
    assert [p.index for p in check_args(args, {}, NEWEST, context)] == [4, 5]


LAZY = (
    "vllm-loader-lazy",
    "warning",
    "the weights lie on a disk and are read lazily, one page fault at a time",
)


@pytest.mark.parametrize(
    ("version", "args", "ways"),
    [
        ("0.33.0", (), "--safetensors-load-strategy=prefetch or --load-format=runai_streamer"),
        (
            "0.33.0",
            ("--safetensors-load-strategy=lazy",),
            "--safetensors-load-strategy=prefetch or --load-format=runai_streamer",
        ),
        ("0.11.0", (), f"{MULTITHREADED} or --load-format=runai_streamer"),
        ("0.9.2", (), "--load-format=runai_streamer"),
    ],
)
def test_a_lazy_read_from_a_disk_is_told_with_what_the_release_has(
    version: str, args: Sequence[str], ways: str
) -> None:
    found = check(*args, version=version, weights_on_block_device=True)
    assert found == [(*LAZY, f"Write {ways}.")]


@pytest.mark.parametrize(
    ("version", "args", "on_disk"),
    [
        ("0.5.3", (), True),
        ("0.33.0", (), False),
        ("0.33.0", (), None),
        ("0.33.0", ("--safetensors-load-strategy=prefetch",), True),
        ("0.33.0", ("--load-format=runai_streamer",), True),
        ("0.33.0", (MULTITHREADED,), True),
    ],
)
def test_a_lazy_read_is_not_told_elsewhere(
    version: str, args: Sequence[str], on_disk: bool | None
) -> None:
    assert check(*args, version=version, weights_on_block_device=on_disk) == []


@pytest.mark.parametrize(
    ("args", "shards", "severity", "message", "least"),
    [
        (
            ("--safetensors-load-strategy=prefetch",),
            4,
            "note",
            "--safetensors-prefetch-num-threads is 8, and the weights are 4 files: each thread "
            "reads one file, so 4 have nothing to do",
            8,
        ),
        (
            ("--safetensors-load-strategy=prefetch", "--safetensors-prefetch-num-threads=16"),
            1,
            "warning",
            "--safetensors-prefetch-num-threads is 16, and the weights are one file: each thread "
            "reads one file, so 15 have nothing to do",
            16,
        ),
        (
            ('--model-loader-extra-config={"enable_multithread_load":true,"num_threads":4}',),
            3,
            "warning",
            "num_threads is 4, and the weights are 3 files: each thread reads one file, so 1 have "
            "nothing to do",
            4,
        ),
        (
            (MULTITHREADED,),
            3,
            "note",
            "num_threads is 8, and the weights are 3 files: each thread reads one file, so 5 have "
            "nothing to do",
            8,
        ),
    ],
)
def test_threads_without_a_file_to_read(
    args: Sequence[str], shards: int, severity: str, message: str, least: int
) -> None:
    fix = (
        f"Store the weights in {least} files or more, or write --load-format=runai_streamer, which "
        "reads one file in parallel."
    )
    assert check(*args, shards=shards) == [("vllm-loader-threads", severity, message, fix)]


@pytest.mark.parametrize("args", [(), ("--safetensors-load-strategy=prefetch",)])
def test_as_many_files_as_threads_are_enough(args: Sequence[str]) -> None:
    assert check(*args, shards=8, cpu_limit=4.0) == []


@pytest.mark.parametrize(
    "args", [("--load-format=runai_streamer",), ("--safetensors-load-strategy=prefetch",)]
)
def test_parallel_reads_want_cores(args: Sequence[str]) -> None:
    assert check(*args, cpu_limit=2.0) == [
        (
            "vllm-loader-threads",
            "warning",
            "the weights are read in parallel, and the CPU limit is 2",
            "Write a CPU limit of 4 or more, or none.",
        )
    ]
    assert check(cpu_limit=2.0) == []


@pytest.mark.parametrize(
    ("args", "gpus", "severity", "message", "fix"),
    [
        (
            ("-tp=4", "-pp", "2"),
            2,
            "error",
            "vLLM uses 8 GPUs (--tensor-parallel-size 4 * --pipeline-parallel-size 2), and the "
            "container has 2",
            "Ask for 8 GPUs, or write --tensor-parallel-size=2 alone.",
        ),
        (
            (),
            2,
            "warning",
            "vLLM uses 1 GPU, and the container has 2",
            "Ask for 1 GPU, or write --tensor-parallel-size=2.",
        ),
        (
            ("--data-parallel-size=4", "--data-parallel-size-local=2"),
            4,
            "warning",
            "vLLM uses 2 GPUs (--data-parallel-size-local 2), and the container has 4",
            "Ask for 2 GPUs, or write --tensor-parallel-size=4.",
        ),
    ],
)
def test_workers_match_gpus(
    args: Sequence[str], gpus: int, severity: str, message: str, fix: str
) -> None:
    assert check(*args, gpus=gpus) == [("vllm-parallelism", severity, message, fix)]


@pytest.mark.parametrize(
    ("args", "gpus"),
    [
        (("-tp=2",), 2),
        (("-tp=2", "--data-parallel-size=2"), 4),
        (("-tp=8",), None),
        (("-tp=8", "--distributed-executor-backend=ray"), 2),
        (("-tp=8", "--nnodes=4"), 2),
        (("-tp=$(TP)",), 2),
    ],
)
def test_workers_that_match_or_run_elsewhere_are_left_alone(
    args: Sequence[str], gpus: int | None
) -> None:
    assert check(*args, gpus=gpus) == []


@pytest.mark.parametrize(
    ("version", "args", "message", "fix"),
    [
        (
            "0.33.0",
            ("--enforce-eager",),
            "--enforce-eager saves the compilation and the CUDA graphs at start-up, and each token "
            "costs more from then on",
            "Drop it, and keep the compile cache (VLLM_CACHE_ROOT) from start to start, or write "
            "--max-cudagraph-capture-size for fewer graphs.",
        ),
        (
            "0.5.3",
            ("--enforce-eager",),
            "--enforce-eager saves the compilation and the CUDA graphs at start-up, and each token "
            "costs more from then on",
            "Drop it, and take the longer start.",
        ),
        (
            "0.33.0",
            ("-O0",),
            "-O0 compiles nothing and captures no CUDA graphs: each token costs more",
            "Drop it, and keep the compile cache (VLLM_CACHE_ROOT) from start to start.",
        ),
    ],
)
def test_a_start_bought_with_slower_tokens_is_noted(
    version: str, args: Sequence[str], message: str, fix: str
) -> None:
    assert check(*args, version=version) == [("vllm-eager", "note", message, fix)]


@pytest.mark.parametrize(
    ("version", "env", "rule", "severity", "message", "fix"),
    [
        (
            "0.33.0",
            {"VLLM_ENABLE_STARTUP_PLANS": "1"},
            "vllm-environment",
            "warning",
            "vLLM 0.33.0 does not read the variable VLLM_ENABLE_STARTUP_PLANS",
            "Write VLLM_ENABLE_STARTUP_PLAN, or drop it.",
        ),
        (
            "0.33.0",
            {"VLLM_QQQQQQ": "1"},
            "vllm-environment",
            "warning",
            "vLLM 0.33.0 does not read the variable VLLM_QQQQQQ",
            "Drop it.",
        ),
        (
            "0.20.0",
            {"VLLM_ENABLE_STARTUP_PLAN": "1"},
            "vllm-environment",
            "warning",
            "vLLM 0.20.0 does not read the variable VLLM_ENABLE_STARTUP_PLAN; "
            "vLLM 0.26.0 and newer do",
            "Drop it, or serve with vLLM 0.26.0 or newer.",
        ),
        (
            "0.33.0",
            {"VLLM_ATTENTION_BACKEND": "FLASHINFER"},
            "vllm-environment",
            "warning",
            "vLLM 0.33.0 does not read the variable VLLM_ATTENTION_BACKEND; "
            "vLLM 0.5.3 up to, not including, 0.15.0 did",
            "Drop it; in its place stands the argument --attention-backend.",
        ),
        (
            "0.33.0",
            {"VLLM_FLASH_ATTN_VERSION": "3"},
            "vllm-environment",
            "warning",
            "vLLM 0.33.0 does not read the variable VLLM_FLASH_ATTN_VERSION; "
            "vLLM 0.7.0 up to, not including, 0.15.0 did",
            "Drop it.",
        ),
        (
            "0.5.3",
            {"VLLM_PORT": "tcp://10.0.0.7:80"},
            "vllm-port",
            "error",
            "VLLM_PORT is 'tcp://10.0.0.7:80', not a port, and vLLM 0.5.3 does not start; a "
            "Service called vllm sets it so",
            "Drop it; for the Service, set enableServiceLinks: false in the pod.",
        ),
        (
            "0.33.0",
            {"VLLM_PORT": "8000"},
            "vllm-port",
            "error",
            "VLLM_PORT is 8000, the port of the server itself; vLLM's own processes take it first",
            "Drop VLLM_PORT, and write --port for the server's.",
        ),
        (
            "0.33.0",
            {"VLLM_API_KEY": "s3cret"},
            "vllm-api-key",
            "error",
            "VLLM_API_KEY holds a secret in plain text, for all who can read the object",
            "Take it from a Secret by valueFrom.secretKeyRef, and revoke this one.",
        ),
    ],
)
def test_variables_that_do_nothing_or_harm(
    version: str, env: Mapping[str, str], rule: str, severity: str, message: str, fix: str
) -> None:
    assert check(version=version, env=env) == [(rule, severity, message, fix)]


@pytest.mark.parametrize(
    "env",
    [
        {"VLLM_CACHE_ROOT": "/cache", "HOME": "/home", "VLLM_ENABLE_STARTUP_PLAN": "1"},
        {"VLLM_PORT": "9000", "VLLM_API_KEY": "$(KEY)"},
        {"VLLM_PORT": "$(PORT)"},
    ],
)
def test_variables_that_the_release_reads_are_left_alone(env: Mapping[str, str]) -> None:
    assert check(env=env) == []


def test_every_rule_is_explained_with_its_source() -> None:
    for name, words in RULES.items():
        assert name.startswith("vllm-")
        assert not words.summary.endswith(".")
        assert "Source: https://" in words.explain


NAMES = st.sampled_from(sorted(table().flags))
VALUES = st.text(max_size=8) | st.sampled_from(
    ["1", "-1", "9" * 5000, "{", '{"a":1}', '{"num_threads":true}', "None", "8k", "lazy"]
)
ARGUMENTS = st.one_of(
    VALUES,
    NAMES,
    st.builds("{}={}".format, NAMES, VALUES),
    st.builds("{}.{}={}".format, NAMES, VALUES, VALUES),
    st.builds("--{}".format, st.text(max_size=8)),
    st.builds("-{}".format, st.text(max_size=8)),
)


@given(
    args=st.lists(ARGUMENTS, max_size=6),
    env=st.dictionaries(st.sampled_from(["VLLM_PORT", "VLLM_API_KEY", "VLLM_X", "HOME"]), VALUES),
    version=st.sampled_from([None, "latest", "0.5.3", "0.10.2", "0.20.0", NEWEST, "0.99.0"]),
    context=st.builds(
        ServingContext,
        st.none() | st.integers(0, 16),
        st.none() | st.booleans(),
        st.none() | st.integers(0, 64),
        st.none() | st.floats(),
    ),
)
def test_no_command_line_is_too_odd_to_judge(
    args: Sequence[str], env: Mapping[str, str], version: str | None, context: ServingContext
) -> None:
    for problem in check_args(args, env, version, context):
        assert problem.rule in RULES
        assert problem.message
        assert problem.fix
        assert problem.index is None or 0 <= problem.index < len(args)
