"""What every stage works on: config and lock, Google Cloud, the cluster, and what was asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pylib.bake.make import Step
from pylib.bake.options import Options
from pylib.cloud.serving import Serving
from pylib.config.model import Config
from pylib.errors import Problem
from pylib.kube import Kube
from pylib.lock import Lock, load_lock, lock_path
from pylib.provision.action import Action


@dataclass(frozen=True)
class Wishes:
    """What the command line says beyond the config: how to bake, a bucket for the VMs' logs,
    whether what nothing uses any more goes, a context that was named, and whether a pending helm
    operation is known to be dead."""

    bake: Options
    log_bucket: str | None = None
    prune: bool = False
    timeout: float | None = None
    context: str | None = None
    take_over: bool = False


@dataclass
class Site:
    """One config's world.  ``say`` gets lines, ``progress`` a bake's steps; ``problems`` collects
    what must be mended first."""

    file: Path
    config: Config
    cloud: Serving
    connect: Callable[[], Kube]
    wishes: Wishes
    say: Callable[[str], None]
    progress: Callable[[Step], None]
    kubeconfig: Path | None = None
    problems: list[Problem] = field(default_factory=list)
    pending: set[str] = field(default_factory=set)
    """Kinds that are to be baked before what is planned now."""

    @property
    def lock_file(self) -> Path:
        """The lock file."""
        return lock_path(self.file)

    def lock(self) -> Lock:
        """What the lock file says now."""
        return load_lock(self.lock_file)

    @cached_property
    def kube(self) -> Kube:
        """The cluster, once something asks for it."""
        return self.connect()

    @property
    def location(self) -> str:
        """Location of the cluster."""
        return self.config.cluster.location or self.config.region


class Stage(ABC):
    """One part of the way from a config to a release, in its order."""

    @abstractmethod
    def plan(self, site: Site) -> list[Action]:
        """What is to be done, from what is there now; what cannot be goes to the problems."""

    def act(self, site: Site, action: Action) -> None:
        """Do one of them; a stage that only looks has nothing to do."""
        del site, action

    def settle(self, site: Site) -> None:
        """When all are done: write down what was made, or do what follows from it."""
        del site
