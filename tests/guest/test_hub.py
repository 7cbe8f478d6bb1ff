"""Hugging Face as a source, with its token from Secret Manager."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from download import http_client, tree
from download.common import DownloadError, RefusedError

from pylib.guest.payload.caller import Caller
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.hub import Hub
from pylib.guest.payload.secret import read_secret
from pylib.guest.payload.weights_job import WeightsJob
from tests.chart import hub as stand_in
from tests.chart.hub import COMMIT, MODEL
from tests.guest.google import Answer, Google
from tests.guest.models import model

SECRET = "projects/demo-project/secrets/hf/versions/1"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[stand_in.Hub]:
    """A hub with a model; the downloader does not wait between attempts."""
    monkeypatch.setattr(http_client, "wait", lambda _: None)
    with stand_in.serving(stand_in.Hub(files=model())) as one:
        yield one


def job(hub: stand_in.Hub, google: Google, **more: Any) -> WeightsJob:
    """A job that reads from the hub."""
    endpoints = {"hf": hub.endpoint, "secretmanager": google.url}
    return WeightsJob("n", source=f"hf://{MODEL}", revision=COMMIT, endpoints=endpoints, **more)


def fetched(source: Hub, folder: Path) -> dict[str, bytes]:
    """What lies in the folder, verified, after everything was fetched."""
    files = source.files()
    folder.mkdir(exist_ok=True)
    source.fetch(files, folder, lambda _: None)
    tree.settle(files, folder)
    tree.hashes(files, folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.fault("G8")
def test_a_model_comes_whole_through_cuts_and_busy_servers(
    hub: stand_in.Hub, google: Google, tmp_path: Path
) -> None:
    hub.cut, hub.errors, hub.redirect = [10, 400, 3000], [503, 429], True
    assert fetched(Hub(job(hub, google)), tmp_path / "m") == hub.files
    assert [path.name for path in tmp_path.iterdir()] == ["m"], "no state is left"


def test_weights_of_other_formats_stay_where_they_are(
    hub: stand_in.Hub, google: Google, tmp_path: Path
) -> None:
    hub.files["pytorch_model.bin"] = b"the same once more"
    assert "pytorch_model.bin" not in fetched(Hub(job(hub, google)), tmp_path / "m")


def test_a_gated_model_comes_with_the_token_of_a_secret(
    hub: stand_in.Hub, google: Google, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.token, hub.redirect = "hf_verysecret", True
    google.secrets[SECRET] = b"hf_verysecret\n"
    source = Hub(job(hub, google, token_secret=SECRET))
    assert fetched(source, tmp_path / "m") == hub.files
    assert {token for host, _, token, _ in hub.seen if host == "localhost"} == {None}
    assert not any(
        b"verysecret" in path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()
    )
    assert "verysecret" not in caplog.text + repr(vars(source))


@pytest.mark.fault("I6")
def test_a_refusal_says_what_a_bake_can_do(hub: stand_in.Hub, google: Google) -> None:
    hub.token = "hf_other"
    with pytest.raises(RefusedError, match="bake with --token-secret, a secret of"):
        Hub(job(hub, google)).files()
    hub.token = ""
    gone = WeightsJob("n", source="hf://a/b", revision=COMMIT, endpoints={"hf": hub.endpoint})
    with pytest.raises(RefusedError, match="Write the source and its revision as the model's page"):
        Hub(gone).files()


@pytest.mark.fault("G9")
def test_other_bytes_than_the_hub_tells_of_are_refused(
    hub: stand_in.Hub, google: Google, tmp_path: Path
) -> None:
    hub.lies["config.json"] = hub.files["config.json"].replace(b"gemma", b"llama")
    with pytest.raises(DownloadError, match=r"config.json is git:.*, not git:"):
        fetched(Hub(job(hub, google)), tmp_path / "m")


def read(google: Google) -> str:
    """The secret, as the VM's service account reads it."""
    return read_secret(google.url, SECRET, Caller(with_account=True))


def test_a_secret_is_read_with_a_token_that_is_renewed(google: Google) -> None:
    google.secrets[SECRET] = " hf_ü \n".encode()
    google.refused_tokens.add("ya29.token-0")
    assert read(google) == "hf_ü"
    assert len(google.tokens) == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(403), "answers 403: give the VM's service account the role roles/secretmanager."),
        (Answer(404), "answers 404: no such secret, or no such version"),
        (Answer(400), "Secret Manager answers 400"),
        (Answer(500), "Secret Manager answers 500"),
        (Answer(body=b"no json"), "is no text, or damaged"),
        (Answer(body=b"{}"), "is no text, or damaged"),
        (Answer(body=b'{"payload": {"data": ""}}'), "is no text, or damaged"),
        (Answer(body=b'{"payload": {"data": "aGY=", "dataCrc32c": "1"}}'), "no text, or damaged"),
        (Answer(body=b'{"payload": {"data": "/w=="}}'), "is no text, or damaged"),
    ],
    ids=str,
)
def test_a_secret_that_cannot_be_had_is_told_without_it(
    google: Google, answer: Answer, said: str
) -> None:
    google.unkind = lambda _target, _answer: answer
    with pytest.raises(GuestError) as caught:
        read(google)
    assert str(caught.value).startswith(f"{SECRET}: ")
    assert said in str(caught.value)


def test_a_service_that_does_not_answer_is_named(google: Google) -> None:
    google.unkind = lambda _target, _answer: Answer(body=b"x" * 100, cut=100)
    with pytest.raises(GuestError, match="does not answer: "):
        read(google)
