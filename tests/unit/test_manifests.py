"""A manifest answers for fields that are there, and stays calm about those that are not."""

from __future__ import annotations

from typing import Any

import pytest

from pylib.manifests import Manifest, of_kind

POD = Manifest(
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"containers": [{"name": "a"}, {"name": "b", "image": None}]},
    },
    "pod.yaml",
    3,
    {("spec",): 7, ("spec", "containers"): 8, ("spec", "containers", 0): 9},
)


def test_a_manifest_names_itself() -> None:
    assert (POD.kind, POD.api_version, POD.group) == ("Pod", "v1", "")
    assert (POD.name, POD.namespace, POD.ref) == ("p", "n", "Pod/n/p")


@pytest.mark.parametrize(
    ("body", "ref", "group"),
    [
        ({"apiVersion": "apps/v1", "kind": "Deployment"}, "Deployment", "apps"),
        ({"kind": "Node", "metadata": {"name": "x"}}, "Node/x", ""),
        ({"kind": "Job", "metadata": {"generateName": "x-"}}, "Job/x-*", ""),
        ({"kind": "Job", "metadata": {"name": "", "generateName": ""}}, "Job", ""),
        ({"kind": None, "apiVersion": None, "metadata": None}, "", ""),
        ({"kind": "List", "metadata": ["name"]}, "List", ""),
        ({"kind": 5, "apiVersion": 6, "metadata": {"name": 7, "namespace": 8}}, "5/8/7", ""),
        ({}, "", ""),
    ],
)
def test_absent_and_malformed_parts_are_left_out(
    body: dict[str, Any], ref: str, group: str
) -> None:
    found = Manifest(body)
    assert (found.ref, found.group) == (ref, group)
    assert (found.file, found.line) == ("-", 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metadata", "name"), "p"),
        (("spec", "containers", 1, "name"), "b"),
        (("spec", "containers", -1, "name"), "b"),
        (("spec", "containers", 2), "none"),
        (("spec", "containers", -3), "none"),
        (("spec", "containers", 1, "image"), "none"),
        (("spec", "containers", "name"), "none"),
        (("spec", 0), "none"),
        (("spec", "absent", "deeper"), "none"),
        (("kind", "deeper"), "none"),
    ],
)
def test_get_walks_keys_and_indices_or_gives_the_default(
    path: tuple[str | int, ...], value: object
) -> None:
    assert POD.get(*path, default="none") == value


def test_get_of_no_path_is_the_object_and_the_default_is_none() -> None:
    assert POD.get() == POD.body
    assert POD.get("absent") is None


def test_the_line_of_a_field_is_that_of_its_nearest_parent_in_the_file() -> None:
    assert POD.line_of("spec", "containers", 0) == 9
    assert POD.line_of("spec", "containers", 0, "name") == 9
    assert POD.line_of("spec", "containers", 1, "name") == 8
    assert POD.line_of("spec", "volumes") == 7
    assert POD.line_of("metadata", "name") == 3
    assert POD.line_of() == 3


def test_kinds_are_picked_in_order() -> None:
    job, node = Manifest({"kind": "Job"}), Manifest({"kind": "Node"})
    assert of_kind([node, POD, job], "Pod", "Node") == (node, POD)
    assert of_kind([node, POD, job]) == ()


def test_manifests_are_equal_whatever_their_lines() -> None:
    assert Manifest({"kind": "Job"}, lines={(): 1}) == Manifest({"kind": "Job"}, lines={(): 2})
    assert Manifest({"kind": "Job"}, "a") != Manifest({"kind": "Job"}, "b")
