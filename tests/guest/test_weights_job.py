"""Jobs of weights disks: what is understood, what is refused, and what of them is packed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pylib.guest.pack import payload
from pylib.guest.payload import main
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.job import parse_job
from pylib.guest.payload.metafiles import parse_images
from pylib.guest.payload.report import Report
from pylib.guest.payload.weights_job import ENDPOINTS, parse_weights_job

BAKE = {
    "version": 1,
    "kind": "weights",
    "nonce": "n-1",
    "device": "/dev/none",
    "source": "gs://models/google/gemma",
    "directory": "google/gemma",
}
CHECK = {
    "version": 1,
    "kind": "weights",
    "nonce": "n-1",
    "device": "/dev/none",
    "verify": {"digest": ""},
}


def test_a_bake_and_a_check_are_understood() -> None:
    bake = parse_weights_job(json.dumps({**BAKE, "endpoints": {"hf": "http://x"}, "shards": 8}))
    assert (bake.auth, bake.shards, bake.verify_digest) == ("none", 8, None)
    assert bake.endpoints == {**ENDPOINTS, "hf": "http://x"}
    assert parse_weights_job(json.dumps(CHECK)).verify_digest == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "this payload does jobs of version 1 and of the kinds image, weights"),
        ({"extra": 1}, "fields that are not known: extra"),
        ({"nonce": ""}, "has no nonce"),
        ({"nonce": None, "device": None, "shards": "x"}, "the job in the VM's metadata is wrong"),
        ({"source": "s3://models/x"}, "the job's source is 's3://models/x', not of the form gs://"),
        ({"source": "gs://models"}, "the job's source is 'gs://models'"),
        ({"source": "hf://org/name"}, "names no commit (revision) of hf://org/name"),
        ({"source": "hf://org/name", "revision": "main"}, "the job's revision is 'main'"),
        ({"listing": "x"}, "the job's listing is 'x'"),
        ({"token_secret": "hf_token"}, "the job's token_secret is not of the form |projects/"),
        ({"auth": "magic"}, "the job's auth is 'magic'; known are none, service-account"),
        ({"shards": -1}, "the job's shards are -1"),
        ({"verify": {"digest": "sha256:0"}}, "no sha256 in hex"),
    ],
    ids=str,
)
def test_each_wrong_field_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(GuestError) as caught:
        parse_weights_job(json.dumps({**BAKE, **change}))
    assert said in str(caught.value)


def test_a_token_in_the_wrong_field_is_not_repeated() -> None:
    with pytest.raises(GuestError) as caught:
        parse_weights_job(json.dumps({**BAKE, "token_secret": "hf_verysecret"}))
    assert "verysecret" not in str(caught.value)


def test_a_check_of_an_image_cache_needs_no_images() -> None:
    found = parse_job(json.dumps({**CHECK, "kind": "image"}))
    assert (found.images, found.verify_digest) == ((), "")
    without = {key: value for key, value in CHECK.items() if key != "verify"}
    with pytest.raises(GuestError, match="names no image"):
        parse_job(json.dumps({**without, "kind": "image"}))


def test_images_are_read_from_the_nodes_own_list() -> None:
    """Columns as ``ctr images ls`` prints them: containerd, cmd/ctr/commands/images/images.go."""
    digest = "sha256:" + "a" * 64
    text = (
        "REF                TYPE  DIGEST SIZE  PLATFORMS   LABELS\n"
        f"docker.io/a/b:1    type/x {digest} 1.4 GiB linux/amd64 io.cri-containerd.image=managed\n"
        f"sha256:{'b' * 64}  type/x {digest} 1.4 GiB linux/amd64 io.cri-containerd.image=managed\n"
        "broken line\n"
    )
    assert parse_images(text) == {"docker.io/a/b:1": digest}


def test_the_payload_runs_from_its_archive_alone(tmp_path: Path) -> None:
    """Nothing of this library beside it, and no package that Debian does not have."""
    zipfile.ZipFile(io.BytesIO(payload())).extractall(tmp_path)
    code = "import pylib.guest.payload.weights as w; print(w.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '{tmp_path}'); {code}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.startswith(str(tmp_path))


def test_a_weights_job_is_done_as_one_and_a_failure_told(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    def write(_: str, body: bytes) -> int:
        told.append(json.loads(body))
        return 200

    device = tmp_path / "no-disk"
    device.touch()
    job = json.dumps({**BAKE, "device": str(device)})
    assert main.run(job, Report("n-1", write), tmp_path) == main.REPORTED_FAILURE
    assert told[-1]["message"] == f"{device} is no disk [disk.py]"
    job = json.dumps({**BAKE, "directory": "../up"})
    assert main.run(job, Report("n-1", write), tmp_path) == main.REPORTED_FAILURE
    assert told[-1]["message"].startswith("The path '../up' is refused: ")
