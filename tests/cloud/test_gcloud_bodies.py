"""What the real gcloud sends for our printed lines, and what our client sends, field by field.

Each goes to an emulator of its own, so that names are the same; where the two differ is listed
with its reason, and nothing else may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pylib import gcloud as lines
from pylib.cloud.clock import SystemClock
from pylib.cloud.gcp import GoogleCloud, connect
from pylib.cloud.pools import PoolSpec
from pylib.cloud.records import DiskSpec
from pylib.cloud.serving import Holder
from pylib.emulator import Emulator, Entry
from pylib.provision.roles import METRICS_READER, READER, pod_identity
from tests.cloud.emulated import PROJECT, ZONE, Raw, put_objects
from tests.cloud.gcloud import Gcloud, needs_gcloud

pytestmark = needs_gcloud

DIFFERENCES = {
    ("container.clusters.update", "name"): "gcloud says in the body too what the path says",
    ("container.nodePools.create", "parent"): "gcloud says in the body too what the path says",
    (
        "compute.disks.insert",
        "sourceImage as a link",
    ): "gcloud writes links whole, we from projects/",
    ("compute.disks.insert", "type as a link"): "gcloud writes links whole, we from projects/",
    ("compute.disks.insert", "?requestId"): "only with it a repeat after a lost reply is safe",
    ("compute.disks.delete", "?requestId"): "only with it a repeat after a lost reply is safe",
    ("compute.images.delete", "?requestId"): "only with it a repeat after a lost reply is safe",
    ("storage.buckets.insert", "?projection"): "gcloud asks for an answer without ACLs",
    ("storage.buckets.insert", "?enableObjectRetention"): "gcloud says the default, False",
    ("storage.buckets.setIamPolicy", "kind"): "gcloud sends back the word that it got",
}
_FORM = {"alt", "$alt"}
"""How the answer is written down, which each client says in its own way."""
_READS = ("getIamPolicy", "testIamPermissions", ".wait")

_IMAGE = f"projects/{PROJECT}/global/images/cache"
_KEY = "projects/keys/locations/us-central1/keyRings/ring/cryptoKeys/key"
_LABELS = {"vfs-release": "vllm-openai", "vfs-namespace": "vllm", "vfs-cell": "us-central1-a"}
POOL = PoolSpec(
    *("us-central1", "demo", "gpus", (ZONE,), "g2-standard-24", "nvidia-l4", 2, "pd-ssd", 100),
    *(_IMAGE, 1, 5, _LABELS),
)
POOLS = {
    "on-demand": POOL,
    "spot": replace(POOL, spot=True),
    "reserved": replace(POOL, reservation="mine"),
    "flex-start": replace(POOL, flex_start=True, least=0),
    "no-image-cache": replace(POOL, image=None),
    "key": replace(POOL, kms_key=_KEY),
}
DISK = DiskSpec(
    name="weights", zone=ZONE, size_gib=100, type="pd-ssd", labels=_LABELS, image=_IMAGE
)
_SHARED = replace(DISK, access_mode="READ_ONLY_MANY")
DISKS = {
    "pd-ssd": DISK,
    "pd-balanced": replace(DISK, type="pd-balanced", kms_key=_KEY),
    "hyperdisk-balanced": replace(_SHARED, type="hyperdisk-balanced"),
    "hyperdisk-ml": replace(_SHARED, type="hyperdisk-ml", throughput_mib_s=1200),
}
ADAPTER = pod_identity(PROJECT, "123456789012", "custom-metrics", "adapter")
BAKER = "serviceAccount:bake@demo-project.iam.gserviceaccount.com"
_FOR_A_WHILE = {"title": "for a while", "expression": "request.time < timestamp('2030-01-01')"}
BINDINGS = [
    {"role": role, "members": ["user:ann@example.com"], **more}
    for role in (METRICS_READER, READER)
    for more in ({"condition": _FOR_A_WHILE}, {})
]
"""Roles that are given already, for good and for a while."""

Call = Callable[[GoogleCloud], Any]


def _grant(cloud: GoogleCloud, holder: Holder, name: str, role: str, member: str) -> None:
    policy = cloud.policy(holder, name)
    cloud.set_policy(holder, name, policy.with_member(role, member))


def _made() -> Iterator[tuple[str, Call, str]]:
    for number, (kind, spec) in enumerate(DISKS.items()):
        disk = replace(spec, name=kind)
        make = partial(GoogleCloud.insert_disk, spec=disk, request_id=_id(number))
        yield kind, make, lines.create_disk(PROJECT, disk)
    for kind, like in POOLS.items():
        pool = replace(like, name=kind)
        make = partial(GoogleCloud.insert_pool, spec=pool)
        yield kind, make, lines.create_pool(PROJECT, pool)


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


CASES: dict[str, tuple[Call, str]] = {
    **{kind: (call, line) for kind, call, line in _made()},
    "identities of pods": (
        partial(GoogleCloud.identify_pods, location="us-central1", name="demo"),
        lines.turn_workload_identity_on(PROJECT, "us-central1", "demo"),
    ),
    "a service": (
        partial(GoogleCloud.enable, service="monitoring.googleapis.com"),
        lines.enable_service(PROJECT, "monitoring.googleapis.com"),
    ),
    "a bucket": (
        partial(GoogleCloud.make_bucket, bucket="bake-logs", location="us-central1"),
        lines.create_bucket(PROJECT, "bake-logs", "us-central1"),
    ),
    "a role on a project": (
        lambda cloud: _grant(cloud, "project", PROJECT, METRICS_READER, ADAPTER),
        lines.grant_on_project(PROJECT, METRICS_READER, ADAPTER),
    ),
    "a role on a bucket": (
        lambda cloud: _grant(cloud, "bucket", "my-models", READER, BAKER),
        lines.grant_on_bucket("my-models", READER, BAKER),
    ),
    "no disk": (
        lambda cloud: cloud.delete_disk(ZONE, "old", _id(98)),
        lines.delete_disk(PROJECT, ZONE, "old"),
    ),
    "no image": (
        lambda cloud: cloud.delete_image(PROJECT, "old", _id(99)),
        lines.delete_image(PROJECT, "old"),
    ),
}


@dataclass
class Two:
    """The emulator that our client talks to, and the one of gcloud."""

    ours: Emulator
    theirs: Emulator
    cloud: GoogleCloud
    gcloud: Gcloud

    def both(self, call: Call, line: str) -> tuple[Entry, Entry]:
        """What either sends to change the same."""
        call(self.cloud)
        self.gcloud(line.removeprefix("gcloud "))
        return _last_change(self.ours), _last_change(self.theirs)


def _last_change(emulator: Emulator) -> Entry:
    found = [it for it in emulator.journal() if it.changes and not it.method.endswith(_READS)]
    assert found[-1].status == 200
    return found[-1]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Two emulators that hold the same."""
    folder = tmp_path_factory.mktemp("two")
    with _started(folder / "ours") as ours, _started(folder / "theirs") as theirs:
        yield Two(ours, theirs, connect(PROJECT, endpoint=ours.url), Gcloud(theirs, folder))


