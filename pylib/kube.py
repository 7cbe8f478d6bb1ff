"""Kubernetes' API, as plain JSON objects: the one module that imports the Kubernetes client.

The client brings kubeconfig, credentials (also GKE's plugin) and TLS; its models are left out, for
everything here reads, shows and stores objects as the server wrote them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3
from kubernetes import config as kube_config
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.client.rest import RESTResponse

from pylib.errors import KubeError

Body = dict[str, Any]
"""One object, or a list of objects, as the API server's JSON has it."""

MANAGER = "vllm-fast-start"
"""Field manager of what this library applies."""

PAGE = 500
"""Objects a list request asks for at once, as kubectl does."""

REQUEST_SECONDS = 30.0
PATIENCE_SECONDS = 60.0
"""How long a server that has answered before may be away; a restart takes less than a minute."""

_PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_FIRST_ERROR = 400
_NOT_FOUND = 404
_GONE = 410
_BUSY = (429, 503)


@dataclass(frozen=True)
class _Resource:
    plural: str
    namespaced: bool


class Kube:
    """One cluster, through one context of a kubeconfig.

    Every method raises :class:`~pylib.errors.KubeError` when the server refuses or is away; an
    object that is absent is an answer, not an error.
    """

    def __init__(self, client: ApiClient, context: str, namespace: str) -> None:
        self.context = context
        self.namespace = namespace
        self._client = client
        self._kinds: dict[str, dict[str, _Resource]] = {}
        self._was_reached = False

    @classmethod
    def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> Kube:
        """The cluster of ``context``, or of the current one; inside a pod, that pod's cluster."""
        configuration = Configuration()
        file = None if kubeconfig is None else str(kubeconfig)
        try:
            contexts, active = kube_config.list_kube_config_contexts(config_file=file)
            chosen = _chosen(contexts, context) if context else active
            kube_config.load_kube_config(
                config_file=file, context=chosen["name"], client_configuration=configuration
            )
        except kube_config.ConfigException as error:
            if kubeconfig is not None or context is not None:
                raise KubeError(_no_context(context, str(error))) from None
            return cls._in_cluster(configuration, str(error))
        namespace = chosen["context"].get("namespace") or "default"
        return cls(ApiClient(configuration), chosen["name"], namespace)

    @classmethod
    def _in_cluster(cls, configuration: Configuration, reason: str) -> Kube:
        try:
            kube_config.load_incluster_config(client_configuration=configuration)
        except kube_config.ConfigException:
            raise KubeError(_no_context(None, reason)) from None
        return cls(ApiClient(configuration), "in-cluster", "default")

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._client.configuration.host)

    def version(self) -> str:
        """The server's Kubernetes version, as in ``1.36``."""
        found = self.raw("GET", "/version")
        return f"{found['major']}.{str(found['minor']).rstrip('+')}"

    def serves(self, api_version: str, kind: str) -> bool:
        """Whether the server has the kind; asked anew until it has."""
        return self._resource(api_version, kind) is not None

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
        return self._answer(self._send("POST", path, query, body), f"create {body['kind']}/{name}")

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
        sent = self._send("PATCH", path, query, body, "application/apply-patch+yaml")
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
        sent = self._send("PATCH", whole, {}, patch, _PATCHES[how])
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
        response = self._send("GET", path, query, timeout=seconds + REQUEST_SECONDS)
        if response.status >= _FIRST_ERROR:
            raise _refused(response.status, _text(response), f"watch {kind}")
        yield from _events(response, kind)

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
        response = self._send("GET", path, query)
        text = _text(response)
        # 400: the container waits to start, or has no previous run; 500: the node does not answer.
        return text if response.status < _FIRST_ERROR else None

    def raw(self, method: str, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The parsed answer of any path of the API."""
        return self._answer(self._send(method, path, query or {}), f"{method} {path}")

    def raw_text(self, path: str) -> str:
        """The answer of a path whose answer is no JSON, whatever its status: ``/readyz``."""
        return _text(self._send("GET", path, {}))

    # ----------------------------------------------------------------------------------------------

    def _or_absent(self, method: str, path: str, body: Any = None) -> Body | None:
        response = self._send(method, path, {}, body)
        if response.status == _NOT_FOUND:
            _text(response)
            return None
        return self._answer(response, f"{method} {path}")

    def _answer(self, response: RESTResponse, what: str) -> Body:
        text = _text(response)
        if response.status >= _FIRST_ERROR:
            raise _refused(response.status, text, what)
        try:
            parsed: Body = json.loads(text)
        except ValueError:
            message = f"{what}: the server answered something that is no JSON: {text[:80]!r}."
            raise KubeError(message, status=response.status) from None
        return parsed

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any = None,
        content_type: str = "application/json",
        timeout: float = REQUEST_SECONDS,
    ) -> RESTResponse:
        """One request; sent again while the server is away for a moment and that is safe."""
        end = time.monotonic() + (PATIENCE_SECONDS if self._was_reached else 0)
        pause = 0.1
        while True:
            try:
                response = self._send_once(method, path, query, body, content_type, timeout)
            except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
                if time.monotonic() > end or not (method == "GET" or _never_sent(error)):
                    raise self._unreachable(error) from None
            else:
                self._was_reached = True
                if response.status not in _BUSY or time.monotonic() > end or "/log" in path:
                    return response
                response.response.release_conn()
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def _send_once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any,
        content_type: str,
        timeout: float,
    ) -> RESTResponse:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        pairs = [(key, value) for key, value in query.items() if value]
        request = self._client.param_serialize(
            method, path, query_params=pairs, header_params=headers, auth_settings=["BearerToken"]
        )
        # The body goes beside: param_serialize would drop an empty one and rewrite its keys.
        response: RESTResponse = self._client.rest_client.request(
            method, request[1], headers=request[2], body=body, _request_timeout=(5.0, timeout)
        )
        return response

    def _unreachable(self, error: Exception) -> KubeError:
        return KubeError(
            f"the cluster of context {self.context!r} at {self.server} cannot be reached: "
            f"{_reason(error)}. Check that the cluster is up and that this machine may reach it; "
            "`kubectl --context … get --raw /readyz` asks the same.",
            reason="Unreachable",
        )

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
            raise KubeError(message, status=_NOT_FOUND, reason="NotFound")
        return path

    def _served_path(self, body: Mapping[str, Any], *, with_name: bool) -> str:
        meta = body["metadata"]
        namespace = meta.get("namespace") or self.namespace
        name = meta["name"] if with_name else None
        return self._known_path(body["apiVersion"], body["kind"], namespace, name)


def _chosen(contexts: list[Body], name: str) -> Body:
    for context in contexts:
        if context["name"] == name:
            return context
    known = ", ".join(sorted(context["name"] for context in contexts)) or "none"
    raise KubeError(f"the kubeconfig has no context {name!r}; it has: {known}.")


def _no_context(context: str | None, reason: str) -> str:
    which = f"context {context!r}" if context else "a cluster"
    return (
        f"no way to {which}: {reason.rstrip('.')}. For GKE run `gcloud container clusters "
        "get-credentials CLUSTER --location LOCATION --project PROJECT`, or name a file with "
        "--kubeconfig."
    )


def _text(response: RESTResponse) -> str:
    data: bytes = response.read()
    return data.decode("utf-8", "replace")


def _refused(status: int, text: str, what: str) -> KubeError:
    """The error that a Status object, or whatever stands in its place, describes."""
    try:
        found = json.loads(text)
        message, reason = str(found.get("message", text)), str(found.get("reason", ""))
    except (ValueError, AttributeError):
        message, reason = text.strip()[:400], ""
    return KubeError(f"{what}: {message} (HTTP {status})", status=status, reason=reason)


def _events(response: RESTResponse, kind: str) -> Iterator[tuple[str, Body]]:
    rest = b""
    try:
        for chunk in response.response.stream(amt=None, decode_content=True):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = int(event["object"].get("code", _GONE))
                    raise _refused(status, json.dumps(event["object"]), f"watch {kind}")
                if event["type"] != "BOOKMARK":
                    yield event["type"], event["object"]
    except (urllib3.exceptions.HTTPError, OSError):
        return  # the stream was cut: whoever watches begins anew
    finally:
        response.response.close()


def _never_sent(error: Exception) -> bool:
    """Whether a request that changes something may be sent again: no byte of it left."""
    inner = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    return isinstance(inner, urllib3.exceptions.NewConnectionError)


def _reason(error: Exception) -> str:
    inner = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    return str(inner).rsplit(": ", 1)[-1].strip("()'\" ") or type(inner).__name__
