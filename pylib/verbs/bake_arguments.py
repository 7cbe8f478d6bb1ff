"""Words of ``bake``'s command line, and the options that they make."""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path

from pylib.bake.options import Options
from pylib.cloud.gcp.endpoints import SERVICES, endpoints
from pylib.errors import ConfigError, Problem


def common_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that every kind of bake has."""
    parser.add_argument("-f", "--config", type=Path, help="config file")
    parser.add_argument("--zone", action="append", default=[], help="zone to bake in; repeatable")
    parser.add_argument("--network", help="VPC network; default: the config's")
    parser.add_argument("--subnetwork", help="subnetwork; default: the config's")
    parser.add_argument("--machine-type", default="n2-standard-8")
    parser.add_argument("--disk-type", default="pd-ssd")
    parser.add_argument("--timeout", type=int, default=3600, help="seconds for each VM's work")
    parser.add_argument(
        "--external-ip", action="store_true", help="give the VM an address; default: Cloud NAT"
    )
    parser.add_argument("--service-account", help="of the VM, to read private images and buckets")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--storage-location", action="append", default=[])
    parser.add_argument(
        "--boot-image",
        metavar="PATH",
        help="image that the VM boots, projects/P/global/images/N; default: Google's Debian 12",
    )
    parser.add_argument("--log-bucket", help="bucket for the VMs' serial output")
    parser.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="HOST=URL",
        help="ask there first for container images of the registry HOST; repeatable",
    )
    parser.add_argument("--endpoint", help="address in place of Google's; default: VFS_ENDPOINT")
    parser.add_argument("--dry-run", action="store_true", help="show what would be made, and stop")


def one_kind_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of a bake of one kind alone."""
    parser.add_argument("--name", help="name of the disk image; default: from config or inputs")
    parser.add_argument("--family", help="image family that the image joins when it is published")
    parser.add_argument("--disk-size", type=int, metavar="GIB", help="default: from the content")
    parser.add_argument("--journal", type=Path, help="default: beside the config")
    parser.add_argument(
        "--verify-only", action="store_true", help="check the image that is there, and make none"
    )
    parser.add_argument(
        "--volume-snapshot",
        type=Path,
        metavar="FILE",
        help="write a VolumeSnapshot of the image there, in the release's namespace",
    )


def image_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the image cache's bake."""
    parser.add_argument("--image", action="append", default=[], help="image to unpack; repeatable")
    parser.add_argument(
        "--payload",
        choices=["direct", "containerd"],
        default="direct",
        help="who unpacks; containerd is slower, and needs a --boot-image that holds it",
    )


def weights_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the weights' bake."""
    parser.add_argument(
        "--shards", type=int, metavar="N", help="write the weights as N files of about equal size"
    )
    parser.add_argument(
        "--token-secret",
        metavar="SECRET",
        help="projects/P/secrets/S of Secret Manager with the Hugging Face token",
    )


def claim_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of a bake from a claim's disk."""
    parser.add_argument(
        "--from-claim",
        metavar="CLAIM",
        help="image the disk of a claim that a download Job fills, once it is complete",
    )
    parser.add_argument("--namespace", help="of the claim; default: the release's")
    parser.add_argument("--kubeconfig", type=Path, help="default: KUBECONFIG, or ~/.kube/config")
    parser.add_argument("--context", help="context of the kubeconfig; default: the current one")


def options_of(args: argparse.Namespace) -> Options:
    """The options that the words make; those of the other kind keep their defaults.

    Raises ConfigError for a label that is none.
    """
    given = vars(args)
    return Options(
        owner=_owner(),
        images=tuple(given.get("image") or ()),
        name=given.get("name"),
        zones=tuple(args.zone),
        network=args.network,
        subnetwork=args.subnetwork,
        machine_type=args.machine_type,
        disk_type=args.disk_type,
        disk_gib=given.get("disk_size"),
        timeout_seconds=args.timeout,
        external_ip=args.external_ip,
        service_account=args.service_account,
        family=given.get("family"),
        labels=_labels(args.label),
        storage_locations=tuple(args.storage_location),
        payload=given.get("payload", "direct"),
        boot_image=args.boot_image,
        log_bucket=args.log_bucket,
        mirrors=tuple((host, url) for host, _, url in (it.partition("=") for it in args.mirror)),
        shards=given.get("shards"),
        token_secret=given.get("token_secret"),
        endpoints=_model_endpoints(args.endpoint),
    )


def _model_endpoints(endpoint: str | None) -> dict[str, str]:
    """What the VM asks for a model where that is not the public address: a cloud at another
    address has its buckets there, and HF_ENDPOINT names a mirror, as for Hugging Face's own
    programs."""
    found, storage = {}, endpoints(endpoint)["storage"]
    if storage != SERVICES["storage"]:
        found["storage"] = storage
    if os.environ.get("HF_ENDPOINT"):
        found["hf"] = os.environ["HF_ENDPOINT"]
    return found


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