@contextmanager
def _started(folder: Path) -> Iterator[Emulator]:
    with Emulator(folder, guest="simulated", clock=SystemClock()) as emulator:
        emulator.add_cluster("demo", "us-central1")
        raw = Raw(emulator.url)
        raw.disk("source")
        for name in ("cache", "old"):
            raw.image(name, "source")
        raw.disk("old")
        put_objects(raw, PROJECT, "my-models", {})
        policy = {"version": 3, "bindings": BINDINGS}
        raw.post(f"/v1/projects/{PROJECT}:setIamPolicy", {"policy": policy})
        raw.send("PUT", "/storage/v1/b/my-models/iam", policy)
        yield emulator


def _flat(doc: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(doc, dict):
        for key, value in doc.items():
            yield from _flat(value, f"{path}.{key}" if path else key)
    else:
        yield path, doc


def _fields(entry: Entry) -> dict[str, Any]:
    query = {f"?{key}": value for key, value in entry.query.items() if key not in _FORM}
    return {**dict(_flat(entry.body)), **query, "verb": entry.verb, "path": entry.path}


def _differ(ours: Entry, theirs: Entry) -> set[tuple[str, str]]:
    one, other = _fields(ours), _fields(theirs)
    names = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    links = {key for key in names if one.get(key) == _short(other.get(key))}
    return {(ours.method, f"{key} as a link" if key in links else key) for key in names}


def _short(value: Any) -> Any:
    return value.partition("/compute/v1/")[2] if isinstance(value, str) else None


@pytest.mark.parametrize("case", CASES)
def test_the_two_differ_only_as_listed(two: Two, case: str) -> None:
    ours, theirs = two.both(*CASES[case])
    assert _differ(ours, theirs) == {key for key in DIFFERENCES if key[0] == ours.method}


@pytest.mark.parametrize("flex_start", [False, True])
def test_a_pool_is_scaled_by_another_method_to_the_same_limits(two: Two, flex_start: bool) -> None:
    """gcloud's goes through the cluster's update; the pool's own method says no more than it
    changes."""
    pool = replace(POOL, name=f"scaled-{flex_start}".lower(), flex_start=flex_start)
    two.both(partial(GoogleCloud.insert_pool, spec=pool), lines.create_pool(PROJECT, pool))
    more = replace(pool, most=7)
    ours, theirs = two.both(
        partial(GoogleCloud.scale_pool, spec=more), lines.scale_pool(PROJECT, more)
    )
    assert (ours.method, theirs.method) == (
        "container.nodePools.setAutoscaling",
        "container.clusters.update",
    )
    assert theirs.body["update"] == {
        "desiredNodePoolId": pool.name,
        "desiredNodePoolAutoscaling": ours.body["autoscaling"],
    }
    shown = [_pool(emulator, pool.name) for emulator in (two.ours, two.theirs)]
    assert shown[0] == shown[1]
    assert 7 in shown[0]["autoscaling"].values()


def _pool(emulator: Emulator, name: str) -> Any:
    path = f"/v1/projects/{PROJECT}/locations/us-central1/clusters/demo/nodePools/{name}"
    return {**Raw(emulator.url).get(path), "etag": ""}


def test_a_pool_goes_and_a_cluster_comes_by_the_lines_that_say_so(two: Two) -> None:
    pool = replace(POOL, name="short-lived")
    make = partial(GoogleCloud.insert_pool, spec=pool)
    two.both(make, lines.create_pool(PROJECT, pool))
    gone = partial(GoogleCloud.delete_pool, spec=pool)
    ours, theirs = two.both(gone, lines.delete_pool(PROJECT, pool))
    assert _differ(ours, theirs) == set()
    line = lines.create_cluster(PROJECT, "us-central1", "another", "default")
    two.gcloud(line.removeprefix("gcloud "))
    path = f"/v1/projects/{PROJECT}/locations/us-central1/clusters/another"
    made = Raw(two.theirs.url).get(path)
    assert made["workloadIdentityConfig"] == {"workloadPool": f"{PROJECT}.svc.id.goog"}
