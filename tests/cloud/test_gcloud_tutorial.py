"""gcloud, with the tutorial's commands on what a bake made, and with requests that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pylib.cloud.clock import SystemClock
from pylib.cloud.records import Image
from pylib.emulator import Emulator
from tests.cloud.emulated import PROJECT, ZONE, Raw
from tests.cloud.emulated_bake import Bench
from tests.cloud.gcloud import Gcloud, needs_gcloud

pytestmark = needs_gcloud
SOURCE = "--source-disk=source"


def test_a_baked_image_goes_into_a_node_pool_and_onto_a_disk(bench: Bench, tmp_path: Path) -> None:
    image = bench.bake().image
    bench.emulator.stop()  # its clock stands still, and gcloud waits
    with Emulator(bench.emulator.folder, guest="simulated", clock=SystemClock()) as emulator:
        emulator.add_cluster("demo", "us-central1")
        _use(Gcloud(emulator, tmp_path), image)


def _use(gcloud: Gcloud, image: Image) -> None:
    link = f"projects/{PROJECT}/global/images/{image.name}"

    gcloud(
        f"container node-pools create gpus --cluster=demo --node-locations={ZONE} "
        "--machine-type=g2-standard-24 --max-nodes=5 --min-nodes=1 "
        "--accelerator=type=nvidia-l4,count=2,gpu-driver-version=latest --disk-type=pd-ssd "
        "--location=us-central1 --enable-autoscaling --enable-image-streaming "
        f"--secondary-boot-disk=disk-image={link},mode=CONTAINER_IMAGE_CACHE"
    )
    gcloud(f"compute disks create weights --image={image.name} --type=pd-ssd --size=1024GB")

    [pool] = gcloud.json("container node-pools list --cluster=demo --location=us-central1")
    assert (pool["status"], pool["config"]["secondaryBootDisks"][0]["diskImage"]) == (
        "RUNNING",
        link,
    )
    disk = gcloud.json("compute disks describe weights")
    assert (disk["sizeGb"], disk["sourceImageId"]) == ("1024", image.id)
    assert disk["sourceImage"].endswith(link)
    assert disk["type"].endswith("/pd-ssd")


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
