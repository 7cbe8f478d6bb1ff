"""Stages that bake, when the lock file does not have what the config asks for."""

from __future__ import annotations

from abc import abstractmethod

from pylib.bake.bake import Kitchen
from pylib.bake.request import cache_problems, wanted_images
from pylib.bake.weights_request import kind_problems
from pylib.config.model import Config, Disk
from pylib.errors import Problem
from pylib.lock import Lock, LockedImage, LockedRevision
from pylib.provision.action import Action, Verb
from pylib.up.printed import bake_line
from pylib.up.site import Site, Stage


class Baking(Stage):
    """The bake of one kind."""

    kind: str

    @abstractmethod
    def wanted(self, site: Site) -> bool:
        """Whether the config asks for it at all."""

    @abstractmethod
    def why(self, site: Site, lock: Lock) -> str:
        """Why it has to be baked; empty when it need not be."""

    def plan(self, site: Site) -> list[Action]:
        """Bake, unless the lock file has what is asked for, and no bake of it was cut short."""
        if not self.wanted(site):
            return []
        why = self.why(site, site.lock())
        if not why and _kitchen(site).journal(self.kind).exists():
            why = "the last one was cut short"
        words = (bake_line(self.kind, site.file, site.wishes.bake),) if why else ()
        verb = Verb.CREATE if why else Verb.REUSE
        return [Action(verb, f"{self.kind} bake", site.lock_file.name, why, words)]

    def act(self, site: Site, action: Action) -> None:
        """Bake, or go on with a bake that was cut short."""
        del action
        kitchen = _kitchen(site)
        kitchen.bake(kitchen.request(self.kind, site.wishes.bake))


def _kitchen(site: Site) -> Kitchen:
    return Kitchen(site.file, site.config, site.cloud, site.say, site.progress)


class ImageBake(Baking):
    """The image cache."""

    kind = "image"

    def wanted(self, site: Site) -> bool:
        """Whether the config asks for an image cache of ours."""
        return not cache_problems(site.config)

    def plan(self, site: Site) -> list[Action]:
        """As for each kind; one that exists is only looked for."""
        return self._existing(site) if site.config.imageCache.existing else super().plan(site)

    def why(self, site: Site, lock: Lock) -> str:
        """Why the image cache has to be baked."""
        cache, config = lock.imageCache, site.config
        if cache is None:
            return "there is none"
        wanted = set(site.wishes.bake.images or wanted_images(config))
        if {image.reference for image in cache.images} != wanted:
            return "it holds other images than the config names"
        if config.imageCache.name not in (None, cache.name):
            return f"it is called {cache.name}, not {config.imageCache.name}"
        return _gone(site, cache)

    def _existing(self, site: Site) -> list[Action]:
        config = site.config
        name, project = config.imageCache.name, config.imagesProject or config.project
        if name and site.cloud.image(project, name) is None:
            message = f"image {name} in {project} is said to exist and does not"
            fix = "Mend the name, or write existing: false."
            site.problems.append(Problem("imageCache.name", message, fix))
        return [Action(Verb.CHECK, "image bake", name or "none", "existing: true")]


class WeightsBake(Baking):
    """The weights."""

    kind = "weights"

    def wanted(self, site: Site) -> bool:
        """Whether the config asks for weights on disks of ours."""
        return not kind_problems(site.config) and site.config.weights is not None

    def why(self, site: Site, lock: Lock) -> str:
        """Why the weights have to be baked."""
        found = wanted_revision(site.config, lock, site.wishes.bake.shards)
        if found is None:
            known = lock.weights.revisions if lock.weights else ()
            return f"no revision is of {site.config.model.source}" if known else "there are none"
        made = all(cell.key in found.disks for cell in site.config.cells)
        return "" if found.image is None or made else _gone(site, found.image)


def wanted_revision(config: Config, lock: Lock, shards: int | None = None) -> LockedRevision | None:
    """The newest revision of the config's model, as far as the lock file tells; ``None`` where it
    has none.  What was written by hand, with no source, is of any."""
    weights = lock.weights
    if weights is None:
        return None
    if isinstance(config.weights, Disk) and config.weights.existing:
        return next((it for it in weights.revisions if it.name == weights.current), None)
    fits = [it for it in weights.revisions if _is_of(it, config, shards)]
    return fits[-1] if fits else None


def _is_of(revision: LockedRevision, config: Config, shards: int | None) -> bool:
    source, commit = config.model.source, config.model.revision
    if revision.source is None:
        return True
    if revision.source != source:
        return False
    if shards is not None and revision.shards not in (None, shards):
        return False
    return not (source or "").startswith("hf://") or revision.origin in (None, commit)


def _gone(site: Site, image: LockedImage) -> str:
    """Why an image that the lock file names cannot be used; empty when it can."""
    found = site.cloud.image(image.project, image.name)
    if found is None:
        return f"image {image.name} is in the lock file, and gone"
    if image.id is not None and found.id != image.id:
        return f"image {image.name} is another one than in the lock file"
    return ""
