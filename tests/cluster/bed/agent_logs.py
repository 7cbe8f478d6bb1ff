"""The part of a kubelet's API that the API server passes on: logs, and commands in containers."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from tests.cluster.bed.agent_exec import Execute, upgrade
from tests.cluster.bed.certificates import Authority
from tests.cluster.bed.loopback import Answer, Loopback, Request, answer

ADDRESS = "127.0.0.1"
"""Address of every node of the agent, as far as the API server is concerned."""

Find = Callable[[str, str, str, bool], Path | None]
"""The log of a namespace, pod, container; of the run before where the last is true."""


class Logs:
    """Serves ``/containerLogs`` and ``/exec``, each below it ``/<namespace>/<pod>/<container>``,
    until it is closed."""

    def __init__(self, folder: Path, find: Find, execute: Execute) -> None:
        issued = Authority.create(folder, "kubelet-ca").issue("kubelet", hosts=[ADDRESS])
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(issued.certificate, issued.key)
        self._find = find
        self._execute = execute
        self._server = Loopback(self._respond, tls)
        self._server.start()

    @property
    def port(self) -> int:
        """Port of the kubelet's API."""
        return self._server.port

    def close(self) -> None:
        """Answer no more."""
        self._server.stop()

    def _respond(self, request: Request) -> Answer:
        kind, _, rest = request.path.strip("/").partition("/")
        words = rest.split("/")
        if kind not in {"containerLogs", "exec"} or len(words) != 3:
            return answer(404, "404 page not found\n")
        namespace, pod, container = words
        if kind == "exec":
            return upgrade(request, lambda said: self._execute(namespace, pod, container, said))
        previous = request.query.get("previous") == "true"
        file = self._find(namespace, pod, container, previous)
        if file is None or not file.exists():
            which = "previous terminated container" if previous else "container"
            return answer(400, f'{which} "{container}" in pod "{pod}" not found')
        lines = file.read_text("utf-8", "replace").splitlines(keepends=True)
        most = int(request.query.get("tailLines", len(lines)))
        return answer(200, "".join(lines[len(lines) - min(most, len(lines)) :]))
