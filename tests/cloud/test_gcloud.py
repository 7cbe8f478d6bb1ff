"""The real gcloud, which this project did not write, judges the emulator.

Each call takes a second or more, so each test makes one way through as few as it can.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pylib.cloud.clock import SystemClock
from pylib.emulator import Emulator
from pylib.errors import BakeError
from tests.cloud.baking import IMAGE as BAKED
from tests.cloud.emulated import PROJECT, ZONE, Raw
from tests.cloud.emulated_bake import Bench, fail
from tests.cloud.fake_parts import DIGEST
from tests.cloud.gcloud import Gcloud, needs_gcloud

pytestmark = needs_gcloud
NUMBER = "123456789012"
MEMBER = (
    f"principal://iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools/"
    f"{PROJECT}.svc.id.goog/subject/ns/custom-metrics/sa/custom-metrics-stackdriver-adapter"
)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One emulator for all, with a cluster, a disk and an image."""
    folder = tmp_path_factory.mktemp("emulator")
    with Emulator(folder, guest="simulated", clock=SystemClock()) as one:
        one.add_cluster("demo", "us-central1")
        raw = Raw(one.url)
        raw.disk("source")
        raw.image("vllm-openai-image", "source", labels={"bake-owner": "me"}, family="vllm-cache")
        yield one


@pytest.fixture(scope="module")
def gcloud(emulator: Emulator) -> Gcloud:
    """gcloud against it."""
    return Gcloud(emulator, emulator.folder)


def test_disks_are_created_listed_described_and_deleted(gcloud: Gcloud) -> None:
    gcloud("compute disks create weights --size=20GB --type=pd-ssd --labels=owner=me")
    found = gcloud.json("compute disks list --filter=labels.owner=me")
    assert [disk["name"] for disk in found] == ["weights"]
    disk = gcloud.json("compute disks describe weights")
    assert (disk["sizeGb"], disk["status"], disk["labels"]) == ("20", "READY", {"owner": "me"})
    again = gcloud.refused("compute disks create weights --size=20GB")
    assert "already exists" in again
    gcloud("compute disks delete weights")
    assert "was not found" in gcloud.refused("compute disks describe weights")


def test_images_are_created_listed_described_and_deleted(gcloud: Gcloud) -> None:
    gcloud("compute images create second --source-disk=source --family=vllm-cache")
    listed = gcloud.json("compute images list --no-standard-images --filter=family=vllm-cache")
    assert [image["name"] for image in listed] == ["second", "vllm-openai-image"]
    newest = gcloud.json("compute images describe-from-family vllm-cache")
    assert newest["name"] == "second"
    everything = [image["name"] for image in gcloud.json("compute images list")]
    assert "debian-12-bookworm-v20261110" in everything
    gcloud("compute images delete second")


def test_snapshots_are_created_listed_described_and_deleted(gcloud: Gcloud) -> None:
    gcloud("compute snapshots create kept --source-disk=source --labels=bake-owner=me")
    [snapshot] = gcloud.json("compute snapshots list --filter=labels.bake-owner=me")
    assert (snapshot["name"], snapshot["status"]) == ("kept", "READY")
    gcloud("compute disks create restored --source-snapshot=kept --type=pd-ssd")
    disk = gcloud.json("compute disks describe restored")
    assert disk["sourceSnapshot"].endswith("/global/snapshots/kept")
    gcloud("compute snapshots delete kept")
    assert gcloud.json("compute snapshots list") == []


def test_the_image_of_a_bake_is_listed_described_used_and_deleted(
    bench: Bench, tmp_path: Path
) -> None:
    image = bench.bake().image
    gcloud = Gcloud(bench.emulator, tmp_path)
    query = "compute images list --no-standard-images --filter=labels.bake-phase=published"
    [found] = gcloud.json(query)
    assert found["name"] == image.name
    shown = gcloud.json(f"compute images describe {image.name}")
    assert (shown["id"], shown["family"], shown["labels"]) == (
        image.id,
        "vllm-cache",
        dict(image.labels),
    )
    assert json.loads(shown["description"])["images"] == [[BAKED, DIGEST]]
    bench.emulator.change(delays={})  # the bench's clock stands still while gcloud waits
    gcloud(f"compute images delete {image.name}")
    assert bench.made() == []


