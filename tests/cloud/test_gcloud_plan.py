"""What ``--print gcloud`` prints, pasted into a shell with the real gcloud, ends as ``up`` does."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pylib.cloud.clock import SystemClock
from pylib.emulator import ManualClock
from pylib.up.printed import printed
from pylib.up.up import plan
from pylib.verbs import bake, install
from pylib.verbs.bake_arguments import options_of
from pylib.yamlio import parse_all
from tests.cloud.gcloud import Gcloud, needs_gcloud
from tests.cloud.upping import PROJECT, Upper, upper

_EACH_TIME = {
    "id": "the service counts",
    "creationTimestamp": "when it was made",
    "createTime": "when it was made",
    "timeCreated": "when it was made",
    "sourceImageId": "the service counts",
    "etag": "made of the rest",
}
"""Fields that differ between two worlds with the same in them, and why."""
_OFF = frozenset({"containerfilesystem.googleapis.com", "monitoring.googleapis.com"})
_TOOL = """#!/bin/sh
printf "%s\\n" "$*" >> {log}/{name}
[ {name} = python ] || cat >> {log}/objects.yaml
echo --- >> {log}/objects.yaml
"""


def _wishes() -> dict[str, Any]:
    account = f"bake@{PROJECT}.iam.gserviceaccount.com"
    return {
        "log_bucket": "bake-logs",
        "bake": {"service_account": account, "log_bucket": "bake-logs", "labels": {"team": "a"}},
    }


class Shell:
    """Where lines are pasted: gcloud is real, python and kubectl note what they are asked for."""

    def __init__(self, one: Upper, folder: Path) -> None:
        self._one = one
        self._folder = folder
        (folder / "bin").mkdir(parents=True)
        for name in ("python", "kubectl"):
            tool = folder / "bin" / name
            tool.write_text(_TOOL.format(log=folder, name=name))
            tool.chmod(0o755)

    def paste(self, **wishes: Any) -> str:
        """Print the plan, paste it, and return it."""
        lines = "\n".join(printed(plan(self._one.site(**wishes)), self._one.file))
        with _real_time(self._one):
            Gcloud(self._one.emulator, self._folder).paste(lines, self._folder / "bin")
        return lines

    def asked(self) -> list[list[str]]:
        """Words of each call of python so far."""
        return [shlex.split(line) for line in (self._folder / "python").read_text().splitlines()]

    def objects(self) -> list[Any]:
        """What kubectl was given to apply."""
        text = (self._folder / "objects.yaml").read_text()
        return [it.body for it in parse_all(text) if it.body]


@contextmanager
def _real_time(one: Upper) -> Iterator[None]:
    """Time goes by, since gcloud waits for it."""
    manual = one.emulator.clock
    assert isinstance(manual, ManualClock)
    one.emulator.stop()
    one.emulator.clock = SystemClock()
    one.emulator.change(delays={})
    one.emulator.start()
    yield
    one.emulator.stop()
    one.emulator.clock = manual
    one.emulator.start()


def _state(one: Upper) -> dict[str, Any]:
    """All there is but images, of which only the names are the same from bake to bake."""
    found = {}
    for ref, doc in one.emulator.world.store.all().items():
        if ref.kind not in {"operations", "guestAttributes", "images", "objects"}:
            kept = {key: value for key, value in doc.items() if key not in _EACH_TIME}
            found[ref.path] = json.loads(json.dumps(kept))
    return found


@needs_gcloud
def test_pasted_lines_end_as_up_does(tmp_path: Path, installed: list[Any]) -> None:
    for name in ("up", "pasted"):
        (tmp_path / name).mkdir()
    with (
        upper(tmp_path / "up", disabled_services=_OFF) as done,
        upper(tmp_path / "pasted", disabled_services=_OFF) as one,
    ):
        done.up(**_wishes())
        shell = Shell(one, tmp_path / "shell")

        first = shell.paste(**_wishes())
        assert "# later: create  disk of cell us-central1-a" in first
        assert f"python -m pylib plan -f {one.file} --print gcloud" in first
        _check_bakes(shell, one)
        one.bake()
        shell.paste(**_wishes())

        [words] = shell.asked()[2:]
        assert words == ["-m", "pylib", "install", *_parsed_install(one)]
        for body in shell.objects():
            one.kube.apply(body)
        assert one.kube.objects == done.kube.objects
        assert _state(one) == _state(done)
        assert one.made("images") == done.made("images")
        assert one.plan(**_wishes()) == []
        assert shell.paste(**_wishes()).splitlines()[0].startswith("# check   release")


def _check_bakes(shell: Shell, one: Upper) -> None:
    """The lines of the bakes say all that ``up`` itself bakes with."""
    wanted = one.site(**_wishes()).wishes.bake
    parser = argparse.ArgumentParser()
    bake.arguments(parser)
    for words, kind in zip(shell.asked(), ("image", "weights"), strict=True):
        args = parser.parse_args(words[3:])
        assert (words[:3], args.kind, args.config) == (["-m", "pylib", "bake"], kind, one.file)
        assert replace(options_of(args), owner="ann") == wanted


def _parsed_install(one: Upper) -> list[str]:
    words = ["-f", str(one.file), "--create-namespace", "--yes"]
    parser = argparse.ArgumentParser()
    install.arguments(parser)
    assert parser.parse_args(words).yes
    return words
