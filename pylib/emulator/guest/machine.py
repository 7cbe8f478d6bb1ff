"""One VM that runs: its processes, its disks, its console and its metadata server."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from pylib.emulator.blocks import cut_off
from pylib.emulator.compute.guest_reads import serial_file
from pylib.emulator.guest.attributes import items
from pylib.emulator.guest.loops import Loop, attach
from pylib.emulator.guest.metadata import MetadataServer
from pylib.emulator.server import Server
from pylib.emulator.store import Ref
from pylib.emulator.world import World
from pylib.errors import ToolFailedError
from pylib.proc import run

_HERE = Path(__file__).parent
_LONGEST_SECONDS = 20 * 24 * 3600.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POLL_SECONDS = 0.01
_START = 'echo "$$" > "$1/pid"; exec >> "$1/serial" 2>&1; shift; exec "$@"'


class Machine:
    """``ended`` is set when no process is left; ``abandoned`` once its power was cut."""

    def __init__(self, world: World, vm: Ref, tell: Callable[[Machine], None]) -> None:
        doc = world.need(vm)
        self._folder = serial_file(world, str(doc["id"])).parent
        self._tell = tell
        self._loops: dict[str, Loop] = {}
        self._metadata = Server(MetadataServer(world, vm))
        self._script = items(doc).get("startup-script", "")
        self._thread = threading.Thread(target=self._run, name=f"vm-{vm.name}", daemon=True)
        self.ended = threading.Event()
        self.abandoned = False

    def plug(self, device: str, file: Path, *, read_only: bool) -> None:
        """Make a loop device of the file."""
        self._loops[device] = attach(file, read_only=read_only)

    def start(self) -> None:
        """Boot."""
        (self._folder / "root").mkdir(parents=True, exist_ok=True)
        (self._folder / "pid").unlink(missing_ok=True)
        shutil.copy(_HERE / "guest.sh", self._folder)
        (self._folder / "startup-script").write_text(self._script, encoding="utf-8")
        rows = (
            f"{loop.node.name} {loop.numbers[0]} {loop.numbers[1]} {device}\n"
            for device, loop in self._loops.items()
        )
        (self._folder / "devices").write_text("".join(rows), encoding="utf-8")
        self._metadata.start()
        self._thread.start()

    def _command(self) -> list[str | Path]:
        """What the guest's first process is; it dies with this thread, and so with the emulator."""
        return [
            *("sh", "-c", _START, "vm", self._folder),
            *("env", "-i", f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8"),
            f"GCE_METADATA_HOST={self._metadata.address}",
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child"),
            *("sh", _HERE / "init.sh", self._folder),
        ]

    def _run(self) -> None:
        try:
            run(self._command(), timeout=_LONGEST_SECONDS)
        except ToolFailedError as error:
            if not self.abandoned:
                with (self._folder / "serial").open("a", encoding="utf-8") as console:
                    console.write(f"emulator: the VM broke down: {error}\n")
        for loop in list(self._loops.values()):
            loop.detach()
        self._metadata.stop()
        self.ended.set()
        self._tell(self)

    def _first_process(self) -> int | None:
        """The guest's PID 1 by its number on the host; ``None`` before it is there."""
        try:
            outer = int((self._folder / "pid").read_text(encoding="ascii"))
            inner = Path(f"/proc/{outer}/task/{outer}/children").read_text(encoding="ascii")
            return int(inner.split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _guest(self) -> int | None:
        """The guest's PID 1 once it is up; ``None`` when the guest has ended."""
        while not self.ended.wait(_POLL_SECONDS):
            process = self._first_process()
            if process is not None and Path(f"/proc/{process}/root/run/vm/up").exists():
                return process
        return None

    def press_power_button(self) -> None:
        """Tell the guest to shut down."""
        process = self._guest()
        if process is not None:
            _signal(process, signal.SIGUSR1)

    def cut_power(self) -> None:
        """End all processes at once; the disks stay as they are at this moment."""
        self.abandoned = True
        while not self.ended.wait(_POLL_SECONDS):
            process = self._first_process()
            if process is not None and _signal(process, signal.SIGSTOP):
                self._freeze_disks()
                _signal(process, signal.SIGKILL)
                self.ended.wait()

    def _freeze_disks(self) -> None:
        for loop in self._loops.values():
            if not loop.read_only:
                cut_off(loop.file)

    def show(self, device: str) -> None:
        """Make the node and the link of a disk that was plugged while the guest runs."""
        process = self._guest()
        if process is not None:
            loop = self._loops[device]
            devices = Path(f"/proc/{process}/root/dev")
            os.mknod(devices / loop.node.name, 0o60660, os.makedev(*loop.numbers))
            link = devices / "disk/by-id" / f"google-{device}"
            link.symlink_to(f"../../{loop.node.name}")

    def unplug(self, device: str) -> None:
        """Take node, link and loop device away."""
        loop = self._loops.pop(device)
        process = self._guest()
        if process is not None:
            devices = Path(f"/proc/{process}/root/dev")
            (devices / "disk/by-id" / f"google-{device}").unlink(missing_ok=True)
            (devices / loop.node.name).unlink(missing_ok=True)
        loop.detach()


def _signal(process: int, number: signal.Signals) -> bool:
    """Send a signal; whether the process was still there."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True
