"""Commands in containers, from the library's client through the real API server to an agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pylib.accept.found import ready_pods
from pylib.accept.inside import look
from pylib.errors import KubeError
from pylib.kube import Kube
from pylib.snapshot import take
from tests.cluster.bed.bed import Bed
from tests.cluster.release import NAME, Helm
from tests.cluster.serving import FIRST, ONE, Stage
from tests.cluster.test_serving import keyed, secret


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


@pytest.mark.parametrize("form", ["file", "env"])
def test_a_completion_is_asked_for_inside_the_pod_with_the_key_that_lies_there(
    bed: Bed, namespace: str, helm: Path, tmp_path: Path, form: str
) -> None:
    with Stage(bed, namespace, Helm(helm, bed), tmp_path) as stage:
        bed.kube.create(secret(namespace, "sesame\n"))
        stage.install(FIRST, keyed(form))
        snapshot = take(bed.kube, NAME, namespace)
        [pod] = ready_pods(snapshot)
        found = look(bed.kube, snapshot, pod, 10).completion.found
        assert found is not None
        assert (found.whole.status, found.whole.text) == (200, FIRST)
