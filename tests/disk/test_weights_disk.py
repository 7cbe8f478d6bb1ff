"""Whole weights jobs on real disks, and checks of copies of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pylib.emulator.guest.real import why_not
from pylib.guest.payload.disk import FEATURES
from pylib.proc import run
from tests.chart import hub
from tests.disk import ways
from tests.disk.guest import loop, mounted
from tests.disk.weights import DIRECTORY, MANIFEST, SIZE, Made, bake, check, entries, made, put
from tests.guest.google import Google, serving
from tests.guest.models import Tensors, model, noise, unpacked


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A disk with a model, for all tests here."""
    if reason := why_not():
        pytest.skip(f"no real disks: {reason}")
    with made(tmp_path_factory.mktemp("weights")) as one:
        yield one


@pytest.fixture
def google() -> Iterator[Google]:
    """A bucket, secrets and tokens."""
    with serving(Google()) as one:
        yield one


@pytest.fixture
def small(file: Path) -> Iterator[str]:
    """A blank disk."""
    with loop(file, SIZE) as device:
        yield device


def test_the_disk_holds_the_model_and_its_manifest(disk: Made) -> None:
    with mounted(disk.file) as place:
        for path, content in disk.files.items():
            assert (place / DIRECTORY / path).read_bytes() == content
        text = (place / MANIFEST).read_bytes()
        assert {entry["path"] for entry in entries(place)} == {
            f"{DIRECTORY}/{path}" for path in disk.files
        }
        assert {path.name for path in place.iterdir()} == {"google", "lost+found", MANIFEST}
    assert disk.digest == hashlib.sha256(text).hexdigest()
    facts = disk.report["facts"]
    assert facts["bytes"] == sum(len(content) for content in disk.files.values())
    assert (facts["files"], facts["shards"], facts["device_bytes"]) == (5, 2, SIZE)
    assert list(facts["seconds"]) == [
        *("start", "find", "resolve", "format", "download", "hash", "sync", "verify"),
    ]
    assert "needs_recovery" not in run(["dumpe2fs", "-h", disk.file]).stdout


def test_a_copy_is_what_was_made(disk: Made, tmp_path: Path) -> None:
    report = check(disk.copy(tmp_path), disk.digest)
    assert (report["result"], report["digest"]) == ("ok", disk.digest)
    assert {name: report["facts"][name] for name in ("files", "bytes", "shards")} == {
        name: disk.report["facts"][name] for name in ("files", "bytes", "shards")
    }


def test_a_check_without_a_digest_tells_it(disk: Made, tmp_path: Path) -> None:
    assert check(disk.copy(tmp_path))["digest"] == disk.digest


def test_a_disk_with_the_model_elsewhere_is_refused(disk: Made, tmp_path: Path) -> None:
    assert check(disk.copy(tmp_path), directory=DIRECTORY)["result"] == "ok"
    report = check(disk.copy(tmp_path), directory="google/gem")
    said = f"the disk holds no model at /google/gem: its first file is /{DIRECTORY}/config.json"
    assert report["result"] == "fail"
    assert report["message"].startswith(said)


def test_a_disk_of_another_revision_is_refused(disk: Made, tmp_path: Path) -> None:
    report = check(disk.copy(tmp_path), "0" * 64)
    assert report["result"] == "fail"
    assert f"sha256 {disk.digest}, not {'0' * 64} as was made" in report["message"]


@pytest.mark.fault("G19")
def test_a_disk_larger_than_the_image_holds_the_same(disk: Made, tmp_path: Path) -> None:
    copy = disk.copy(tmp_path)
    run(["truncate", "-s", str(2 * SIZE), copy])
    assert check(copy, disk.digest)["result"] == "ok"


@pytest.mark.fault("G1", "G2", "G3", "G18")
@pytest.mark.parametrize("way", [*ways.UNCLEAN, *ways.CLEAN])
def test_only_a_disk_that_was_left_clean_is_accepted(
    way: ways.Way, disk: Made, tmp_path: Path
) -> None:
    file, image, place = tmp_path / "left.raw", tmp_path / "image.raw", tmp_path / "rw"
    place.mkdir()
    with mounted(disk.file) as content, loop(file, SIZE) as device, ExitStack() as later:
        run(["mkfs.ext4", "-q", "-O", FEATURES, device])
        run(["mount", "-o", "commit=1", device, place])
        later.callback(lambda: run(["umount", place]) if place.is_mount() else None)
        run(["cp", "-a", f"{content}/.", place])
        way(place, later)
        run(["cp", "--sparse=always", file, image])
    report = check(image, disk.digest)
    if way in ways.CLEAN:
        assert report["result"] == "ok", report["log"]
        return
    assert report["result"] == "fail"
    assert "was not unmounted cleanly: its superblock says needs_recovery" in report["message"]


