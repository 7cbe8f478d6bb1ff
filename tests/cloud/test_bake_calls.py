"""How many calls a bake makes, and what of its secrets others see."""

from __future__ import annotations

import argparse
import io
import json
import logging
import shutil
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.oauth2.credentials import Credentials

from pylib.cloud.gcp import GoogleCloud, endpoints
from pylib.cloud.gcp.transport import Transport
from pylib.cloud.retry import Retry
from pylib.cloud.wait import wait
from pylib.emulator import ManualClock, SimulatedVm
from pylib.emulator.guest.simulated import idle
from pylib.errors import BakeError
from pylib.verbs import bake as bake_verb
from tests.cloud.baking import pack
from tests.cloud.emulated_bake import PROJECT, Bench, fail, fill

TOKEN = "ya29.planted-access-token-of-the-caller"
HF_TOKEN = "hf_PlantedTokenOfTheHub"
REGISTRY = "planted-password-of-a-registry"
SECRETS = (TOKEN, HF_TOKEN, REGISTRY)


def _calls(bench: Bench) -> Counter[str]:
    found = Counter(entry.method for entry in bench.emulator.journal())
    assert found.total() == sum(bench.cloud.counts.values())
    return found


def _without_polls(calls: Counter[str]) -> Counter[str]:
    return Counter({name: n for name, n in calls.items() if not name.endswith("Operations.get")})


def test_a_bake_makes_so_many_calls_and_no_more(bench: Bench) -> None:
    bench.emulator.change(delays={})

    bench.bake()

    calls = _calls(bench)
    assert calls.total() <= 49, calls
    changes = ("disks.insert", "instances.insert", "instances.delete", "images.insert")
    assert [calls[f"compute.{name}"] for name in changes] == [2, 2, 2, 1]


def test_slow_operations_cost_one_call_in_ten_seconds(bench: Bench) -> None:
    bench.emulator.change(delays={})
    bench.bake()
    quick = _calls(bench)
    [image] = bench.made()
    gone = bench.cloud.delete_image(PROJECT, image.rsplit("/", 1)[1], str(uuid.UUID(int=99)))
    wait(bench.cloud, gone, 60)
    bench.emulator.change(delays={"compute.images.insert": (0, 3600)})
    before = _calls(bench)

    bench.bake()

    slow = _calls(bench) - before
    assert _without_polls(slow) == _without_polls(quick)
    polls = slow["compute.globalOperations.get"] - quick["compute.globalOperations.get"]
    assert 3600 / 10 <= polls <= 3600 / 10 + 10


def test_a_slow_guest_costs_six_calls_in_half_a_minute(bench: Bench) -> None:
    """Its attributes every six seconds, as often as may be, and now and then its status."""
    bench.restart(idle)

    with pytest.raises(BakeError, match="has reported nothing for 600 s"):
        bench.bake()

    calls = _calls(bench)
    assert 600 / 6 <= calls["compute.instances.getGuestAttributes"] <= 600 / 6 + 3
    assert calls["compute.instances.get"] <= 600 / 30 + 8


def _leaking(vm: SimulatedVm) -> None:
    """A guest that lets slip what it knows, as a traceback or ``set -x`` does."""
    vm.print(f"+ curl -H 'Authorization: Bearer {TOKEN}' -u oauth2accesstoken:{REGISTRY}\n")
    vm.print(f"token={REGISTRY} HF_TOKEN={HF_TOKEN}\n")
    vm.print(f"GET https://oauth2accesstoken:{REGISTRY}@us-docker.pkg.dev/v2/ failed\n")


def _failing(vm: SimulatedVm) -> None:
    _leaking(vm)
    fail(vm, f"pull: password={REGISTRY} Bearer {TOKEN} {HF_TOKEN}")


def _filling(vm: SimulatedVm) -> None:
    _leaking(vm)
    fill(vm)


def _texts(folder: Path) -> str:
    """All that is in the files of a folder."""
    return "\n".join(
        path.read_bytes().decode("utf-8", "replace") for path in folder.iterdir() if path.is_file()
    )


@pytest.mark.parametrize("guest", [_failing, _filling], ids=["fails", "succeeds"])
def test_no_secret_is_in_metadata_logs_journal_lock_or_image(
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    guest: object,
) -> None:
    monkeypatch.setenv("HF_TOKEN", HF_TOKEN)
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", HF_TOKEN)
    bench.restart(_failing if guest is _failing else _filling)
    clock = bench.emulator.clock
    assert isinstance(clock, ManualClock)
    make: Callable[..., Any] = Credentials
    credentials = make(token=TOKEN)
    retry = Retry(clock)
    cloud = GoogleCloud(Transport(PROJECT, endpoints(bench.emulator.url), credentials, retry))
    monkeypatch.setattr("pylib.cloud.gcp.connect", lambda *_, **__: cloud)
    monkeypatch.setattr("pylib.guest.pack.metadata", pack)
    place = tmp_path / "user"
    place.mkdir()
    for name in ("config.yaml", "config.lock.yaml"):
        text = (Path("values/gemma-7b-fast") / name).read_text()
        (place / name).write_text(text.replace("my-project", PROJECT))
    parser = argparse.ArgumentParser()
    bake_verb.arguments(parser)
    config = str(place / "config.yaml")
    args = parser.parse_args(["image", "-f", config, "--log-bucket", "logs-of-bakes"])
    out = io.StringIO()
    kept: list[str] = []
    original = cloud.put_object

    def keep(bucket: str, name: str, text: str) -> None:
        kept.append(text)
        original(bucket, name, text)

    monkeypatch.setattr(cloud, "put_object", keep)
    said = ""

    with caplog.at_level(logging.DEBUG, logger="pylib"):
        try:
            bake_verb.run(args, out)
        except BakeError as error:
            said = str(error)
            shutil.copy(config, place / "again.yaml")

    entries = [json.dumps(entry.__dict__) for entry in bench.emulator.journal()]
    assert all(entry.authorized for entry in bench.emulator.journal())
    images = json.dumps(list(bench.emulator.world.store.find("images", PROJECT).values()))
    seen = "\n".join([_texts(place), out.getvalue(), said, caplog.text, *kept, *entries, images])
    assert (said == "") is (guest is _filling)
    assert "[redacted]" in seen
    assert [secret for secret in SECRETS if secret in seen] == []
