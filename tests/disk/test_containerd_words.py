"""What containerd's client says of images, and which layers it refuses, held against ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylib.errors import ToolFailedError
from tests.disk.daemon import Daemon
from tests.disk.guest import do, job, mounted
from tests.disk.hurtful import (
    Make,
    compressions,
    docker_schema,
    link_to_below,
    oci_index,
    whiteouts,
)
from tests.disk.registry import Registry

COLUMNS = ["REF", "TYPE", "DIGEST", "SIZE", "PLATFORMS", "LABELS"]
MANAGED = "io.cri-containerd.image=managed"


def _rows(text: str) -> dict[str, list[str]]:
    """Cells of each row by its first one; a size is two words."""
    lines = text.splitlines()
    assert lines[0].split() == COLUMNS
    assert all(len(line) == len(lines[0]) and line.endswith(" ") for line in lines if line)
    ends = [lines[0].index(name) for name in COLUMNS[1:]] + [None]
    starts = [0, *ends]
    rows = [
        [line[start:end].strip() for start, end in zip(starts, ends, strict=False)]
        for line in lines
        if line
    ]
    return {row[0]: row[1:] for row in rows}


def test_images_metadata_is_what_ctr_prints(
    judge: Daemon, registry: Registry, device: str, file: Path, tmp_path: Path
) -> None:
    """Of images from a list, from an index with an attestation, and of one platform alone.

    By nature a node's list has more: the CRI plugin, which ``ctr`` alone does not run, labels each
    image and adds a row for it, named by the digest of its config.
    """
    kinds: list[Make] = [whiteouts, docker_schema, oci_index, compressions]
    images = [registry.push(f"{it.__name__.replace('_', '-')}:v1", it(tmp_path)) for it in kinds]
    for reference in images:
        judge.pull(reference)

    report = do(job(device, *images), tmp_path / "work")

    assert report["result"] == "ok", report["log"]
    with mounted(file) as disk:
        text = (disk / "images.metadata").read_text(encoding="utf-8")
    theirs, ours = _rows(judge.listed()), _rows(text)
    for reference in images:
        assert ours[reference][:-1] == theirs[reference][:-1]
        assert (ours[reference][-1], theirs[reference][-1]) == (MANAGED, "-")
    more = {name: row for name, row in ours.items() if name not in {"REF", *images}}
    assert sorted(more.values()) == sorted(ours[reference] for reference in images)
    assert all(name.startswith("sha256:") for name in more)


@pytest.mark.fault("G11")
def test_a_hard_link_to_a_lower_layer_is_refused_by_both(
    judge: Daemon, registry: Registry, device: str, tmp_path: Path
) -> None:
    reference = registry.push("link-to-below:v1", link_to_below(tmp_path))
    with pytest.raises(ToolFailedError, match=r"link .*/fs/a/f .*/fs/b/g: no such file or dir"):
        judge.pull(reference)

    report = do(job(device, reference), tmp_path / "work")

    assert (report["result"], report["digest"]) == ("fail", "")
    said = (
        "is a hard link to b'a/f', which is not in the same layer: containerd refuses such a layer"
    )
    assert said in report["message"]
