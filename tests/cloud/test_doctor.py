"""Each thing that would stop a bake is found before anything is made, with a fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pylib.bake.options import Options
from pylib.bake.request import image_request
from pylib.cloud.faults import Kind
from pylib.cloud.records import Nat, Quota
from pylib.config.model import Config
from pylib.config.parse import load_config
from pylib.doctor import Check, Question, State, examine
from tests.cloud.fake_cloud import FakeCloud

CONFIG = Path("values/gemma-7b-fast/config.yaml")


def _config(**changes: Any) -> Config:
    return load_config(CONFIG).model_copy(update=changes)


def _examine(cloud: FakeCloud, config: Config | None = None, **options: Any) -> tuple[Check, ...]:
    config = config or _config()
    asked = Options(owner="me", zones=("us-central1-a",), **options)
    return examine(cloud, Question(config, (image_request(config, asked, "c", ()),)))


def _bad(found: tuple[Check, ...]) -> list[Check]:
    return [check for check in found if check.state in {State.FAILED, State.UNKNOWN}]


def test_a_project_that_is_ready_passes() -> None:
    found = _examine(FakeCloud())
    assert _bad(found) == []
    assert [check.name for check in found] == [
        "credentials",
        "apis",
        "permissions",
        "permissions of up",
        "machine and disk type",
        "quota",
        "network",
        "cluster",
    ]


def _set(**changes: Any) -> Callable[[FakeCloud], None]:
    def act(cloud: FakeCloud) -> None:
        for name, value in changes.items():
            setattr(cloud, name, value)

    return act


@pytest.mark.parametrize(
    ("change", "name", "text", "fix"),
    [
        (
            _set(disabled={"container.googleapis.com"}),
            "apis",
            "container.googleapis.com is not enabled",
            "gcloud services enable container.googleapis.com --project=my-project",
        ),
        (
            _set(missing={"my-project/compute.disks.delete"}),
            "permissions",
            "missing on my-project: compute.disks.delete",
            "gcloud iam roles create vllmFastStartBake --project=my-project "
            "--permissions=compute.disks.delete, and bind it to the caller",
        ),
        (
            _set(machine_types=set()),
            "machine type",
            "us-central1-a offers no n2-standard-8",
            "Name another with --machine-type, or other zones with --zone.",
        ),
        (
            _set(disk_types=set()),
            "disk type",
            "us-central1-a offers no pd-ssd",
            "Name another with --disk-type, or other zones with --zone.",
        ),
        (
            _set(quota=[Quota("us-central1", "N2_CPUS", 8, 4)]),
            "quota",
            "N2_CPUS in us-central1: 4 left, 8 needed",
            "Ask for more at https://console.cloud.google.com/iam-admin/quotas, or use a smaller "
            "machine or disk.",
        ),
        (
            _set(quota=[Quota("us-central1", "SSD_TOTAL_GB", 500, 400)]),
            "quota",
            "SSD_TOTAL_GB in us-central1: 100 left, 140 needed",
            "Ask for more at https://console.cloud.google.com/iam-admin/quotas, or use a smaller "
            "machine or disk.",
        ),
        (
            _set(clusters={}),
            "cluster",
            "there is no cluster vllm-cluster in us-central1",
            "Create it, or mend cluster.name or .location.",
        ),
        (
            _set(clusters={"vllm-cluster": "1.29.9-gke.1"}),
            "cluster",
            "cluster vllm-cluster is GKE 1.29.9-gke.1; an image cache needs 1.30.1-gke.1329000",
            "Upgrade it, or set imageCache.enabled: false.",
        ),
    ],
)
def test_each_obstacle_is_named_with_its_fix(
    change: Callable[[FakeCloud], None], name: str, text: str, fix: str
) -> None:
    cloud = FakeCloud()
    change(cloud)
    assert _bad(_examine(cloud)) == [Check(name, State.FAILED, text, fix)]


@pytest.mark.fault("B30")
@pytest.mark.parametrize("gateways", [(), (Nat("other", ()),), (Nat("default", ("x",)),)])
def test_a_vm_without_a_way_out_is_named_with_cloud_nat_and_the_opt_in(
    gateways: tuple[Nat, ...],
) -> None:
    cloud = FakeCloud(gateways=gateways)
    [check] = _bad(_examine(cloud))
    assert check.text == (
        "the bake VM has no way out: no external address, no Cloud NAT on default in us-central1, "
        "and docker.io/vllm/vllm-openai:v0.33.0 is not Google's"
    )
    assert "gcloud compute routers nats create vfs-nat" in check.fix
    assert check.fix.endswith("or bake with --external-ip")
    assert _bad(_examine(cloud, external_ip=True)) == []


@pytest.mark.fault("B30")
def test_private_google_access_is_enough_for_images_on_artifact_registry() -> None:
    images = ("us-docker.pkg.dev/p/r/vllm:v1",)
    assert _bad(_examine(FakeCloud(gateways=()), images=images)) == []
    [check] = _bad(_examine(FakeCloud(gateways=(), private_access=False), images=images))
    assert "no Private Google Access" in check.text


def test_an_external_address_and_a_service_account_need_their_permissions() -> None:
    cloud = FakeCloud(missing={"my-project/iam.serviceAccounts.actAs"})
    assert _bad(_examine(cloud)) == []
    [check] = _bad(_examine(cloud, service_account="sa@p"))
    assert check.text == "missing on my-project: iam.serviceAccounts.actAs"
    cloud = FakeCloud(missing={"my-project/compute.subnetworks.useExternalIp"})
    assert _bad(_examine(cloud)) == []
    assert len(_bad(_examine(cloud, external_ip=True))) == 1


def test_images_of_another_project_are_checked_there() -> None:
    config = _config(imagesProject="my-images")
    cloud = FakeCloud(missing={"my-images/compute.images.create"})
    found = _examine(cloud, config)
    [check] = _bad(found)
    assert check.text == "missing on my-images: compute.images.create"
    [note] = [it for it in found if it.state is State.NOTE]
    assert "gcloud projects add-iam-policy-binding my-images" in note.fix


def test_a_disk_that_the_nodes_cannot_attach_is_named() -> None:
    config = load_config(CONFIG)
    cell = config.cells[0].model_copy(update={"machineType": "a4-highgpu-8g"})
    found = _bad(_examine(FakeCloud(), _config(cells=(cell,))))
    assert [check.text for check in found] == [
        "cell a: a4-highgpu-8g attaches no pd-ssd (weights disk)"
    ]


def test_without_credentials_that_is_the_only_finding() -> None:
    [check] = _examine(FakeCloud(broken={"granted": Kind.CREDENTIALS}))
    assert (check.name, check.state) == ("credentials", State.FAILED)
    assert check.fix == "Run: gcloud auth application-default login"


def test_a_check_that_cannot_be_made_does_not_pass() -> None:
    [check, *_] = _bad(_examine(FakeCloud(broken={"machine_type": Kind.UNKNOWN})))
    assert (check.name, check.state) == ("machine type", State.UNKNOWN)


def test_with_nothing_to_bake_only_what_serves_is_checked() -> None:
    cloud = FakeCloud(machine_types=set(), gateways=(), disabled={"compute.googleapis.com"})
    assert _bad(examine(cloud, Question(_config()))) == []


def test_what_only_up_needs_is_a_note_and_no_failure() -> None:
    cloud = FakeCloud()
    cloud.missing.add("my-project/container.clusters.update")
    found = {check.name: check for check in _examine(cloud)}
    assert found["permissions of up"].state is State.NOTE
    assert "container.clusters.update" in found["permissions of up"].text
    assert _bad(tuple(found.values())) == []
