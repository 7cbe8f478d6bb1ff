"""A Kubernetes control plane on loopback, with GKE's objects on it, for tests and for trying out.

Real: etcd, kube-apiserver with its admission, kube-controller-manager, kube-scheduler.  Simulated:
nodes and what runs on them (kwok, or an agent with real processes), volumes, GPUs, the pod network.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TextIO

from pylib.kube import Kube
from tests.cluster.bed import gke
from tests.cluster.bed.components import BINARIES, Components
from tests.cluster.bed.provisioner import Provisioner
from tests.cluster.bed.stages import Stages, stage_crd
from tests.cluster.bed.wait import until

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ROOT / ".tools" / "bin"
CONTEXT = "gke_my-project_us-central1_vllm-cluster"
"""The kubeconfig's context: what gcloud calls the cluster of the example configs."""

START_SECONDS = 120.0
"""Deadline of each step of a start; on two free cores the whole takes about ten seconds."""

_PREFIX = "vllm-bed-"
_LOCK = "held"
_CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
_CLIENTS = (*_CONTROLLERS, "kwok")
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class BedError(Exception):
    """The control plane did not start; the message ends with the log of what failed."""


def missing_binaries() -> list[str]:
    """Programs that are not built yet."""
    return [name for name in BINARIES if not (TOOLS / name).exists()]


class Bed:
    """One running control plane; everything of it ends with :meth:`close`, or with this process."""

    def __init__(self, context: str = CONTEXT) -> None:
        if absent := missing_binaries():
            raise BedError(f"not built: {', '.join(absent)}. Run scripts/install-tools cluster.")
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = _hold(self.folder)
        self._keeper = _Keeper(self.folder)
        try:
            self._components = Components(self.folder, TOOLS, context)
            self.kubeconfig = self._components.kubeconfig
            self.ports = self._components.ports
            self._start_all()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_all(self) -> None:
        self.start("etcd")
        self.start("kube-apiserver")
        self.kube = Kube.connect(self.kubeconfig)
        self.stages = Stages(self.kube)
        self._wait_for_api()
        for name in _CONTROLLERS:
            self.start(name)
        definitions = [stage_crd(), *gke.definitions()]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.kube.apply, definitions))
        self.kube.apply(gke.storage_class())
        for body in definitions:
            self._wait_for_kind(body)
        self.stages.install()
        self.start("kwok")
        self.provisioner = Provisioner(Kube.connect(self.kubeconfig))
        self._wait_for_service_accounts()

    def _wait_for_api(self) -> None:
        def ready() -> bool:
            self._check_alive()
            return self.kube.raw_text("/readyz") == "ok"

        until(ready, START_SECONDS, "the API server is ready")

    def _wait_for_kind(self, definition: dict[str, Any]) -> None:
        spec = definition["spec"]
        version = f"{spec['group']}/{spec['versions'][0]['name']}"
        kind = spec["names"]["kind"]
        until(lambda: self.kube.serves(version, kind), START_SECONDS, f"{kind} is served")

    def _wait_for_service_accounts(self) -> None:
        """The first sign that the controller manager works."""

        def made() -> object:
            self._check_alive()
            return self.kube.get("v1", "ServiceAccount", "default", "default")

        until(made, START_SECONDS, "the controller manager works")

    def start(self, name: str) -> None:
        """Start one program; the API server is ready when this returns only after a restart."""
        commands = {
            "etcd": self._components.etcd,
            "kube-apiserver": self._components.apiserver,
            "kube-controller-manager": self._components.controller_manager,
            "kube-scheduler": self._components.scheduler,
            "kwok": self._components.kwok,
        }
        self._keeper.ask(do="start", name=name, command=commands[name](), settings={})

    def stop(self, name: str, seconds: float = 20.0) -> None:
        """End one program, by force after ``seconds``; 0 kills it at once."""
        self._keeper.ask(do="stop", name=name, seconds=seconds)

    def restart(self, name: str, seconds: float = 0.0) -> None:
        """Kill one program (or end it within ``seconds``) and start it again; the API answers when
        this returns.

        After the API server all its clients are started anew: each waits longer with every failure,
        so that after an outage of 10 s the controllers stay away for another 30.  The nodes' leases
        go, since a new kwok leaves a node alone while the old one's lease runs.
        """
        self.stop(name, seconds)
        self.start(name)
        self._wait_for_api()
        if name == "kube-apiserver":
            for client in _CLIENTS:
                self.stop(client, 0)
            self.kube.raw("DELETE", _LEASES)
            for client in _CLIENTS:
                self.start(client)

    def log(self, name: str) -> str:
        """What a program wrote so far."""
        return (self.folder / "logs" / f"{name}.log").read_text("utf-8", "replace")

    @property
    def authority(self) -> Any:
        """The certificate authority of the API server and its clients."""
        return self._components.authority

    @property
    def front_proxy_ca(self) -> Path:
        """The certificate that the API server's calls to aggregated APIs are signed by."""
        return self._components.front.certificate

    def add_node(self, name: str, **what: Any) -> None:
        """A node of a pool (see :func:`tests.cluster.bed.gke.node`); it is ready when this returns,
        if kwok plays it."""
        body = gke.node(name, **what)
        self.kube.create(body)
        if what.get("run_by", "kwok") == "kwok":
            until(lambda: self._is_ready(name), 30, f"node {name} is ready")

    def remove_node(self, name: str) -> None:
        """Take a node away; the controller manager deletes its pods.

        Its lease goes too: kwok leaves a node alone while somebody else's lease on it runs.
        """
        self.kube.delete("v1", "Node", name, grace_seconds=0)
        self.kube.delete("coordination.k8s.io/v1", "Lease", name, "kube-node-lease")

    def _is_ready(self, name: str) -> bool:
        found = self.kube.get("v1", "Node", name) or {}
        conditions = found.get("status", {}).get("conditions", [])
        taints = {taint["key"] for taint in found.get("spec", {}).get("taints", [])}
        is_new = "node.kubernetes.io/not-ready" in taints
        return not is_new and any(
            c["type"] == "Ready" and c["status"] == "True" for c in conditions
        )

    def _check_alive(self) -> None:
        ended = self._keeper.ask(do="poll")["ended"]
        for name, code in ended.items():
            tail = self.log(name)[-2000:]
            raise BedError(f"{name} ended with code {code}; its log ends:\n{tail}")

    def close(self) -> None:
        """End everything and remove the folder."""
        if provisioner := getattr(self, "provisioner", None):
            provisioner.close()
        self._keeper.close()
        self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Keeper:
    """The keeper process: it outlives a killed test run just long enough to tidy up."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("keeper.py")), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C on a terminal is for the test run, not for it
        )

    def ask(self, **order: Any) -> Any:
        """One order, one answer."""
        process = self._process
        if process.stdin is None or process.stdout is None or process.poll() is not None:
            raise BedError("the keeper of the control plane has ended")
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline() or '{"error": "the keeper ended"}')
        if "error" in answer:
            raise BedError(f"{order['do']} {order.get('name', '')}: {answer['error']}")
        return answer

    def close(self) -> None:
        """It kills what it keeps when its input ends."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait(timeout=60)
        if self._process.stdout is not None:
            self._process.stdout.close()


def _hold(folder: Path) -> TextIO:
    """A lock on the folder for as long as this process lives."""
    lock = (folder / _LOCK).open("w")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def _sweep() -> None:
    """Remove folders whose owner and keeper were both killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # No lock file: somebody is starting.  Locked: somebody works there.
        with contextlib.suppress(OSError), (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
