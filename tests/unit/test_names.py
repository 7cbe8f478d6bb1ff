"""Names repeat, and stay inside what Kubernetes and Compute Engine allow."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylib import names

LABEL = re.compile(r"[a-z0-9_-]{0,63}")


def test_names_are_made_of_their_parts() -> None:
    assert names.cell_object("gemma", "a") == "gemma-a"
    assert names.weights_claim("gemma", "a", "3f2a9c01b7de") == "gemma-a-3f2a9c01b7de"
    assert names.weights_volume("ns", "gemma", "a", "3f2a9c01b7de") == "ns-gemma-a-3f2a9c01b7de"


def test_a_revision_is_the_first_12_digits_of_its_manifests_sha256() -> None:
    assert names.revision_of("308c477e9c541a4df316" + "0" * 44) == "308c477e9c54"


@pytest.mark.parametrize(
    ("directory", "name", "path"),
    [
        ("gemma", "gemma-7b", "/model-data/gemma/gemma-7b"),
        ("a/b/c", "m", "/model-data/a/b/c/m"),
        ("", "gemma-7b", "/model-data/gemma-7b"),
        ("gemma", "", "/model-data/gemma"),
        ("", "", "/model-data"),
    ],
)
def test_a_model_lies_below_the_mount(directory: str, name: str, path: str) -> None:
    assert names.model_path(directory, name) == path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("v0.33.0", "v0-33-0"),
        ("docker.io/vllm/vllm-openai:v0.33.0", "docker-io-vllm-vllm-openai-v0-33-0"),
        ("Gemma_7B", "gemma_7b"),
        ("é\n'", "---"),
        ("x" * 64, "x" * 63),
        ("", ""),
    ],
)
def test_a_label_value_is_what_compute_engine_takes(text: str, value: str) -> None:
    assert names.label_value(text) == value


@given(st.text(max_size=100))
def test_every_text_gives_a_label_value_and_a_label_value_gives_itself(text: str) -> None:
    value = names.label_value(text)
    assert LABEL.fullmatch(value)
    assert names.label_value(value) == value


def test_a_weights_disk_has_a_name_of_its_own_however_long_its_parts_are() -> None:
    assert names.weights_disk("gemma", "a", "3f2a9c01b7de") == "gemma-a-3f2a9c01b7de"
    long = names.weights_disk("r" * 53, "us-central1-a", "3f2a9c01b7de")
    other = names.weights_disk("r" * 53, "us-central1-b", "3f2a9c01b7de")
    assert re.fullmatch(r"r{41}-[0-9a-f]{8}-3f2a9c01b7de", long)
    assert len(long) <= 63
    assert long != other


def test_limits_are_those_of_kubernetes_and_helm() -> None:
    assert (names.MAX_NAME, names.MAX_RELEASE, names.REVISION_DIGITS) == (63, 53, 12)
    assert names.MODEL_ROOT == "/model-data"
