"""Checking an image that is there: the second half of a bake, alone."""

from __future__ import annotations

from pylib.bake.cache import CacheRecipe
from pylib.bake.options import Options, option_problems, place_of
from pylib.bake.plan import Bake
from pylib.bake.recipe import Recipe
from pylib.bake.weights import WeightsRecipe
from pylib.cloud.api import Compute
from pylib.config.model import Config
from pylib.errors import ConfigError, Problem
from pylib.lock import Lock, LockedImage


def verify_request(
    kind: str,
    config: Config,
    lock: Lock,
    options: Options,
    compute: Compute,
    zones: tuple[str, ...],
) -> Bake:
    """The check of the image that options, lock or config name, whoever made it.

    Raises :class:`ConfigError` with all problems, and CallError when the image cannot be read.
    """
    locked = _locked(kind, lock)
    place = place_of(config, options, zones)
    project = locked.project if locked and not options.name else place.images_project
    name = options.name or (locked.name if locked else None) or _configured(kind, config)
    problems = option_problems(config, options)
    found = compute.image(project, name) if name and not problems else None
    if found is None and not problems:
        message = f"there is no image {name} in {project}" if name else "nothing names the image"
        fix = "Write the image's name with --name, or bake it first."
        problems.append(Problem("--verify-only", message, fix))
    if found is None or problems:
        raise ConfigError("bake", problems)
    return Bake(
        recipe=_recipe(kind, lock, options),
        size_gib=found.size_gib,
        place=place.of_images(project),
        image_name=found.name,
        owner=options.owner,
        labels=options.labels,
        kms_key=config.kmsKey,
        log_bucket=options.log_bucket,
        verify_only=True,
    )


def _locked(kind: str, lock: Lock) -> LockedImage | None:
    if kind == "image":
        return lock.imageCache
    weights = lock.weights
    revisions = weights.revisions if weights else ()
    return next((it.image for it in revisions if weights and it.name == weights.current), None)


def _configured(kind: str, config: Config) -> str | None:
    return config.imageCache.name if kind == "image" else None


def _recipe(kind: str, lock: Lock, options: Options) -> Recipe:
    if kind == "weights":
        return WeightsRecipe(source="", directory="")
    locked = lock.imageCache.images if lock.imageCache and not options.name else ()
    return CacheRecipe(options.images or tuple(image.reference for image in locked))
