"""What vLLM, Python and the GPU driver print before they give up, and what to change.

Words read in vLLM 0.5.3 and 0.33.0; the last error of a log is often only the news that a process
ended, so patterns stand in the order of how much they tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pylib.snapshot.plain import plain


@dataclass(frozen=True)
class Known:
    """One failure: ``says`` and ``next`` may use the groups of ``pattern``.

    ``final`` is false for what may pass: another process on the GPU, a driver not installed yet.
    """

    code: str
    pattern: re.Pattern[str]
    says: str
    next: str
    final: bool = True


def _known(code: str, pattern: str, says: str, command: str, *, final: bool = True) -> Known:
    return Known(code, re.compile(pattern), says, command, final)


KNOWN = (
    _known(
        "kv-cache-too-small",
        r"max seq len \((?P<length>\d+)\)[^\n]{0,80}?\((?P<needed>[\d.]+) GiB KV cache is needed, "
        r"which is larger than the available KV cache memory \((?P<free>[\d.]+) GiB\)\."
        r"(?:[^\n]{0,80}?estimated maximum model length is (?P<fits>\d+))?",
        "a context of {length} tokens needs {needed} GiB of KV cache; {free} GiB of the GPUs' "
        "memory are left",
        "set server.args: [--max-model-len={fits}] in the values, or more GPUs with gpusPerPod",
    ),
    _known(
        "kv-cache-too-small",
        r"max seq len \((?P<length>\d+)\) is larger than the maximum number of tokens that can be "
        r"stored in KV cache \((?P<fits>\d+)\)",
        "a context of {length} tokens does not fit the KV cache, which holds {fits}",
        "set server.args: [--max-model-len={fits}] in the values, or more GPUs with gpusPerPod",
    ),
    _known(
        "kv-cache-too-small",
        r"No available memory for the cache blocks",
        "the weights leave no GPU memory for the KV cache",
        "set gpusPerPod higher in the values, or server.args: [--gpu-memory-utilization=0.95]",
    ),
    _known(
        "gpu-memory-taken",
        r"Free memory on device \S{0,20} ?\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup is "
        r"less than desired",
        "only {free} of {total} GiB of a GPU are free before vLLM starts: something else uses it",
        "kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
        final=False,
    ),
    _known(
        "cuda-out-of-memory",
        r"(?:torch\.\S{0,20}OutOfMemoryError|CUDA out of memory)[^\n]{0,200}",
        "the GPU's memory does not suffice: {0}",
        "set gpusPerPod higher in the values, or lower --max-model-len or --max-num-seqs in "
        "server.args",
    ),
    _known(
        "gpus-fewer-than-tensor-parallel",
        r"World size \((?P<wanted>\d+)\) is larger than the number of available GPUs "
        r"\((?P<has>\d+)\)"
        r"|tensor_parallel_size \((?P<wanted2>\d+)\) to less than max local gpu count "
        r"\((?P<has2>\d+)\)",
        "vLLM is to use {wanted} GPUs and sees {has}",
        "set gpusPerPod in the values, and no --tensor-parallel-size in server.args",
    ),
    _known(
        "tensor-parallel-not-divisible",
        r"Total number of attention heads \((?P<heads>\d+)\) must be divisible by tensor parallel "
        r"size \((?P<size>\d+)\)",
        "the model has {heads} attention heads, which {size} GPUs cannot share evenly",
        "set gpusPerPod in the values to a divisor of {heads}",
    ),
    _known(
        "max-model-len-refused",
        r"User-specified max_model_len \((?P<asked>\d+)\) is greater than the derived max_model_len"
        r"[^\n]{0,120}",
        "--max-model-len={asked} is more than the model was made for",
        "lower --max-model-len in server.args, or leave it out",
    ),
    _known(
        "argument-unknown",
        r"error: unrecognized arguments: (?P<arguments>[^\n]{1,200})",
        "this release of vLLM does not know {arguments}",
        "take it out of server.args, or write what this release calls it: python -m pylib validate "
        "-f CONFIG",
    ),
    _known(
        "argument-refused",
        r"error: argument (?P<argument>[^\n]{1,240})",
        "vLLM refuses an argument: {argument}",
        "correct server.args in the values: python -m pylib validate -f CONFIG",
    ),
    _known(
        "model-gated",
        r"gated repo|Access to model \S{1,200} is restricted|401 Client Error",
        "the model's repository asks for a token that has access",
        "name a Secret with a Hugging Face token in the values (tokenSecret), and accept the "
        "model's licence",
    ),
    _known(
        "weights-missing",
        r"Cannot find any model weights with `(?P<path>[^`]{1,300})`",
        "there are no weight files in {path}",
        "bake the disk again, or set model.directory and model.name to the folder that holds them",
    ),
    _known(
        "model-not-found",
        r"Invalid repository ID or local directory specified: '(?P<model>[^']{1,300})'"
        r"|Repo id must[^\n]{0,120}'(?P<model2>[^']{1,300})'"
        r"|(?P<model3>/[^\s'\"]{1,300}) does not appear to have a file named config\.json",
        "there is no model at {model}",
        "set model.directory and model.name to the folder that holds its config.json",
    ),
    _known(
        "model-unsupported",
        r"Model architectures? (?P<names>[^\n]{1,120}?) (?:are not supported for now|failed to be "
        r"inspected|was supported in vLLM until|is not supported)",
        "this release of vLLM does not run the architecture {names}",
        "set image.tag to a release of vLLM that does",
    ),
    _known(
        "gpu-not-seen",
        r"No CUDA GPUs are available|Found no NVIDIA driver on your system"
        r"|Failed to infer device type|libcuda\.so\.1: cannot open shared object file",
        "vLLM sees no GPU: the node's driver is not there",
        "kubectl -n kube-system get pods -l k8s-app=nvidia-gpu-device-plugin -o wide",
        final=False,
    ),
    _known(
        "gpu-driver-too-old",
        r"NVIDIA driver on your system is too old[^\n]{0,80}"
        r"|no kernel image is available for execution",
        "the image's CUDA does not fit the node's driver or GPU: {0}",
        "set image.tag to a build for this GPU, or gpu-driver-version=latest on the node pool",
    ),
    _known(
        "dtype-unsupported",
        r"Bfloat16 is only supported on GPUs with compute capability of at least 8\.0",
        "this GPU does not know bfloat16, the model's type",
        "set server.args: [--dtype=half] in the values, or use an L4 or newer",
    ),
    _known(
        "disk-full",
        r"No space left on device[^\n]{0,120}",
        "a volume of the pod is full: {0}",
        "raise server.cacheSizeGiB or server.shmSizeGiB in the values",
    ),
    _known(
        "read-only-file-system",
        r"Read-only file system: '(?P<path>[^']{1,300})'",
        "a program writes to {path}, which is read-only",
        "mount an emptyDir there with extraVolumes and extraVolumeMounts",
    ),
    _known(
        "vllm-port-variable",
        r"VLLM_PORT '(?P<value>[^']{1,200})' appears to be a URI",
        "a Service named vllm sets VLLM_PORT={value} in the pod",
        "set enableServiceLinks: false on the pod; the chart does",
    ),
)


@dataclass(frozen=True)
class Failure:
    """A known failure with its values filled in."""

    code: str
    says: str
    next: str
    final: bool


def recognise(log: str, node: str) -> Failure | None:
    """The failure that a log tells of, ``None`` when it is none of the known ones."""
    for known in KNOWN:
        matches = list(known.pattern.finditer(log))
        if matches:
            return _filled(known, matches[-1], node)
    return None


def _filled(known: Known, match: re.Match[str], node: str) -> Failure:
    groups = {"node": node}
    for name, text in match.groupdict().items():
        if text is not None:
            groups[name.rstrip("23")] = plain(text)
    command = known.next
    if "{fits}" in command and "fits" not in groups:
        groups["fits"] = "FEWER"
    whole = plain(match[0], 240)
    says = known.says.format(whole, **groups)
    return Failure(known.code, says, command.format(**groups), known.final)
