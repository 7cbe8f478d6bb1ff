"""The schemas that manifests are held against, as files for kubeconform to read offline.

Kubernetes' own kinds come from the ``vX.Y.0-local-strict`` folders of the kubernetes-validate
package, which is used as data and never imported; custom resources from ``pylib/crds``.  Each kind
is bundled when it is first asked for, into the cache folder, under a key of the package's version
and the content of ``pylib/crds``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pylib import cache
from pylib.errors import ConfigError, Problem, ToolMissingError
from pylib.validate.bundle import JsonSchema, bundle
from pylib.validate.words import nearest

DEFAULT_KUBERNETES = "1.36"
"""Kubernetes version that manifests are held against unless told otherwise."""

LAYOUT = 1
"""Raise it when the content of a bundle changes for the same input."""

CRDS = Path(__file__).resolve().parents[1] / "crds"

KUBERNETES = "kubernetes"
CRD = "crd"
DOCUMENTATION = "documentation"

_PACKAGE = "kubernetes_validate"
_FOLDER = re.compile(r"v(\d+\.\d+)\.\d+-local-strict")
_VERSION = re.compile(r"v?(\d+\.\d+)(\..*)?")
_API_VERSION = re.compile(r"([a-z0-9.-]+/)?v[0-9][a-z0-9]*")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_KINDS_KEY = "x-kubernetes-group-version-kind"
_CONSTRAINS = re.compile(
    r'"(const|enum|pattern|m(ax|in)(imum|Length|Items|Properties)|exclusiveM\w+|multipleOf|if|not)":'
)

Gvk = tuple[str, str, str]


@dataclass(frozen=True)
class Schema:
    """The bundle of one kind: its file, and whether it comes from a CRD or only from documents."""

    path: Path
    origin: str
    source: str

    @cached_property
    def text(self) -> str:
        """The bundle as JSON text."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def constrains_values(self) -> bool:
        """Whether more than field names and types decide: an enumeration, a pattern, a bound.

        A field that merely has such a name counts too: then this errs on the safe side.
        """
        return _CONSTRAINS.search(self.text) is not None


class Schemas:
    """The schemas for one Kubernetes version, such as ``1.36``, ``v1.36.2`` or ``1.36.0-gke.1``.

    Raises :class:`ConfigError` for a version that the installed package does not have.
    """

    def __init__(self, kubernetes: str = DEFAULT_KUBERNETES) -> None:
        found = _VERSION.fullmatch(kubernetes.strip())
        self.version = found[1] if found else kubernetes
        self._found: dict[tuple[str, str], Schema | None] = {}
        self._source = _sources().get(self.version)
        if self._source is None:
            raise _unknown_version(kubernetes)

    @property
    def location(self) -> str:
        """kubeconform's template for the path of a schema, below :attr:`folder`."""
        return str(self.folder / "{{.Group}}" / "{{.ResourceKind}}_{{.ResourceAPIVersion}}.json")

    @cached_property
    def folder(self) -> Path:
        """Where the bundles of this version lie."""
        key = f"{LAYOUT}-{_package().name_and_version}-{_crds_digest()}"
        return cache.folder() / "schemas" / key / f"v{self.version}"

    def find(self, api_version: str, kind: str) -> Schema | None:
        """The bundle of a kind, made now if need be; ``None`` when no schema is known."""
        key = (api_version, kind)
        if key not in self._found:
            self._found[key] = self._find(*key) if well_formed(*key) else None
        return self._found[key]

    def owns(self, api_version: str) -> bool:
        """Whether the API group is Kubernetes' own, so that a kind unknown in it is a mistake.

        The group of a custom resource is a domain, with a dot: so says the validation of
        CustomResourceDefinitions, kubernetes/apiextensions-apiserver
        pkg/apis/apiextensions/validation/validation.go.
        """
        group = _split(api_version)[0]
        if "." not in group:
            return True
        return group.endswith(".k8s.io") and any(group == own for own, _, _ in self._roots)

    def serves(self, kind: str) -> tuple[str, ...]:
        """API versions in which a kind of exactly this name is known, Kubernetes' own first."""
        keys = [*self._roots, *_custom_resources()]
        return tuple(f"{g}/{v}" if g else v for g, v, k in keys if k == kind)

    def similar(self, api_version: str, kind: str) -> str | None:
        """The kind of this API version whose name is nearest to a mistyped one."""
        group, version = _split(api_version)
        keys = [*self._roots, *_custom_resources()]
        return nearest(kind, (k for g, v, k in keys if (g, v) == (group, version)))

    def _find(self, api_version: str, kind: str) -> Schema | None:
        group, version = _split(api_version)
        gvk = (group, version, kind)
        path = self.folder / (group or version) / f"{kind.lower()}_{version}.json"
        own = _custom_resources().get(gvk) if "." in group else None
        if _title(path) != kind:
            root = own or (self._roots.get(gvk) if self.owns(api_version) else None)
            if root is None:
                return None
            cache.write(path, json.dumps({"title": kind, **bundle(root, self._definitions)}))
        if own is not None:
            return Schema(path, own["x-origin"], own["x-source"])
        return Schema(path, KUBERNETES, f"kubernetes-validate v{self.version}")

    @cached_property
    def _definitions(self) -> Mapping[str, JsonSchema]:
        return _definitions(self._source or Path())

    @cached_property
    def _roots(self) -> Mapping[Gvk, JsonSchema]:
        """Definitions that are kinds; what serves every group, as DeleteOptions, is none."""
        return {
            (kinds[0]["group"], kinds[0]["version"], kinds[0]["kind"]): definition
            for definition in self._definitions.values()
            if len(kinds := definition.get(_KINDS_KEY, [])) == 1
        }


