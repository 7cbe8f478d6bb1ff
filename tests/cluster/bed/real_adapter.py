"""The real custom-metrics-stackdriver-adapter in the stand-in's place, for who brings its binary.

Its module cannot be had from a Go module proxy, so the tests' own machines have only the stand-in.
**Not tried:** the command line and the settings follow GoogleCloudPlatform/k8s-stackdriver@673c7dd
custom-metrics-stackdriver-adapter/adapter.go and the options of kubernetes-sigs/
custom-metrics-apiserver@v1.35.0 (pkg/cmd/builder.go, pkg/cmd/options/options.go); no binary of it
has run on them yet.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import urllib3

from tests.cluster.bed.adapter_rules import Cluster
from tests.cluster.bed.certificates import Issued
from tests.cluster.bed.components import free_ports
from tests.cluster.bed.metadata_server import MetadataServer
from tests.cluster.bed.wait import until

START_SECONDS = 60.0

_DIES_WITH_ITS_PARENT = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


class RealAdapter:
    """A process with the stand-in's methods; its log is ``adapter.log`` in ``folder``."""

    def __init__(
        self,
        binary: Path,
        folder: Path,
        kubeconfig: Path,
        monitoring: str,
        cluster: Cluster,
        certificate: Issued,
        authority: Path,
    ) -> None:
        """``authority`` is the file of what signed ``certificate``."""
        self._binary = binary
        self._folder = folder
        self._kubeconfig = kubeconfig
        self._monitoring = monitoring
        self._certificate = certificate
        self._authority = authority
        self._metadata = MetadataServer(cluster)
        self._process: subprocess.Popen[bytes] | None = None
        [self.port] = free_ports(1)

    def command(self) -> list[str]:
        """The flags of its deployment, then what it needs outside of a cluster."""
        return [
            str(self._binary),
            "--use-new-resource-model=true",
            "--fallback-for-container-metrics=true",
            f"--stackdriver-endpoint={self._monitoring}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={self._certificate.certificate}",
            f"--tls-private-key-file={self._certificate.key}",
            f"--lister-kubeconfig={self._kubeconfig}",
            f"--authentication-kubeconfig={self._kubeconfig}",
            f"--authorization-kubeconfig={self._kubeconfig}",
            # The client's own limit of 5 requests a second would show up in reaction times.
            "--client-qps=100",
            "--client-burst=200",
        ]

    def settings(self) -> dict[str, str]:
        """Environment: no credentials of this machine's user, only the metadata server's."""
        kept = {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}
        return kept | {"HOME": str(self._folder), "GCE_METADATA_HOST": self._metadata.host}

    def start(self) -> None:
        """Start the process; it is healthy when this returns."""
        self._metadata.__enter__()
        with (self._folder / "adapter.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _DIES_WITH_ITS_PARENT, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.settings(),
            )
        until(self._is_healthy, START_SECONDS, "the real adapter is healthy", show=self._log)

    def stop(self) -> None:
        """End the process and wait for it."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
            self._metadata.__exit__()

    def _is_healthy(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise AssertionError(f"the real adapter ended; its log ends:\n{self._log()}")
        pool = urllib3.PoolManager(ca_certs=str(self._authority), retries=False)
        try:
            found = pool.request("GET", f"https://127.0.0.1:{self.port}/healthz", timeout=5)
        except urllib3.exceptions.HTTPError:
            return False
        return found.status == 200

    def _log(self) -> str:
        return (self._folder / "adapter.log").read_text("utf-8", "replace")[-2000:]
