"""Kubernetes' objects, as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pylib.errors import KubeError
from pylib.kube.transport import (
    FIRST_ERROR,
    NOT_FOUND,
    REQUEST_SECONDS,
    Answer,
    Body,
    Ran,
    Transport,
    events,
    refused,
    text_of,
)

MANAGER = "vllm-fast-start"
"""Field manager of what this library applies."""

PAGE = 500
"""Objects a list request asks for at once, as kubectl does."""

_PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


@dataclass(frozen=True)
class _Resource:
    plural: str
    namespaced: bool


class Kube:
    """One cluster, through one context of a kubeconfig.

    Every method raises :class:`~pylib.errors.KubeError` when the server refuses or is away; an
    object that is absent is an answer, not an error.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._kinds: dict[str, dict[str, _Resource]] = {}

    @classmethod
    def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> Kube:
        """The cluster of ``context``, or of the current one; inside a pod, that pod's cluster."""
        return cls(Transport.connect(kubeconfig, context))

    @property
    def context(self) -> str:
        """The context's name."""
        return self._transport.context

    @property
    def namespace(self) -> str:
        """The context's namespace."""
        return self._transport.namespace

    @property
    def server(self) -> str:
        """The API server's address."""
        return self._transport.server

    def version(self) -> str:
        """The server's Kubernetes version, as in ``1.36``."""
        found = self.raw("GET", "/version")
        return f"{found['major']}.{str(found['minor']).rstrip('+')}"

    def serves(self, api_version: str, kind: str) -> bool:
        """Whether the server has the kind; asked anew until it has."""
        return self._resource(api_version, kind) is not None

    def forget_kinds(self) -> None:
        """Ask anew for every kind: the server may have changed."""
        self._kinds.clear()

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> Body | None:
        """One object; ``None`` when it, or its kind, is absent."""
        path = self._path(api_version, kind, namespace, name)
        return None if path is None else self._or_absent("GET", path)

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
    ) -> list[Body]:
        """All objects of a kind, of one namespace or of all; none when the kind is not served."""
        path = self._path(api_version, kind, namespace)
        if path is None:
            return []
        query = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        found: list[Body] = []
        while True:
            page = self.raw("GET", path, query)
            found += ({"apiVersion": api_version, "kind": kind, **item} for item in page["items"])
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return found

    def create(self, body: Mapping[str, Any], *, dry_run: bool = False) -> Body:
        """Create an object; a dry run goes through admission and leaves nothing."""
        name = body["metadata"].get("name")
        path = self._served_path(body, with_name=False)
        query = {"dryRun": "All"} if dry_run else {}
        return self._answer(
            self._transport.send("POST", path, query, body), f"create {body['kind']}/{name}"
        )

    def replace(self, body: Mapping[str, Any], *, dry_run: bool = False) -> Body:
        """Put an object in the place of the one of its name, whoever owns which field."""
        path = self._served_path(body, with_name=True)
        query = {"dryRun": "All"} if dry_run else {}
        sent = self._transport.send("PUT", path, query, body)
        return self._answer(sent, f"replace {body['kind']}/{body['metadata']['name']}")

    def apply(
        self,
        body: Mapping[str, Any],
        *,
        manager: str = MANAGER,
        force: bool = False,
        dry_run: bool = False,
    ) -> Body:
        """Server-side apply; a field that another manager owns is a conflict unless ``force``."""
        path = self._served_path(body, with_name=True)
        query = {"fieldManager": manager, "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        name = body["metadata"]["name"]
        sent = self._transport.send("PATCH", path, query, body, "application/apply-patch+yaml")
        return self._answer(sent, f"apply {body['kind']}/{name}")

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None,
        patch: Any,
        *,
        subresource: str = "",
        how: str = "merge",
    ) -> Body:
        """Change an object by a ``merge``, ``json`` or ``strategic`` patch."""
        path = self._known_path(api_version, kind, namespace, name)
        whole = f"{path}/{subresource}" if subresource else path
        sent = self._transport.send("PATCH", whole, {}, patch, _PATCHES[how])
        return self._answer(sent, f"patch {kind}/{name}")

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        grace_seconds: int | None = None,
        propagation: str = "Background",
    ) -> bool:
        """Delete an object; ``False`` when it was absent."""
        path = self._path(api_version, kind, namespace, name)
        options: Body = {"propagationPolicy": propagation}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        return path is not None and self._or_absent("DELETE", path, options) is not None

    def watch(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        labels: str = "",
        seconds: float = 300.0,
        resource_version: str = "",
    ) -> Iterator[tuple[str, Body]]:
        """Changes as ``(ADDED | MODIFIED | DELETED, object)`` until the server ends the stream.

        Without ``resource_version`` it begins with all objects there are, as ADDED.  The server
        ends it after ``seconds``; a version too old to go on from is an error with status 410.
        """
        path = self._known_path(api_version, kind, namespace)
        query = {
            "watch": "true",
            "timeoutSeconds": str(max(1, round(seconds))),
            "labelSelector": labels,
            "resourceVersion": resource_version,
        }
        response = self._transport.send("GET", path, query, timeout=seconds + REQUEST_SECONDS)
        if response.status >= FIRST_ERROR:
            raise refused(response.status, text_of(response), f"watch {kind}")
        yield from events(response, kind)

    def logs(
        self,
        name: str,
        namespace: str,
        container: str,
        *,
        previous: bool = False,
        tail: int | None = None,
    ) -> str | None:
        """A container's log; ``None`` when there is none (yet)."""
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(name)}/log"
        query = {"container": container, "previous": str(previous).lower()}
        if tail is not None:
            query["tailLines"] = str(tail)
        response = self._transport.send("GET", path, query)
        text = text_of(response)
        # 400: the container waits to start, or has no previous run; 500: the node does not answer.
        return text if response.status < FIRST_ERROR else None

    def execute(
        self,
        pod: str,
        namespace: str,
        container: str,
        command: Sequence[str],
        timeout: float = REQUEST_SECONDS,
    ) -> Ran:
        """What a command in a container wrote, as ``kubectl exec`` shows it."""
        return self._transport.execute(pod, namespace, container, command, timeout)

    def raw(self, method: str, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The parsed answer of any path of the API."""
        return self._answer(self._transport.send(method, path, query or {}), f"{method} {path}")

    def raw_text(self, path: str) -> str:
        """The answer of a path whose answer is no JSON, whatever its status: ``/readyz``."""
        return text_of(self._transport.send("GET", path, {}))

    # ----------------------------------------------------------------------------------------------

    def _or_absent(self, method: str, path: str, body: Any = None) -> Body | None:
        response = self._transport.send(method, path, {}, body)
        if response.status == NOT_FOUND:
            text_of(response)
            return None
        return self._answer(response, f"{method} {path}")

    def _answer(self, response: Answer, what: str) -> Body:
        text = text_of(response)
        if response.status >= FIRST_ERROR:
            raise refused(response.status, text, what)
        try:
            parsed: Body = json.loads(text)
        except ValueError:
            message = f"{what}: the server answered something that is no JSON: {text[:80]!r}."
            raise KubeError(message, status=response.status) from None
        return parsed

    def _resource(self, api_version: str, kind: str) -> _Resource | None:
        if kind not in self._kinds.get(api_version, {}):
            group = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            found = self._or_absent("GET", group) or {"resources": []}
            self._kinds[api_version] = {
                entry["kind"]: _Resource(entry["name"], entry["namespaced"])
                for entry in found["resources"]
                if "/" not in entry["name"]
            }
        return self._kinds[api_version].get(kind)

    def _path(
        self, api_version: str, kind: str, namespace: str | None, name: str | None = None
    ) -> str | None:
        resource = self._resource(api_version, kind)
        if resource is None:
            return None
        words = ["apis" if "/" in api_version else "api", *api_version.split("/")]
        if namespace is not None and resource.namespaced:
            words += ["namespaces", namespace]
        words.append(resource.plural)
        if name is not None:
            words.append(name)
        return "/" + "/".join(quote(word, safe="") for word in words)

    def _known_path(
        self, api_version: str, kind: str, namespace: str | None, name: str | None = None
    ) -> str:
        path = self._path(api_version, kind, namespace, name)
        if path is None:
            message = f"the cluster of context {self.context!r} does not know {api_version} {kind}."
            raise KubeError(message, status=NOT_FOUND, reason="NotFound")
        return path

    def _served_path(self, body: Mapping[str, Any], *, with_name: bool) -> str:
        meta = body["metadata"]
        namespace = meta.get("namespace") or self.namespace
        name = meta["name"] if with_name else None
        return self._known_path(body["apiVersion"], body["kind"], namespace, name)
