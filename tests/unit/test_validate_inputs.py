"""Reading manifests from files, folders and standard input."""

import gc
import io
from pathlib import Path

import pytest

from pylib.errors import ManifestError
from pylib.manifests import Manifest
from pylib.validate import inputs
from pylib.validate.inputs import read_inputs

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def read(*paths: Path | str, stdin: str | bytes = "") -> tuple[Manifest, ...]:
    raw = stdin.encode() if isinstance(stdin, str) else stdin
    return read_inputs(paths, io.TextIOWrapper(io.BytesIO(raw)))


def refused(*paths: Path | str, stdin: str | bytes = "") -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read(*paths, stdin=stdin)
    return str(caught.value).splitlines()


def names(manifests: tuple[Manifest, ...]) -> list[str]:
    return [manifest.name for manifest in manifests]


def test_file_of_several_documents(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", MAP % "a" + "---\n" + MAP % "b" + "---\n# nothing\n")
    first, second = read(file)
    assert (first.name, first.file, first.line) == ("a", str(file), 1)
    assert (second.name, second.file, second.line) == ("b", str(file), 5)
    assert second.line_of("metadata", "name") == 7


def test_standard_input() -> None:
    (manifest,) = read("-", stdin=MAP % "a")
    assert (manifest.name, manifest.file) == ("a", "-")


def test_standard_input_without_bytes_beneath() -> None:
    assert names(read_inputs(["-"], io.StringIO(MAP % "ü"))) == ["ü"]


def test_folder_is_read_by_name_and_depth_first(tmp_path: Path) -> None:
    for name in ("b.yaml", "a/z.yml", "a/x.JSON", "c.yaml"):
        write(tmp_path / name, MAP % Path(name).stem)
    assert names(read(tmp_path)) == ["x", "z", "b", "c"]


@pytest.mark.parametrize(
    "name",
    [".hidden.yaml", ".git/x.yaml", "notes.txt", "x.yaml.bak", "kustomization.yaml", "x"],
)
def test_other_files_in_a_folder_are_left_alone(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.yaml", MAP % "a")
    write(tmp_path / name, "not: [an object")
    assert names(read(tmp_path)) == ["a"]


def test_file_given_by_name_is_read_whatever_its_name(tmp_path: Path) -> None:
    assert names(read(write(tmp_path / ".x.txt", MAP % "a"))) == ["a"]


def test_folder_that_leads_back_to_itself_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", MAP % "a")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.yaml").symlink_to(tmp_path / "a.yaml")
    assert names(read(tmp_path)) == ["a", "a"]


def test_paths_keep_the_order_in_which_they_are_given(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.yaml", MAP % name) for name in "cab"]
    assert names(read(*files, "-", stdin=MAP % "last")) == ["c", "a", "b", "last"]


def test_json_with_what_yaml_reads_otherwise(tmp_path: Path) -> None:
    text = (
        '{\n\t"apiVersion": "v1",\n\t"kind": "ConfigMap",\n\t"metadata": {"name": "a"},\n'
        '\t"data": {"x": "\\ud83d\\ude80 \\/"}\n}\n'
    )
    (manifest,) = read(write(tmp_path / "a.json", text))
    assert manifest.get("data", "x") == "🚀 /"
    assert manifest.line_of("data", "x") == 5


def test_text_in_yaml_that_looks_like_escapes_is_left_alone() -> None:
    (manifest,) = read("-", stdin=MAP % "a" + "data: {x: '\\ud83d\\ude80'}\n")
    assert manifest.get("data", "x") == "\\ud83d\\ude80"


def test_byte_order_mark_is_no_part_of_the_text() -> None:
    assert names(read("-", stdin=b"\xef\xbb\xbf" + (MAP % "a").encode())) == ["a"]


def test_items_of_a_list_keep_their_lines(tmp_path: Path) -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n"
        "  - apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: a}\n"
        "  - apiVersion: v1\n    kind: List\n    items:\n"
        "      - apiVersion: v1\n        kind: ConfigMap\n        metadata:\n          name: b\n"
    )
    first, second = read(write(tmp_path / "a.yaml", text))
    assert (first.name, first.line, first.line_of("metadata", "name")) == ("a", 4, 6)
    assert (second.name, second.line, second.line_of("metadata", "name")) == ("b", 10, 13)
    assert second.line_of("data") == 10


def test_typed_list_is_taken_apart_and_other_kinds_with_items_are_not() -> None:
    text = f"apiVersion: v1\nkind: ConfigMapList\nitems: [{{{(MAP % 'a').strip()}}}]\n".replace(
        "\nkind: ConfigMap\nmetadata", ", kind: ConfigMap, metadata"
    )
    assert names(read("-", stdin=text)) == ["a"]
    assert names(read("-", stdin=MAP % "b" + "items: [1]\n")) == ["b"]


def test_empty_list_holds_no_object() -> None:
    assert refused("-", stdin="apiVersion: v1\nkind: List\nitems: []\n")[1] == (
        "-: there is no object in it"
    )


def test_every_problem_of_every_file_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "kind: A\n---\nkind: [B]\napiVersion: v1\n")
    write(tmp_path / "b.yaml", "a: b: c\n")
    write(tmp_path / "c.yaml", MAP % "c")
    assert refused(tmp_path, tmp_path / "nowhere.yaml") == [
        "4 problems",
        f"{tmp_path}/a.yaml:1: no Kubernetes object: apiVersion is missing",
        "    Write apiVersion, or leave the file out.",
        f"{tmp_path}/a.yaml:3: kind: a list is not text",
        "    Write text, such as v1 or ConfigMap.",
        f"{tmp_path}/b.yaml:1: not valid YAML: mapping values are not allowed in this context",
        "    Mend the YAML at this line; a tab, a lost quote or a wrong indent is usual.",
        f"{tmp_path}/nowhere.yaml: cannot be read: No such file or directory",
        "    Check the path and its permissions.",
    ]


