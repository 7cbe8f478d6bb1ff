"""Where install-tools takes a tool from, and what it refuses."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.scripts.support import Run

VERSION = "v0.8.0"
ARCH = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
ARCHIVE = f"kubeconform-{platform.system().lower()}-{ARCH}.tar.gz"
RELEASE = f"https://github.com/yannh/kubeconform/releases/download/{VERSION}"

Program = Callable[[str, str], Path]


class Vendor:
    """The vendor's release host, on a loopback port."""

    def __init__(self, folder: Path, url: str) -> None:
        self.release = folder / RELEASE.removeprefix("https://")
        self.url = url
        self.release.mkdir(parents=True)

    def publish(self, binary: Path, digest: str | None = None, name: str = ARCHIVE) -> str:
        """Put up an archive of ``binary`` and its checksum; returns the archive's real sha256."""
        archive = self.release / ARCHIVE
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(binary, "kubeconform")
        real = hashlib.sha256(archive.read_bytes()).hexdigest()
        (self.release / "CHECKSUMS").write_text(f"{digest or real}  {name}\n", encoding="utf-8")
        return real


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[Vendor]:
    folder = tmp_path / "vendor"
    folder.mkdir()
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Vendor(folder, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


@pytest.fixture
def install(run: Run, vendor: Vendor) -> Run:
    """install-tools kubeconform, from releases alone."""
    return partial(
        run, "install-tools", "kubeconform", TOOLS_FROM="release", TOOLS_MIRROR=vendor.url
    )


def test_a_release_with_its_checksum_is_installed_once(
    install: Run, vendor: Vendor, program: Program, project: Path
) -> None:
    vendor.publish(program("kubeconform", VERSION) / "kubeconform")
    first = install()
    said = first.stderr.splitlines()
    assert said[0] == f"==> fetching kubeconform {VERSION}: {RELEASE}/{ARCHIVE}"
    assert re.fullmatch(rf"==> kubeconform {VERSION} is ready after \d+ s", said[1])
    assert os.access(project / ".tools/bin/kubeconform", os.X_OK)
    second = install(TOOLS_MIRROR="http://127.0.0.1:9")
    assert (second.returncode, second.stderr) == (0, "")


def test_a_release_with_another_checksum_is_refused(
    install: Run, vendor: Vendor, program: Program, project: Path
) -> None:
    real = vendor.publish(program("kubeconform", VERSION) / "kubeconform", digest="0" * 64)
    done = install()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: {ARCHIVE} has sha256 {real}, but {RELEASE}/CHECKSUMS says {'0' * 64}; "
        "nothing was installed"
    )
    assert list((project / ".tools/bin").iterdir()) == []


def test_a_release_without_a_checksum_is_refused(
    install: Run, vendor: Vendor, program: Program, project: Path
) -> None:
    vendor.publish(program("kubeconform", VERSION) / "kubeconform", name=f"other-{ARCHIVE}")
    done = install()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: {RELEASE}/CHECKSUMS has no line for {ARCHIVE}"
    assert list((project / ".tools/bin").iterdir()) == []


def test_a_binary_of_another_version_is_refused(
    install: Run, vendor: Vendor, program: Program, project: Path
) -> None:
    vendor.publish(program("kubeconform", "v0.7.9") / "kubeconform")
    done = install()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: kubeconform should report {VERSION}, but says '0.7.9'; it was not installed"
    )
    assert list((project / ".tools/bin").iterdir()) == []


def test_an_unreachable_release_names_the_other_ways(install: Run) -> None:
    done = install(TOOLS_MIRROR="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: cannot fetch http://127.0.0.1:9/{RELEASE.removeprefix('https://')}/{ARCHIVE}; "
        "install Go 1.26.0 or newer to build kubeconform, "
        "or put kubeconform 0.8.0 or newer (below 1) on PATH"
    )


def test_a_fitting_program_on_path_is_linked(run: Run, program: Program, project: Path) -> None:
    folder = program("helm", "v4.1.4+g05fa379")
    done = run("install-tools", "helm", path=folder, TOOLS_FROM="path")
    assert done.stderr == f"==> helm: using {folder}/helm, version 4.1.4\n"
    assert (project / ".tools/bin/helm").readlink() == folder / "helm"


def test_helm_3_serves_as_helm3_and_never_as_helm(
    run: Run, program: Program, project: Path
) -> None:
    folder = program("helm", "v3.22.0+gabc")
    done = run("install-tools", "helm3", "helm", path=folder, TOOLS_FROM="path")
    assert done.stderr.splitlines() == [
        f"==> helm3: using {folder}/helm, version 3.22.0",
        "error: helm: no source left (TOOLS_FROM=path); it is built with Go 1.26.0 or newer",
    ]
    assert [file.name for file in (project / ".tools/bin").iterdir()] == ["helm3"]


def test_a_linked_program_that_no_longer_fits_is_replaced(run: Run, program: Program) -> None:
    folder = program("helm", "v4.2.0")
    run("install-tools", "helm", path=folder, TOOLS_FROM="path")
    program("helm", "v5.0.0")
    done = run("install-tools", "helm", path=folder, TOOLS_FROM="path")
    assert (
        done.stderr
        == "error: helm: no source left (TOOLS_FROM=path); it is built with Go 1.26.0 or newer\n"
    )


def test_an_unknown_tool_is_named_with_the_known_ones(run: Run) -> None:
    done = run("install-tools", "kubectl")
    assert done.stderr == (
        "error: kubectl is no tool of this project; there are: helm helm3 kubeconform kube-score "
        "etcd kube-apiserver kube-controller-manager kube-scheduler kwok containerd ctr "
        "fake-gcs-server\n"
    )


def test_a_program_that_cannot_say_its_version_is_known_by_what_it_was_built_from(
    run: Run, tmp_path: Path, project: Path
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    built = folder / "fake-gcs-server"
    built.write_bytes(b"\x7fELF\0dep\tgithub.com/fsouza/fake-gcs-server\tv1.56.1\th1:x\n\0")
    built.chmod(0o755)
    done = run("install-tools", "fake-gcs-server", path=folder, TOOLS_FROM="path")
    assert done.stderr == f"==> fake-gcs-server: using {built}, version 1.56.1\n"
    built.write_bytes(built.read_bytes().replace(b"v1.56.1", b"v1.55.0"))
    again = run("install-tools", "fake-gcs-server", path=folder, TOOLS_FROM="path")
    assert again.returncode == 1