def test_a_model_is_cut_into_shards(google: Google, small: str, file: Path, tmp_path: Path) -> None:
    files = model(shards=2, count=20)
    put(google, files)
    report = bake(google, small, tmp_path / "work", shards=5)
    assert (report["result"], report["facts"]["shards"]) == ("ok", 5), report["log"]
    before: Tensors = {}
    for name in (name for name in files if name.endswith(".safetensors")):
        (tmp_path / name).write_bytes(files[name])
        before |= unpacked(tmp_path / name)[0]
    with mounted(file) as place:
        shards = sorted((place / DIRECTORY).glob("*.safetensors"))
        after = {name: it for shard in shards for name, it in unpacked(shard)[0].items()}
        assert [shard.name for shard in shards] == [
            f"model-{number:05}-of-00005.safetensors" for number in range(1, 6)
        ]
    assert after == before
    assert check(file, report["digest"])["result"] == "ok"


@pytest.mark.fault("G11")
def test_names_of_all_kinds_arrive(google: Google, small: str, file: Path, tmp_path: Path) -> None:
    names = [
        "a file",
        "größe/模型.json",
        "/".join(["deep"] * 40),
        "-rf",
        "$(reboot)",
        "a;b",
        "n" * 255,
    ]
    files = {**model(), **{name: name.encode() for name in names}}
    put(google, files)
    report = bake(google, small, tmp_path / "work")
    assert report["result"] == "ok", report["log"]
    with mounted(file) as place:
        for name, content in files.items():
            assert (place / DIRECTORY / name).read_bytes() == content


@pytest.mark.fault("G11")
@pytest.mark.parametrize("name", ["line\nbreak", "../../up", "a//b", "back\\slash", "x/"])
def test_odd_names_are_refused(google: Google, small: str, tmp_path: Path, name: str) -> None:
    put(google, {**model(), name: b"x"})
    report = bake(google, small, tmp_path / "work")
    assert f"The path {name!r} is refused" in report["message"]


@pytest.mark.fault("G4")
def test_a_disk_that_is_too_small_is_told_with_the_size_to_ask_for(
    google: Google, file: Path, tmp_path: Path
) -> None:
    put(google, {**model(), "large.bin": noise(1, 40 << 20)})
    with loop(file, 128 << 20) as device:
        report = bake(google, device, tmp_path / "work")
    assert "do not fit a disk of 0.1 GiB: bake with --disk-size 1" in report["message"]
    assert not any("alt=media" in target for target in google.asked)


@pytest.mark.fault("G4")
def test_files_that_just_fit_do_fit(google: Google, file: Path, tmp_path: Path) -> None:
    """The room that is asked for is enough for everything that the filesystem takes."""
    put(google, {**model(), "large.bin": noise(1, 26 << 20)})
    with loop(file, 128 << 20) as device:
        report = bake(google, device, tmp_path / "work")
    assert report["result"] == "ok", report["log"]


@pytest.mark.fault("G4")
def test_many_small_files_have_inodes(google: Google, small: str, tmp_path: Path) -> None:
    put(google, {**model(), **{f"{n}/{n}": b"x" for n in range(600)}})
    report = bake(google, small, tmp_path / "work")
    assert (report["result"], report["facts"]["files"]) == ("ok", 605), report["log"]


@pytest.mark.fault("G6")
def test_a_disk_that_holds_something_is_not_formatted(
    google: Google, small: str, file: Path, tmp_path: Path
) -> None:
    with file.open("r+b") as opened:
        opened.seek(128 << 20)
        opened.write(b"mine")
    put(google, model())
    report = bake(google, small, tmp_path / "work")
    assert report["message"].startswith(f"{small} is not blank: byte {128 << 20} is not zero")
    assert google.asked == []


