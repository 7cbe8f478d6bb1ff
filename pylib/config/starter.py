"""A commented config to start from, for ``python -m pylib init``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

from pylib.facts.machines import family_of
from pylib.facts.vllm import NEWEST
from pylib.names import MAX_NAME, REVISION_DIGITS, weights_volume

MAX_DISK_GIB = 65_536


@dataclass(frozen=True)
class Answers:
    """What ``init`` asks; each has a default but project, cluster and source.

    ``model_gib`` is the size of the weights in GiB; ``zone`` also gives the region.
    """

    project: str
    cluster: str
    source: str
    zone: str = "us-central1-a"
    model_gib: int = 16
    machine_type: str = "g2-standard-24"
    accelerator: str = "nvidia-l4"
    gpus: int = 2
    vllm_version: str = NEWEST
    namespace: str = "vllm"


QUESTIONS = {
    "project": "Google Cloud project id",
    "cluster": "GKE cluster name",
    "source": "model source, gs://bucket/dir/name or hf://org/name",
    "zone": "zone of the GPU nodes",
    "model_gib": "size of the weights in GiB",
    "machine_type": "machine type of the nodes",
    "accelerator": "GKE accelerator name",
    "gpus": "GPUs of one node",
    "vllm_version": "vLLM release",
    "namespace": "Kubernetes namespace",
}
"""One question for each field of :class:`Answers`, in the order asked."""


def defaults() -> dict[str, str]:
    """Default answer of each question that has one, as text."""
    known = Answers(project="", cluster="", source="")
    found = {field.name: str(getattr(known, field.name)) for field in fields(Answers)}
    return {name: text for name, text in found.items() if text}


def starter_config(answers: Answers) -> str:
    """Text of a config file for these answers; whether it is valid is for the parser to say."""
    return "\n".join(_lines(answers)) + "\n"


def _lines(a: Answers) -> Iterator[str]:
    region = a.zone.rsplit("-", 1)[0]
    name = _release_name(a)
    family = family_of(a.machine_type)
    persistent = family is None or "pd-ssd" in family.disk_types
    yield "# Config of vLLM fast start.  Check it with: python -m pylib validate -f <this file>"
    yield "version: 1"
    yield f"project: {_quoted(a.project)}"
    yield "# imagesProject: shared-images   # where disk images live, if elsewhere"
    yield f"region: {_quoted(region)}"
    yield f"cluster: {{name: {_quoted(a.cluster)}}}"
    yield ""
    yield "# Helm release; the Service gets this name too."
    yield "release:"
    yield f"  name: {_quoted(name)}"
    yield f"  namespace: {_quoted(a.namespace)}"
    yield ""
    yield "# On the disk the model lies at /dir/name, in the pod at /model-data/dir/name."
    yield "model:"
    yield f"  source: {_quoted(a.source)}"
    yield f"  sizeGiB: {a.model_gib}"
    yield ""
    yield "# disk: a disk baked once and shared by all pods.  Others: claim, none."
    yield "weights:"
    yield "  kind: disk"
    if persistent:
        yield "  type: pd-ssd   # pd-ssd reaches its full speed near 2000 GiB"
    else:
        yield "  type: hyperdisk-ml   # these machines attach Hyperdisk only"
    yield f"  sizeGiB: {min(MAX_DISK_GIB, max(1024, 2 * a.model_gib))}"
    yield ""
    yield "# One entry for each zone; all are behind one Service."
    yield "cells:"
    yield f"  - zone: {_quoted(a.zone)}"
    yield f"    nodePool: {{name: {_quoted(name[:40].rstrip('-') + '-pool')}}}"
    yield f"    machineType: {_quoted(a.machine_type)}"
    yield f"    accelerator: {{type: {_quoted(a.accelerator)}, count: {a.gpus}}}"
    if not persistent:
        yield "    bootDisk: {type: hyperdisk-balanced}"
    yield "    # provisioning: spot"
    yield ""
    yield "serving:"
    yield f"  vllmVersion: {json.dumps(a.vllm_version)}"
    yield "  args: []"
    yield ""
    yield "autoscaling:"
    yield "  enabled: true"
    yield "  metric: running   # or waiting, both"
    yield "  minReplicas: 1"
    yield "  maxReplicas: 5"


def _release_name(a: Answers) -> str:
    """The model's name as a release name, short enough for the names made from it."""
    from pylib.config.model_path import implied_path  # loads pydantic, which --help need not

    words = re.sub("[^a-z0-9]+", "-", implied_path(a.source).name.lower()).strip("-")
    name = words if words[:1].isalpha() else f"vllm-{words}".rstrip("-")
    room = MAX_NAME - len(weights_volume(a.namespace, "", a.zone, "0" * REVISION_DIGITS))
    return name[: max(room, 1)].rstrip("-")


def _quoted(text: str) -> str:
    """``text`` bare where YAML reads it back as the same text, else in quotes."""
    plain = text and all(c.isalnum() or c in "-./:" for c in text) and text[0].isalpha()
    words = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}
    safe = plain and ": " not in text and not text.endswith(":") and text.lower() not in words
    return text if safe else json.dumps(text, ensure_ascii=False)