def test_bytes_that_are_no_text_are_named_by_line() -> None:
    assert refused("-", stdin=b"a: b\nc: \xff\n") == [
        "1 problem",
        "-:2: byte 9 is not UTF-8",
        "    Save the file as UTF-8.",
    ]


@pytest.mark.parametrize("text", ["", "\n", "# only\n", "---\n---\n", "null\n"])
def test_file_without_an_object_is_refused(tmp_path: Path, text: str) -> None:
    file = write(tmp_path / "a.yaml", text)
    assert refused(file) == [
        "1 problem",
        f"{file}: there is no object in it",
        "    Name a file or folder that holds Kubernetes objects.",
    ]


def test_folder_without_an_object_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path)[1] == f"{tmp_path}: there is no object in it"


def test_empty_file_among_others_in_a_folder_is_in_order(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "# switched off\n")
    write(tmp_path / "b.yaml", MAP % "b")
    assert names(read(tmp_path)) == ["b"]


def test_huge_file_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MAX_BYTES", 10)
    file = write(tmp_path / "a.yaml", MAP % "a")
    assert refused(file) == [
        "1 problem",
        f"{file}: the file has 51 bytes, more than 10",
        "    Split it, or name other files.",
    ]


def test_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    assert refused(tmp_path)[1] == f"{tmp_path}: cannot be read: Permission denied"


@pytest.mark.parametrize(
    "metadata", ["", "metadata: {}", "metadata: []", "metadata: {name: ''}", "metadata: a"]
)
def test_object_without_a_name_is_refused(metadata: str) -> None:
    lines = refused("-", stdin=f"apiVersion: v1\nkind: Pod\n{metadata}\n")
    line = 3 if metadata else 1
    assert lines[1] == f"-:{line}: metadata.name: the Pod has no name"


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_left_as_it_was(enabled: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        refused("-")
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()
