"""kill -9 before and after every change that ``up``, its update, and ``down`` make; then again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from pylib.cloud.gcp import GoogleCloud
from pylib.journal import Journal, JournalError
from pylib.lock import lock_path
from pylib.proc import run
from tests.cloud.fake_parts import Killed
from tests.cloud.upping import Upper, upper

CHANGES = frozenset(
    {
        *("insert_disk", "insert_pool", "scale_pool", "delete_pool", "delete_disk", "delete_image"),
        *("enable", "make_bucket", "set_policy", "apply", "delete", "install", "uninstall"),
    }
)
"""Methods of the cloud and of the cluster that change something; bakes have tests of their own."""


@dataclass
class Dying:
    """Passes on to ``real``; dies before or after the ``at``th change, and then does nothing."""

    real: Any
    death: Death

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if self.death.dead:
            raise Killed
        return self.death.counted(found) if name in CHANGES else found


@dataclass
class Death:
    """One client's: of the cloud and of the cluster together."""

    at: int
    after: bool
    seen: int = 0
    dead: bool = False

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **how: Any) -> Any:
            self.seen += 1
            if self.seen == self.at and not self.after:
                self._die()
            found = call(*args, **how)
            if self.seen == self.at:
                self._die()
            return found

        return wrapped

    def _die(self) -> None:
        self.dead = True
        raise Killed


@contextmanager
def _copied(source: Path, folder: Path) -> Iterator[Upper]:
    """Another emulator that goes on from where ``source`` was left."""
    run(["cp", "--recursive", "--sparse=always", source, folder])
    with upper(folder, again=True) as one:
        one.kube.objects = {
            tuple(key): body for key, body in json.loads((folder / "kube.json").read_text())
        }
        one.kube.has_release = (folder / "release").exists()
        yield one


def _kept(one: Upper, folder: Path) -> Path:
    """The state of it all, to go on from many times."""
    rows = [(list(key), body) for key, body in one.kube.objects.items()]
    (folder / "kube.json").write_text(json.dumps(rows))
    if one.kube.has_release:
        (folder / "release").touch()
    return folder


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images are baked, and nothing else is made."""
    folder = tmp_path_factory.mktemp("baked")
    with upper(folder) as one:
        one.bake()
        return _kept(one, folder)


def _first(one: Upper) -> None:
    one.up()


def _update(one: Upper) -> None:
    """Another pool size, and a disk type that makes another revision; the old one goes."""
    text = one.file.read_text().replace("maxNodes: 5", "maxNodes: 7")
    one.file.write_text(text.replace("type: pd-ssd\n  sizeGiB", "type: pd-balanced\n  sizeGiB"))
    one.up(prune=True)


def _down(one: Upper) -> None:
    one.down(images=True, adapter=True)


WAYS = {"first": _first, "update": _update, "down": _down}


@pytest.fixture(scope="module")
def starts(baked: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where each way begins."""
    folder = tmp_path_factory.mktemp("up") / "made"
    with pytest.MonkeyPatch.context() as patch:
        _patched(patch)
        with _copied(baked, folder) as one:
            one.up()
            _kept(one, folder)
    return {"first": baked, "update": folder, "down": folder}


def _patched(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("pylib.up.release.install_release", lambda _, kube, **__: kube.install())
    patch.setattr("pylib.up.down.is_installed", lambda site: site.kube.has_release)
    patch.setattr("pylib.up.down.uninstall", lambda site: site.kube.uninstall())


def _end(one: Upper) -> tuple[list[str], str, list[Any], list[str], bool]:
    """The state at the end, apart from what differs between any two runs."""
    lock = lock_path(one.file)
    text = re.sub(r"id: '\d+'", "id: x", lock.read_text()) if lock.exists() else ""
    paths = [path for path in one.emulator.inventory().paths() if "/operations/" not in path]
    journals = [path.name for path in one.file.parent.glob("*.journal")]
    return paths, text, sorted(one.kube.objects), journals, one.kube.has_release


@pytest.mark.fault("B15")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("way", WAYS)
def test_killed_at_any_change_the_next_run_ends_as_an_undisturbed_one(
    starts: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    after: bool,
) -> None:
    _patched(monkeypatch)
    go = WAYS[way]
    death = Death(0, after)
    with _copied(starts[way], tmp_path / "whole") as one:
        _kill(one, death)
        go(one)
        _revive(one)
        wanted = _end(one)
    assert death.seen > 3
    for at in range(1, death.seen + 1):
        with _copied(starts[way], tmp_path / str(at)) as one:
            _kill(one, Death(at, after))
            with pytest.raises(Killed):
                go(one)
            _revive(one)
            go(one)
            assert _end(one) == wanted, f"killed at change {at}"


def _kill(one: Upper, death: Death) -> None:
    one.cloud = cast("GoogleCloud", Dying(one.cloud, death))
    one.kube = cast("Any", Dying(one.kube, death))


def _revive(one: Upper) -> None:
    one.cloud = cast("Dying", one.cloud).real
    one.kube = cast("Any", one.kube).real


@pytest.mark.fault("B13")
def test_the_second_of_two_at_once_says_who_is_in_the_way(baked: Path, tmp_path: Path) -> None:
    with _copied(baked, tmp_path / "two") as one:
        held = one.file.with_name("config.up.journal")
        with Journal(held, "up"), pytest.raises(JournalError, match="another run holds this"):
            one.up()
        assert one.made("disks") == []
