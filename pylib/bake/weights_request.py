"""From a config and a command line to the bake of the weights, all problems at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pylib.bake.claim import Filled
from pylib.bake.options import Options, option_problems, place_of
from pylib.bake.plan import Bake, Place, default_name
from pylib.bake.weights import WeightsRecipe
from pylib.cloud.records import StoredObject
from pylib.config.model import Config, Disk
from pylib.config.model_path import model_path_of
from pylib.config.types import GS_SOURCE
from pylib.errors import ConfigError, Problem
from pylib.guest.payload.listing import is_placeholder, listing_digest
from pylib.sizing import bake_disk_gib

ListObjects = Callable[[str, str], Iterable[StoredObject]]
"""Objects of a bucket below a prefix."""

GIB = 1 << 30
MOST_SHARDS = 1000
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SECRET = re.compile(
    r"projects/[a-z0-9:.-]+/secrets/[A-Za-z0-9_-]{1,255}(/versions/[A-Za-z0-9_-]+)?"
)


@dataclass(frozen=True)
class Listed:
    """What a bucket holds of the model: its digest, and bytes of all files."""

    digest: str
    bytes: int


def weights_request(
    config: Config, options: Options, file: str, zones: tuple[str, ...], objects: ListObjects
) -> Bake:
    """The bake of the config's model; ``zones`` are the region's, in order.

    A bucket is listed, so that a model that changed is another bake.  Raises :class:`ConfigError`
    with all problems, and CallError when the bucket cannot be listed.
    """
    problems = [*source_problems(config, options), *option_problems(config, options)]
    if problems:
        raise ConfigError(file, problems)
    source = config.model.source or ""
    listed = _listed(source, objects) if source.startswith("gs://") else None
    size, problems = _disk_gib(config, options, listed)
    if problems:
        raise ConfigError(file, problems)
    recipe = WeightsRecipe(
        source=source,
        directory=model_path_of(config).whole,
        revision=(config.model.revision or "") if listed is None else "",
        listing=listed.digest if listed else "",
        shards=options.shards or 0,
        auth="service-account" if options.service_account else "none",
        token_secret=_secret_version(options.token_secret),
        endpoints=options.endpoints,
    )
    return _bake(config, options, recipe, size, place_of(config, options, zones))


def claim_problems(config: Config, options: Options) -> list[Problem]:
    """What keeps a claim's disk from becoming the config's weights image."""
    found = [*kind_problems(config), *option_problems(config, options)]
    for flag, given in (
        ("--shards", options.shards),
        ("--token-secret", options.token_secret),
        ("--disk-size", options.disk_gib),
        ("--zone", options.zones),
    ):
        if given:
            message = "cannot be chosen: with --from-claim the claim's disk is taken as it is"
            found.append(Problem(flag, message, "Leave it out."))
    return found


def claim_request(config: Config, options: Options, file: str, filled: Filled) -> Bake:
    """The bake of a disk that a download Job has filled.

    Raises :class:`ConfigError` with all problems.
    """
    problems = [*claim_problems(config, options), *_larger(config, filled.size_gib)]
    if problems:
        raise ConfigError(file, problems)
    recipe = WeightsRecipe(
        source=config.model.source or "",
        directory=model_path_of(config).whole,
        claim=filled.state,
    )
    place = place_of(config, options, (filled.disk.zone,))
    place = replace(place, zones=(filled.disk.zone,))
    made = _bake(config, options, recipe, filled.size_gib, place)
    return replace(made, disk=filled.disk)


def _bake(
    config: Config, options: Options, recipe: WeightsRecipe, size_gib: int, place: Place
) -> Bake:
    bake = Bake(
        recipe=recipe,
        size_gib=size_gib,
        place=place,
        image_name=options.name or "",
        owner=options.owner,
        family=options.family,
        labels=options.labels,
        storage_locations=options.storage_locations,
        kms_key=config.kmsKey,
        log_bucket=options.log_bucket,
    )
    return bake if bake.image_name else replace(bake, image_name=default_name(bake))


def source_problems(config: Config, options: Options) -> list[Problem]:
    """What keeps the config's model from being baked by a VM."""
    return [
        *kind_problems(config),
        *_model_problems(config),
        *_secret_problems(config, options),
        *_shard_problems(options),
    ]


