"""The ways of baking that the bench compares: the payload, and two serial ones."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pylib.guest import pack
from pylib.proc import run
from tests.disk import builder
from tests.disk.bench_place import (
    Cost,
    Watch,
    blank_disk,
    cpu_of_children,
    left_on,
    written_bytes,
)

ROOT = Path(__file__).parents[2]
GUEST_PYTHON = Path("/usr/bin/python3")
OWN = ROOT / ".tools/bin"
"""Where the project's own tools are."""
_HOURS = 7200.0
_DOWNLOAD = 'cd "$1" && apt-get -o APT::Sandbox::User=root download containerd'
_CHECKSUM = (
    "find . -type f -exec md5sum {} + | cut -d ' ' -f 1 | LC_ALL=C sort | md5sum | cut -d ' ' -f 1"
)


class Parts:
    """Seconds by name, added up; ``cpu_aside`` was used between them by what does not count."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_aside = 0.0

    def aside(self, work: Callable[[], None]) -> None:
        """Do what belongs to the measuring, not to the measured."""
        before = cpu_of_children()
        work()
        self.cpu_aside += cpu_of_children() - before

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


def _measured(folder: Path, size: int, way: Callable[[str, Watch, Parts], None]) -> Cost:
    """One way on one blank disk; ``way`` stops what it started."""
    parts = Parts()
    with blank_disk(folder, size) as device:
        before, cpu = written_bytes(device), cpu_of_children()
        with Watch() as watch:
            way(device, watch, parts)
        cpu = cpu_of_children() - cpu - parts.cpu_aside
        written = written_bytes(device) - before
        allocated, found = left_on(device, folder)
    seconds = sum(parts.seconds.values())
    return Cost(seconds, cpu, watch.peak_mib, written, allocated, parts.seconds, found)


# ---------------------------------------------------------------------------------------- payload


class _Metadata(ThreadingHTTPServer):
    """A metadata server of one job, which keeps the last report."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.job = ""
        self.report: dict[str, Any] = {}

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its address."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{self.server_address[1]}"
        finally:
            self.shutdown()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: _Metadata

    def do_GET(self) -> None:
        """The job, whatever is asked for."""
        self._answer(self.server.job.encode())

    def do_PUT(self) -> None:
        """A report."""
        self.server.report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(b"")

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def payload(
    folder: Path, size: int, image: str, prepare: Callable[[], None], cores: Sequence[int] = ()
) -> Cost:
    """The guest payload as a VM runs it, on these cores only; parts are its phases."""
    host = image.partition("/")[0]
    metadata = _Metadata()

    def way(device: str, watch: Watch, parts: Parts) -> None:
        job = {"version": 1, "kind": "image", "nonce": "bench", "device": device}
        endpoints = {host: [f"http://{host}"]}
        metadata.job = json.dumps({**job, "images": [image], "endpoints": endpoints})
        python = GUEST_PYTHON if GUEST_PYTHON.exists() else Path(sys.executable)
        words: list[str | Path] = [python, "-m", "pylib.guest.payload.main"]
        if cores:
            words[:0] = ["taskset", "--cpu-list", ",".join(map(str, cores))]
        parts.aside(prepare)
        with metadata.serving() as address, parts.of("all"):
            settings = {"GCE_METADATA_HOST": address, **shipped}
            code = watch.start(words, folder=folder, settings=settings).wait()
        if code != 0 or metadata.report.get("result") != "ok":
            raise AssertionError(f"the payload ended with {code}: {metadata.report}")

    with tempfile.TemporaryDirectory() as temporary:
        shipped = _unpacked(Path(temporary))
        cost = _measured(folder, size, way)
    facts = metadata.report["facts"]
    return replace(
        cost, parts=facts["seconds"], note=f"inflate by {facts['inflate']}, md5 {facts['md5']}"
    )


def _unpacked(folder: Path) -> dict[str, str]:
    """What a VM's metadata holds, as its startup script lays it out, and tells the payload."""
    found = pack.metadata({})
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(found["vfs-payload"]))) as package:
        package.extractall(folder)
    inflate = folder / "inflate.so"
    if "vfs-inflate" in found:
        inflate.write_bytes(gzip.decompress(base64.b64decode(found["vfs-inflate"])))
    return {"PYTHONPATH": str(folder), "VFS_INFLATE": str(inflate)}


# ----------------------------------------------------------------------------------------- serial


@contextmanager
def containerd(folder: Path, watch: Watch, programs: Path) -> Iterator[list[str | Path]]:
    """A daemon with nothing in it, of the ``programs`` there; the words that begin every call of
    ctr."""
    root = folder / "containerd"
    run(["rm", "-rf", root])
    root.mkdir()
    socket = root / "socket"
    (root / "config.toml").write_text(
        f'version = 2\nroot = "{root}/root"\nstate = "{root}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{socket}"\n'
        # a view has no lease, so 1.6 would collect it as garbage while it is copied
        '[plugins."io.containerd.gc.v1.scheduler"]\n'
        'startup_delay = "24h"\nschedule_delay = "24h"\n',
        encoding="utf-8",
    )
    with (root / "log").open("wb") as log:
        daemon = watch.start([programs / "containerd", "--config", root / "config.toml"], log=log)
        ctr: list[str | Path] = [programs / "ctr", "--address", socket, "--namespace", "k8s.io"]
        try:
            _until_answers(ctr)
            yield ctr
        finally:
            daemon.terminate()
            daemon.wait()
            run(["rm", "-rf", root], timeout=_HOURS)


