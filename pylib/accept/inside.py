"""A look into a serving container: its mounts, their read-ahead, and a completion."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TypeVar

from pylib.accept.found import weights_of
from pylib.accept.model import Completion, Inside, Mount, Read, Reply
from pylib.diagnose.scene import server_of
from pylib.errors import KubeError
from pylib.kube import Kube
from pylib.names import MODEL_ROOT
from pylib.snapshot.bodies import Body, name_of, number, parts, texts
from pylib.snapshot.model import Snapshot
from pylib.snapshot.pods import SERVER

T = TypeVar("T")

MOUNTS = "/proc/self/mountinfo"
TOKENS = 16
"""Tokens of the longer completion."""

_DEFAULT_PORT = 8000
_SERVED = re.compile(r"--served-model-name=(.+)")
_ESCAPED = re.compile(r"\\(\d{3})")


def look(kube: Kube, snapshot: Snapshot, pod: Body, timeout: float) -> Inside:
    """What is seen in a pod's serving container; a completion may take ``timeout`` seconds."""
    weights = weights_of(snapshot, pod)
    mount: Read[Mount] = Read()
    ahead: Read[int] = Read()
    if weights is not None:
        mount = _mount(kube, snapshot, pod)
        ahead = _read_ahead(kube, snapshot, pod, mount)
    return Inside(mount, ahead, _completion(kube, snapshot, pod, timeout))


def read_ahead_files(device: str) -> list[str]:
    """Where the kernel says the read-ahead of a device, of a partition's disk, and of a mount that
    has no block device: https://docs.kernel.org/admin-guide/abi-testing.html (block, bdi)."""
    block = f"/sys/dev/block/{device}"
    names = [f"{block}/queue", f"{block}/../queue", f"/sys/class/bdi/{device}"]
    return [f"{name}/read_ahead_kb" for name in names]


def mount_at(text: str, path: str) -> Mount | None:
    """The uppermost mount at a path, of a text as ``/proc/self/mountinfo`` has it: proc(5)."""
    found = None
    for line in text.splitlines():
        words, _, rest = line.partition(" - ")
        fields, after = words.split(), rest.split()
        if len(fields) >= 6 and len(after) >= 2 and _plain(fields[4]) == path:
            found = Mount(fields[2], tuple(fields[5].split(",")), after[0], _plain(after[1]))
    return found


def _plain(word: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), word)


def _mount(kube: Kube, snapshot: Snapshot, pod: Body) -> Read[Mount]:
    said = _run(kube, snapshot, pod, ["cat", MOUNTS], 30)
    return (
        Read(None, said.why_not) if said.found is None else Read(mount_at(said.found, MODEL_ROOT))
    )


def _read_ahead(kube: Kube, snapshot: Snapshot, pod: Body, mount: Read[Mount]) -> Read[int]:
    if mount.found is None:
        return Read(None, mount.why_not)
    said = _run(kube, snapshot, pod, ["cat", *read_ahead_files(mount.found.device)], 30)
    numbers = re.findall(r"\d+", said.found or "")
    return Read(int(numbers[0])) if numbers else Read(None, said.why_not)


def _completion(kube: Kube, snapshot: Snapshot, pod: Body, timeout: float) -> Read[Completion]:
    program = (files("pylib.accept") / "in_pod.py").read_text(encoding="utf-8")
    words = ["python3", "-c", program, str(_port(pod)), served_name(pod), str(TOKENS), str(timeout)]
    said = _run(kube, snapshot, pod, words, 2 * timeout + 30)
    if said.found is None:
        return Read(None, said.why_not)
    try:
        told = json.loads(said.found)
        return Read(Completion(Reply(**told["first"]), Reply(**told["whole"]), TOKENS))
    except (ValueError, LookupError, TypeError):
        return Read(None, f"the pod answered what is no reply: {said.found[:100]!r}")


def _port(pod: Body) -> int:
    ports = parts(server_of(pod), "ports")
    return next((p for p in (number(it, "containerPort") for it in ports) if p), _DEFAULT_PORT)


def served_name(pod: Body) -> str:
    """The model's name in the API, from the server's arguments."""
    for word in texts(server_of(pod), "args"):
        match = _SERVED.fullmatch(word)
        if match:
            return match[1]
    return ""


def _run(
    kube: Kube, snapshot: Snapshot, pod: Body, command: list[str], timeout: float
) -> Read[str]:
    """What a command writes; its standard error when it writes nothing."""
    try:
        ran = kube.execute(name_of(pod), snapshot.namespace, SERVER, command, timeout)
    except KubeError as error:
        return Read(None, str(error))
    if ran.stdout:
        return Read(ran.stdout)
    return Read(None, ran.stderr.strip()[-300:] or f"it wrote nothing, exit code {ran.code}")
