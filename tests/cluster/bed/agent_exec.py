"""The part of a kubelet that runs a command in a container and passes on what it writes.

Followed: the websocket protocol ``v4.channel.k8s.io`` (kubernetes/kubernetes
staging/src/k8s.io/kubelet/pkg/cri/streaming/remotecommand/websocket.go), which the API server
passes through; without standard input or a terminal.  Each message begins with the byte of its
channel, and the last one is a Status with the exit code.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from io import BufferedIOBase

from pylib.proc import Completed, run
from tests.cluster.bed.agent_container import Container
from tests.cluster.bed.agent_volumes import Paths
from tests.cluster.bed.loopback import Answer, Request, answer

Execute = Callable[[str, str, str, Sequence[str]], Completed]
"""Runs a command in the container of a namespace, pod, name; KeyError where there is none."""

PROTOCOL = "v4.channel.k8s.io"
_SECONDS = 60.0
_CHUNK = 32 * 1024 - 1  # odd, so that letters of two bytes get cut
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_BINARY, _CLOSE = 0x82, 0x88
_OUT, _WRONG, _END = 1, 2, 3


def beside(container: Container, command: Sequence[str], files: Mapping[str, str]) -> Completed:
    """Run a command as the container's process was: real, its paths rewritten as its own are.

    ``files`` are texts that it finds at these paths; a pod's loopback is the pod's own address.
    """
    folder, paths, environment, target = container.place
    known = dict(paths.folders)
    for number, (path, text) in enumerate(files.items()):
        known[path] = folder / f"file-{number}"
        known[path].write_text(text, encoding="utf-8")
    words = [Paths(known).rewrite(word) for word in command]
    if target is not None:
        words = [word.replace("127.0.0.1", target.address) for word in words]
    return run(words, ok_codes=tuple(range(256)), timeout=_SECONDS, settings=environment)


def upgrade(request: Request, run: Callable[[Sequence[str]], Completed]) -> Answer:
    """The answer to a request for an exec: the command has run when the connection is taken."""
    headers = request.headers
    if PROTOCOL not in headers.get("sec-websocket-protocol", ""):
        return answer(400, f"the agent knows {PROTOCOL} only\n")
    try:
        done = run(request.queries.get("command", []))
    except KeyError:
        return answer(404, "container not found\n")
    digest = hashlib.sha1(f"{headers['sec-websocket-key']}{_GUID}".encode(), usedforsecurity=False)
    accepted = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": base64.b64encode(digest.digest()).decode(),
        "Sec-WebSocket-Protocol": PROTOCOL,
    }
    return replace(answer(101, ""), headers=accepted, talk=lambda to: _tell(to, done))


def _tell(to: BufferedIOBase, done: Completed) -> None:
    for channel, text in ((_OUT, done.stdout), (_WRONG, done.stderr), (_END, _status(done.code))):
        data = text.encode()
        for start in range(0, len(data), _CHUNK):
            part = data[start : start + _CHUNK]
            to.write(_frame(_BINARY, bytes([channel]) + part))
    to.write(_frame(_CLOSE, (1000).to_bytes(2, "big")))
    to.flush()


def _status(code: int) -> str:
    if code == 0:
        return json.dumps({"metadata": {}, "status": "Success"})
    cause = {"reason": "ExitCode", "message": str(code)}
    message = f"command terminated with non-zero exit code: exit status {code}"
    status = {"status": "Failure", "reason": "NonZeroExitCode", "message": message}
    return json.dumps({"metadata": {}, **status, "details": {"causes": [cause]}})


def _frame(kind: int, data: bytes) -> bytes:
    """A message of a server, whole and without a mask."""
    size = len(data)
    if size < 126:
        return bytes([kind, size]) + data
    return bytes([kind, 126]) + size.to_bytes(2, "big") + data
