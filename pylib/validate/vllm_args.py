"""Rules over the command line and environment of one vLLM server.

Pure: arguments, variables, a version and what is known of the pod go in, problems come out.  Where
the version is not known, or no release that was read, nothing is an error that a version decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pylib.facts.vllm_flags import table
from pylib.validate.vllm_environment import environment_problems
from pylib.validate.vllm_line import read_line
from pylib.validate.vllm_loading import loading_of, loading_problems
from pylib.validate.vllm_names import name_problems
from pylib.validate.vllm_problems import Problem, ServingContext, Target
from pylib.validate.vllm_serving import serving_problems
from pylib.validate.vllm_settings import setting_problems
from pylib.validate.vllm_values import value_problems

__all__ = ["RULES", "Problem", "RuleWords", "ServingContext", "check_args"]

_DOCS = "https://docs.vllm.ai/en/latest/"
_READ = "Read in the source of every release from 0.5.3 to 0.33.0."


@dataclass(frozen=True)
class RuleWords:
    """A rule in words: what should be, in a line, and why, with the source."""

    summary: str
    explain: str


RULES: Mapping[str, RuleWords] = {
    "vllm-argument-unknown": RuleWords(
        "Every argument is one that vLLM has",
        "vLLM ends at once when it is given an argument that it does not have. "
        f"{_READ} Source: {_DOCS}cli/serve/.",
    ),
    "vllm-argument-version": RuleWords(
        "Every argument is one that this release of vLLM has",
        "Arguments come and go between releases, and vLLM ends at once on one that it does not "
        f"have. {_READ} Source: {_DOCS}cli/serve/.",
    ),
    "vllm-argument-form": RuleWords(
        "The command line is in the form that vLLM reads",
        "vllm serve takes the model first, then arguments by their whole names: newer releases "
        "refuse the model behind --served-model-name, and a name cut short stops to work when "
        f"another argument begins alike. Source: {_DOCS}cli/serve/.",
    ),
    "vllm-argument-duplicate": RuleWords(
        "An argument is given once",
        "Of an argument that is given twice the last one counts, without a word. Source: "
        "https://docs.python.org/3/library/argparse.html.",
    ),
    "vllm-argument-value": RuleWords(
        "Every argument has a value that vLLM takes",
        "vLLM ends at once on a value of the wrong type or outside of an argument's choices, and "
        f"on a number out of range when its engine starts. {_READ} Source: {_DOCS}cli/serve/.",
    ),
    "vllm-load-format": RuleWords(
        "The loader is one that this release of vLLM has",
        "--load-format names the loader of the weights. Loaders come and go (runai_streamer came "
        f"with 0.6.6, bitsandbytes went with 0.28.0). {_READ} Source: "
        f"{_DOCS}api/vllm/config/load/.",
    ),
    "vllm-load-strategy": RuleWords(
        "The load strategy is one that this release of vLLM knows",
        "Before 0.24.0 vLLM takes any --safetensors-load-strategy and loads lazily when it does "
        f"not know it. {_READ} Source: {_DOCS}api/vllm/config/load/.",
    ),
    "vllm-loader-setting": RuleWords(
        "Every loader setting is one that the loader takes",
        "--model-loader-extra-config is a JSON object whose keys depend on the loader; loaders "
        f"refuse an unknown key or, before 0.24.0, drop it. {_READ} Source: "
        f"{_DOCS}api/vllm/config/load/.",
    ),
    "vllm-loader-conflict": RuleWords(
        "Multithreaded loading stands alone",
        "enable_multithread_load has a reader of its own, which knows the lazy strategy only: vLLM "
        f"refuses another one since 0.24.0 and ignored it before. {_READ} Source: "
        f"{_DOCS}api/vllm/model_executor/model_loader/default_loader/.",
    ),
    "vllm-loader-ignored": RuleWords(
        "No loader argument is without effect",
        "Strategies and prefetching are of the safetensors reader of the default loader; "
        "runai_streamer, fastsafetensors, instanttensor and others have readers of their own. "
        f"{_READ} Source: {_DOCS}api/vllm/model_executor/model_loader/default_loader/.",
    ),
    "vllm-loader-lazy": RuleWords(
        "Weights on a disk are read in parallel",
        "By default weights are mapped and read as they are touched, one fault at a time; vLLM "
        "prefetches by itself only on NFS and Lustre. On a disk that leaves most of its throughput "
        f"unused. Source: {_DOCS}api/vllm/config/load/.",
    ),
    "vllm-loader-threads": RuleWords(
        "Reader threads have files and CPUs to read with",
        "Prefetching and multithreaded loading give each thread a file, so that more threads than "
        "files do nothing; and copying to the GPU is work for the CPU. Source: "
        f"{_DOCS}api/vllm/model_executor/model_loader/weight_utils/.",
    ),
    "vllm-parallelism": RuleWords(
        "vLLM uses as many GPUs as the container has",
        "One worker runs for each of tensor * pipeline * data parallelism, one GPU each: with too "
        "few GPUs vLLM does not start, with too many the rest idle. Source: "
        f"{_DOCS}serving/parallelism_scaling/.",
    ),
    "vllm-eager": RuleWords(
        "Start-up time is not bought with slower tokens",
        "Without compilation and CUDA graphs vLLM starts sooner and decodes slower, most of all "
        "small batches; a kept compile cache saves most of that time too. Source: "
        f"{_DOCS}design/torch_compile/.",
    ),
    "vllm-api-key": RuleWords(
        "The API key is no plain text",
        "What stands in a manifest is read by all who may read the object, and stays in the "
        f"release's history. Source: {_DOCS}cli/serve/.",
    ),
    "vllm-environment": RuleWords(
        "Every VLLM_ variable is one that this release of vLLM reads",
        "vLLM passes over a variable that it does not know (since 0.17.0 with a warning in its "
        f"log), so that a misspelt one does nothing. {_READ} Source: "
        f"{_DOCS}configuration/env_vars/.",
    ),
    "vllm-port": RuleWords(
        "VLLM_PORT is a port of vLLM's own processes",
        "VLLM_PORT is where vLLM's processes talk to one another, not the server's port. A Service "
        "called vllm sets it to an address, on which vLLM ends. Source: "
        f"{_DOCS}configuration/env_vars/.",
    ),
}
"""Every rule that :func:`check_args` knows, by name."""


def check_args(
    args: Sequence[str], env: Mapping[str, str], version: str | None, context: ServingContext
) -> Iterator[Problem]:
    """What is wrong with the arguments behind ``vllm serve`` and with the environment.

    ``version`` is a release as text, ``None`` when not known.  Text with ``$(NAME)`` in it, which
    the kubelet replaces, is not judged.
    """
    target = Target.of(version, table())
    line = read_line(args, target)
    loading = loading_of(line)
    yield from name_problems(line, target)
    yield from value_problems(line, target)
    yield from setting_problems(loading, target)
    yield from loading_problems(loading, target, context)
    yield from serving_problems(line, target, context)
    yield from environment_problems(line, env, target)