def kind_problems(config: Config) -> list[Problem]:
    """Why the config wants no weights baked."""
    weights = config.weights
    if weights is not None and not isinstance(weights, Disk):
        fix = "Write kind: disk, or bake no weights."
        return [Problem("weights.kind", f"is {weights.kind}: nothing to bake", fix)]
    if weights is not None and weights.existing:
        fix = "Write existing: false to have the weights baked."
        return [Problem("weights.existing", "is true: the disks are somebody else's", fix)]
    return []


def _model_problems(config: Config) -> list[Problem]:
    source, revision = config.model.source, config.model.revision
    if source is None:
        fix = "Write source: gs://bucket/dir/name or hf://org/name."
        return [Problem("model.source", "is required to bake the weights", fix)]
    if source.startswith("hf://") and not _COMMIT.fullmatch(revision or ""):
        said = (
            f"{revision!r} is no commit, and a branch or tag moves" if revision else "is required"
        )
        address = f"https://huggingface.co/{source.removeprefix('hf://')}/commits/main"
        fix = f"Write the commit of 40 hex digits, in quotes, as {address} lists them."
        return [Problem("model.revision", said, fix)]
    return []


def _secret_problems(config: Config, options: Options) -> list[Problem]:
    name, source = options.token_secret, config.model.source or ""
    if name is None:
        return []
    found = []
    if not _SECRET.fullmatch(name):
        message = f"{name!r} is no secret of Secret Manager"
        fix = "Write projects/PROJECT/secrets/NAME, or with /versions/VERSION."
        found.append(Problem("--token-secret", message, fix))
    if not source.startswith("hf://"):
        fix = "Leave it out."
        found.append(Problem("--token-secret", f"is for hf://, and the model is {source}", fix))
    if options.service_account is None:
        message = "is read by the VM's service account, and none is given"
        fix = "Add --service-account, with the role roles/secretmanager.secretAccessor."
        found.append(Problem("--token-secret", message, fix))
    return found


def _shard_problems(options: Options) -> list[Problem]:
    shards = options.shards
    if shards is None or 1 <= shards <= MOST_SHARDS:
        return []
    fix = f"Write 1 to {MOST_SHARDS}; 8 or more let as many threads read."
    return [Problem("--shards", f"{shards} is out of range", fix)]


def _secret_version(name: str | None) -> str:
    if not name:
        return ""
    return name if "/versions/" in name else f"{name}/versions/latest"


def _listed(source: str, objects: ListObjects) -> Listed:
    match = GS_SOURCE.fullmatch(source)
    if match is None:  # the config's own type refuses it
        raise ValueError(f"{source!r} is no place in a bucket")
    prefix = f"{match['path'].strip('/')}/"
    found = [
        (item.name.removeprefix(prefix), item.size, item.generation)
        for item in objects(match["bucket"], prefix)
    ]
    files = [item for item in found if not is_placeholder(item[0], item[1])]
    return Listed(listing_digest(files), sum(size for _, size, _ in files))


def _disk_gib(config: Config, options: Options, listed: Listed | None) -> tuple[int, list[Problem]]:
    """Size of the disk, and what contradicts it."""
    if listed is not None and not listed.bytes:
        fix = "Copy the model there, or write the folder that holds its files."
        return 0, [Problem("model.source", f"{config.model.source} holds no files", fix)]
    found = []
    gib = listed.bytes / GIB if listed else float(config.model.sizeGiB)
    if gib > config.model.sizeGiB:
        message = f"is {config.model.sizeGiB}, and the files have {gib:.2f} GiB"
        found.append(Problem("model.sizeGiB", message, f"Write {math.ceil(gib)}."))
    needed = bake_disk_gib(gib * (1 + 1 / options.shards if options.shards else 1))
    size = options.disk_gib or needed
    if size < needed:
        message = f"{size} GiB do not hold {gib:.2f} GiB of files"
        found.append(Problem("--disk-size", message, f"Write {needed} or more, or leave it out."))
    return size, [*found, *_larger(config, size)]


def _larger(config: Config, size_gib: int) -> list[Problem]:
    """An image that the config's weights disks cannot hold."""
    weights = config.weights
    if not isinstance(weights, Disk) or weights.sizeGiB >= size_gib:
        return []
    message = f"{weights.sizeGiB} GiB is less than the {size_gib} GiB of the image to bake"
    fix = f"Write {size_gib} or more: a disk is never smaller than its image."
    return [Problem("weights.sizeGiB", message, fix)]
