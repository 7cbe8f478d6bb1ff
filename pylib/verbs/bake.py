"""``bake``: makes the disk images that a config asks for, and writes the lock file."""

from __future__ import annotations

import argparse
import getpass
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pylib.errors import EXIT_OK, ConfigError, Problem

if TYPE_CHECKING:
    from pylib.bake.image import Step
    from pylib.bake.plan import Bake
    from pylib.bake.request import Options


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    kinds = parser.add_subparsers(metavar="KIND", dest="kind", required=True)
    image = kinds.add_parser("image", help="the image cache, for nodes' secondary boot disk")
    _image_arguments(image)


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Bake, or with ``--dry-run`` show what would be made."""
    from pylib.bake.content import locked
    from pylib.bake.lockfile import keep_cache
    from pylib.bake.request import image_request
    from pylib.bake.runner import Baked, Tools, bake_image
    from pylib.cloud.gcp import connect
    from pylib.config.parse import load_config
    from pylib.guest.pack import metadata
    from pylib.lock import load_lock, lock_path

    config, lock = load_config(args.config), lock_path(args.config)
    load_lock(lock)
    cloud = connect(config.project, endpoint=args.endpoint)
    options = _options(args)
    zones = () if options.zones else cloud.zones(config.region)
    bake = image_request(config, options, str(args.config), zones)
    _show(bake, out)
    if args.dry_run:
        return EXIT_OK

    def keep(baked: Baked) -> None:
        cache = locked(baked.image, baked.content, bake.inputs.images)
        keep_cache(lock, args.config.name, cache)

    journal = args.journal or args.config.with_name(f"{args.config.stem}.bake-image.journal")
    say = _progress(out)
    baked = bake_image(bake, Tools(cloud, journal, metadata, say), keep)
    word = "is there already" if baked.reused else "is published"
    out.write(f"image {baked.image.name} {word} (id {baked.image.id})\nwrote {lock}\n")
    out.write(f"{sum(cloud.counts.values())} calls to Google Cloud\n")
    out.write(f"next: python -m pylib values -f {args.config} -o values.yaml\n")
    return EXIT_OK


def _image_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--config", type=Path, required=True, help="config file")
    parser.add_argument("--image", action="append", default=[], help="image to unpack; repeatable")
    parser.add_argument("--name", help="name of the disk image; default: the config's")
    parser.add_argument("--zone", action="append", default=[], help="zone to bake in; repeatable")
    parser.add_argument("--network", help="VPC network; default: the config's")
    parser.add_argument("--subnetwork", help="subnetwork; default: the config's")
    parser.add_argument("--machine-type", default="n2-standard-8")
    parser.add_argument("--disk-type", default="pd-ssd")
    parser.add_argument("--disk-size", type=int, metavar="GIB", help="default: from the images")
    parser.add_argument("--timeout", type=int, default=3600, help="seconds for each VM's work")
    parser.add_argument(
        "--external-ip", action="store_true", help="give the VM an address; default: Cloud NAT"
    )
    parser.add_argument("--service-account", help="of the VM, to pull from a private registry")
    parser.add_argument("--family", help="image family that the image joins when it is published")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--storage-location", action="append", default=[])
    parser.add_argument(
        "--payload",
        choices=["direct", "containerd"],
        default="direct",
        help="who unpacks; containerd is slower, and needs a --boot-image that holds it",
    )
    parser.add_argument(
        "--boot-image",
        metavar="PATH",
        help="image that the VM boots, projects/P/global/images/N; default: Google's Debian 12",
    )
    parser.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="HOST=URL",
        help="ask there first for images of the registry HOST; repeatable",
    )
    parser.add_argument("--log-bucket", help="bucket for the VMs' serial output")
    parser.add_argument("--journal", type=Path, help="default: beside the config")
    parser.add_argument("--endpoint", help="address in place of Google's; default: VFS_ENDPOINT")
    parser.add_argument("--dry-run", action="store_true", help="show what would be made, and stop")


def _options(args: argparse.Namespace) -> Options:
    from pylib.bake.request import Options

    return Options(
        owner=_owner(),
        images=tuple(args.image),
        name=args.name,
        zones=tuple(args.zone),
        network=args.network,
        subnetwork=args.subnetwork,
        machine_type=args.machine_type,
        disk_type=args.disk_type,
        disk_gib=args.disk_size,
        timeout_seconds=args.timeout,
        external_ip=args.external_ip,
        service_account=args.service_account,
        family=args.family,
        labels=_labels(args.label),
        storage_locations=tuple(args.storage_location),
        payload=args.payload,
        boot_image=args.boot_image,
        log_bucket=args.log_bucket,
        mirrors=tuple((host, url) for host, _, url in (it.partition("=") for it in args.mirror)),
    )


def _labels(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or key in found:
            message = f"{word!r} is " + ("given twice" if sign else "no KEY=VALUE")
            raise ConfigError("bake", [Problem("--label", message, "Write --label team=search.")])
        found[key] = value
    return found


def _owner() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"  # a user id without a name, as in a container


def _show(bake: Bake, out: TextIO) -> None:
    from pylib.bake.estimate import estimate

    inputs, place, guess = bake.inputs, bake.place, estimate(bake)
    out.write(f"image {bake.image_name} in {place.images_project}, {inputs.size_gib} GiB, of:\n")
    out.writelines(f"    {reference}\n" for reference in inputs.images)
    address = "an external address" if place.external_ip else "no external address"
    out.write(
        f"made by a {place.machine_type} with {address}, in {' or '.join(place.zones)}, "
        f"on {place.disk_type}\n"
    )
    cost = "cost unknown" if guess.dollars is None else f"about ${guess.dollars:.2f}"
    minutes = f"about {guess.seconds / 60:.0f} min"
    out.write(f"{minutes}, {cost}; the image then at most ${guess.month:.2f} a month (guesses)\n")


def _progress(out: TextIO) -> Callable[[Step], None]:
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
