"""What the weights check and vLLM say before they end, and what to change."""

from __future__ import annotations

import pytest

from pylib.diagnose import Cause, Severity, diagnose
from pylib.diagnose.vllm_errors import KNOWN, recognise
from pylib.snapshot.model import Log
from tests.unit.cluster_objects import (
    Json,
    crashed,
    node,
    one,
    pod,
    servers,
    stored,
)

# --- the weights check ----------------------------------------------------------------------------


def checked(message: str = "", code: int = 1) -> Json:
    """A pod whose weights check failed."""
    ended = {"terminated": {"exitCode": code, "message": message}}
    status = {"name": "check-weights", "ready": False, "restartCount": 0, "state": ended}
    return pod(
        servers({"name": "vllm", "state": {"waiting": {"reason": "PodInitializing"}}}),
        {"status": {"initContainerStatuses": [status]}},
    )


@pytest.mark.parametrize(
    ("message", "command"),
    [
        (
            "There is no weights.manifest.json at the root of the volume. More.",
            "bake the disk; or, if it is good, weights.verify: none",
        ),
        (
            "The manifest's sha256 is a, not b: this disk holds another revision. Set …",
            "set disk and manifestSha256 of one and the same revision in weights.disk.revisions",
        ),
        (
            "The manifest knows no file below gemma; it knows none. Set …",
            "set model.directory and model.name to a folder of the manifest",
        ),
        (
            "2 of 9 files differ from the manifest: x is missing.",
            "bake the disk again, and name the new one in weights.disk.revisions",
        ),
        (
            "weights.manifest.json is not a list of files with path and size: bake the disk again.",
            "bake the disk again, and name the new one in weights.disk.revisions",
        ),
        ("Segmentation fault", "kubectl -n inference logs v-a-1 -c check-weights"),
    ],
)
def test_the_weights_check_says_what_is_wrong(message: str, command: str) -> None:
    assert one(checked(message), node()) == Cause(
        "weights-check-failed",
        Severity.ERROR,
        "Pod/v-a-1",
        f"its weights are not what they should be: {message.rstrip('.')}",
        command,
        final=True,
    )


def test_a_weights_check_without_a_message() -> None:
    found = one(checked(), node(), logs=(Log("v-a-1", "check-weights", "Killed\n"),))
    assert found.message == "its weights are not what they should be: Killed"
    assert one(checked(), node()).message.endswith("the check said nothing")


def test_a_real_weights_check_that_failed() -> None:
    [found] = diagnose(stored("weights_differ"))
    assert found.code == "weights-check-failed"
    assert found.message == (
        "its weights are not what they should be: 1 of 2 files differ from the manifest: "
        "gemma/gemma-7b/model.safetensors has 4 bytes instead of 11. The disk's image was cut too "
        "early or from an unclean file system: bake it again (and 1 more Pod)"
    )


# --- vLLM's own failures --------------------------------------------------------------------------


