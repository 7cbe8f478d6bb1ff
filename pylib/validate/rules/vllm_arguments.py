"""The rules of :mod:`pylib.validate.vllm_args`, on every vLLM server of the manifests.

Each of its rules is one here, of the same name; the command line of a server is judged once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from pylib.facts import gke
from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Container, Hit, Objects, Path, each
from pylib.validate.rules.quantities import number
from pylib.validate.rules.registry import Check, rule
from pylib.validate.rules.vllm_pods import (
    arguments,
    environment,
    gpus,
    model_of,
    mounted_at,
    servers,
    shards,
    version_of,
)
from pylib.validate.rules.volumes import Volumes
from pylib.validate.vllm_args import RULES, ServingContext, check_args

SEVERITIES = {
    "vllm-argument-duplicate": Severity.WARNING,
    "vllm-eager": Severity.NOTE,
    "vllm-environment": Severity.WARNING,
    "vllm-load-strategy": Severity.WARNING,
    "vllm-loader-ignored": Severity.WARNING,
    "vllm-loader-lazy": Severity.WARNING,
    "vllm-loader-threads": Severity.WARNING,
}
"""Usual severity of those rules that are no error; a finding may still have another."""

_FOUND: WeakKeyDictionary[Objects, dict[str, list[Hit]]] = WeakKeyDictionary()


def _hits(objects: Objects) -> dict[str, list[Hit]]:
    """Hits of every rule by its name; found once for all rules of a run."""
    if objects not in _FOUND:
        by_rule: dict[str, list[Hit]] = {name: [] for name in RULES}
        volumes = Volumes(objects)
        for container in servers(objects):
            for name, hit in _of_server(container, volumes, objects):
                by_rule[name].append(hit)
        _FOUND[objects] = by_rule
    return _FOUND[objects]


def _of_server(
    container: Container, volumes: Volumes, objects: Objects
) -> Iterator[tuple[str, Hit]]:
    words = arguments(container)
    literals = {name: value for name, value in environment(container).items() if value is not None}
    problems = check_args(
        [word.text for word in words],
        literals,
        version_of(container, objects) or None,
        _context(container, volumes),
    )
    for problem in problems:
        index = problem.index
        path = _variable(container, problem.message) if index is None else words[index].path
        hit = container.at(
            *path,
            message=problem.message,
            fix=problem.fix,
            severity=Severity(problem.severity),
        )
        yield problem.rule, hit


def _variable(container: Container, message: str) -> Path:
    """Place of the variable that a message names; the arguments when it names none."""
    named = set(re.findall(r"\w+", message))
    for index, item in each(container.body, "env"):
        if str(item.get("name")) in named:
            return ("env", index)
    return ("args",)


def _context(container: Container, volumes: Volumes) -> ServingContext:
    grouped = container.pod.owner.kind == "LeaderWorkerSet"
    return ServingContext(
        gpus=None if grouped else gpus(container),
        weights_on_block_device=_on_disk(container, volumes),
        shards=shards(container.pod),
        cpu_limit=number(container.get("resources", "limits", "cpu")),
    )


def _on_disk(container: Container, volumes: Volumes) -> bool | None:
    """Whether the model lies on a disk; ``None`` where no volume here says it."""
    model = model_of(container)
    mount = mounted_at(container, model.text) if model else None
    for use in volumes.uses_of(container.pod):
        if mount and use.name == mount.get("name") and use.volume is not None:
            return _is_disk(use.volume)
    return None


def _is_disk(volume: Manifest) -> bool | None:
    driver = volume.get("spec", "csi", "driver")
    if driver is None:
        return False if volume.get("spec", "nfs") else None
    return bool(driver == gke.PD_CSI)


def _check(name: str) -> Check:
    def check(objects: Objects) -> Iterator[Hit]:
        yield from _hits(objects)[name]

    return check


for _name, _words in RULES.items():
    rule(
        name=_name,
        severity=SEVERITIES.get(_name, Severity.ERROR),
        summary=_words.summary,
        explain=_words.explain,
    )(_check(_name))
