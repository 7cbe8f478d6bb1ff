"""A whole bake: Google's clients, the emulator, the guest's own script and payload, real disks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pylib.bake.cache import CacheRecipe
from pylib.bake.make import Step
from pylib.bake.plan import Bake, Place
from pylib.bake.runner import Baked, Tools, run_bake
from pylib.bake.weights import WeightsRecipe
from pylib.cloud.clock import SystemClock
from pylib.cloud.gcp import GoogleCloud, connect
from pylib.emulator import Emulator, Settings
from pylib.emulator.compute.sources import blocks
from pylib.emulator.guest.real import why_not
from pylib.emulator.store import Ref
from pylib.errors import BakeError
from pylib.guest.pack import metadata
from pylib.guest.payload.listing import listing_digest
from pylib.proc import run
from tests.cloud.emulated import Raw, put_objects
from tests.disk.guest import mounted
from tests.disk.hurried import HurriedClock
from tests.disk.layers import Layer, gzipped, image
from tests.disk.registry import Answer, Registry, serving
from tests.guest.models import model, unpacked

PROJECT = "demo-project"
REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"real guests cannot run: {REASON}")


@dataclass
class Bench:
    """An emulator with real guests, a client of it and a registry."""

    emulator: Emulator
    cloud: GoogleCloud
    registry: Registry
    folder: Path
    steps: list[Step] = field(default_factory=list)

    def bake(self, *images: str) -> Baked:
        """An image cache of ``images``."""
        address = self.registry.address
        recipe = CacheRecipe(images, endpoints={address: [f"http://{address}"]})
        place = Place(PROJECT, PROJECT, ("us-central1-a",), machine_type="e2-standard-2")
        bake = Bake(recipe, 10, place, "cache", "ann")
        tools = Tools(self.cloud, self.folder / "journal", metadata, self.steps.append)
        return run_bake(bake, tools, lambda _: None)

    def weights(self, files: Mapping[str, bytes], **more: Any) -> Baked:
        """A weights image of a model that lies in a bucket."""
        objects = {f"google/gemma/{path}": content for path, content in files.items()}
        put_objects(Raw(self.emulator.url), PROJECT, "models", objects)
        found = [
            (item.name.removeprefix("google/gemma/"), item.size, item.generation)
            for item in self.cloud.objects("models", "google/gemma/")
        ]
        recipe = WeightsRecipe(
            source="gs://models/google/gemma",
            directory="google/gemma",
            endpoints={"storage": self.emulator.url},
            **{"listing": listing_digest(found), **more},
        )
        place = Place(PROJECT, PROJECT, ("us-central1-a",), machine_type="e2-standard-2")
        tools = Tools(self.cloud, self.folder / "weights", metadata, self.steps.append)
        return run_bake(Bake(recipe, 10, place, "cache", "ann"), tools, lambda _: None)

    def look(self, name: str = "cache") -> AbstractContextManager[Path]:
        """What is on a disk made from an image."""
        return mounted(self.blocks(name))

    def blocks(self, name: str = "cache") -> Path:
        """The file with an image's blocks."""
        world = self.emulator.world
        return blocks(world, world.need(Ref("images", PROJECT, "global", name)))

    def made(self) -> list[str]:
        """Everything in the project that a bake could have made."""
        return [path for path in self.emulator.inventory().paths() if "/cache" in path]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench whose emulator takes reports as fast as they come."""
    settings = Settings(project=PROJECT, guest_attributes_per_minute=10_000, shutdown_seconds=20)
    with (
        serving(Registry()) as registry,
        Emulator(tmp_path / "e", settings=settings, guest="real", clock=SystemClock()) as emulator,
    ):
        cloud = connect(PROJECT, endpoint=emulator.url, clock=HurriedClock())
        yield Bench(emulator, cloud, registry, tmp_path)
    assert str(tmp_path) not in run(["losetup", "--list"]).stdout


def test_the_published_image_holds_what_the_registry_holds(bench: Bench) -> None:
    base = Layer().folder("etc").file("etc/motd", b"hello\n").file("etc/old", b"x")
    upper = Layer().gone("etc/old").symlink("bin", "usr/bin")
    made = image([gzipped(base), gzipped(upper)])
    reference = bench.registry.push("team/app:v1", made)

    baked = bench.bake(reference)

    assert bench.made() == [f"projects/{PROJECT}/global/images/cache"]
    assert baked.content.parts["images"] == [[reference, made.digest]]
    with bench.look() as place:
        lines = (place / "snapshots.metadata").read_text(encoding="utf-8").splitlines()
        folders = [place / line.split()[1] for line in lines]
        motd = [it / "etc/motd" for it in folders if (it / "etc/motd").exists()]
        assert [it.read_bytes() for it in motd] == [b"hello\n"]
        whiteout = [it / "etc/old" for it in folders if (it / "etc/old").is_char_device()]
        assert len(whiteout) == 1
        assert reference in (place / "images.metadata").read_text(encoding="utf-8")


@pytest.mark.parametrize("shards", [0, 3])
def test_the_published_image_holds_the_model_of_the_bucket(bench: Bench, shards: int) -> None:
    files = model()
    baked = bench.weights(files, shards=shards)

    assert bench.made() == [f"projects/{PROJECT}/global/images/cache"]
    with bench.look() as place:
        manifest = (place / "weights.manifest.json").read_bytes()
        assert hashlib.sha256(manifest).hexdigest() == baked.content.digest
        names = {entry["path"].removeprefix("google/gemma/") for entry in json.loads(manifest)}
        folder = place / "google" / "gemma"
        assert {str(it.relative_to(folder)) for it in folder.rglob("*") if it.is_file()} == names
        tensors = {name for it in folder.glob("*.safetensors") for name in unpacked(it)[0]}
        assert len(tensors) == 12
        if not shards:
            assert {name: (folder / name).read_bytes() for name in names} == files
    assert baked.content.parts["shards"] == (shards or 2)


def test_a_bucket_that_changes_under_way_publishes_nothing(bench: Bench) -> None:
    with pytest.raises(BakeError, match="changed since the bake began"):
        bench.weights(model(), listing="0" * 64)
    assert bench.made() == []


def test_a_layer_that_does_not_come_whole_publishes_nothing(bench: Bench) -> None:
    reference = bench.registry.push("app:v1", image([gzipped(Layer().file("f", b"x" * 100))]))
    blob = next(iter(image([gzipped(Layer().file("f", b"x" * 100))]).blobs))

    def spoil(path: str, answer: Answer) -> Answer:
        body = bytes(reversed(answer.body))
        return replace(answer, body=body) if path.endswith(blob) else answer

    bench.registry.unkind = spoil
    with pytest.raises(BakeError) as caught:
        bench.bake(reference)

    assert "the guest failed in phase " in str(caught.value)
    assert bench.made() == []
