"""``up`` as the tests run it: Google's clients on the emulator, a cluster that keeps objects."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pylib.bake.options import Options
from pylib.cloud.gcp import GoogleCloud, connect
from pylib.config.parse import load_config
from pylib.emulator import Emulator, ManualClock, Settings
from pylib.kube import Body, Kube
from pylib.provision.action import Action
from pylib.up.baking import ImageBake, WeightsBake
from pylib.up.down import Extent, down
from pylib.up.site import Site, Wishes
from pylib.up.up import plan, up
from tests.cloud.emulated import Raw, put_objects
from tests.cloud.emulated_bake import fill
from tests.guest.models import model

PROJECT = "my-project"
ZONE = "zones/us-central1-a"
_READS = ("testIamPermissions", "getIamPolicy", ".wait")
"""Ends of methods that are sent as POST and only look."""
_START, _LATER = 1_800_000_000.0, 1_800_100_000.0
CONFIG = Path("values/gemma-7b-tutorial/config.yaml")


def _nothing() -> None:
    """What happens at an installation."""


@dataclass
class KeptObjects:
    """A cluster that takes what is applied and gives it back."""

    objects: dict[tuple[str, str, str | None], Body] = field(default_factory=dict)
    applied: list[str] = field(default_factory=list)
    context: str = "test"
    on_install: Callable[[], None] = _nothing
    has_release: bool = False

    def get(self, _: str, kind: str, name: str, namespace: str | None = None) -> Body | None:
        return self.objects.get((kind, name, namespace))

    def apply(self, body: Body) -> Body:
        meta = body["metadata"]
        self.objects[(body["kind"], meta["name"], meta.get("namespace"))] = copy.deepcopy(body)
        self.applied.append(f"{body['kind']}/{meta['name']}")
        return body

    def delete(self, _: str, kind: str, name: str, namespace: str | None = None) -> bool:
        return self.objects.pop((kind, name, namespace), None) is not None

    def install(self) -> None:
        self.on_install()
        self.has_release = True

    def uninstall(self) -> None:
        self.has_release = False


@dataclass
class Upper:
    """One config, one emulated project, one cluster."""

    emulator: Emulator
    cloud: GoogleCloud
    file: Path
    kube: KeptObjects = field(default_factory=KeptObjects)
    said: list[str] = field(default_factory=list)

    def site(self, **wishes: Any) -> Site:
        """The world of the config as it is now."""
        bake = Options(owner="ann", zones=("us-central1-a",), **wishes.pop("bake", {}))
        return Site(
            file=self.file,
            config=load_config(self.file),
            cloud=self.cloud,
            connect=lambda: cast("Kube", self.kube),
            wishes=Wishes(bake=bake, **wishes),
            say=self.said.append,
            progress=lambda _: None,
        )

    def plan(self, **wishes: Any) -> list[str]:
        """The lines of a plan that change something."""
        return [str(it) for it in plan(self.site(**wishes)) if it.changes]

    def up(self, **wishes: Any) -> list[Action]:
        """Do it."""
        return up(self.site(**wishes), lambda _: True)

    def bake(self) -> None:
        """Both images, and nothing else."""
        for stage in (ImageBake(), WeightsBake()):
            site = self.site()
            for action in stage.plan(site):
                stage.act(site, action)

    def down(self, **extent: bool) -> list[Action]:
        """Take it away."""
        return down(self.site(), Extent(**extent))

    def edit(self, old: str, new: str) -> None:
        """Change the config."""
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def put_model(self, folder: str = "gemma/gemma-7b", seed: int = 2) -> None:
        """A model in the config's bucket."""
        files = {f"{folder}/{path}": content for path, content in model(seed).items()}
        put_objects(Raw(self.emulator.url), PROJECT, "my-models", files)

    def on_install(self, act: Callable[[], None]) -> None:
        """Do something at each installation from now on."""
        self.kube.on_install = act

    def fill_with(self, digest: str) -> None:
        """What guests put on weights disks from now on has this manifest."""
        self.emulator.stop()
        self.emulator.guest_program = lambda vm: fill(vm, digest)
        self.emulator.start()

    def attach(self, disk: str) -> None:
        """A node has the disk."""
        raw = Raw(self.emulator.url)
        body = {"name": "a-node", "machineType": f"{ZONE}/machineTypes/e2-standard-2"}
        disks = [
            {
                "boot": True,
                "autoDelete": True,
                "initializeParams": {
                    "sourceImage": "projects/debian-cloud/global/images/family/debian-12"
                },
            },
            {"source": f"{ZONE}/disks/{disk}", "mode": "READ_ONLY"},
        ]
        network = [{"network": "global/networks/default"}]
        path = f"/compute/v1/projects/{PROJECT}/{ZONE}/instances"
        raw.done("POST", path, {**body, "disks": disks, "networkInterfaces": network})

    def detach(self) -> None:
        """The node is gone."""
        path = f"/compute/v1/projects/{PROJECT}/{ZONE}/instances/a-node"
        Raw(self.emulator.url).done("DELETE", path)

    def remove_disk(self, name: str) -> None:
        """Somebody deletes a disk."""
        raw = Raw(self.emulator.url)
        raw.done("DELETE", f"/compute/v1/projects/{PROJECT}/{ZONE}/disks/{name}")

    def stranger_pool(self, name: str) -> None:
        """Somebody else's node pool."""
        path = f"/v1/projects/{PROJECT}/locations/us-central1/clusters/vllm-cluster/nodePools"
        Raw(self.emulator.url).post(path, {"nodePool": {"name": name, "initialNodeCount": 1}})
        self.emulator.world.clock.sleep(60)

    def changes(self) -> list[str]:
        """Methods of the calls so far that could have changed something."""
        found = (it for it in self.emulator.journal() if it.changes)
        return [it.method for it in found if not it.method.endswith(_READS)]

    def made(self, kind: str) -> list[str]:
        """Names of what there is of a kind in the project."""
        paths = self.emulator.inventory().paths(kind)
        return [path.rpartition("/")[2] for path in paths if f"projects/{PROJECT}/" in path]


@contextmanager
def upper(
    folder: Path, config: Path = CONFIG, *, again: bool = False, **settings: Any
) -> Iterator[Upper]:
    """An emulated project with a cluster, and the model in its bucket; with ``again`` it goes on
    with what is in the folder."""
    clock = ManualClock(_LATER if again else _START)
    how = Settings(project=PROJECT, delays={"*": (1, 4)}, **settings)
    file = folder / "config.yaml"
    if not again:
        file.write_text(config.read_text())
    with Emulator(folder / "emulator", settings=how, guest=fill, clock=clock) as emulator:
        cloud = connect(PROJECT, endpoint=emulator.url, clock=clock)
        one = Upper(emulator, cloud, file)
        if not again:
            emulator.add_cluster("vllm-cluster", "us-central1")
            one.put_model()
        yield one
