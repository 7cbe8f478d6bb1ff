"""The manifests of one run, indexed for rules: by kind, by name, by label, and as pod templates.

Look-ups never raise on a malformed object: they leave it out, because its shape is kubeconform's
finding and not a rule's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pylib.manifests import Manifest
from pylib.validate.report import Severity

Path = tuple[str | int, ...]
Labels = Mapping[str, str]

POD_TEMPLATES: Mapping[str, tuple[Path, ...]] = {
    "Pod": ((),),
    "PodTemplate": (("template",),),
    "CronJob": (("spec", "jobTemplate", "spec", "template"),),
    "LeaderWorkerSet": (
        ("spec", "leaderWorkerTemplate", "leaderTemplate"),
        ("spec", "leaderWorkerTemplate", "workerTemplate"),
    ),
    **dict.fromkeys(
        (
            "DaemonSet",
            "Deployment",
            "Job",
            "ReplicaSet",
            "ReplicationController",
            "Rollout",
            "StatefulSet",
        ),
        (("spec", "template"),),
    ),
}
"""Where each kind keeps its pod templates; a template is what holds ``metadata`` and ``spec``."""


@dataclass(frozen=True)
class Hit:
    """One broken rule, as a rule yields it; the registry adds the rule's name and severity."""

    manifest: Manifest
    path: Path
    message: str
    fix: str
    severity: Severity | None = None


def at(
    manifest: Manifest,
    *path: str | int,
    message: str,
    fix: str = "",
    severity: Severity | None = None,
) -> Hit:
    """A hit on the field at ``path`` of ``manifest``; ``severity`` only to differ from the rule's.

    The field need not exist: the line is then that of its nearest parent in the file.
    """
    return Hit(manifest, path, message, fix, severity)


@dataclass(frozen=True)
class Context:
    """What a rule may know beside the manifests; an empty field means not known."""

    kubernetes: str = ""
    vllm_version: str = ""
    machine_type: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """A container of a pod template; ``path`` is relative to the owner's root."""

    pod: PodTemplate = field(repr=False)
    path: Path
    body: Mapping[str, Any]
    init: bool = False

    @property
    def name(self) -> str:
        """Container name, empty when absent."""
        return str(self.body.get("name") or "")

    def get(self, *path: str | int, default: Any = None) -> Any:
        """Value at ``path`` inside the container, or ``default``."""
        return self.pod.owner.get(*self.path, *path, default=default)

    def at(
        self, *path: str | int, message: str, fix: str = "", severity: Severity | None = None
    ) -> Hit:
        """A hit on a field of this container."""
        return Hit(self.pod.owner, (*self.path, *path), message, fix, severity)


@dataclass(frozen=True)
class PodTemplate:
    """The pods that an object makes; ``path`` leads to the template, ``()`` for a bare Pod."""

    owner: Manifest
    path: Path
    spec: Mapping[str, Any]
    labels: Labels
    annotations: Labels

    @property
    def namespace(self) -> str:
        """Namespace of the owner, empty when the manifest leaves it to the client."""
        return self.owner.namespace

    def get(self, *path: str | int, default: Any = None) -> Any:
        """Value at ``path`` inside the pod's ``spec``, or ``default``."""
        return self.owner.get(*self.path, "spec", *path, default=default)

    def at(
        self, *path: str | int, message: str, fix: str = "", severity: Severity | None = None
    ) -> Hit:
        """A hit on a field of the pod's ``spec``, as ``pod.at("nodeSelector", message=…)``."""
        return Hit(self.owner, (*self.path, "spec", *path), message, fix, severity)

    def containers(self, *, init: bool = True) -> Iterator[Container]:
        """Its containers in order, init containers first, without them when ``init`` is false."""
        for key in ("initContainers", "containers") if init else ("containers",):
            for index, body in each(self.spec, key):
                path = (*self.path, "spec", key, index)
                yield Container(self, path, body, init=key == "initContainers")


def each(node: Manifest | Mapping[str, Any], *path: str | int) -> Iterator[tuple[int, Any]]:
    """The maps in the list at ``path`` with their indices; nothing when there is no such list."""
    manifest = node if isinstance(node, Manifest) else Manifest(node)
    found = manifest.get(*path)
    for index, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, Mapping):
            yield index, item


def texts(node: object) -> dict[str, str]:
    """``node`` as a map of texts, as labels are; empty when it is no map."""
    if not isinstance(node, Mapping):
        return {}
    return {str(key): str(value) for key, value in node.items()}