SECRET = "projects/demo-project/secrets/hf/versions/1"


@pytest.mark.parametrize("shards", [0, 3])
def test_a_gated_model_of_hugging_face_leaves_no_token_anywhere(
    google: Google, small: str, file: Path, tmp_path: Path, shards: int
) -> None:
    google.secrets[SECRET] = b"hf_verysecret"
    gated = hub.Hub(files=model(), cut=[1000])
    gated.token = "hf_verysecret"
    with hub.serving(gated) as one:
        report = bake(
            google,
            small,
            tmp_path / "work",
            source=f"hf://{hub.MODEL}",
            revision=hub.COMMIT,
            token_secret=SECRET,
            endpoints={"hf": one.endpoint, "secretmanager": google.url},
            **({"shards": shards} if shards else {}),
        )
    assert report["result"] == "ok", report["log"]
    assert report["facts"]["shards"] == (shards or 2)
    assert check(file, report["digest"])["result"] == "ok"
    assert b"verysecret" not in file.read_bytes()
    assert "verysecret" not in str(report)
    assert "ya29" not in str(report)


@pytest.mark.fault("G9")
@pytest.mark.parametrize("shards", [0, 3])
def test_shards_other_than_the_hub_tells_of_make_no_disk(
    google: Google, small: str, file: Path, tmp_path: Path, shards: int
) -> None:
    """Also where they are cut into others, whose sums the hub cannot know."""
    files = model()
    name = "model-00002-of-00002.safetensors"
    flipped = files[name][:-1] + bytes([files[name][-1] ^ 1])
    with hub.serving(hub.Hub(files=files, lies={name: flipped})) as one:
        more = {"shards": shards} if shards else {}
        report = bake(
            google,
            small,
            tmp_path / "work",
            source=f"hf://{hub.MODEL}",
            revision=hub.COMMIT,
            endpoints={"hf": one.endpoint},
            **more,
        )
    assert f"{name} is sha256:" in report["message"]
    assert "it was not baked to the end" in check(file)["message"]


def test_a_private_bucket_is_read_with_the_account_of_the_vm(
    google: Google, small: str, tmp_path: Path
) -> None:
    google.private = True
    put(google, model())
    report = bake(google, small, tmp_path / "work", auth="service-account")
    assert report["result"] == "ok", report["log"]
    assert "ya29" not in str(report)


@pytest.mark.fault("G10")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model-00002-of-00002.safetensors": None}, "names model-00002-of-00002.safetensors, whi"),
        (
            {"model-00002-of-00002.safetensors": b""},
            "00002.safetensors is empty: the upload failed",
        ),
        ({"model.safetensors.index.json": b"{}"}, "is not an index of shards"),
        (dict.fromkeys(model()), "no such bucket"),
        ({**dict.fromkeys(model()), "../other": b"x"}, "holds no file: name the folder of a model"),
    ],
    ids=str,
)
def test_a_source_that_is_no_model_is_refused_before_the_disk_is_touched(
    google: Google,
    small: str,
    file: Path,
    tmp_path: Path,
    change: dict[str, bytes | None],
    said: str,
) -> None:
    files = {**model(), **change}
    put(google, {name: content for name, content in files.items() if content is not None})
    if "../other" in change:
        google.objects = {"models/elsewhere": next(iter(google.objects.values()))}
    report = bake(google, small, tmp_path / "work")
    assert said in report["message"]
    assert not any("safetensors?alt" in target for target in google.asked)
    assert file.read_bytes().count(0) == SIZE


@pytest.mark.fault("G8")
def test_a_bucket_that_changed_since_the_plan_is_not_baked(
    google: Google, small: str, tmp_path: Path
) -> None:
    put(google, model())
    report = bake(google, small, tmp_path / "work", listing="0" * 64)
    assert "changed since the bake began" in report["message"]


@pytest.mark.fault("G10")
def test_a_model_that_cannot_be_cut_is_refused_before_it_is_downloaded(
    google: Google, small: str, tmp_path: Path
) -> None:
    put(google, {"pytorch_model.bin": b"x"})
    report = bake(google, small, tmp_path / "work", shards=4)
    assert "no *.safetensors at its top" in report["message"]
    assert not any("alt=media" in target for target in google.asked)
