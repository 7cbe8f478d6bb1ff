"""The startup script of a bake VM when its payload, its machine or its world fail it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pylib.bake import watch
from pylib.errors import BakeError
from pylib.guest.inflater import extension
from pylib.proc import run
from tests.cloud.emulated import ZONAL
from tests.disk.guest import do, job, loop
from tests.disk.layers import Layer, gzipped, image
from tests.disk.registry import Answer, Registry
from tests.disk.vm import NAME, Vm, payload, started

SMALL = image([gzipped(Layer().folder("d").file("d/f", b"content" * 5000))])
BLOB = next(iter(SMALL.blobs))
SUCCESS = json.dumps({"nonce": "n-1", "phase": "done", "result": "ok", "digest": "sha256:1"})
TOLD = """\
import os, urllib.request
def tell(text):
    url = "http://" + os.environ["GCE_METADATA_HOST"] + "/computeMetadata/v1/instance"
    urllib.request.urlopen(urllib.request.Request(
        url + "/guest-attributes/vfs/report", text.encode(), {"Metadata-Flavor": "Google"},
        method="PUT"))
"""


@pytest.fixture
def vm(tmp_path: Path) -> Iterator[Vm]:
    """A project, where a test boots its VM."""
    with started(tmp_path / "emulator") as one:
        yield one
    assert str(tmp_path) not in run(["losetup", "--list"]).stdout


@pytest.fixture
def reference(registry: Registry) -> str:
    """The small image in the registry."""
    return registry.push("app:v1", SMALL)


@pytest.mark.fault("G16")
@pytest.mark.parametrize(
    ("main", "status"),
    [
        ("import os; os._exit(2)", 2),
        ("import os; os._exit(127)", 127),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import nowhere", 1),
    ],
)
def test_a_payload_that_ends_without_a_word_is_reported_by_the_script(
    vm: Vm, main: str, status: int
) -> None:
    vm.boot("r/a:v1", vfs_payload=payload(main))
    with pytest.raises(BakeError) as caught:
        vm.watch()
    said = f"startup.sh: the payload ended with status {status} and without a report"
    assert said in str(caught.value)
    vm.until_off()


@pytest.mark.fault("G16")
def test_a_payload_that_cannot_be_unpacked_is_reported(vm: Vm) -> None:
    vm.boot("r/a:v1", vfs_payload="no zip at all")
    with pytest.raises(BakeError, match=r"startup\.sh: unpacking the payload failed with status 1"):
        vm.watch()
    vm.until_off()


@pytest.mark.fault("G16")
def test_a_boot_image_without_what_the_script_needs_stops_and_its_log_says_so(vm: Vm) -> None:
    """Even the failure cannot be reported then."""
    vm.boot("r/a:v1", before="rm /usr/bin/curl")
    vm.until_off()
    with pytest.raises(BakeError, match="stopped before it reported its result") as caught:
        vm.watch()
    assert "curl: command not found" in str(caught.value)
    assert "reading the metadata failed with status 127" in str(caught.value)


HANGS = "import time; time.sleep(1000)"


@pytest.mark.fault("G16")
def test_a_payload_that_hangs_from_the_start_is_given_up(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SILENCE_SECONDS", 1.0)
    vm.boot("r/a:v1", vfs_payload=payload(HANGS))
    with pytest.raises(BakeError, match="has reported nothing for 1 s: guest attributes may be"):
        vm.watch()


@pytest.mark.fault("G16")
def test_a_payload_that_hangs_later_is_given_up(vm: Vm) -> None:
    word = json.dumps({"nonce": "n-1", "phase": "write"})
    vm.boot(
        "r/a:v1", vfs_payload=payload(f"{TOLD}\ntell({word!r})\nprint('told', flush=True)\n{HANGS}")
    )
    vm.until_serial("told")
    with pytest.raises(BakeError, match=r"is not done after 1 s \(phase write\); see --timeout"):
        vm.watch(seconds=1)


@pytest.mark.fault("G13")
def test_a_success_that_is_only_printed_is_none(vm: Vm) -> None:
    """The words by which other builders tell success are in the log, and our own report too."""
    says = f"""
    print("Unpacking is completed.")
    print("startup-script exit status 0")
    print({SUCCESS!r})
    raise SystemExit(7)
    """
    vm.boot(
        "r/unpacking-is-completed:ok",
        vfs_payload=payload("\n".join(map(str.strip, says.splitlines()))),
    )
    with pytest.raises(BakeError, match="ended with status 7 and without a report") as caught:
        vm.watch()
    assert "Unpacking is completed." in str(caught.value)


@pytest.mark.fault("G15")
def test_a_project_without_guest_attributes_is_told_by_the_log(vm: Vm, reference: str) -> None:
    vm.boot(reference, enable_guest_attributes="FALSE")
    vm.until_off()
    with pytest.raises(BakeError, match="stopped before it reported its result") as caught:
        vm.watch()
    assert "guest attributes cannot be written (status 403)" in str(caught.value)


@pytest.mark.fault("G15")
def test_a_report_of_another_boot_is_not_taken_for_this_ones(vm: Vm) -> None:
    stale = SUCCESS.replace("n-1", "n-0")
    vm.boot("r/a:v1", vfs_payload=payload(f"{TOLD}\ntell({stale!r})"))
    vm.until_off()
    with pytest.raises(BakeError, match="stopped before it reported its result"):
        vm.watch()


KILLER = """
(
  until grep -q ' /var/tmp/vfs-' /proc/mounts; do sleep 0.02; done
  kill -9 $$ $(pgrep -f guest.payload.main)
  echo all killed >/dev/ttyS0
) &
"""


@pytest.mark.fault("G2")
def test_a_script_that_is_killed_never_looks_like_one_that_is_done(
    vm: Vm, registry: Registry, reference: str, tmp_path: Path
) -> None:
    def slow(path: str, answer: Answer) -> Answer:
        if path.endswith(BLOB):
            time.sleep(1)
        return answer

    registry.unkind = slow
    vm.boot(reference, before=KILLER)
    vm.until_serial("all killed")
    vm.raw.done("POST", f"{ZONAL}/instances/{NAME}/stop")

    with pytest.raises(BakeError, match="stopped before it reported its result"):
        vm.watch()

    with loop(vm.blocks()) as node:
        asked = job(node, reference, verify={"digest": "sha256:" + "0" * 64})
        assert do(asked, tmp_path / "check")["result"] == "fail"


@pytest.mark.fault("G2", "G6", "G16")
def test_a_vm_that_is_started_again_half_way_does_not_format_its_disk_again(
    vm: Vm, registry: Registry, reference: str
) -> None:
    registry.unkind = lambda path, answer: (
        replace(answer, status=403) if path.endswith(BLOB) else answer
    )
    vm.boot(reference)
    vm.until_off()
    registry.unkind = lambda _, answer: answer

    vm.raw.done("POST", f"{ZONAL}/instances/{NAME}/start")
    vm.until_off()

    with pytest.raises(BakeError, match=r"is not blank: .* it has an ext4; it is not formatted"):
        vm.watch()


TWICE = r"""
if [ -z "${SECOND:-}" ]; then
  mkdir /run/off
  printf '#!/bin/sh\nexit 0\n' >/run/off/poweroff
  chmod 755 /run/off/poweroff
  SECOND=1 PATH=/run/off:$PATH "$0"
  echo and again
  SECOND=1 exec "$0"
