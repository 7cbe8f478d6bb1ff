"""From a config and a command line to the bake of an image cache, all problems at once."""

from __future__ import annotations

import re
from dataclasses import replace

from pylib.bake.cache import CacheRecipe
from pylib.bake.options import Options, option_problems, place_of
from pylib.bake.plan import Bake, default_name
from pylib.config.model import Config
from pylib.errors import ConfigError, Problem
from pylib.guest.payload.job import ENDPOINTS
from pylib.values import serving_image

FIRST_IMAGE_GIB = 60
NEXT_IMAGE_GIB = 30
"""Disk for one image and for each more when no size is given: gke-disk-image-builder's own default,
GoogleCloudPlatform/gke-disk-image-builder cli/main.go.  The guest says how much it lacked."""

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._/-]*)?")


def image_request(config: Config, options: Options, file: str, zones: tuple[str, ...]) -> Bake:
    """The bake of the config's image cache; ``zones`` are the region's, in order.

    Raises :class:`ConfigError` with all problems.
    """
    images = options.images or wanted_images(config)
    problems = [
        *cache_problems(config),
        *option_problems(config, options),
        *_mirror_problems(options),
        *_image_problems(images),
    ]
    if problems:
        raise ConfigError(file, problems)
    unique = tuple(dict.fromkeys(images))
    size = options.disk_gib or config.imageCache.sizeGiB
    bake = Bake(
        recipe=CacheRecipe(
            images=unique,
            payload=options.payload,
            auth="service-account" if options.service_account else "none",
            endpoints=_endpoints(options.mirrors),
        ),
        size_gib=size or FIRST_IMAGE_GIB + NEXT_IMAGE_GIB * (len(unique) - 1),
        place=place_of(config, options, zones),
        image_name=options.name or config.imageCache.name or "",
        owner=options.owner,
        family=options.family,
        labels=options.labels,
        storage_locations=options.storage_locations,
        kms_key=config.kmsKey,
        log_bucket=options.log_bucket,
    )
    return bake if bake.image_name else replace(bake, image_name=default_name(bake))


def _endpoints(mirrors: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for host, address in mirrors:
        found.setdefault(host, []).append(address.rstrip("/"))
    return {
        host: [*addresses, *ENDPOINTS.get(host, (f"https://{host}",))]
        for host, addresses in found.items()
    }


def wanted_images(config: Config) -> tuple[str, ...]:
    """The images that the config wants cached: those it names, else the one that serves."""
    serving = (serving_image(config.serving),) if config.serving else ()
    return config.imageCache.images or serving


def cache_problems(config: Config) -> list[Problem]:
    """Why the config wants no image cache baked."""
    found = []
    if not config.imageCache.enabled:
        fix = "Write enabled: true, or bake no image."
        found.append(Problem("imageCache.enabled", "is false: nothing to bake", fix))
    if config.imageCache.existing:
        fix = "Write existing: false to have it baked, under a name that is free."
        found.append(Problem("imageCache.existing", "is true: the image is somebody else's", fix))
    return found


def _mirror_problems(options: Options) -> list[Problem]:
    found = []
    for host, address in options.mirrors:
        if not _HOST.fullmatch(host) or not _ADDRESS.fullmatch(address):
            message = f"{host}={address} is no registry and address"
            fix = "Write HOST=URL: docker.io=https://registry.example.com"
            found.append(Problem("--mirror", message, fix))
    return found


def _image_problems(images: tuple[str, ...]) -> list[Problem]:
    if not images:
        fix = "Name images in imageCache.images, or with --image."
        return [Problem("imageCache.images", "names no image to bake", fix)]
    return [
        Problem("--image", f"{image!r} is no full image reference", _REFERENCE_FIX)
        for image in images
        if not _reference(image)
    ]


_REFERENCE_FIX = "Write registry, name, and tag or digest: docker.io/vllm/vllm-openai:v0.33.0."


def _reference(image: str) -> bool:
    from pydantic import TypeAdapter, ValidationError

    from pylib.config.types import ImageReference

    try:
        TypeAdapter(ImageReference).validate_python(image)
    except ValidationError:
        return False
    return True