LOGS = {
    "kv-cache-too-small": (
        "ValueError: To serve at least one request with the model's max seq len (8192), (2.0 GiB "
        "KV cache is needed, which is larger than the available KV cache memory (1.5 GiB). Based "
        "on the available memory, the estimated maximum model length is 6144. Try increasing",
        "a context of 8192 tokens needs 2.0 GiB of KV cache; 1.5 GiB of the GPUs' memory are left",
        "set server.args: [--max-model-len=6144] in the values, or more GPUs with gpusPerPod",
    ),
    "kv-cache-too-small, no estimate": (
        "ValueError: To serve at least one request with the model's max seq len (8192), (2.0 GiB "
        "KV cache is needed, which is larger than the available KV cache memory (0.1 GiB). Try",
        "a context of 8192 tokens needs 2.0 GiB of KV cache; 0.1 GiB of the GPUs' memory are left",
        "set server.args: [--max-model-len=FEWER] in the values, or more GPUs with gpusPerPod",
    ),
    "kv-cache-too-small, 0.5.3": (
        "ValueError: The model's max seq len (8192) is larger than the maximum number of tokens "
        "that can be stored in KV cache (2048). Try increasing",
        "a context of 8192 tokens does not fit the KV cache, which holds 2048",
        "set server.args: [--max-model-len=2048] in the values, or more GPUs with gpusPerPod",
    ),
    "kv-cache-too-small, nothing left": (
        "ValueError: No available memory for the cache blocks. Try increasing",
        "the weights leave no GPU memory for the KV cache",
        "set gpusPerPod higher in the values, or server.args: [--gpu-memory-utilization=0.95]",
    ),
    "gpu-memory-taken": (
        "ValueError: Free memory on device cuda:0 (3.2/22.0 GiB) on startup is less than desired "
        "GPU memory utilization (0.9, 19.8 GiB).",
        "only 3.2 of 22.0 GiB of a GPU are free before vLLM starts: something else uses it",
        "kubectl get pods -A -o wide --field-selector spec.nodeName=n1",
    ),
    "cuda-out-of-memory": (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 GiB.",
        "the GPU's memory does not suffice: torch.OutOfMemoryError: CUDA out of memory. Tried to "
        "allocate 1.50 GiB.",
        "set gpusPerPod higher in the values, or lower --max-model-len or --max-num-seqs in "
        "server.args",
    ),
    "gpus-fewer-than-tensor-parallel": (
        "ValueError: World size (4) is larger than the number of available GPUs (2) in this node.",
        "vLLM is to use 4 GPUs and sees 2",
        "set gpusPerPod in the values, and no --tensor-parallel-size in server.args",
    ),
    "gpus-fewer-than-tensor-parallel, 0.5.3": (
        "AssertionError: please set tensor_parallel_size (8) to less than max local gpu count (2)",
        "vLLM is to use 8 GPUs and sees 2",
        "set gpusPerPod in the values, and no --tensor-parallel-size in server.args",
    ),
    "tensor-parallel-not-divisible": (
        "Total number of attention heads (40) must be divisible by tensor parallel size (3).",
        "the model has 40 attention heads, which 3 GPUs cannot share evenly",
        "set gpusPerPod in the values to a divisor of 40",
    ),
    "max-model-len-refused": (
        "User-specified max_model_len (99999) is greater than the derived max_model_len (8192)",
        "--max-model-len=99999 is more than the model was made for",
        "lower --max-model-len in server.args, or leave it out",
    ),
    "argument-unknown": (
        "vllm serve: error: unrecognized arguments: --fast --faster",
        "this release of vLLM does not know --fast --faster",
        "take it out of server.args, or write what this release calls it: python -m pylib validate "
        "-f CONFIG",
    ),
    "argument-refused": (
        "vllm serve: error: argument --dtype: invalid choice: 'int3'",
        "vLLM refuses an argument: --dtype: invalid choice: 'int3'",
        "correct server.args in the values: python -m pylib validate -f CONFIG",
    ),
    "model-gated": (
        "OSError: You are trying to access a gated repo.",
        "the model's repository asks for a token that has access",
        "name a Secret with a Hugging Face token in the values (tokenSecret), and accept the "
        "model's licence",
    ),
    "weights-missing": (
        "RuntimeError: Cannot find any model weights with `/model-data/gemma`",
        "there are no weight files in /model-data/gemma",
        "bake the disk again, or set model.directory and model.name to the folder that holds them",
    ),
    "model-not-found": (
        "ValueError: Invalid repository ID or local directory specified: '/model-data/gemma/x'.",
        "there is no model at /model-data/gemma/x",
        "set model.directory and model.name to the folder that holds its config.json",
    ),
    "model-not-found, 0.5.3": (
        "HFValidationError: Repo id must be in the form 'repo_name': '/model-data/x'. Use",
        "there is no model at /model-data/x",
        "set model.directory and model.name to the folder that holds its config.json",
    ),
    "model-not-found, no config": (
        "OSError: /model-data/x does not appear to have a file named config.json.",
        "there is no model at /model-data/x",
        "set model.directory and model.name to the folder that holds its config.json",
    ),
    "model-unsupported": (
        "ValueError: Model architectures ['NewLM'] are not supported for now. Supported: [...]",
        "this release of vLLM does not run the architecture ['NewLM']",
        "set image.tag to a release of vLLM that does",
    ),
    "gpu-not-seen": (
        "RuntimeError: Failed to infer device type, please set",
        "vLLM sees no GPU: the node's driver is not there",
        "kubectl -n kube-system get pods -l k8s-app=nvidia-gpu-device-plugin -o wide",
    ),
    "gpu-driver-too-old": (
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12020).",
        "the image's CUDA does not fit the node's driver or GPU: NVIDIA driver on your system is "
        "too old (found version 12020).",
        "set image.tag to a build for this GPU, or gpu-driver-version=latest on the node pool",
    ),
    "dtype-unsupported": (
        "Bfloat16 is only supported on GPUs with compute capability of at least 8.0.",
        "this GPU does not know bfloat16, the model's type",
        "set server.args: [--dtype=half] in the values, or use an L4 or newer",
    ),
    "disk-full": (
        "OSError: [Errno 28] No space left on device: '/cache/vllm'",
        "a volume of the pod is full: No space left on device: '/cache/vllm'",
        "raise server.cacheSizeGiB or server.shmSizeGiB in the values",
    ),
    "read-only-file-system": (
        "OSError: [Errno 30] Read-only file system: '/root/.triton'",
        "a program writes to /root/.triton, which is read-only",
        "mount an emptyDir there with extraVolumes and extraVolumeMounts",
    ),
    "vllm-port-variable": (
        "ValueError: VLLM_PORT 'tcp://10.0.0.1:8000' appears to be a URI.",
        "a Service named vllm sets VLLM_PORT=tcp://10.0.0.1:8000 in the pod",
        "set enableServiceLinks: false on the pod; the chart does",
    ),
}


@pytest.mark.parametrize("case", LOGS)
def test_what_vllm_says_before_it_ends(case: str) -> None:
    line, says, command = LOGS[case]
    log = f"INFO 03-01 12:00:00 [a.py:1] fine\n{line}\nRuntimeError: Engine core failed.\n"
    found = one(pod(servers(crashed())), node(), logs=(Log("v-a-1", "vllm", log, previous=True),))
    assert found == Cause(
        case.partition(",")[0],
        Severity.ERROR,
        "Pod/v-a-1",
        f"vllm ended: {says}, 1 restart",
        command,
        final=not case.startswith(("gpu-memory-taken", "gpu-not-seen")),
    )


def test_every_known_failure_has_a_case() -> None:
    assert {known.code for known in KNOWN} == {case.partition(",")[0] for case in LOGS}


def test_a_log_of_nothing_known_is_not_recognised() -> None:
    assert recognise("INFO all is well\n" * 1000, "n1") is None
    assert recognise("", "") is None


def test_braces_in_a_log_are_text() -> None:
    found = recognise("error: unrecognized arguments: --x={0} {node}", "n1")
    assert found is not None
    assert found.says == "this release of vLLM does not know --x={0} {node}"
