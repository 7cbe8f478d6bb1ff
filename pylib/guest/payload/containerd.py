"""The other way to make an image cache disk: containerd itself pulls and unpacks onto it.

It is for whoever trusts only containerd's own hand, and to judge the direct way by.  containerd has
to be on the VM: Google's Debian 12 does not ship it, and neither is there a package mirror in a
network without a way out, nor would a package fetched on the day be the same next week.  So the
boot image must hold it, and the bake says so at once where it does not.

The snapshotter's root is the disk, and all else of containerd lies on the boot disk; the trees are
made in their place, and nothing is copied.  Times of whiteouts and of implied folders are those of
the unpacking, so the digest is this disk's own and another bake's differs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pylib.guest.payload import commands
from pylib.guest.payload import disk as disks
from pylib.guest.payload.auth import is_google
from pylib.guest.payload.bake import Outcome, mounted, write_files
from pylib.guest.payload.check import read_trees
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.image import Image, Layer, resolve
from pylib.guest.payload.job import ImageJob
from pylib.guest.payload.metadata import Metadata
from pylib.guest.payload.report import Report
from pylib.guest.payload.snapshots import Place, Summary, disk_digest, summary_of
from pylib.guest.payload.verify import check_top
from pylib.guest.payload.web import Session

_PROGRAMS = ("containerd", "ctr")
_SECONDS = 60.0
_CONFIG = """\
version = 2
root = {root}
state = {state}
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = {socket}
[plugins."io.containerd.gc.v1.scheduler"]
startup_delay = "24h"
schedule_delay = "24h"
[plugins."io.containerd.snapshotter.v1.overlayfs"]
root_path = {snapshots}
"""


def programs() -> tuple[str, ...]:
    """Where containerd and ctr are; raises :class:`GuestError` when the boot image has them not."""
    found = tuple(shutil.which(name) for name in _PROGRAMS)
    missing = [name for name, path in zip(_PROGRAMS, found, strict=True) if path is None]
    if missing:
        raise GuestError(
            f"the bake VM has no {' and no '.join(missing)}, which --payload containerd needs: "
            "name a boot image that holds containerd 1.6 or newer (--boot-image), or bake with "
            "--payload direct, which needs nothing"
        )
    return tuple(path for path in found if path is not None)


def bake_by_containerd(job: ImageJob, report: Report, work: Path) -> Outcome:
    """As :func:`pylib.guest.payload.bake.bake`; raises the same."""
    server, client = programs()
    report.phase("find")
    disk = disks.find(job.device, job.device_bytes)
    disks.prove_blank(disk)
    report.phase("resolve")
    images = [resolve(wanted, job, Session()) for wanted in job.images]
    report.phase("format")
    disks.make_filesystem(disk)
    folder = work / "disk"
    with mounted(disks.mount_to_write, disk, folder):
        report.phase("write", sum(image.size for image in images))
        with _running(server, client, work / "containerd", folder) as daemon:
            for image, wanted in zip(images, job.images, strict=True):
                _pull(daemon, image, wanted.reference.host, job)
            places = _places(daemon, images, work)
        _tidy(folder, places)
        report.phase("settle")
        summaries = _summaries(folder, places, report)
        write_files(folder, places, summaries, images)
        report.phase("sync")
        disks.sync(folder)
    return _proven(disk, folder, places, summaries, images, report)


@dataclass(frozen=True)
class _Daemon:
    """``client`` and ``socket`` of it; ``hosts`` is where its client reads of registries."""

    client: str
    socket: Path
    hosts: Path

    def ctr(self, *words: str) -> str:
        """What a command prints."""
        space = ("--address", str(self.socket), "--namespace", "k8s.io")
        return commands.run(self.client, *space, *words)

    def tree(self, layer: Layer) -> Path:
        """Where the layer was unpacked to: the first of the folders of a view of it."""
        view = f"view-{layer.chain_id}"
        self.ctr("snapshots", "view", view, layer.chain_id)
        mount = self.ctr("snapshots", "mounts", "/nowhere", view)
        found = mount.partition("lowerdir=")[2] or mount.partition("-t bind ")[2]
        return Path(found.replace(":", " ").replace(",", " ").split()[0])


@contextmanager
def _running(server: str, client: str, root: Path, snapshots: Path) -> Iterator[_Daemon]:
    root.mkdir()
    state = Path(tempfile.mkdtemp(prefix="vfs-", dir="/run"))  # a socket's path must be short
    folders = {"root": root / "root", "state": state / "state", "socket": state / "socket"}
    places = {name: json.dumps(str(path)) for name, path in folders.items()}
    config = _CONFIG.format(**places, snapshots=json.dumps(str(snapshots)))
    (root / "config.toml").write_text(config, encoding="utf-8")
    daemon = _Daemon(client, state / "socket", root / "hosts")
    with (root / "log").open("wb") as log:
        words = [server, "--config", str(root / "config.toml")]
        process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            _wait(daemon, process, root / "log")
            yield daemon
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(state)


def _wait(daemon: _Daemon, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            daemon.ctr("version")
        except GuestError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise GuestError(f"containerd does not run: {error}\n{said}") from None
            time.sleep(0.2)
        else:
            return


def _pull(daemon: _Daemon, image: Image, host: str, job: ImageJob) -> None:
    folder = daemon.hosts / host
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f'[host."{endpoint}"]\ncapabilities = ["pull", "resolve"]\n'
        for endpoint in job.endpoints_of(host)
    ]
    last = job.endpoints_of(host)[-1]
    text = "\n".join([f'server = "{last}"\n', *lines])
    (folder / "hosts.toml").write_text(text, encoding="utf-8")
    words = ["images", "pull", "--hosts-dir", str(daemon.hosts), "--platform", job.platform]
    if any(urlsplit(endpoint).scheme == "http" for endpoint in job.endpoints_of(host)):
        words.append("--plain-http")
    if job.auth == "service-account" and is_google(host):
        words += ["--user", f"oauth2accesstoken:{Metadata().token().secret}"]
    repository = image.layers[0].address.repository
    daemon.ctr(*words, f"{host}/{repository}@{image.digest}")


def _places(daemon: _Daemon, images: Sequence[Image], work: Path) -> list[Place]:
    layers = {layer.chain_id: layer for image in images for layer in image.layers}
    found = []
    for layer in layers.values():
        number = daemon.tree(layer).parent.name
        found.append(Place(layer, f"snapshots/{number}/fs", work / f"{number}.records"))
    return found


def _tidy(folder: Path, places: Sequence[Place]) -> None:
    """Leave the trees only: views, work folders and the snapshotter's own database go."""
    (folder / "metadata.db").unlink()
    numbers = {place.path.split("/")[1] for place in places}
    for one in (folder / "snapshots").iterdir():
        if one.name in numbers:
            one.chmod(0o755)
            shutil.rmtree(one / "work", ignore_errors=True)
        else:
            shutil.rmtree(one)
    for one in (folder, folder / "snapshots"):
        one.chmod(0o755)


