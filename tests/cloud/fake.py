"""A strict Compute Engine in memory, above the retry layer, with a guest that plays its part.

Time is a manual clock; a VM is deleted when its longest run is over.  ``plan`` spoils calls by
name and number; ``kill_at`` ends the client at a moment, after which nothing works any more.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pylib.cloud.clock import Clock
from pylib.cloud.faults import CallError, Kind
from pylib.cloud.records import (
    Attached,
    Disk,
    DiskSpec,
    Image,
    ImageSpec,
    Instance,
    InstanceSpec,
    Labels,
    Listing,
    Operation,
    OperationError,
    Serial,
    StoredObject,
)
from tests.cloud.fake_parts import DIGEST, MANIFEST, Fault, Killed, ManualClock, Vm, found_on_disk

BOOT = "debian-12-bookworm-v20261110"


@dataclass
class FakeCompute:
    """The service; ``guest`` says how guests end: ok, fail, silent, stops, gone, wrong, old,
    runs, works; with ``blind`` lists show no VMs."""

    journal: Path | None = None
    guest: str = "ok"
    check: str = "ok"
    plan: list[Fault] = field(default_factory=list)
    kill_at: int | None = None
    kill_after: bool = False
    project: str = "my-project"
    clock: Clock = field(default_factory=ManualClock)
    counts: Counter[str] = field(default_factory=Counter)
    disks: dict[tuple[str, str], Disk] = field(default_factory=dict)
    vms: dict[tuple[str, str], Vm] = field(default_factory=dict)
    images: dict[tuple[str, str], Image] = field(default_factory=dict)
    operations: dict[str, tuple[Operation, int]] = field(default_factory=dict)
    requests: dict[str, tuple[str, str]] = field(default_factory=dict)
    content: dict[str, str] = field(default_factory=dict)
    weights: str = MANIFEST
    stored: dict[str, str] = field(default_factory=dict)
    specs: list[InstanceSpec] = field(default_factory=list)
    blind: bool = False
    saved: bytes | None = None
    calls: int = 0
    ids: Any = field(default_factory=lambda: itertools.count(1000))

    def __post_init__(self) -> None:
        boot = Image("debian-cloud", BOOT, "77", "READY", {}, "f")
        self.images[("debian-cloud", BOOT)] = boot

    # Faults

    def _enter(self, call: str) -> Fault | None:
        self._tick()
        if self.saved is not None:
            raise Killed
        self.calls += 1
        self.counts[call] += 1
        if self.calls == self.kill_at and not self.kill_after:
            self.die()
        for fault in self.plan:
            late = self.counts[call] - fault.nth
            if fault.call == call and late >= 0 and (not fault.times or late < fault.times):
                fault.run()
                if fault.how == "before":
                    raise CallError(call, fault.kind, "injected")
                return fault
        return None

    def _leave(self, call: str, fault: Fault | None = None) -> None:
        if self.calls == self.kill_at and self.kill_after:
            self.die()
        if fault is not None and fault.how == "after":
            raise CallError(call, fault.kind, "reply lost")

    def die(self) -> None:
        """The client dies here."""
        self.saved = self.journal.read_bytes() if self.journal else b""
        raise Killed

    def revive(self) -> None:
        """The next client starts with what was on disk when the last one died."""
        if self.saved is not None and self.journal is not None:
            self.journal.write_bytes(self.saved)
        self.saved = self.kill_at = None

    def _tick(self) -> None:
        for key, vm in list(self.vms.items()):
            late = self.clock.time() - vm.born > vm.spec.max_run_seconds
            if late and vm.record.status == "RUNNING":
                self._drop_vm(key)

    # Reads

    def disk(self, zone: str, name: str) -> Disk | None:
        fault = self._enter("disk")
        self._leave("disk", fault)
        found = self.disks.get((zone, name))
        users = tuple(
            vm.record.name
            for vm in self.vms.values()
            if any(a.disk == name for a in vm.record.disks)
        )
        return replace(found, users=(*found.users, *users)) if found else None

    def instance(self, zone: str, name: str) -> Instance | None:
        fault = self._enter("instance")
        self._leave("instance", fault)
        found = self.vms.get((zone, name))
        return found.record if found else None

    def image(self, project: str, name: str) -> Image | None:
        fault = self._enter("image")
        self._leave("image", fault)
        return self.images.get((project, name))

    def image_of_family(self, project: str, family: str) -> Image | None:
        fault = self._enter("image_of_family")
        self._leave("image_of_family", fault)
        return self.images[(project, BOOT)] if family == "debian-12" else None

    def labelled_disks(self, key: str, value: str) -> Listing[Disk]:
        self._enter("labelled_disks")
        return Listing(tuple(d for d in self.disks.values() if d.labels.get(key) == value))

    def labelled_instances(self, key: str, value: str) -> Listing[Instance]:
        fault = self._enter("labelled_instances")
        self._leave("labelled_instances", fault)
        vms = [] if self.blind else [vm.record for vm in self.vms.values()]
        return Listing(tuple(vm for vm in vms if vm.labels.get(key) == value))

    def labelled_images(self, project: str, key: str, value: str) -> Listing[Image]:
        self._enter("labelled_images")
        mine = [image for place, image in self.images.items() if place[0] == project]
        return Listing(tuple(image for image in mine if image.labels.get(key) == value))

    def serial(self, zone: str, instance: str, start: int) -> Serial:
        self._enter("serial")
        if (zone, instance) not in self.vms:
            raise CallError("serial", Kind.ABSENT, "no VM")
        text = "booting\nAuthorization: Bearer ya29.secretsecret\nlast words\n"
        return Serial(text[start:], start, len(text))

    def objects(self, bucket: str, prefix: str) -> tuple[StoredObject, ...]:
        fault = self._enter("objects")
        self._leave("objects", fault)
        start = f"{bucket}/{prefix}"
        return tuple(
            StoredObject(name.removeprefix(f"{bucket}/"), len(text), str(len(text)))
            for name, text in self.stored.items()
            if name.startswith(start)
        )

    def put_object(self, bucket: str, name: str, text: str) -> None:
        fault = self._enter("put_object")
        self.stored[f"{bucket}/{name}"] = text
        self._leave("put_object", fault)

    def operation(self, operation: Operation) -> Operation:
        fault = self._enter("operation")
        self._leave("operation", fault)
        known, polls = self.operations[operation.name]
        if polls > 0:
            self.operations[operation.name] = (known, polls - 1)
            return replace(known, done=False, errors=())
        return known

    def guest_attribute(self, zone: str, instance: str, path: str) -> str | None:
        fault = self._enter("guest_attribute")
        self._leave("guest_attribute", fault)
        vm = self.vms.get((zone, instance))
        if vm is None or path != "vfs/report":
            return None
        job = json.loads(vm.spec.metadata["vfs-job"])
        checking = "verify" in job
        vm.polls += 1
        return self._play(vm, job, self.check if checking else self.guest, checking=checking)

    def _play(self, vm: Vm, job: dict[str, Any], how: str, *, checking: bool) -> str | None:
        key = (vm.record.zone, vm.record.name)
        if how == "silent" or vm.polls < 2:
            return None
        report = {"nonce": job["nonce"], "phase": "pull", "done_bytes": 5, "total_bytes": 10}
        if vm.polls == 2 or how == "works":
            return json.dumps({**report, "result": ""})
        disk = next(a.disk for a in vm.record.disks if not a.boot)
        if how == "gone":
            self._drop_vm(key)
            return None
        if how in {"stops", "old"}:
            vm.record = replace(vm.record, status="TERMINATED")
            old = {**report, "nonce": "earlier boot", "result": "ok"}
            return json.dumps(old if how == "old" else {**report, "result": ""})
        if how == "fail":
            said = {"result": "fail", "message": "umount: busy", "line": 12}
            return json.dumps({**report, **said})
        if how != "runs":
            vm.record = replace(vm.record, status="TERMINATED")
        if not checking:
            filled = DIGEST if job["kind"] == "image" else self.weights
            self.content[self.disks[(vm.record.zone, disk)].id] = filled
        digest = self.content.get(self.disks[(vm.record.zone, disk)].id, "")
        wrong = {"result": "ok", "digest": "00" * 32, "facts": {}}
        right = {"result": "ok", "digest": digest, "facts": found_on_disk(job)}
        return json.dumps({**report, **(wrong if how == "wrong" else right)})

    # Changes

    def _change(
        self, call: str, request_id: str, key: str, act: Callable[[], str], scope: str
    ) -> Operation:
        fault = self._enter(call)
        if request_id in self.requests:
            name, body = self.requests[request_id]
            assert body == key, "a request_id was used for two requests"
            self._leave(call, fault)
            return replace(self.operations[name][0], done=False)
        name = f"operation-{next(self.ids)}"
        errors: tuple[OperationError, ...] = ()
        target = ""
        if fault is not None and fault.how == "operation":
            errors = (OperationError(fault.code, "injected"),)
        else:
            target = act()
        operation = Operation(
            self.project, scope, name, call, done=True, errors=errors, target_id=target
        )
        stuck = fault is not None and fault.how == "stuck"
        self.operations[name] = (operation, 10**9 if stuck else 1)
        if request_id:
            self.requests[request_id] = (name, key)
        self._leave(call, fault)
        return replace(operation, done=False, errors=())

    def insert_disk(self, spec: DiskSpec, request_id: str) -> Operation:
        return self._change(
            "insert_disk", request_id, spec.name, lambda: self._disk(spec), f"zones/{spec.zone}"
        )

    def _disk(self, spec: DiskSpec) -> str:
        key = (spec.zone, spec.name)
        if key in self.disks:
            raise CallError("insert_disk", Kind.EXISTS, "exists")
        made = Disk(
            spec.name, self._id(), spec.zone, "READY", spec.size_gib, spec.type, dict(spec.labels)
        )
        self.disks[key] = made
        if spec.image:
            project, name = spec.image.split("/")[1], spec.image.split("/")[-1]
            self.content[made.id] = self.content[self.images[(project, name)].id]
        return made.id

    def insert_instance(self, spec: InstanceSpec, request_id: str) -> Operation:
        return self._change(
            "insert_instance", request_id, spec.name, lambda: self._vm(spec), f"zones/{spec.zone}"
        )

    def _vm(self, spec: InstanceSpec) -> str:
        key = (spec.zone, spec.name)
        if key in self.vms or key in self.disks:
            raise CallError("insert_instance", Kind.EXISTS, "exists")
        disks = [Attached("boot", spec.name, read_only=False, boot=True, auto_delete=True)]
        for disk in spec.disks:
            if (spec.zone, disk.disk) not in self.disks:
                raise CallError("insert_instance", Kind.ABSENT, "no disk")
            disks.append(
                Attached(disk.device, disk.disk, disk.read_only, boot=False, auto_delete=True)
            )
        self.specs.append(spec)
        boot = Disk(spec.name, self._id(), spec.zone, "READY", 10, "pd-ssd", dict(spec.labels))
        self.disks[key] = boot
        record = Instance(
            spec.name, self._id(), spec.zone, "RUNNING", dict(spec.labels), tuple(disks)
        )
        self.vms[key] = Vm(record, spec, self.clock.time())
        return record.id

    def insert_image(self, spec: ImageSpec, request_id: str) -> Operation:
        return self._change(
            "insert_image", request_id, spec.name, lambda: self._image(spec), "global"
        )

    def _image(self, spec: ImageSpec) -> str:
        key = (spec.project, spec.name)
        if key in self.images:
            raise CallError("insert_image", Kind.EXISTS, "exists")
        disk = self.disks.get((spec.zone, spec.disk))
        if disk is None:
            raise CallError("insert_image", Kind.ABSENT, "no disk")
        for vm in self.vms.values():
            used = any(a.disk == spec.disk for a in vm.record.disks)
            assert not (used and vm.record.status == "RUNNING"), "imaged while a VM runs"
        made = Image(
            spec.project,
            spec.name,
            self._id(),
            "READY",
            dict(spec.labels),
            "f0",
            source_disk_id=disk.id,
        )
        self.images[key] = made
        self.content[made.id] = self.content[disk.id]
        return made.id

    def label_image(self, image: Image, labels: Labels) -> Operation:
        def act() -> str:
            found = self.images[(image.project, image.name)]
            if found.fingerprint != image.fingerprint:
                raise CallError("label_image", Kind.CONDITION, "fingerprint")
            new = replace(found, labels=dict(labels), fingerprint=f"f{next(self.ids)}")
            self.images[(image.project, image.name)] = new
            return found.id

        return self._change("label_image", "", image.name, act, "global")

    def describe_image(self, image: Image, text: str, request_id: str) -> Operation:
        def act() -> str:
            found = self.images[(image.project, image.name)]
            assert found.labels["bake-phase"] != "published", "the content is known before"
            self.images[(image.project, image.name)] = replace(found, description=text)
            return found.id

        return self._change("describe_image", request_id, image.name, act, "global")

    def set_family(self, image: Image, family: str, request_id: str) -> Operation:
        def act() -> str:
            found = self.images[(image.project, image.name)]
            assert found.labels["bake-phase"] == "published", "the family comes last"
            self.images[(image.project, image.name)] = replace(found, family=family)
            return found.id

        return self._change("set_family", request_id, image.name, act, "global")

    def delete_disk(self, zone: str, name: str, request_id: str) -> Operation:
        def act() -> str:
            if (zone, name) not in self.disks:
                raise CallError("delete_disk", Kind.ABSENT, "no disk")
            if any(a.disk == name for vm in self.vms.values() for a in vm.record.disks):
                raise CallError("delete_disk", Kind.IN_USE, "in use")
            return self.disks.pop((zone, name)).id

        return self._change("delete_disk", request_id, f"-{name}", act, f"zones/{zone}")

    def delete_instance(self, zone: str, name: str, request_id: str) -> Operation:
        def act() -> str:
            if (zone, name) not in self.vms:
                raise CallError("delete_instance", Kind.ABSENT, "no VM")
            return self._drop_vm((zone, name))

        return self._change("delete_instance", request_id, f"-{name}", act, f"zones/{zone}")

    def delete_image(self, project: str, name: str, request_id: str) -> Operation:
        def act() -> str:
            if (project, name) not in self.images:
                raise CallError("delete_image", Kind.ABSENT, "no image")
            return self.images.pop((project, name)).id

        return self._change("delete_image", request_id, f"-{name}", act, "global")

    def _drop_vm(self, key: tuple[str, str]) -> str:
        vm = self.vms.pop(key)
        for disk in vm.record.disks:
            self.disks.pop((key[0], disk.disk), None)
        return vm.record.id

    def _id(self) -> str:
        return str(next(self.ids))

    # What tests look at

    def left(self) -> list[str]:
        """Disks and VMs that are there."""
        return sorted([name for _, name in self.disks] + [name for _, name in self.vms])

    def made(self) -> list[Image]:
        """Images but the boot image."""
        return [image for image in self.images.values() if image.name != BOOT]