def available() -> tuple[str, ...]:
    """Kubernetes versions that the installed kubernetes-validate package has, oldest first."""
    return tuple(sorted(_sources(), key=lambda v: tuple(map(int, v.split(".")))))


@dataclass(frozen=True)
class _Package:
    folder: Path
    name_and_version: str


@lru_cache(maxsize=1)
def _package() -> _Package:
    """The installed package, found without importing it: its import costs as much as a run."""
    spec = find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    if not places:
        message = (
            "the Python package kubernetes-validate is not installed; it holds the schemas. "
            "Install vllm-fast-start with its dependencies."
        )
        raise ToolMissingError(message)
    folder = Path(places[0])
    infos = sorted(folder.parent.glob(f"{_PACKAGE}-*.dist-info"))
    name = infos[-1].stem if infos else f"{_PACKAGE}-{folder.stat().st_mtime_ns}"
    return _Package(folder, name)


@lru_cache(maxsize=1)
def _sources() -> Mapping[str, Path]:
    folder = _package().folder / "kubernetes-json-schema"
    found = ((_FOLDER.fullmatch(path.name), path) for path in folder.iterdir())
    return {match[1]: path for match, path in found if match}


@lru_cache(maxsize=2)
def _definitions(source: Path) -> Mapping[str, JsonSchema]:
    text = (source / "_definitions.json").read_text(encoding="utf-8")
    definitions: Mapping[str, JsonSchema] = json.loads(text)["$defs"]
    return definitions


@lru_cache(maxsize=1)
def _crd_texts() -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8") for path in sorted(CRDS.glob("*/*.json")))


def _crds_digest() -> str:
    return hashlib.sha256("\0".join(_crd_texts()).encode()).hexdigest()[:12]


@lru_cache(maxsize=1)
def _custom_resources() -> Mapping[Gvk, dict[str, Any]]:
    schemas = [json.loads(text) for text in _crd_texts()]
    return {
        (kind["group"], kind["version"], kind["kind"]): schema
        for schema in schemas
        for kind in schema[_KINDS_KEY]
    }


def well_formed(api_version: str, kind: str) -> bool:
    """Whether these can name a kind at all; they become part of a path, so nothing else may."""
    return bool(_API_VERSION.fullmatch(api_version) and _KIND.fullmatch(kind))


def _title(path: Path) -> str:
    """The kind that a bundle is for, as it is spelled: file names are in lower case."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(200).removeprefix('{"title": "').partition('"')[0]
    except OSError:
        return ""


def _split(api_version: str) -> tuple[str, str]:
    group, _, version = api_version.rpartition("/")
    return group, version


def _unknown_version(kubernetes: str) -> ConfigError:
    known = ", ".join(available())
    message = f"there are no schemas for Kubernetes {kubernetes!r}"
    return ConfigError("command line", [Problem("kubernetes", message, f"Use one of {known}.")])
