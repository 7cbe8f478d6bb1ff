"""What the command line says of a bake beyond the config, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pylib.bake.plan import EXPIRES, INPUTS, OWNER, PHASE, RUN, Place
from pylib.config.model import Config
from pylib.errors import Problem
from pylib.facts.disks import DISK_TYPES
from pylib.names import MAX_NAME

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_ZONE = re.compile(r"[a-z]+-[a-z]+[0-9]+-[a-z]")
_BOOT_IMAGE = re.compile(r"projects/[a-z0-9:.-]+/global/images/[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_RESERVED = (RUN, OWNER, EXPIRES, INPUTS, PHASE)
_CONTENT_LABEL = re.compile(r"(image|digest)-[0-9]+|cached-images|weights-[a-z]+")


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
    shards: int | None = None
    token_secret: str | None = None
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Addresses in place of those that the VM asks for a model: ``storage``, ``hf``."""


def place_of(config: Config, options: Options, zones: tuple[str, ...]) -> Place:
    """Where to bake: in the zones of the cells first, unless options name others."""
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


def option_problems(config: Config, options: Options) -> list[Problem]:
    """What is wrong with the options that every kind of bake has."""
    found = _name_problems(options)
    for zone in options.zones:
        if not _ZONE.fullmatch(zone) or not zone.startswith(f"{config.region}-"):
            fix = f"Write a zone such as {config.region}-a."
            found.append(Problem("--zone", f"{zone!r} is no zone of {config.region}", fix))
    if options.disk_type not in DISK_TYPES:
        known = ", ".join(DISK_TYPES)
        message = f"{options.disk_type!r} is not known"
        found.append(Problem("--disk-type", message, f"Write one of: {known}."))
    found += _range_problems(options)
    for key, value in options.labels.items():
        found += _label_problems(key, value)
    return found


def _name_problems(options: Options) -> list[Problem]:
    found = []
    for flag, name in (("--name", options.name), ("--family", options.family)):
        if name is not None and not _NAME.fullmatch(name):
            message = f"{name!r} is no name of Compute Engine"
            fix = f"Write 1 to {MAX_NAME} of a-z, 0-9 and -, a letter first, no - last."
            found.append(Problem(flag, message, fix))
    if options.boot_image is not None and not _BOOT_IMAGE.fullmatch(options.boot_image):
        message = f"{options.boot_image!r} is no path of an image"
        fix = "Write projects/PROJECT/global/images/NAME."
        found.append(Problem("--boot-image", message, fix))
    return found


def _range_problems(options: Options) -> list[Problem]:
    found = []
    if options.disk_gib is not None and not 10 <= options.disk_gib <= 65_536:
        message = f"{options.disk_gib} is out of range"
        found.append(Problem("--disk-size", message, "Write 10 to 65536, in GiB."))
    if not 300 <= options.timeout_seconds <= 86_400:
        message = f"{options.timeout_seconds} s is out of range"
        found.append(Problem("--timeout", message, "Write 300 to 86400, in seconds."))
    return found


def _label_problems(key: str, value: str) -> list[Problem]:
    path = "--label"
    if key in _RESERVED or _CONTENT_LABEL.fullmatch(key):
        return [Problem(path, f"{key!r} is written by the bake itself", "Choose another key.")]
    if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
        fix = "Write KEY=VALUE of a-z, 0-9, _ and -, at most 63 each, the key from a letter on."
        return [Problem(path, f"{key}={value} is no label", fix)]
    return []
