"""``install`` after helm, itself or the API server was stopped in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pylib.install import recover
from pylib.kube import Kube
from tests.cluster.bed.bed import ROOT, Bed
from tests.cluster.bed.wait import until
from tests.cluster.installing import CONTEXT, SHM, Installer, wrapped
from tests.cluster.release import (
    NAME,
    SECONDS,
    Helm,
    pods,
    wait_ready,
    write_values,
)


def killed_upgrade(install: Installer, helm: Path, over: dict[str, Any]) -> None:
    """A helm that was killed in the middle of an upgrade."""
    tool, place = Helm(helm, install.bed), install.namespace
    values = write_values(install.folder, over)

    def pending() -> bool:
        return tool.states(NAME, place)[-1] == "pending-upgrade"

    never = "--wait", "--timeout=5m"
    install.bed.stages.never_ready("a")
    tool.killed("upgrade", NAME, place, values, *never, when=pending)
    install.bed.stages.reset()


def test_an_upgrade_whose_helm_was_killed_is_rolled_back_and_then_done(
    install: Installer, kube: Kube, any_helm: Path, nodes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFS_HELM", str(any_helm))
    place = install.namespace
    install()
    killed_upgrade(install, any_helm, {"server": {"shmSizeGiB": 2, "port": 9000}})

    busy = install.refused({"server": {"shmSizeGiB": 3}}, timeout=1)
    assert "revision 2 of release v is pending-upgrade since " in busy
    assert install.said[-1].endswith("--take-over goes on at once, if you know that none is")
    done = install({"server": {"shmSizeGiB": 3}}, take_over=True)
    assert (done.ready, done.revision) == (True, 4)
    assert (
        "revision 2 was left pending-upgrade by an interrupted run; it is rolled back to revision 1"
    ) in install.said
    states = Helm(any_helm, install.bed).states(NAME, place)
    assert states == ["superseded", "pending-upgrade", "superseded", "deployed"]


def test_an_old_pending_revision_is_completed_when_it_is_what_is_wanted(
    install: Installer, kube: Kube, helm: Path, nodes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    wanted = SHM
    killed_upgrade(install, helm, wanted)
    monkeypatch.setattr(recover, "INTERRUPTED_SECONDS", 0.0)
    done = install(wanted)
    assert (done.ready, done.revision, done.changed) == (True, 3, False)
    assert (
        "revision 2 was left pending-upgrade by an interrupted run; it is completed"
    ) in install.said


def test_a_first_install_whose_helm_was_killed_is_completed(
    install: Installer, bed: Bed, any_helm: Path, nodes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFS_HELM", str(any_helm))
    tool, values = Helm(any_helm, bed), write_values(install.folder)
    bed.stages.never_ready("a")

    def pending() -> bool:
        found = bed.kube.list("v1", "Secret", install.namespace, labels="owner=helm")
        return any(s["metadata"]["labels"]["status"] == "pending-install" for s in found)

    tool.killed("install", NAME, install.namespace, values, "--wait", when=pending)
    bed.stages.reset()
    done = install(take_over=True)
    assert (done.ready, done.revision) == (True, 2)
    assert tool.states(NAME, install.namespace)[-1] == "deployed"


def test_an_uninstall_whose_helm_was_killed_is_finished_first(
    install: Installer, bed: Bed, kube: Kube, helm: Path, nodes: None
) -> None:
    install()
    tool = Helm(helm, bed)
    pod = pods(kube, install.namespace)[0]["metadata"]["name"]
    patch = {"metadata": {"finalizers": ["bed/drains"]}}
    kube.patch("v1", "Pod", pod, install.namespace, patch)
    words = ["uninstall", NAME, "--namespace", install.namespace, "--wait", "--timeout=5m"]
    process = subprocess.Popen(
        [str(helm), *words], env={**os.environ, **tool.settings()}, stdout=subprocess.DEVNULL
    )
    try:
        until(
            lambda: tool.states(NAME, install.namespace)[-1] == "uninstalling",
            30,
            "it is under way",
        )
    finally:
        process.kill()
        process.wait()
    kube.patch("v1", "Pod", pod, install.namespace, {"metadata": {"finalizers": None}})
    done = install(take_over=True)
    assert (done.ready, done.revision) == (True, 1)
    assert "an uninstall of release v was interrupted; it is finished first" in install.said


CONFIG = """\
version: 1
project: my-project
region: us-central1
cluster: {{name: vllm-cluster}}
release: {{name: v, namespace: {namespace}}}
model: {{source: hf://google/gemma-7b, sizeGiB: 16}}
weights: {{kind: none, sizeGiB: 20}}
imageCache: {{enabled: false}}
cells:
  - name: a
    zone: us-central1-a
    nodePool: {{name: vllm-l4}}
    machineType: g2-standard-24
    accelerator: {{type: nvidia-l4, count: 2}}
serving: {{vllmVersion: "0.33.0"}}
autoscaling: {{enabled: false}}
"""


@pytest.fixture
def command(
    bed: Bed, namespace: str, tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``python -m pylib install`` with a config, as a process."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(namespace=namespace))
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str) -> subprocess.Popen[str]:
        words = ["install", "-f", str(config), "--kubeconfig", str(bed.kubeconfig), *flags]
        process = subprocess.Popen(
            [sys.executable, "-m", "pylib", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_the_command_installs_and_says_where(
    command: Callable[..., subprocess.Popen[str]], bed: Bed, namespace: str, nodes: None
) -> None:
    process = command("--yes", "--timeout", "60")
    said, _ = process.communicate(timeout=90)
    assert process.returncode == 0, said
    assert (
        f"release v goes to context {CONTEXT}, {bed.kube.server}, namespace {namespace}\n" in said
    )
    assert "release v is ready, revision 1\n" in said
    unasked = command()
    said, _ = unasked.communicate(timeout=90)
    assert unasked.returncode == 2
    assert "nobody is at a terminal to confirm the cluster" in said


def deployed(kube: Kube, namespace: str) -> bool:
    """Whether helm has noted its success: it is then past every request of its own."""
    records = kube.list("v1", "Secret", namespace, labels="owner=helm,status=deployed")
    return bool(records) and bool(pods(kube, namespace))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_helm_and_the_next_run_goes_on(
    command: Callable[..., subprocess.Popen[str]],
    bed: Bed,
    namespace: str,
    nodes: None,
    number: signal.Signals,
    helm: Path,
) -> None:
    bed.stages.never_ready("a")
    process = command("--yes")
    until(lambda: deployed(bed.kube, namespace), SECONDS, "helm has ended")
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (
        "interrupted: revision 1 of release v is deployed. Run the same command again: it goes on "
        "from there.\n"
    ) in said
    bed.stages.reset()
    again = command("--yes", "--timeout", "60")
    said, _ = again.communicate(timeout=90)
    assert again.returncode == 0, said
    wait_ready(bed.kube, namespace)


def test_a_run_that_was_killed_is_taken_up_by_the_next(
    command: Callable[..., subprocess.Popen[str]],
    bed: Bed,
    namespace: str,
    nodes: None,
    slow_helm: Path,
) -> None:
    first = command("--yes")
    until((slow_helm / "began").exists, SECONDS, "helm runs")
    first.kill()
    first.communicate(timeout=30)
    (slow_helm / "go").touch()  # the helm that it left behind ends its work
    second = command("--yes", "--timeout", "60")
    said, _ = second.communicate(timeout=90)
    assert second.returncode == 0, said
    wait_ready(bed.kube, namespace)


def test_ctrl_c_in_the_middle_of_helm_leaves_a_failed_revision_that_the_next_run_mends(
    command: Callable[..., subprocess.Popen[str]],
    bed: Bed,
    namespace: str,
    nodes: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bed.stages.never_ready("a")
    folder = wrapped(
        tmp_path, monkeypatch, 'touch "$folder/began"; exec "$real" "$@" --wait --timeout=5m'
    )
    process = command("--yes")
    until(lambda: pods(bed.kube, namespace), SECONDS, "helm has made the Deployment and waits")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: revision 1 of release v is failed. Run the same command again" in said
    assert (folder / "began").exists()
    bed.stages.reset()
    again = command("--yes", "--timeout", "60")
    said, _ = again.communicate(timeout=90)
    assert again.returncode == 0, said


def test_what_our_own_helm_left_pending_is_mended_without_waiting(
    install: Installer, bed: Bed, nodes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    wrapped(
        tmp_path,
        monkeypatch,
        """
        touch "$folder/began"
        cat >"$folder/values"
        "$real" "$@" --wait --timeout=5m <"$folder/values" >/dev/null 2>&1 & helm=$!
        until "$real" history v -n "$4" --kubeconfig "$KUBECONFIG" | grep -q pending; do :; done
        kill -9 $helm
        echo "Error: UPGRADE FAILED: read tcp: connection reset by peer" >&2
        exit 1
        """.replace("$4", install.namespace),
    )
    monkeypatch.setenv("KUBECONFIG", str(bed.kubeconfig))
    bed.stages.ready_after("a", 3)
    done = install(SHM)
    assert (done.ready, done.revision) == (True, 4)
    assert (
        "revision 2 was left pending-upgrade by an interrupted run; it is completed"
    ) in install.said
