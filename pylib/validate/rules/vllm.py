"""The model that vLLM is started with."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.validate.report import Severity
from pylib.validate.rules.objects import Hit, Objects
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import environment, model_of, mounted_at, servers

_TRUE = frozenset({"1", "true", "yes", "on"})


@rule(
    name="model-path",
    severity=Severity.WARNING,
    summary="vLLM finds its model where it is told to look",
    explain=(
        "A model that begins with / is a directory: where no volume is mounted there, it would "
        "have to be part of the image, else vLLM takes the path for a Hugging Face id and fails. A "
        "model that is an id is downloaded, which HF_HUB_OFFLINE=1 forbids. Source: "
        "https://docs.vllm.ai/en/latest/models/supported_models/ and "
        "https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables."
    ),
)
def model_path(objects: Objects) -> Iterator[Hit]:
    """Model paths outside of every mount, and ids that may not be downloaded."""
    for container in servers(objects):
        model = model_of(container)
        if model is None or "$(" in model.text or "://" in model.text:
            continue
        if model.text.startswith("/"):
            if mounted_at(container, model.text) is None:
                yield container.at(
                    *model.path,
                    message=f"the model is {model.text}, and no volume is mounted there",
                    fix="Mount the weights above that path, or write the path that is mounted.",
                )
        elif environment(container).get("HF_HUB_OFFLINE", "") in _TRUE:
            yield container.at(
                *model.path,
                message=f"the model is {model.text}, an id to download, while HF_HUB_OFFLINE is "
                "set",
                fix="Write the path of the mounted weights, or remove HF_HUB_OFFLINE.",
            )