def selects(selector: object, labels: Labels) -> bool:
    """Whether a LabelSelector (``matchLabels``, ``matchExpressions``) selects these labels.

    An empty selector selects everything, as in Kubernetes; what is no map selects nothing.
    """
    if not isinstance(selector, Mapping):
        return False
    wanted = texts(selector.get("matchLabels"))
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(rule, labels) for _, rule in each(selector, "matchExpressions"))


def _holds(rule: Mapping[str, Any], labels: Labels) -> bool:
    value = labels.get(str(rule.get("key")))
    listed = rule.get("values")
    values = [str(item) for item in listed] if isinstance(listed, list) else []
    match rule.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def same_namespace(one: str, other: str) -> bool:
    """Whether two namespaces can be one: an empty one is chosen at install and fits any."""
    return not one or not other or one == other


class Objects:
    """All manifests of a run and the context of the run."""

    def __init__(self, manifests: Sequence[Manifest], context: Context | None = None) -> None:
        self.all: tuple[Manifest, ...] = tuple(manifests)
        self.context = context or Context()

    def of_kind(self, *kinds: str) -> tuple[Manifest, ...]:
        """Objects of these kinds, kind after kind, each in the order of the input."""
        return tuple(m for kind in kinds for m in self._kinds.get(kind, ()))

    def by_name(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object of that name; one without a namespace stands in for any (see above)."""
        found = self._names.get((kind, name), {})
        if namespace in found:
            return found[namespace]
        return found.get("") if namespace else next(iter(found.values()), None)

    def pods(self) -> tuple[PodTemplate, ...]:
        """Every pod template, in the order of the input."""
        return self._pods

    def pods_of(self, owner: Manifest) -> tuple[PodTemplate, ...]:
        """The pod templates of one object."""
        return tuple(_templates(owner))

    def pods_matching(self, labels: Mapping[str, Any], namespace: str) -> tuple[PodTemplate, ...]:
        """Pod templates that carry all these labels, in this namespace: as a Service selects."""
        wanted = texts(labels)
        if not wanted:
            return ()
        rarest = min((self._with_label(item, namespace) for item in wanted.items()), key=len)
        return tuple(pod for pod in rarest if wanted.items() <= pod.labels.items())

    def pods_selected(self, selector: object, namespace: str) -> tuple[PodTemplate, ...]:
        """Pod templates that a LabelSelector selects, in this namespace."""
        labels = texts(selector.get("matchLabels")) if isinstance(selector, Mapping) else {}
        candidates = self.pods_matching(labels, namespace) if labels else self._pods
        return tuple(
            pod
            for pod in candidates
            if selects(selector, pod.labels) and same_namespace(pod.namespace, namespace)
        )

    def _with_label(self, item: tuple[str, str], namespace: str) -> list[PodTemplate]:
        """Pod templates with one label, in this namespace or in one that install chooses."""
        table = self._labelled.get(item, {})
        if namespace:
            return [*table.get(namespace, ()), *table.get("", ())]
        return [pod for pods in table.values() for pod in pods]

    @cached_property
    def _kinds(self) -> Mapping[str, list[Manifest]]:
        table: dict[str, list[Manifest]] = defaultdict(list)
        for manifest in self.all:
            table[manifest.kind].append(manifest)
        return dict(table)

    @cached_property
    def _names(self) -> Mapping[tuple[str, str], dict[str, Manifest]]:
        """The first object of each kind and name, by namespace."""
        table: dict[tuple[str, str], dict[str, Manifest]] = defaultdict(dict)
        for manifest in self.all:
            table[manifest.kind, manifest.name].setdefault(manifest.namespace, manifest)
        return dict(table)

    @cached_property
    def _pods(self) -> tuple[PodTemplate, ...]:
        return tuple(pod for manifest in self.all for pod in _templates(manifest))

    @cached_property
    def _labelled(self) -> Mapping[tuple[str, str], dict[str, list[PodTemplate]]]:
        """Pod templates by label, then by namespace: a label may recur in a thousand of them."""
        table: dict[tuple[str, str], dict[str, list[PodTemplate]]] = defaultdict(dict)
        for pod in self._pods:
            for item in pod.labels.items():
                table[item].setdefault(pod.namespace, []).append(pod)
        return dict(table)


def _templates(owner: Manifest) -> Iterator[PodTemplate]:
    for path in POD_TEMPLATES.get(owner.kind, ()):
        spec = owner.get(*path, "spec")
        if isinstance(spec, Mapping):
            yield PodTemplate(
                owner=owner,
                path=path,
                spec=spec,
                labels=texts(owner.get(*path, "metadata", "labels")),
                annotations=texts(owner.get(*path, "metadata", "annotations")),
            )
