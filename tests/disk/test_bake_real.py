"""A whole bake: Google's clients, the emulator, the guest's own script and payload, real disks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pylib.bake.cache import CacheRecipe
from pylib.bake.make import Step
from pylib.bake.plan import Bake, Place
from pylib.bake.runner import Baked, Tools, run_bake
from pylib.cloud.clock import SystemClock
from pylib.cloud.gcp import GoogleCloud, connect
from pylib.emulator import Emulator, Settings
from pylib.emulator.compute.sources import blocks
from pylib.emulator.guest.real import why_not
from pylib.emulator.store import Ref
from pylib.errors import BakeError
from pylib.guest.pack import metadata
from pylib.proc import run
from tests.disk.layers import Layer, gzipped, image
from tests.disk.registry import Answer, Registry, serving

PROJECT = "demo-project"
REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"real guests cannot run: {REASON}")


class HurriedClock(SystemClock):
    """Looks ten times as often as asked, since the guest here is quick."""

    def sleep(self, seconds: float) -> None:
        """A tenth of ``seconds``."""
        time.sleep(seconds / 10)


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
    place = bench.folder / "look"
    place.mkdir()
    run(["mount", "-o", "loop,ro,noload", bench.blocks(), place])
    try:
        lines = (place / "snapshots.metadata").read_text(encoding="utf-8").splitlines()
        folders = [place / line.split()[1] for line in lines]
        motd = [it / "etc/motd" for it in folders if (it / "etc/motd").exists()]
        assert [it.read_bytes() for it in motd] == [b"hello\n"]
        whiteout = [it / "etc/old" for it in folders if (it / "etc/old").is_char_device()]
        assert len(whiteout) == 1
        assert reference in (place / "images.metadata").read_text(encoding="utf-8")
    finally:
        run(["umount", place])


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
