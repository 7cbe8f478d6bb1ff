"""Commands in containers, from the library's client through the real API server to an agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pylib.errors import KubeError
from pylib.kube import Kube
from tests.cluster.bed.bed import Bed
from tests.cluster.release import Helm
from tests.cluster.serving import FIRST, ONE, Stage


@pytest.fixture
def stage(bed: Bed, namespace: str, helm: Path, tmp_path: Path) -> Iterator[Stage]:
    """A release of one pod."""
    with Stage(bed, namespace, Helm(helm, bed), tmp_path) as one:
        one.install(FIRST, ONE)
        yield one


def test_output_and_exit_code_of_a_command_come_back(
    stage: Stage, kube: Kube, namespace: str
) -> None:
    [pod] = stage.names()
    stage.play.files = {"/sys/number": "4096\n"}
    said = kube.execute(pod, namespace, "vllm", ["cat", "/sys/number", "/absent"])
    assert (said.stdout, said.code) == ("4096\n", 1)
    assert "/absent" in said.stderr
    long = kube.execute(pod, namespace, "vllm", ["python3", "-c", "print('é' * 50000)"])
    assert (long.stdout, long.stderr, long.code) == ("é" * 50000 + "\n", "", 0)


def test_a_pod_that_is_not_there_is_refused_with_the_servers_words(
    kube: Kube, namespace: str
) -> None:
    with pytest.raises(KubeError, match="not found") as caught:
        kube.execute("absent", namespace, "vllm", ["true"])
    assert (caught.value.status, caught.value.reason) == (404, "NotFound")
