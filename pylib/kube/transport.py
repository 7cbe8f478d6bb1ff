"""Requests to one API server: kubeconfig, credentials, TLS, and patience while it restarts.

The one module that imports the Kubernetes client.  The client brings kubeconfig, credentials (also
GKE's plugin) and TLS; its models are left out, for everything here reads, shows and stores objects
as the server wrote them.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import config as kube_config
from kubernetes.client import ApiClient, ApiException, Configuration, CoreV1Api
from kubernetes.client.rest import RESTResponse
from kubernetes.stream import stream
from kubernetes.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL
from websocket import WebSocketException

from pylib.errors import KubeError

Body = dict[str, Any]
"""One object, or a list of objects, as the API server's JSON has it."""

REQUEST_SECONDS = 30.0
CONNECT_SECONDS = 5.0
PATIENCE_SECONDS = 60.0
"""How long a server that has answered before may be away; a restart takes less than a minute."""

Answer = RESTResponse
"""An answer whose body is still to be read."""

FIRST_ERROR = 400
_FORBIDDEN = 403
NOT_FOUND = 404
_GONE = 410
_BUSY = (429, 503)
_HANDSHAKE = re.compile(r"Handshake status (\d{3}) (.{0,80}?) -\+-\+-.* -\+-\+- (.*)", re.DOTALL)
_CHANNELS = (STDOUT_CHANNEL, STDERR_CHANNEL, ERROR_CHANNEL)
_WITHOUT_STDIN = {"sec-websocket-protocol": "v4.channel.k8s.io"}
"""Later protocols add the end of standard input, which nothing here has; every server knows it."""


@dataclass(frozen=True)
class Ran:
    """What a command in a container wrote, and its exit code; ``None`` when it is not known."""

    stdout: str
    stderr: str
    code: int | None


class Transport:
    """One context of a kubeconfig, and the requests sent by it."""

    def __init__(self, client: ApiClient, context: str, namespace: str) -> None:
        self.context = context
        self.namespace = namespace
        self._client = client
        self._was_reached = False

    @classmethod
    def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> Transport:
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
    def _in_cluster(cls, configuration: Configuration, reason: str) -> Transport:
        try:
            kube_config.load_incluster_config(client_configuration=configuration)
        except kube_config.ConfigException:
            raise KubeError(_no_context(None, reason)) from None
        return cls(ApiClient(configuration), "in-cluster", "default")

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._client.configuration.host)

    def send(
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
                if response.status not in _BUSY or time.monotonic() > end:
                    return response
                response.response.drain_conn()
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
            method,
            request[1],
            headers=request[2],
            body=body,
            _request_timeout=(CONNECT_SECONDS, timeout),
        )
        return response

    def execute(
        self, pod: str, namespace: str, container: str, command: Sequence[str], timeout: float
    ) -> Ran:
        """Run a command in a container, without standard input; KubeError where it may not be."""
        what = f"exec in Pod/{pod}"
        try:
            talk = stream(
                CoreV1Api(self._client).connect_get_namespaced_pod_exec,
                pod,
                namespace,
                command=list(command),
                container=container,
                stdin=False,
                stdout=True,
                stderr=True,
                tty=False,
                _headers=_WITHOUT_STDIN,
                _preload_content=False,
                binary=True,
            )
        except ApiException as error:
            raise _refused_handshake(str(error.reason), what) from None
        try:
            talk.run_forever(timeout=timeout)
            said, wrong, end = (
                talk.read_channel(channel).decode("utf-8", "replace") for channel in _CHANNELS
            )
        except (WebSocketException, OSError) as error:
            message = f"{what}: the connection broke: {error}"
            raise KubeError(message, reason="Unreachable") from None
        finally:
            talk.close()
            talk.sock.shutdown()  # close() leaves the socket open when the server said the end
        return Ran(said, wrong, _exit_code(end))

    def _unreachable(self, error: Exception) -> KubeError:
        return KubeError(
            f"the cluster of context {self.context!r} at {self.server} cannot be reached: "
            f"{_reason(error)}. Check that the cluster is up and that this machine may reach it; "
            "`kubectl --context … get --raw /readyz` asks the same.",
            reason="Unreachable",
        )


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


def text_of(response: RESTResponse) -> str:
    """The whole answer as text; the connection is free again."""
    data: bytes = response.read()
    return data.decode("utf-8", "replace")


def refused(status: int, text: str, what: str) -> KubeError:
    """The error that a Status object, or whatever stands in its place, describes."""
    try:
        found = json.loads(text)
        message, reason = str(found.get("message", text)), str(found.get("reason", ""))
    except (ValueError, AttributeError):
        message, reason = text.strip()[:400], ""
    return KubeError(f"{what}: {message} (HTTP {status})", status=status, reason=reason)


def _refused_handshake(reason: str, what: str) -> KubeError:
    """The websocket client says status and body of a refusal as one text."""
    match = _HANDSHAKE.search(reason)
    if match is None:
        return KubeError(f"{what}: {reason[:400]}", reason="Unreachable")
    error = refused(int(match[1]), match[3] or match[2], what)
    if error.status != _FORBIDDEN:
        return error
    # Who may get pods/exec, and not create it, is refused without a reason.
    said = str(error).removesuffix(f" (HTTP {_FORBIDDEN})").rstrip(": ")
    message = f"{said}. It takes the right to create pods/exec. (HTTP {_FORBIDDEN})"
    return KubeError(message, status=error.status, reason=error.reason)


def _exit_code(end: str) -> int | None:
    """From the Status object that ends an exec; the code stands in its causes."""
    try:
        status = json.loads(end)
        if status["status"] == "Success":
            return 0
        causes = status["details"]["causes"]
        return next(int(it["message"]) for it in causes if it["reason"] == "ExitCode")
    except (ValueError, KeyError, TypeError, StopIteration):
        return None


def events(response: RESTResponse, kind: str) -> Iterator[tuple[str, Body]]:
    """The events of a watch, one line each, until the stream ends or is cut."""
    rest = b""
    try:
        for chunk in response.response.stream(amt=None, decode_content=True):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = int(event["object"].get("code", _GONE))
                    raise refused(status, json.dumps(event["object"]), f"watch {kind}")
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
