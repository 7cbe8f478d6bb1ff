"""What a service that shows its state late, or others that meddle with disks, do to a bake."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pylib.cloud.faults import CallError, Kind
from pylib.cloud.records import Disk, Image, Instance, Labels, Operation
from pylib.errors import BakeError
from tests.cloud.baking import Client
from tests.cloud.fake import FakeCompute
from tests.cloud.fake_parts import Fault, Vm


@dataclass
class LateCompute(FakeCompute):
    """Each new disk is not there for two looks, and changed labels are the old ones for two."""

    seen: dict[str, int] = field(default_factory=dict)
    old: list[Image] = field(default_factory=list)

    def disk(self, zone: str, name: str) -> Disk | None:
        found = super().disk(zone, name)
        if found is None:
            return None
        self.seen[found.id] = self.seen.get(found.id, 0) + 1
        return found if self.seen[found.id] > 2 else None

    def image(self, project: str, name: str) -> Image | None:
        found = super().image(project, name)
        return self.old.pop() if self.old else found

    def label_image(self, image: Image, labels: Labels) -> Operation:
        operation = super().label_image(image, labels)
        self.old = [image, image]
        return operation


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Where the run is kept."""
    return tmp_path / "bake.journal"


@pytest.mark.fault("B34")
def test_a_service_that_shows_its_changes_late_is_waited_for(journal: Path) -> None:
    cloud = LateCompute(journal=journal)

    image = Client(cloud, journal).bake().image

    assert image.labels["bake-phase"] == "published"
    assert cloud.counts["insert_disk"] == 2
    assert cloud.counts["label_image"] == 3
    assert cloud.left() == []


@pytest.mark.fault("B22")
def test_a_filled_disk_that_another_vm_has_too_is_not_imaged(journal: Path) -> None:
    cloud = FakeCompute(journal=journal)

    def borrow() -> None:
        [vm] = [vm for vm in cloud.vms.values() if vm.record.name.endswith("-vm")]
        if vm.record.status == "TERMINATED":
            disk = replace(vm.record.disks[1], read_only=True, auto_delete=False)
            record = Instance("strange", "9", vm.record.zone, "RUNNING", {}, (disk,))
            cloud.vms[(vm.record.zone, "strange")] = Vm(record, vm.spec, vm.born)

    cloud.plan.append(Fault("instance", "nothing", nth=3, run=borrow))

    with pytest.raises(BakeError, match="is attached to strange; not imaged") as caught:
        Client(cloud, journal).bake()

    assert cloud.made() == []
    assert cloud.left() == ["strange"], caught.value


@pytest.mark.fault("B22")
def test_a_disk_that_is_in_use_still_is_deleted_a_little_later(journal: Path) -> None:
    cloud = FakeCompute(journal=journal)
    cloud.plan.append(Fault("insert_instance", "operation", code="QUOTA_EXCEEDED"))
    cloud.plan.append(Fault("delete_disk", "before", kind=Kind.IN_USE, times=3))
    start = cloud.clock.time()

    with pytest.raises(CallError):
        Client(cloud, journal).bake()

    assert cloud.left() == []
    assert cloud.counts["delete_disk"] == 4
    assert cloud.clock.time() - start >= 10 + 20 + 40
