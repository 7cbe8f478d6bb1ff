"""Every fault that a bake and ``up`` must survive has a test, by ``pytest.mark.fault``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TIERS = ("cloud", "disk", "guest", "unit", "cluster")

FAULTS = {
    "B1": "a connection is dropped before the request is served",
    "B2": "a connection is dropped after a change took effect",
    "B3": "too many calls, with and without Retry-After",
    "B4": "the service is down, or a page for people comes instead of JSON",
    "B5": "a call hangs for ever",
    "B6": "an operation is done, with an error, while HTTP says 200",
    "B7": "an operation never ends; its image appears later",
    "B8": "an operation cannot be asked about",
    "B9": "quota, at once or in the operation",
    "B10": "a zone has nothing to give, or all zones have not",
    "B11": "our own earlier try took the name",
    "B12": "somebody else's resource has the name",
    "B13": "two bakes at once",
    "B14": "signals, once and twice, in each phase",
    "B15": "killed at any point",
    "B16": "a journal that is torn, old or on a full disk",
    "B17": "resumed after the service forgot the request",
    "B18": "credentials end, or are revoked before the cleanup",
    "B19": "a permission is missing for the cleanup only",
    "B20": "the VM is preempted, or its host fails",
    "B21": "the VM is deleted around the moment of imaging",
    "B22": "a disk is in use, or attached elsewhere",
    "B23": "an image of the name is there",
    "B24": "the VM runs when its disk is to be imaged",
    "B25": "the disk may not be imaged yet",
    "B26": "pages, and zones out of reach",
    "B27": "collecting leftovers beside a live run, by another's clock",
    "B28": "labels change under way",
    "B29": "organization policies",
    "B30": "a subnetwork without a way out",
    "B31": "DNS, proxies, foreign certificates, other endpoints",
    "B32": "a node pool without nodes, or a cluster that is busy",
    "B33": "an IAM policy changes under way",
    "B34": "the service shows its state late",
    "C13": "a node pool that is pinned to an old image",
    "C14": "more nodes than may read one disk",
    "G1": "a disk that cannot be unmounted",
    "G2": "a script that is killed before it unmounts",
    "G3": "data that is in the page cache only",
    "G4": "a disk without room for data, metadata or inodes",
    "G5": "a disk that is missing, late, named otherwise or partitioned",
    "G6": "a disk that holds something, or is the wrong one",
    "G7": "a filesystem with features that a node does not know",
    "G8": "a pull that fails or breaks off, a tag that moved, a token that ends",
    "G9": "other bytes of the same number",
    "G10": "files that are empty or missing",
    "G11": "odd names, links out of the tree, hard links, large files",
    "G12": "a list of contents that is missing, empty or double",
    "G13": "words of success in names and logs",
    "G14": "a console that overflows, loses bytes or splits characters",
    "G15": "guest attributes that are off, not there, or of an earlier boot",
    "G16": "a script that exits, hangs or runs again; a clock that jumps",
    "G17": "no packages to install",
    "G18": "an unclean image that mounts all the same",
    "G19": "a disk that is larger or smaller than its image; two tebibytes",
    "I1": "names and labels that are none",
    "I2": "sizes that are none",
    "I3": "unknown, repeated and contradicting settings",
    "I4": "shell metacharacters",
    "I5": "model paths that lead elsewhere",
    "I6": "sources that are confused, or need a token",
    "I7": "a region in place of a zone",
    "I8": "images given twice, none, or two hundred",
    "I9": "secrets in values",
    "I10": "the wrong cluster",
}
"""Id, and what goes wrong."""


def _marked(file: Path) -> Iterator[str]:
    """Ids of the fault marks in a file."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
            yield from (str(ast.literal_eval(word)) for word in node.args)


@cache
def _all_marked() -> frozenset[str]:
    tests = Path(__file__).parents[1]
    files = [file for tier in TIERS for file in (tests / tier).rglob("test_*.py")]
    return frozenset(name for file in files for name in _marked(file))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_list_has_a_test(fault: str) -> None:
    assert fault in _all_marked(), FAULTS[fault]


def test_no_test_names_a_fault_that_is_not_on_the_list() -> None:
    assert _all_marked() <= set(FAULTS)