def test_the_commands_that_a_bake_prints_delete_what_it_left(bench: Bench, tmp_path: Path) -> None:
    bench.restart(fail)
    bench.emulator.change(denied=frozenset({"compute.instances.delete"}))
    with pytest.raises(BakeError) as caught:
        bench.bake()
    bench.emulator.change(denied=frozenset(), delays={})
    gcloud = Gcloud(bench.emulator, tmp_path)
    assert len(bench.made()) == 3

    lines = [line.strip() for line in str(caught.value).splitlines()]
    commands = [line.partition("    #")[0] for line in lines if line.startswith("gcloud ")]
    codes = [gcloud(command[len("gcloud ") :], ok_codes=(0, 1)) for command in commands]

    assert bench.made() == []
    assert codes[0].code == 0
    # A VM takes its disks with it; those that are gone by then are told as such.
    assert all(done.code == 0 or "was not found" in done.stderr for done in codes)


def test_a_vm_holds_its_disk_until_it_is_stopped_and_deleted(gcloud: Gcloud) -> None:
    gcloud("compute disks create data --size=10GB --type=pd-ssd")
    gcloud(
        "compute instances create vm --machine-type=e2-standard-2 --no-address "
        "--image-family=debian-12 --image-project=debian-cloud "
        "--disk=name=data,device-name=vfs-target,auto-delete=yes "
        "--max-run-duration=3600s --instance-termination-action=DELETE"
    )
    vm = gcloud.json("compute instances describe vm")
    assert vm["status"] == "RUNNING"
    assert [disk["deviceName"] for disk in vm["disks"]] == ["persistent-disk-0", "vfs-target"]
    assert "is simulated" in gcloud("compute instances get-serial-port-output vm").stdout
    in_use = "is already being used by"
    assert in_use in gcloud.refused("compute images create running --source-disk=data")
    assert in_use in gcloud.refused("compute disks delete data")
    gcloud("compute instances stop vm")
    gcloud("compute images create stopped --source-disk=data")
    gcloud("compute instances delete vm")
    names = [disk["name"] for disk in gcloud.json("compute disks list")]
    assert "data" not in names


def test_the_tutorials_node_pool_is_created_as_it_stands(gcloud: Gcloud) -> None:
    gcloud(
        "container node-pools create gpus --cluster=demo "
        f"--node-locations={ZONE} "
        "--machine-type=g2-standard-24 "
        "--max-nodes=5 "
        "--min-nodes=1 "
        "--accelerator=type=nvidia-l4,count=2,gpu-driver-version=latest "
        "--disk-type=pd-ssd "
        "--location=us-central1 "
        "--enable-autoscaling "
        "--enable-image-streaming "
        "--secondary-boot-disk="
        f"disk-image=projects/{PROJECT}/global/images/vllm-openai-image,mode=CONTAINER_IMAGE_CACHE"
    )
    pool = gcloud.json("container node-pools describe gpus --cluster=demo --location=us-central1")
    assert pool["status"] == "RUNNING"
    assert pool["autoscaling"] == {"enabled": True, "minNodeCount": 1, "maxNodeCount": 5}
    assert pool["config"]["gcfsConfig"] == {"enabled": True}
    assert pool["config"]["secondaryBootDisks"] == [
        {
            "diskImage": f"projects/{PROJECT}/global/images/vllm-openai-image",
            "mode": "CONTAINER_IMAGE_CACHE",
        }
    ]
    driver = pool["config"]["accelerators"][0]["gpuDriverInstallationConfig"]
    assert driver == {"gpuDriverVersion": "LATEST"}
    assert pool["initialNodeCount"] == 3  # what gcloud asks for when nobody says


def test_a_node_pool_that_gke_refuses_is_refused(gcloud: Gcloud) -> None:
    why = gcloud.refused(
        "container node-pools create bad --cluster=demo --location=us-central1 "
        f"--node-locations={ZONE} --machine-type=a4-highgpu-8g --disk-type=pd-ssd"
    )
    assert "[pd-ssd, a4-highgpu-8g] features are not compatible" in why


@pytest.mark.fault("B33")
def test_the_tutorials_role_is_bound_as_it_stands(gcloud: Gcloud) -> None:
    gcloud(
        f"projects add-iam-policy-binding projects/{PROJECT} "
        f"--role roles/monitoring.viewer --member={MEMBER}"
    )
    policy = gcloud.json(f"projects get-iam-policy {PROJECT}")
    assert policy["bindings"] == [{"role": "roles/monitoring.viewer", "members": [MEMBER]}]
    wrong = MEMBER.replace(NUMBER, "42")
    why = gcloud.refused(
        f"projects add-iam-policy-binding {PROJECT} --role roles/monitoring.viewer --member={wrong}"
    )
    assert "Identity Pool does not exist" in why


def test_logs_go_into_a_bucket_and_come_back(gcloud: Gcloud, tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("baked\n")
    gcloud("storage buckets create gs://bake-logs-bucket")
    gcloud(f"storage cp {file} gs://bake-logs-bucket/runs/log.txt")
    assert gcloud("storage cat gs://bake-logs-bucket/runs/log.txt").stdout == "baked\n"
