"""What a bake may be asked for besides: a family, a log bucket, another boot image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pylib.bake.target import Target
from pylib.cloud.faults import Kind
from pylib.cloud.records import Image
from pylib.errors import BakeError
from tests.cloud.baking import Client, request
from tests.cloud.fake import FakeCompute
from tests.cloud.fake_parts import Fault, Killed


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A client with nothing baked yet."""
    journal = tmp_path / "bake.journal"
    return Client(FakeCompute(journal=journal), journal)


def test_an_image_published_outside_of_its_family_joins_it_when_it_is_reused(
    client: Client,
) -> None:
    client.bake(request(family=None))

    assert client.bake().reused
    assert client.cloud.made()[0].family == "vllm-cache"


def test_a_changed_request_cleans_up_the_run_before_it(client: Client) -> None:
    client.cloud.kill_at = 12
    with pytest.raises(Killed):
        client.bake()
    client.cloud.revive()
    assert client.cloud.left() != []

    client.bake(request(images=("docker.io/vllm/vllm-openai:v0.34.0",)))

    assert client.cloud.left() == []
    [image] = client.cloud.made()
    assert image.labels["image-0"] == "vllm-openai-v0-34-0"


def test_the_log_bucket_gets_redacted_serial_output_and_its_loss_costs_nothing(
    client: Client,
) -> None:
    client.cloud.plan.append(Fault("put_object", "before", kind=Kind.DENIED))

    client.bake(request(log_bucket="logs"))

    [(name, text)] = client.cloud.stored.items()
    assert name.startswith("logs/")
    assert name.endswith("-checkvm.log")
    assert "last words" in text
    assert "ya29" not in text
    assert any(step.name == "log" for step in client.steps)


def test_commands_name_what_people_delete() -> None:
    disk = Target("disk", "p", "us-central1-a", "d")
    vm = Target("instance", "p", "us-central1-a", "v")
    assert disk.command == "gcloud compute disks delete d --project=p --zone=us-central1-a --quiet"
    assert (
        vm.command == "gcloud compute instances delete v --project=p --zone=us-central1-a --quiet"
    )


def test_the_vm_boots_the_image_that_is_asked_for(client: Client) -> None:
    mine = Image("mine", "with-containerd", "78", "READY", {}, "f")
    client.cloud.images[("mine", "with-containerd")] = mine
    asked = request()
    path = "projects/mine/global/images/with-containerd"
    client.bake(replace(asked, place=replace(asked.place, boot_image=path)))
    assert {spec.boot_image for spec in client.cloud.specs} == {mine.link}


def test_a_boot_image_that_is_not_there_is_named_before_anything_is_made(client: Client) -> None:
    asked = request()
    place = replace(asked.place, boot_image="projects/mine/global/images/none")
    with pytest.raises(BakeError, match="to boot the VM from: projects/mine/global/images/none"):
        client.bake(replace(asked, place=place))
    assert client.cloud.left() == []
