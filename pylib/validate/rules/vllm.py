"""What vLLM is started with: its model and its arguments."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.validate.report import Severity
from pylib.validate.rules.objects import Container, Hit, Objects, each
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import Word, arguments, environment, option, servers

_TRUE = frozenset({"1", "true", "yes", "on"})


def _model(container: Container) -> Word | None:
    """The model: the value of ``--model``, else the first argument that is no flag."""
    words = arguments(container)
    named = option(words, "--model")
    if named is None and words and not words[0].text.startswith("-"):
        return words[0]
    return named


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
        model = _model(container)
        if model is None or "$(" in model.text or "://" in model.text:
            continue
        if model.text.startswith("/"):
            mounts = [str(m.get("mountPath")) for _, m in each(container.body, "volumeMounts")]
            if not any(_inside(model.text, mount) for mount in mounts):
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


def _inside(path: str, mount: str) -> bool:
    folder = mount.rstrip("/")
    return path == folder or path.startswith(f"{folder}/")
