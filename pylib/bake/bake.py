"""One bake from config and options to the lock file: what ``bake`` and ``up`` both do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pylib.bake.cache import CacheRecipe, locked_cache
from pylib.bake.lockfile import keep_cache, keep_revision
from pylib.bake.make import Step
from pylib.bake.options import Options
from pylib.bake.plan import Bake
from pylib.bake.request import image_request
from pylib.bake.runner import Baked, Tools, run_bake
from pylib.bake.weights import WeightsRecipe, locked_revision
from pylib.bake.weights_request import weights_request
from pylib.cloud.api import Cloud
from pylib.config.model import Config
from pylib.guest import pack
from pylib.lock import lock_path

KINDS = ("image", "weights")


@dataclass(frozen=True)
class Kitchen:
    """What every bake of one config needs; ``say`` gets lines, ``progress`` the steps."""

    file: Path
    config: Config
    cloud: Cloud
    say: Callable[[str], None]
    progress: Callable[[Step], None]

    @property
    def lock(self) -> Path:
        """The lock file."""
        return lock_path(self.file)

    def request(self, kind: str, options: Options) -> Bake:
        """The bake of a kind.  Raises ConfigError with all problems, and CallError."""
        zones = () if options.zones else self.cloud.zones(self.config.region)
        if kind == "image":
            return image_request(self.config, options, str(self.file), zones)
        return weights_request(self.config, options, str(self.file), zones, self.cloud.objects)

    def journal(self, kind: str, verb: str = "bake") -> Path:
        """Where a bake is journalled unless the caller says: beside the config."""
        return self.file.with_name(f"{self.file.stem}.{verb}-{kind}.journal")

    def bake(self, bake: Bake, journal: Path | None = None) -> Baked:
        """Make it, and write it into the lock file; a check alone writes nothing."""
        verb = "verify" if bake.verify_only else "bake"
        beside = self.journal(bake.recipe.kind, verb)
        tools = Tools(self.cloud, journal or beside, pack.metadata, self.progress)
        return run_bake(bake, tools, lambda baked: self._keep(bake, baked))

    def _keep(self, bake: Bake, baked: Baked) -> None:
        if bake.verify_only:
            return
        recipe, name = bake.recipe, self.file.name
        if isinstance(recipe, CacheRecipe):
            cache = locked_cache(baked.image, baked.content, recipe.images)
            keep_cache(self.lock, name, cache)
        elif isinstance(recipe, WeightsRecipe):
            revision = locked_revision(baked.image, baked.content, recipe)
            current = keep_revision(self.lock, name, revision)
            more = "" if current else "; the current one stays, until disks are made of this one"
            self.say(f"revision {revision.name} of the weights{more}")
        self.say(f"wrote {self.lock}")
