"""From config and options to a bake: names, labels, sizes, and all problems at once."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylib.bake.cache import CacheRecipe
from pylib.bake.estimate import estimate
from pylib.bake.options import Options
from pylib.bake.plan import Bake, Run, default_name, run_name
from pylib.bake.recipe import Content, described, description
from pylib.bake.request import image_request
from pylib.bake.watch import parse_report
from pylib.config.model import Config, ImageCache
from pylib.config.parse import load_config
from pylib.errors import ConfigError
from tests.cloud.baking import request

CONFIG = Path("values/gemma-7b-fast/config.yaml")
IMAGE = "docker.io/vllm/vllm-openai:v0.33.0"
DIGEST = "sha256:" + "cd" * 32


def _config(**cache: Any) -> Config:
    return load_config(CONFIG).model_copy(update={"imageCache": ImageCache(**cache)})


def _images(bake: Bake) -> tuple[str, ...]:
    return tuple(bake.recipe.job()["images"])


def _problems(config: Config, **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        image_request(config, Options(owner="me", **options), "c.yaml", ("us-central1-a",))
    return [f"{problem.path} {problem.message}" for problem in caught.value.problems]


@pytest.mark.fault("I8")
def test_without_images_the_serving_image_is_baked() -> None:
    bake = image_request(_config(), Options(owner="me"), "c", ("us-central1-a", "us-central1-f"))
    assert _images(bake) == (IMAGE,)
    assert bake.size_gib == 60
    assert bake.image_name == f"image-cache-{bake.inputs}"
    assert bake.place.zones == ("us-central1-a", "us-central1-f")
    assert bake.place.service_account is None
    assert not bake.place.external_ip


@pytest.mark.fault("I8")
def test_options_outweigh_the_config() -> None:
    config = _config(name="cache", images=("docker.io/a/b:c",), sizeGiB=200)
    bake = image_request(config, Options(owner="me"), "c", ())
    assert (bake.image_name, bake.size_gib) == ("cache", 200)
    options = Options(
        owner="me", name="other", disk_gib=50, images=(IMAGE, IMAGE), zones=("us-central1-c",)
    )
    bake = image_request(config, options, "c", ("us-central1-a",))
    assert (bake.image_name, bake.size_gib) == ("other", 50)
    assert _images(bake) == (IMAGE,)
    assert bake.place.zones == ("us-central1-c",)


@pytest.mark.fault("I1", "I2", "I4", "I7")
def test_all_problems_are_told_at_once() -> None:
    found = _problems(
        _config(enabled=False, existing=True, name="x"),
        name="Upper",
        family="9lives",
        zones=("us-central1", "europe-west4-a"),
        disk_type="floppy",
        disk_gib=9,
        timeout_seconds=1,
        images=("vllm:latest", "docker.io/a/b:$(rm -rf)"),
        labels={"bake-run": "x", "Team": "a", "team": "a.b"},
    )
    assert found == [
        "imageCache.enabled is false: nothing to bake",
        "imageCache.existing is true: the image is somebody else's",
        "--name 'Upper' is no name of Compute Engine",
        "--family '9lives' is no name of Compute Engine",
        "--zone 'us-central1' is no zone of us-central1",
        "--zone 'europe-west4-a' is no zone of us-central1",
        "--disk-type 'floppy' is not known",
        "--disk-size 9 is out of range",
        "--timeout 1 s is out of range",
        "--label 'bake-run' is written by the bake itself",
        "--label Team=a is no label",
        "--label team=a.b is no label",
        "--image 'vllm:latest' is no full image reference",
        "--image 'docker.io/a/b:$(rm -rf)' is no full image reference",
    ]


@pytest.mark.fault("I8")
def test_no_image_at_all_is_a_problem() -> None:
    config = _config().model_copy(update={"serving": None})
    assert _problems(config) == ["imageCache.images names no image to bake"]


def test_inputs_do_not_depend_on_the_order_of_images_but_on_all_else() -> None:
    one = request(images=("a", "b"))
    assert one.inputs == request(images=("b", "a")).inputs
    others = [
        request(images=("a",)),
        replace(one, size_gib=61),
        replace(one, recipe=CacheRecipe(("a", "b"), payload="containerd")),
        replace(one, kms_key="k"),
        replace(one, storage_locations=("eu",)),
    ]
    assert len({one.inputs, *(other.inputs for other in others)}) == 6


@given(st.from_regex(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True))
def test_every_name_of_a_run_is_one_of_compute_engine(name: str) -> None:
    run = Run(request(image_name=name), "abcdef123456", "us-central1-a", "n", 0)
    names = [run.name, run.vm, run.check_disk, run.check_vm, default_name(run.bake)]
    assert len(set(names)) == 5
    for found in names:
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", found), found
    assert run_name(name, "r1") != run_name(name, "r2")


@pytest.mark.fault("I8")
@given(st.lists(st.tuples(st.text(min_size=1, max_size=80), st.just(DIGEST)), max_size=200))
def test_labels_and_description_stay_within_what_the_service_takes(
    images: list[tuple[str, str]],
) -> None:
    run = Run(request(labels={}), "abcdef123456", "us-central1-a", "n", 0)
    content = Content(DIGEST, 5, {"images": [list(pair) for pair in images]})
    labels = {**run.bake.recipe.labels(content), **run.labels("candidate")}
    assert len(labels) <= 64
    for key, value in labels.items():
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key)
        assert re.fullmatch(r"[a-z0-9_-]{0,63}", value)
    text = description(run.bake.inputs, content)
    assert len(text) <= 2048
    found = described(text)
    assert found is not None
    assert (found.bytes, found.digest) == (5, DIGEST)
    assert found == content or found.parts == {}


def test_tags_and_digests_become_labels() -> None:
    assert request().recipe.labels(Content("d", 5, {"images": [[IMAGE, DIGEST]]})) == {
        "cached-images": "1",
        "image-0": "vllm-openai-v0-33-0",
        "digest-0": "cdcdcdcdcdcd",
    }


def test_the_owner_is_rewritten_to_a_label() -> None:
    run = Run(request(owner="Ann.Lee@x"), "r", "us-central1-a", "n", 0)
    assert run.labels("fill")["bake-owner"] == "ann-lee-x"


def test_the_two_jobs_differ_in_their_nonce() -> None:
    run = Run(request(), "r", "us-central1-a", "n", 0)
    fill, check = run.guest_job(check=False), run.guest_job(check=True)
    assert fill["nonce"] != check["nonce"]
    assert fill["device"] == "/dev/disk/by-id/google-vfs-target"
    assert fill["device_bytes"] == 60 * 1024**3
    assert (fill["version"], fill["kind"]) == (1, "image")


def test_only_a_whole_report_with_the_nonce_is_one() -> None:
    good = {"nonce": "n", "phase": "pull", "result": "ok", "line": 3}
    found = parse_report(json.dumps(good), "n")
    assert found is not None
    assert (found.phase, found.result, found.line) == ("pull", "ok", 3)
    assert parse_report(json.dumps(good), "other") is None
    for text in (None, "", "{", "[]", '"ok"', '{"nonce": "n"}', "null"):
        assert parse_report(text, "n") is None


def test_an_estimate_grows_with_the_disk_and_admits_what_it_does_not_know() -> None:
    small, big = request(), request()
    big = replace(big, size_gib=600)
    assert estimate(small).seconds < estimate(big).seconds
    cost, more = estimate(small).dollars, estimate(big).dollars
    assert cost is not None
    assert more is not None
    assert 0 < cost < more
    assert estimate(big).month == 30
    odd = replace(small, place=replace(small.place, machine_type="x9-mega-3"))
    assert estimate(odd).dollars is None


def test_a_mirror_is_asked_before_the_registry_itself() -> None:
    mirrors = (("docker.io", "https://m.example/hub/"), ("ghcr.io", "http://10.0.0.2:5000"))
    bake = image_request(_config(), Options(owner="me", mirrors=mirrors), "c", ())
    assert bake.recipe.job()["endpoints"] == {
        "docker.io": [
            "https://m.example/hub",
            "https://mirror.gcr.io",
            "https://registry-1.docker.io",
        ],
        "ghcr.io": ["http://10.0.0.2:5000", "https://ghcr.io"],
    }
    plain = image_request(_config(), Options(owner="me"), "c", ())
    assert "endpoints" not in plain.recipe.job()


@pytest.mark.parametrize("mirror", [("docker.io", "m.example"), ("a b", "https://m"), ("x", "")])
def test_a_mirror_is_host_and_address(mirror: tuple[str, str]) -> None:
    assert _problems(_config(), mirrors=(mirror,)) == [
        f"--mirror {mirror[0]}={mirror[1]} is no registry and address"
    ]


def test_a_boot_image_is_named_by_its_path() -> None:
    path = "projects/p/global/images/mine"
    bake = image_request(_config(), Options(owner="me", boot_image=path), "c", ())
    assert bake.place.boot_image == path
    assert _problems(_config(), boot_image="mine") == ["--boot-image 'mine' is no path of an image"]
