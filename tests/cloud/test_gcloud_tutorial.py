"""gcloud, with the tutorial's commands on what a bake made, and with requests that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pylib.cloud.clock import SystemClock
from pylib.cloud.records import Image
from pylib.emulator import Emulator
from tests.cloud.emulated import GLOBAL, PROJECT, ZONAL, ZONE, Raw, data_disk
from tests.cloud.emulated_bake import Bench
from tests.cloud.gcloud import Gcloud, needs_gcloud

pytestmark = needs_gcloud
SOURCE = "--source-disk=source"


def test_the_tutorials_steps_in_its_order(bench: Bench, tmp_path: Path) -> None:
    with _real_time(bench) as emulator:
        gcloud = Gcloud(emulator, tmp_path)
        gcloud("storage buckets create gs://bake-logs")
        assert "was not found" in gcloud.refused(_node_pool("vllm-v0-33-0"))  # it is not baked yet
        gcloud(f"container node-pools delete gpus {_CLUSTER}")
    image = bench.bake().image  # in place of the builder's "go run"
    with _real_time(bench) as emulator:
        _create_pool(Gcloud(emulator, tmp_path), image)
        _create_disk(Gcloud(emulator, tmp_path), emulator)
        _bind_role(Gcloud(emulator, tmp_path))


@contextmanager
def _real_time(bench: Bench) -> Iterator[Emulator]:
    """The bench's emulator on a clock that gcloud can wait by; its own stands still."""
    bench.emulator.stop()
    try:
        with Emulator(bench.emulator.folder, guest="simulated", clock=SystemClock()) as emulator:
            emulator.add_cluster("demo", "us-central1")
            yield emulator
    finally:
        bench.emulator.start()


_CLUSTER = "--cluster=demo --location=us-central1"


def _node_pool(image: str) -> str:
    return (
        f"container node-pools create gpus --cluster=demo --node-locations={ZONE} "
        "--machine-type=g2-standard-24 --max-nodes=5 --min-nodes=1 "
        "--accelerator=type=nvidia-l4,count=2,gpu-driver-version=latest --disk-type=pd-ssd "
        "--location=us-central1 --enable-autoscaling --enable-image-streaming "
        f"--secondary-boot-disk=disk-image=projects/{PROJECT}/global/images/{image},"
        "mode=CONTAINER_IMAGE_CACHE"
    )


def _create_pool(gcloud: Gcloud, image: Image) -> None:
    gcloud(_node_pool(image.name))
    [pool] = gcloud.json(f"container node-pools list {_CLUSTER}")
    link = f"projects/{PROJECT}/global/images/{image.name}"
    [disk] = pool["config"]["secondaryBootDisks"]
    assert (pool["status"], disk["diskImage"]) == ("RUNNING", link)


def _create_disk(gcloud: Gcloud, emulator: Emulator) -> None:
    """The image of the claim's disk, once the Job's node has let it go, and a disk of the image."""
    raw = Raw(emulator.url)
    raw.disk("pvc-1")
    raw.vm("a-node", disks=(data_disk("pvc-1"),))
    make_image = f"compute images create weights --source-disk=pvc-1 --source-disk-zone={ZONE}"
    make_disk = "compute disks create weights --image=weights --type=pd-ssd --size=1024GB"
    assert "is already being used by" in gcloud.refused(make_image)
    assert "was not found" in gcloud.refused(f"{make_disk} --zone={ZONE}")
    raw.done("DELETE", f"{ZONAL}/instances/a-node")
    gcloud(make_image)
    gcloud(f"{make_disk} --zone={ZONE}")
    disk = raw.get(f"{ZONAL}/disks/weights")
    image = raw.get(f"{GLOBAL}/images/weights")
    assert (disk["sizeGb"], disk["sourceImageId"]) == ("1024", image["id"])
    assert disk["type"].endswith("/pd-ssd")


def _bind_role(gcloud: Gcloud) -> None:
    """The project's id for its number is the mistake that the tutorial invites."""
    bind = (
        "projects add-iam-policy-binding projects/{0} --role roles/monitoring.viewer --member={1}"
    )
    member = (
        "principal://iam.googleapis.com/projects/{0}/locations/global/workloadIdentityPools/"
        f"{PROJECT}.svc.id.goog/subject/ns/custom-metrics/sa/custom-metrics-stackdriver-adapter"
    )
    why = gcloud.refused(bind.format(PROJECT, member.format(PROJECT)))
    assert "Identity Pool does not exist" in why
    gcloud(bind.format(PROJECT, member.format("123456789012")))


@pytest.fixture(scope="module")
def gcloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcloud]:
    """gcloud, a disk of 10 GB and its image."""
    folder = tmp_path_factory.mktemp("emulator")
    with Emulator(folder, guest="simulated", clock=SystemClock()) as emulator:
        raw = Raw(emulator.url)
        raw.disk("source")
        raw.image("there", "source")
        yield Gcloud(emulator, folder)


@pytest.mark.fault("I1", "I2")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"images create there {SOURCE}", "'projects/demo-project/global/images/there' already"),
        (f"images create {'a' * 64} {SOURCE}", "Must be a match of regex"),
        (f"images create Upper {SOURCE}", "Must be a match of regex"),
        (f"images create one {SOURCE} --family=Of.Two", "Must be a match of regex"),
        ("images create one --source-disk=none", "was not found"),
        ("disks create one --image=there --size=9GB", "cannot be smaller than the image size"),
        ("images delete none", "was not found"),
    ],
)
def test_what_google_cloud_refuses_is_refused(gcloud: Gcloud, words: str, said: str) -> None:
    assert said in gcloud.refused(f"compute {words}")


def test_a_label_that_is_none_is_refused_by_gcloud_itself(gcloud: Gcloud) -> None:
    words = f"compute images create one {SOURCE} --labels=team=Search"
    assert "argument --labels: Bad value" in gcloud(words, ok_codes=(2,)).stderr


def test_a_bucket_for_logs_is_made_once_and_its_name_has_rules(gcloud: Gcloud) -> None:
    gcloud("storage buckets create gs://bake-logs-of-me")
    assert "ALREADY_EXISTS" in gcloud.refused("storage buckets create gs://bake-logs-of-me")
    assert "INVALID_ARGUMENT: Invalid bucket name" in gcloud.refused(
        "storage buckets create gs://No_Bucket"
    )
