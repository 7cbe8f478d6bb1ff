"""Each bad config is refused with all its problems at once, by exact message."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylib.config.parse import load_config, parse_config
from pylib.errors import ConfigError
from pylib.files import MAX_BYTES
from tests.unit.bad_configs.tables import BASE, Edits, edited, message, rows

TABLES = ("types", "names", "clashes", "yaml")


def test_the_base_of_all_tables_is_a_good_config() -> None:
    assert parse_config(BASE).release.name == "gemma"


def test_the_tables_hold_more_than_sixty_bad_inputs() -> None:
    assert len(rows(*TABLES)) > 60


@pytest.mark.fault("I1", "I2", "I3", "I4", "I5", "I6", "I7")
@pytest.mark.parametrize(("edits", "says"), rows(*TABLES))
def test_a_bad_config_is_refused(edits: Edits, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(edited(BASE, edits))
    assert str(caught.value) == message("config.yaml", says)
    assert caught.value.file == "config.yaml"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            "- version: 1\n", "config.yaml:1: holds a list where a map belongs", id="list"
        ),
        pytest.param("\n\ntext\n", "config.yaml:3: holds 'text' where a map belongs", id="text"),
        pytest.param("42", "config.yaml:1: holds 42 where a map belongs", id="number"),
    ],
)
def test_a_file_that_is_no_map_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert str(caught.value) == message("config.yaml", f"{says}\n    Write key: value lines.")


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "---\n", "null\n", "{}", "---\n...\n---\n"]
)
def test_a_file_without_content_lacks_every_required_field(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert str(caught.value) == message(
        "config.yaml",
        "config.yaml: version: is required\n"
        "    Add version: … (Version of this file's format.)\n"
        "config.yaml: project: is required\n"
        "    Add project: … (Project of cluster and disks.)\n"
        "config.yaml: region: is required\n"
        "    Add region: … (Region of the cluster.)\n"
        "config.yaml: cluster: is required\n"
        "    Add cluster: … (GKE cluster.)\n"
        "config.yaml: release: is required\n"
        "    Add release: … (Helm release.)\n"
        "config.yaml: model: is required\n"
        "    Add model: … (Model.)",
    )


UTF8 = "Save the file as UTF-8."


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(
            b"project: caf\xe9\n", f"is not UTF-8 text (byte 12)\n    {UTF8}", id="latin-1"
        ),
        pytest.param(
            BASE.encode("utf-16"), f"is not UTF-8 text (byte 0)\n    {UTF8}", id="UTF-16 with a BOM"
        ),
        pytest.param(
            BASE.encode("utf-16-be"),
            "not valid YAML: unacceptable character #x0000: control characters are not allowed\n"
            "    Save the file as plain UTF-8 YAML.",
            id="UTF-16 without a BOM",
        ),
        pytest.param(
            b"#" * (MAX_BYTES + 1),
            "is 1000001 bytes long; more than 1000000 are not read\n"
            "    Name a config, lock or values file.",
            id="too large",
        ),
    ],
)
def test_bytes_that_are_no_config_are_refused(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == message(str(path), f"{path}: {says}")


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path: Path) -> None:
    fix = "    Name an existing file; python -m pylib init writes a config to start from."
    absent = tmp_path / "none.yaml"
    for path, why in ((absent, "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert str(caught.value) == message(str(path), f"{path}: cannot be read: {why}\n{fix}")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xef\xbb\xbf" + BASE.encode(), id="byte order mark"),
        pytest.param(BASE.replace("\n", "\r\n").encode(), id="Windows line ends"),
        pytest.param(b"#" * (MAX_BYTES - len(BASE) - 1) + b"\n" + BASE.encode(), id="largest"),
    ],
)
def test_other_spellings_of_a_good_file_read_the_same(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(data)
    assert load_config(path) == parse_config(BASE)


def test_messages_name_the_file_as_the_caller_does() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config("version: 2", "team/a.yaml")
    assert str(caught.value).splitlines()[0] == "team/a.yaml: 6 problems"
    assert "team/a.yaml:1: version: 2 is not 1" in str(caught.value).splitlines()
