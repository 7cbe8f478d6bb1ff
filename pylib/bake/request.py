"""From a config and a command line to one :class:`pylib.bake.plan.Bake`, all problems at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pylib.bake.plan import EXPIRES, INPUTS, OWNER, PHASE, RUN, Bake, Inputs, Place, default_name
from pylib.config.model import Config
from pylib.errors import ConfigError, Problem
from pylib.facts.disks import DISK_TYPES
from pylib.guest.payload.job import ENDPOINTS
from pylib.names import MAX_NAME
from pylib.values import serving_image

FIRST_IMAGE_GIB = 60
NEXT_IMAGE_GIB = 30
"""Disk for one image and for each more when no size is given: gke-disk-image-builder's own default,
GoogleCloudPlatform/gke-disk-image-builder cli/main.go.  The guest says how much it lacked."""

PAYLOADS = ("direct", "containerd")
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_ZONE = re.compile(r"[a-z]+-[a-z]+[0-9]+-[a-z]")
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._/-]*)?")
_BOOT_IMAGE = re.compile(r"projects/[a-z0-9:.-]+/global/images/[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_RESERVED = (RUN, OWNER, EXPIRES, INPUTS, PHASE)


@dataclass(frozen=True)
class Options:
    """What the command line says beyond the config; ``None`` and empty leave it to the config."""

    owner: str
    images: tuple[str, ...] = ()
    name: str | None = None
    zones: tuple[str, ...] = ()
    network: str | None = None
    subnetwork: str | None = None
    machine_type: str = "n2-standard-8"
    disk_type: str = "pd-ssd"
    disk_gib: int | None = None
    timeout_seconds: int = 3600
    external_ip: bool = False
    service_account: str | None = None
    family: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    storage_locations: tuple[str, ...] = ()
    payload: str = "direct"
    log_bucket: str | None = None
    boot_image: str | None = None
    mirrors: tuple[tuple[str, str], ...] = ()
    """Registry host and address to ask in its place, the host itself last of all."""


def image_request(config: Config, options: Options, file: str, zones: tuple[str, ...]) -> Bake:
    """The bake of the config's image cache; ``zones`` are the region's, in order.

    Raises :class:`ConfigError` with all problems.
    """
    images = options.images or config.imageCache.images or _serving(config)
    problems = [*_problems(config, options), *_image_problems(images)]
    if problems:
        raise ConfigError(file, problems)
    unique = tuple(dict.fromkeys(images))
    size = options.disk_gib or config.imageCache.sizeGiB
    inputs = Inputs(
        images=unique,
        size_gib=size or FIRST_IMAGE_GIB + NEXT_IMAGE_GIB * (len(unique) - 1),
        payload=options.payload,
        kms_key=config.kmsKey,
        storage_locations=options.storage_locations,
    )
    return Bake(
        inputs=inputs,
        place=_place(config, options, zones),
        image_name=options.name or config.imageCache.name or default_name("image-cache", inputs),
        owner=options.owner,
        family=options.family,
        labels=options.labels,
        job={
            "kind": "image",
            "images": list(unique),
            "payload": options.payload,
            "auth": "service-account" if options.service_account else "none",
            **_endpoints(options.mirrors),
        },
        log_bucket=options.log_bucket,
    )


def _endpoints(mirrors: tuple[tuple[str, str], ...]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for host, address in mirrors:
        found.setdefault(host, []).append(address.rstrip("/"))
    whole = {
        host: [*addresses, *ENDPOINTS.get(host, (f"https://{host}",))]
        for host, addresses in found.items()
    }
    return {"endpoints": whole} if whole else {}


def _place(config: Config, options: Options, zones: tuple[str, ...]) -> Place:
    of_cells = (cell.zone for cell in config.cells)
    wanted = options.zones or tuple(dict.fromkeys([*of_cells, *zones]))
    return Place(
        project=config.project,
        images_project=config.imagesProject or config.project,
        zones=wanted,
        network=options.network or config.network.name,
        subnetwork=options.subnetwork or config.network.subnetwork,
        machine_type=options.machine_type,
        disk_type=options.disk_type,
        external_ip=options.external_ip,
        service_account=options.service_account,
        timeout_seconds=options.timeout_seconds,
        boot_image=options.boot_image,
    )


def _serving(config: Config) -> tuple[str, ...]:
    return (serving_image(config.serving),) if config.serving else ()


def _problems(config: Config, options: Options) -> list[Problem]:
    cache = config.imageCache
    found = []
    if not cache.enabled:
        fix = "Write enabled: true, or bake no image."
        found.append(Problem("imageCache.enabled", "is false: nothing to bake", fix))
    if cache.existing:
        fix = "Write existing: false to have it baked, under a name that is free."
        found.append(Problem("imageCache.existing", "is true: the image is somebody else's", fix))
    found += _option_problems(config, options) + _source_problems(options)
    for key, value in options.labels.items():
        found += _label_problems(key, value)
    return found


def _option_problems(config: Config, options: Options) -> list[Problem]:
    found = []
    for flag, name in (("--name", options.name), ("--family", options.family)):
        if name is not None and not _NAME.fullmatch(name):
            message = f"{name!r} is no name of Compute Engine"
            fix = f"Write 1 to {MAX_NAME} of a-z, 0-9 and -, a letter first, no - last."
            found.append(Problem(flag, message, fix))
    for zone in options.zones:
        if not _ZONE.fullmatch(zone) or not zone.startswith(f"{config.region}-"):
            fix = f"Write a zone such as {config.region}-a."
            found.append(Problem("--zone", f"{zone!r} is no zone of {config.region}", fix))
    if options.disk_type not in DISK_TYPES:
        known = ", ".join(DISK_TYPES)
        message = f"{options.disk_type!r} is not known"
        found.append(Problem("--disk-type", message, f"Write one of: {known}."))
    if options.disk_gib is not None and not 10 <= options.disk_gib <= 65_536:
        message = f"{options.disk_gib} is out of range"
        found.append(Problem("--disk-size", message, "Write 10 to 65536, in GiB."))
    if not 300 <= options.timeout_seconds <= 86_400:
        message = f"{options.timeout_seconds} s is out of range"
        found.append(Problem("--timeout", message, "Write 300 to 86400, in seconds."))
    return found


def _source_problems(options: Options) -> list[Problem]:
    """What the VM boots, and where it pulls."""
    found = []
    if options.boot_image is not None and not _BOOT_IMAGE.fullmatch(options.boot_image):
        message = f"{options.boot_image!r} is no path of an image"
        fix = "Write projects/PROJECT/global/images/NAME."
        found.append(Problem("--boot-image", message, fix))
    for host, address in options.mirrors:
        if not _HOST.fullmatch(host) or not _ADDRESS.fullmatch(address):
            message = f"{host}={address} is no registry and address"
            fix = "Write HOST=URL: docker.io=https://registry.example.com"
            found.append(Problem("--mirror", message, fix))
    return found


def _label_problems(key: str, value: str) -> list[Problem]:
    path = "--label"
    if key in _RESERVED or re.fullmatch(r"(image|digest)-[0-9]+|cached-images", key):
        return [Problem(path, f"{key!r} is written by the bake itself", "Choose another key.")]
    if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
        fix = "Write KEY=VALUE of a-z, 0-9, _ and -, at most 63 each, the key from a letter on."
        return [Problem(path, f"{key}={value} is no label", fix)]
    return []


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
