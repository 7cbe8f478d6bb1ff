"""``bake``: makes the disk images that a config asks for, and writes the lock file."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pylib.errors import EXIT_OK, ConfigError, Problem
from pylib.verbs.bake_arguments import (
    claim_arguments,
    common_arguments,
    image_arguments,
    one_kind_arguments,
    options_of,
    weights_arguments,
)

if TYPE_CHECKING:
    from pylib.bake.bake import Kitchen
    from pylib.bake.make import Step
    from pylib.bake.options import Options
    from pylib.bake.plan import Bake
    from pylib.bake.runner import Baked
    from pylib.config.model import Config

_KINDS = {"image": image_arguments, "weights": weights_arguments}
_HELP = {
    "image": "the image cache, for nodes' secondary boot disk",
    "weights": "the model's files, for the disks that pods mount",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb; without a kind both are baked."""
    common_arguments(parser)
    kinds = parser.add_subparsers(metavar="KIND", dest="kind", help="default: both")
    for kind, more in _KINDS.items():
        sub = kinds.add_parser(kind, help=_HELP[kind], description=_HELP[kind])
        common_arguments(sub)
        one_kind_arguments(sub)
        more(sub)
        if kind == "weights":
            claim_arguments(sub)


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Bake, or with ``--dry-run`` show what would be made."""
    from pylib.bake.bake import Kitchen
    from pylib.cloud.gcp import connect
    from pylib.config.parse import load_config
    from pylib.lock import load_lock

    if args.config is None:
        raise ConfigError("bake", [Problem("-f", "is required", "Write -f config.yaml.")])
    config = load_config(args.config)
    cloud = connect(config.project, endpoint=args.endpoint)
    kitchen = Kitchen(args.config, config, cloud, sayer(out), progress(out))
    load_lock(kitchen.lock)
    for kind in [args.kind] if args.kind else _wanted(config, out):
        _one(args, kitchen, kind, out)
    if not args.dry_run:
        out.write(f"{sum(cloud.counts.values())} calls to Google Cloud\n")
        out.write(f"next: python -m pylib values -f {args.config} -o values.yaml\n")
    return EXIT_OK


def _wanted(config: Config, out: TextIO) -> list[str]:
    """The kinds that the config wants baked; for the others says why not."""
    from pylib.bake.request import cache_problems
    from pylib.bake.weights_request import kind_problems

    found = []
    for kind, problems in (("image", cache_problems(config)), ("weights", kind_problems(config))):
        if problems:
            out.write(f"{kind}: {problems[0].path} {problems[0].message}\n")
        else:
            found.append(kind)
    return found


def _one(args: argparse.Namespace, kitchen: Kitchen, kind: str, out: TextIO) -> None:
    bake = _request(args, kitchen, kind)
    show(bake, out)
    if args.dry_run:
        return
    baked = kitchen.bake(bake, vars(args).get("journal"))
    word = "is there already" if baked.reused else "is published"
    word = "is verified" if bake.verify_only else word
    out.write(f"image {baked.image.name} {word} (id {baked.image.id})\n")
    if vars(args).get("volume_snapshot"):
        _write_snapshot(args.volume_snapshot, kitchen, baked)


def _request(args: argparse.Namespace, kitchen: Kitchen, kind: str) -> Bake:
    from pylib.bake.verify import verify_request
    from pylib.lock import load_lock

    config, cloud = kitchen.config, kitchen.cloud
    options = options_of(args)
    if vars(args).get("verify_only"):
        zones = () if options.zones else cloud.zones(config.region)
        return verify_request(kind, config, load_lock(kitchen.lock), options, cloud, zones)
    if vars(args).get("from_claim"):
        return _from_claim(args, kitchen, options)
    return kitchen.request(kind, options)


def _from_claim(args: argparse.Namespace, kitchen: Kitchen, options: Options) -> Bake:
    from pylib.bake.claim import Claim, filled_disk
    from pylib.bake.weights_request import claim_problems, claim_request
    from pylib.install.target import check_context
    from pylib.kube import Kube

    config = kitchen.config
    if problems := claim_problems(config, options):
        raise ConfigError(str(args.config), problems)
    kube = Kube.connect(args.kubeconfig, args.context)
    if args.context is None:
        check_context(config, kube.context)
    namespace = args.namespace or config.release.namespace
    claim = Claim(kube, kitchen.cloud, namespace, args.from_claim)
    filled = filled_disk(claim, options.timeout_seconds, kitchen.say)
    return claim_request(config, options, str(args.config), filled)


def sayer(out: TextIO) -> Callable[[str], None]:
    """Writes lines at once."""

    def say(line: str) -> None:
        out.write(f"{line}\n")
        out.flush()

    return say


def _write_snapshot(target: Path, kitchen: Kitchen, baked: Baked) -> None:
    from pylib.bake.volume_snapshot import volume_snapshot
    from pylib.files import write_whole

    write_whole(target, volume_snapshot(baked.image, kitchen.config.release.namespace))
    kitchen.say(f"wrote {target}")


def show(bake: Bake, out: TextIO) -> None:
    """What will be made, how long that takes and what it costs."""
    from pylib.bake.estimate import estimate

    place, guess = bake.place, estimate(bake)
    out.write(f"image {bake.image_name} in {place.images_project}, {bake.size_gib} GiB, of:\n")
    out.writelines(f"    {line}\n" for line in bake.recipe.summary())
    if bake.disk is not None:
        out.write(f"    disk {bake.disk.name} in {bake.disk.zone}, as it is\n")
    address = "an external address" if place.external_ip else "no external address"
    out.write(
        f"made by a {place.machine_type} with {address}, in {' or '.join(place.zones)}, "
        f"on {place.disk_type}\n"
    )
    cost = "cost unknown" if guess.dollars is None else f"about ${guess.dollars:.2f}"
    minutes = f"about {guess.seconds / 60:.0f} min"
    out.write(f"{minutes}, {cost}; the image then at most ${guess.month:.2f} a month (guesses)\n")


def progress(out: TextIO) -> Callable[[Step], None]:
    """Writes each step, with the time since the first."""
    start = time.monotonic()

    def say(step: Step) -> None:
        minutes, seconds = divmod(int(time.monotonic() - start), 60)
        share = ""
        if step.report is not None and step.report.total_bytes:
            done, total = step.report.done_bytes, step.report.total_bytes
            share = f" {done * 100 // total} % of {total / 2**30:.1f} GiB"
        out.write(f"{minutes:3}:{seconds:02} {step.name}: {step.text}{share}\n")
        out.flush()

    return say
