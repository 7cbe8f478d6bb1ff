"""Safetensors cut into another number of files: nothing lost, nothing moved out of its place."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from download.common import RemoteFile
from hypothesis import given
from hypothesis import strategies as st

from pylib.guest.payload import reshard as module
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.reshard import INDEX, cut, reshard
from pylib.guest.payload.safetensors import Tensor
from tests.guest.models import Tensors, model, packed, place, tensors, unpacked


def files_of(folder: Path) -> list[RemoteFile]:
    """What lies in the folder, as a source would have listed it."""
    return [
        RemoteFile(path.relative_to(folder).as_posix(), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def all_tensors(folder: Path) -> Tensors:
    """Of every safetensors file at the top."""
    found: Tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= unpacked(file)[0]
    return found


def index_of(folder: Path) -> Any:
    """The index of shards."""
    return json.loads((folder / INDEX).read_text())


@pytest.mark.parametrize("count", [1, 2, 3, 8, 18])
def test_every_tensor_keeps_bytes_dtype_and_shape(tmp_path: Path, count: int) -> None:
    place(model(shards=3, count=6), tmp_path)
    before = all_tensors(tmp_path)
    made = reshard(files_of(tmp_path), tmp_path, count, lambda _: None)
    names = [f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == names
    assert all_tensors(tmp_path) == before
    index = index_of(tmp_path)
    assert index["metadata"] == {
        "license": "x",
        "total_size": sum(len(t[2]) for t in before.values()),
    }
    for name in names:
        held, metadata = unpacked(tmp_path / name)
        assert metadata == {"format": "pt"}
        assert {tensor for tensor, file in index["weight_map"].items() if file == name} == set(held)
    assert {file.path for file in made} == {"config.json", "sub/notes é.txt", INDEX, *names}


def test_the_digests_are_those_of_the_files(tmp_path: Path) -> None:
    place(model(), tmp_path)
    for file in reshard(files_of(tmp_path), tmp_path, 3, lambda _: None):
        content = (tmp_path / file.path).read_bytes()
        assert file.size == len(content)
        if "safetensors" in file.path:
            assert file.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_the_disk_never_holds_much_more_than_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(model(shards=2, count=40), tmp_path)
    total = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    held = []
    original = module._cut_off

    def look(*words: Any) -> None:
        held.append(sum(path.stat().st_size for path in tmp_path.glob("*.safetensors*")))
        original(*words)

    monkeypatch.setattr(module, "_cut_off", look)
    reshard(files_of(tmp_path), tmp_path, 8, lambda _: None)
    assert len(held) == 8
    assert max(held) < total * 1.25


def test_one_file_without_an_index_gets_one(tmp_path: Path) -> None:
    held = tensors(1, 5)
    place({"model.safetensors": packed(held, {"format": "pt"})}, tmp_path)
    reshard(files_of(tmp_path), tmp_path, 2, lambda _: None)
    assert all_tensors(tmp_path) == held
    assert set(index_of(tmp_path)["weight_map"]) == set(held)


def test_files_that_the_index_does_not_name_are_left_alone(tmp_path: Path) -> None:
    files = model()
    files["consolidated.safetensors"] = packed(tensors(9, 3, prefix="other"))
    place(files, tmp_path)
    reshard(files_of(tmp_path), tmp_path, 3, lambda _: None)
    assert (tmp_path / "consolidated.safetensors").read_bytes() == files["consolidated.safetensors"]


def test_the_shards_are_about_equal(tmp_path: Path) -> None:
    held: Tensors = {f"t{number}": ("U8", [1000], bytes(1000)) for number in range(40)}
    place({"model.safetensors": packed(held)}, tmp_path)
    reshard(files_of(tmp_path), tmp_path, 8, lambda _: None)
    sizes = {len(unpacked(file)[0]) for file in tmp_path.glob("*.safetensors")}
    assert sizes == {5}


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=30), st.data())
def test_every_shard_gets_a_tensor_and_every_tensor_a_shard(sizes: list[int], data: Any) -> None:
    count = data.draw(st.integers(1, len(sizes)))
    held = [Tensor(str(n), "U8", (size,), Path("f"), 0, size) for n, size in enumerate(sizes)]
    groups = cut(held, count)
    assert len(groups) == count
    assert all(groups)
    assert [tensor for group in groups for tensor in group] == held
    assert max(sum(it.size for it in group) for group in groups) <= (
        sum(sizes) / count + 2 * max(sizes)
    )


@pytest.mark.parametrize(
    ("files", "count", "said"),
    [
        ({"pytorch_model.bin": b"x"}, 2, "no *.safetensors at its top"),
        ({"sub/model.safetensors": packed(tensors(1, 2))}, 2, "no *.safetensors at its top"),
        ({"model.safetensors": packed(tensors(1, 2))}, 3, "2 tensors, which cannot be cut into 3"),
        (
            {"a.safetensors": packed(tensors(1, 2)), "b.safetensors": packed(tensors(2, 2))},
            2,
            "a.safetensors and b.safetensors both hold layer.",
        ),
        ({"model.safetensors": b"\xff" * 20}, 1, "model.safetensors is no safetensors file: "),
        ({"model.safetensors": b"\x02" + bytes(7) + b"[]"}, 1, "is no safetensors file: "),
        ({"model.safetensors": packed(tensors(1, 2))[:-1]}, 1, "and its header tells of"),
        ({"model.safetensors": packed(tensors(1, 2)) + b"x"}, 1, "and its header tells of"),
        (
            {
                "model.safetensors": packed(tensors(1, 2)),
                INDEX: b'{"weight_map": {"gone": "model.safetensors"}}',
            },
            1,
            "says that model.safetensors holds gone, which it does not",
        ),
        (
            {
                "model.safetensors": packed(tensors(1, 2)),
                INDEX: b'{"weight_map": {"a": "../other.safetensors"}}',
            },
            1,
            "names ../other.safetensors, which is no file of the model",
        ),
    ],
)
def test_what_cannot_be_cut_is_refused_before_anything_changes(
    tmp_path: Path, files: dict[str, bytes], count: int, said: str
) -> None:
    place(files, tmp_path)
    with pytest.raises(GuestError) as caught:
        reshard(files_of(tmp_path), tmp_path, count, lambda _: None)
    assert said in str(caught.value)
    for name, content in files.items():
        assert (tmp_path / name).read_bytes() == content


def test_a_gap_between_tensors_is_refused(tmp_path: Path) -> None:
    content = packed({"a": ("U8", [4], b"1234")}).replace(b"[0, 4]", b"[1, 5]") + b"x"
    place({"model.safetensors": content}, tmp_path)
    with pytest.raises(GuestError, match="is no safetensors file: ValueError"):
        reshard(files_of(tmp_path), tmp_path, 1, lambda _: None)


def test_a_file_that_shrinks_under_way_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(model(), tmp_path)
    original = module._write

    def shrink(*words: Any) -> RemoteFile:
        with (tmp_path / "model-00002-of-00002.safetensors").open("r+b") as file:
            file.truncate(2000)
        return original(*words)

    monkeypatch.setattr(module, "_write", shrink)
    with pytest.raises(OSError, match="before its last tensor"):
        reshard(files_of(tmp_path), tmp_path, 2, lambda _: None)