def _summaries(folder: Path, places: Sequence[Place], report: Report) -> list[Summary]:
    return [summary_of(tree) for tree in read_trees(folder, [it.path for it in places], report)]


def _proven(
    disk: disks.Disk,
    folder: Path,
    places: Sequence[Place],
    summaries: Sequence[Summary],
    images: Sequence[Image],
    report: Report,
) -> Outcome:
    """Read all again, as a node will; raises :class:`GuestError` for a tree that differs."""
    disks.flush(disk)
    disks.prove_clean(disk)
    with mounted(disks.mount_to_read, disk, folder):
        check_top(folder, [it.path for it in places])
        trees = read_trees(folder, [it.path for it in places], report)
    for place, tree, before in zip(places, trees, summaries, strict=True):
        if summary_of(tree) != before:
            raise GuestError(f"{place.path} on the disk is not what containerd unpacked")
    disks.prove_clean(disk)
    disks.flush(disk)
    chains = [it.layer.chain_id for it in places]
    sizes = [sum(row.size for row in tree if row.path == row.group) for tree in trees]
    size_of = dict(zip(chains, sizes, strict=True))
    rows = [
        {
            "reference": image.name,
            "digest": image.digest,
            "platform": image.platform,
            "bytes": sum(size_of[layer.chain_id] for layer in image.layers),
            "layers": [layer.chain_id for layer in image.layers],
        }
        for image in images
    ]
    facts = {
        "images": rows,
        "tree_bytes": sum(sizes),
        "snapshots": len(places),
        "paths": sum(map(len, trees)),
        "device_bytes": disk.size,
        "seconds": report.seconds(),
    }
    report.phase("done")
    return Outcome(disk_digest(dict(zip(chains, summaries, strict=True))), facts)