def debians(folder: Path) -> Path:
    """Where containerd and ctr of Debian's package are, which gke-disk-image-builder installs on
    its VM; the package is fetched and unpacked, not installed."""
    place = folder / "debian"
    if not place.exists():
        scratch = folder / "package"
        run(["rm", "-rf", scratch])
        scratch.mkdir(parents=True)
        run(["bash", "-c", _DOWNLOAD, "bash", scratch], timeout=_HOURS)
        (package,) = scratch.glob("containerd_*.deb")
        run(["dpkg-deb", "--extract", package, scratch])
        scratch.rename(place)
    return place / "usr/bin"


def version_of(programs: Path) -> str:
    """Of containerd, without what Debian adds."""
    found = re.search(r"\d+\.\d+\.\d+", run([programs / "containerd", "--version"]).stdout)
    return found[0] if found else "of an unknown version"


def _until_answers(ctr: Sequence[str | Path]) -> None:
    for _ in range(300):
        if run([*ctr, "version"], ok_codes=(0, 1)).code == 0:
            return
        time.sleep(0.1)
    raise AssertionError("containerd did not start")


def serial(
    folder: Path, size: int, image: str, programs: Path, prepare: Callable[[], None]
) -> Cost:
    """containerd pulls and unpacks, then each snapshot is viewed, copied and summed, in turn: the
    steps of gke-disk-image-builder's script, without its installation of programs."""

    def way(device: str, watch: Watch, parts: Parts) -> None:
        with containerd(folder, watch, programs) as ctr:
            parts.aside(prepare)
            _serially(device, folder / "disk", ctr, image, parts)

    cost = _measured(folder, size, way)
    return replace(cost, note=f"containerd {version_of(programs)}")


def _serially(device: str, disk: Path, ctr: Sequence[str | Path], image: str, parts: Parts) -> None:
    disk.mkdir(exist_ok=True)
    with parts.of("format"):
        options = "lazy_itable_init=0,lazy_journal_init=0,discard"
        run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", options, device])
        run(["mount", "-o", "discard", device, disk])
    with parts.of("pull"):
        run([*ctr, "images", "pull", "--plain-http", image], timeout=_HOURS)
    (disk / "images.metadata").write_text(run([*ctr, "images", "ls"]).stdout, encoding="utf-8")
    lines = []
    for chain in _committed(ctr):
        run([*ctr, "snapshots", "view", f"tmp_{chain}", chain])
        mounts = run([*ctr, "snapshots", "mounts", "/nowhere", f"tmp_{chain}"]).stdout
        source = _upper(mounts)
        place = disk / source.relative_to(source.parents[2])
        place.parent.mkdir(parents=True)
        with parts.of("cp"):
            run(["cp", "-r", "-p", source, place.parent], timeout=_HOURS)
        with parts.of("md5"):
            words: list[str | Path] = ["bash", "-c", f'cd "$1" && {_CHECKSUM}', "bash", place]
            checksum = run(words, timeout=_HOURS).stdout.strip()
        lines.append(f"{chain} {place.relative_to(disk)} {checksum}\n")
    with parts.of("umount"):
        (disk / "snapshots.metadata").write_text("".join(lines), encoding="utf-8")
        run([*ctr, "images", "rm", image])
        run(["umount", disk], timeout=_HOURS)


def _committed(ctr: Sequence[str | Path]) -> list[str]:
    rows = [line.split() for line in run([*ctr, "snapshots", "ls"]).stdout.splitlines()]
    return [row[0] for row in rows if row[-1] == "Committed"]


def _upper(mounts: str) -> Path:
    """The first folder of a mount: a layer's own tree."""
    text = mounts.partition("lowerdir=")[2] or mounts.split("mount -t bind ")[1]
    return Path(text.replace(":", " ").replace(",", " ").split()[0])


# ------------------------------------------------------------------------------------------ script


def script(
    folder: Path, size: int, image: str, programs: Path, source: Path, prepare: Callable[[], None]
) -> Cost:
    """gke-disk-image-builder's own ``script/startup.sh``, with all that installs or asks Google
    replaced by programs that do nothing, in a mount namespace of its own."""

    def way(device: str, watch: Watch, parts: Parts) -> None:
        with containerd(folder, watch, programs) as ctr:
            shims = _shims(folder, ctr)
            parts.aside(prepare)
            with parts.of("all"):
                words = builder.words(device, source, "unpack", "true", "none", image)
                done = watch.start(words, settings=builder.settings(shims)).wait()
            if done != 0:
                raise AssertionError(f"{source} ended with {done}")

    return _measured(folder, size, way)


def _shims(folder: Path, ctr: Sequence[str | Path]) -> Path:
    plain = f"""args=()
for word; do args+=("$word"); [ "$word" != pull ] || args+=(--plain-http); done
exec {ctr[0]} --address {ctr[2]} "${{args[@]}}" """
    return builder.programs(folder, plain)