fi
"""


@pytest.mark.fault("G16")
def test_a_vm_that_is_started_again_does_nothing_and_stops(
    vm: Vm, registry: Registry, reference: str
) -> None:
    """The second start finds the boot disk of the first."""
    vm.boot(reference, before=TWICE)
    report = vm.watch()
    vm.until_off()
    first, _, second = vm.serial().partition("and again")
    assert "phase done" in first
    assert "the bake of this VM has ended before" in second
    assert "phase" not in second
    assert vm.watch() == report
    assert sum(path.endswith(BLOB) for path in registry.asked) == 1


RUN_AS_DEBIAN_HAS_IT = """
mkdir -p /run/vfs-bake
mount -t tmpfs -o nosuid,nodev,noexec tmpfs /run/vfs-bake
"""


@pytest.mark.skipif(extension() is None, reason="the package isal has no library here")
def test_the_host_sends_a_fast_inflate(vm: Vm, reference: str) -> None:
    vm.boot(reference, before=RUN_AS_DEBIAN_HAS_IT)
    assert vm.watch().facts["inflate"] == "isal"


@pytest.mark.parametrize("sent", ["", "no base64!", base64.b64encode(b"no gzip").decode()])
def test_without_a_good_inflate_it_is_zlib(
    vm: Vm, reference: str, monkeypatch: pytest.MonkeyPatch, sent: str
) -> None:
    monkeypatch.setattr("pylib.guest.pack.inflater", lambda: sent)
    vm.boot(reference)
    assert vm.watch().facts["inflate"] == "zlib"
    assert "gzip by zlib; not by ISA-L" in vm.serial()


WITHOUT_PACKAGES = r"""
for name in apt apt-get apt-cache apt-key aptitude dpkg dpkg-deb dpkg-query snap pip pip3 wget; do
  for folder in /usr/bin /usr/sbin /usr/local/bin; do
    rm -f "$folder/$name"
    printf '#!/bin/sh\necho installs: %s >/dev/ttyS0\nexit 100\n' "$name" >"$folder/$name"
    chmod 755 "$folder/$name"
  done
done
rm -rf /var/lib/dpkg /var/lib/apt /etc/apt
"""


@pytest.mark.fault("G17")
def test_nothing_is_installed(vm: Vm, reference: str) -> None:
    """Package managers that only fail, and say so, and no list of packages: nobody asks them."""
    vm.boot(reference, before=WITHOUT_PACKAGES)
    assert vm.watch().result == "ok"
    assert "installs: " not in vm.serial()
