"""Command lines of the control plane's programs, and the files that they want."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.bed.certificates import Authority, Issued, signing_key

BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
"""Programs of the control plane, as scripts/install-tools names them."""

MADE_BY = "bed/run-by"
"""Node label: who plays the node, ``kwok`` or ``agent``."""


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody holds now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@dataclass(frozen=True)
class Ports:
    """Ports on loopback."""

    etcd: int
    etcd_peer: int
    api: int
    scheduler: int
    kwok: int


class Components:
    """Writes certificates and configuration into ``folder``, and says how each program starts."""

    def __init__(self, folder: Path, binaries: Path, context: str) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.ports = Ports(*free_ports(5))
        self._binaries = binaries
        self._context = context
        (folder / "logs").mkdir()
        pki = folder / "pki"
        self.authority = Authority.create(pki, "ca")
        self.front = Authority.create(pki, "front-proxy-ca")
        self._front_client = self.front.issue("front-proxy-client")
        self._tokens = signing_key(pki, "service-accounts")
        hosts = ["127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1"]
        self._server = self.authority.issue("kube-apiserver", hosts=hosts)
        admin = self.authority.issue("admin", organisation="system:masters")
        self.write_kubeconfig(self.kubeconfig, admin)
        for name in ("kube-controller-manager", "kube-scheduler"):
            issued = self.authority.issue(f"system:{name}")
            self.write_kubeconfig(folder / f"{name}.kubeconfig", issued)

    def write_kubeconfig(self, file: Path, client: Issued, namespace: str = "default") -> None:
        """A kubeconfig with one context, whose name is GKE's for the cluster."""
        name = self._context
        cluster = {
            "server": f"https://127.0.0.1:{self.ports.api}",
            "certificate-authority": str(self.authority.certificate),
        }
        user = {"client-certificate": str(client.certificate), "client-key": str(client.key)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [
                {"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}
            ],
            "current-context": name,
        }
        file.write_text(yaml.safe_dump(document), encoding="utf-8")

    def etcd(self) -> list[str]:
        """Its data need not outlive the machine, so it waits for no disk."""
        client = f"http://127.0.0.1:{self.ports.etcd}"
        peer = f"http://127.0.0.1:{self.ports.etcd_peer}"
        return [
            str(self._binaries / "etcd"),
            "--name=bed",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=bed={peer}",
            "--unsafe-no-fsync",
            "--log-level=error",
        ]

    def apiserver(self) -> list[str]:
        """All admission that is on by default, RBAC, and the aggregation of metrics APIs."""
        return [
            str(self._binaries / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self.ports.etcd}",
            "--bind-address=127.0.0.1",
            # Else it looks for the address of a default route, which a machine may not have.
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={self.ports.api}",
            f"--tls-cert-file={self._server.certificate}",
            f"--tls-private-key-file={self._server.key}",
            f"--client-ca-file={self.authority.certificate}",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._tokens.certificate}",
            f"--service-account-signing-key-file={self._tokens.key}",
            f"--requestheader-client-ca-file={self.front.certificate}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={self._front_client.certificate}",
            f"--proxy-client-key-file={self._front_client.key}",
            # A Service of type ExternalName may then stand for an adapter on loopback.
            "--enable-aggregator-routing=false",
            "--shutdown-delay-duration=0s",
            "--v=1",
        ]

    def controller_manager(self) -> list[str]:
        """The autoscaler looks often and holds back briefly, so that a test need not wait."""
        return [
            str(self._binaries / "kube-controller-manager"),
            f"--kubeconfig={self.folder / 'kube-controller-manager.kubeconfig'}",
            "--leader-elect=false",
            "--secure-port=0",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self._tokens.key}",
            f"--root-ca-file={self.authority.certificate}",
            "--controllers=*,-nodeipam,-service-lb-controller,-node-route-controller",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--pvclaimbinder-sync-period=2s",
            "--horizontal-pod-autoscaler-sync-period=1s",
            "--horizontal-pod-autoscaler-downscale-stabilization=5s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=0s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=0s",
            "--v=1",
        ]

    def scheduler(self) -> list[str]:
        """Tries a pod that does not fit again soon."""
        file = self.folder / "scheduler.json"
        settings: dict[str, Any] = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {
                "kubeconfig": str(self.folder / "kube-scheduler.kubeconfig"),
                "qps": 500,
                "burst": 1000,
            },
            "podInitialBackoffSeconds": 1,
            "podMaxBackoffSeconds": 2,
        }
        file.write_text(json.dumps(settings), encoding="utf-8")
        return [
            str(self._binaries / "kube-scheduler"),
            f"--config={file}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.ports.scheduler}",
            "--v=1",
        ]

    def kwok(self) -> list[str]:
        """Plays the nodes labelled for it, by the stages that are in the cluster."""
        return [
            str(self._binaries / "kwok"),
            f"--kubeconfig={self.kubeconfig}",
            f"--manage-nodes-with-label-selector={MADE_BY}=kwok",
            "--enable-crds=Stage",
            "--cidr=10.200.0.0/16",
            # Refused at once when asked for logs; a far address would be waited for.
            "--node-ip=127.0.0.1",
            f"--config={self._empty_config()}",
            f"--server-address=127.0.0.1:{self.ports.kwok}",
            "--node-lease-duration-seconds=40",
        ]

    def _empty_config(self) -> Path:
        file = self.folder / "kwok.yaml"
        file.write_text("", encoding="utf-8")
        return file
