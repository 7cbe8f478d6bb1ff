"""What vLLM itself says of the command lines in manifests; scripts/check-vllm-args runs it.

python -m scripts.check_vllm_args [FILE OR FOLDER…]      exit 1 when vLLM refuses one
python -m scripts.check_vllm_args --write VERSION…       adds releases to the table of facts
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylib.errors import VfsError
from pylib.facts.vllm_flags import TABLE
from pylib.validate.inputs import read_inputs
from pylib.validate.rules.objects import Container, Objects
from pylib.validate.rules.vllm_pods import arguments, servers, version_of
from pylib.validate.vllm_args import ServingContext, check_args
from scripts.vllm_table import Release, read_table, write_table

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "vllm-args"
PYTHON = ROOT / ".venv-vllm-args" / "bin" / "python"
ENVIRONMENT = re.compile(r"""["'](VLLM_[A-Z0-9_]+)["']""")
LOAD_FORMATS = re.compile(r"^LoadFormats = Literal\[(.*?)\]", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """One server in a manifest: where it stands and what it is started with."""

    where: str
    version: str
    arguments: tuple[str, ...]


def cases(paths: Sequence[Path]) -> tuple[Case, ...]:
    """Every vLLM server in these manifests."""
    objects = Objects(read_inputs(paths, sys.stdin))
    return tuple(_case(container, objects) for container in servers(objects))


def _case(container: Container, objects: Objects) -> Case:
    owner = container.pod.owner
    return Case(
        where=f"{owner.file}:{owner.line}: {owner.ref}",
        version=version_of(container, objects),
        arguments=tuple(word.text for word in arguments(container)),
    )


def source_of(version: str) -> Path:
    """Folder with the Python files of that release's wheel, fetched at the first call."""
    folder = CACHE / version
    if not folder.exists():
        print(f"==> fetching vLLM {version}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=_made(CACHE)) as temporary:
            _unpack(_download(version, Path(temporary)), Path(temporary) / "unpacked")
            (Path(temporary) / "unpacked").rename(folder)
    return folder


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _download(version: str, folder: Path) -> Path:
    wanted = ["--no-deps", "--only-binary=:all:", "--dest", str(folder), f"vllm=={version}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--no-cache-dir", *wanted], check=True)
    return next(folder.glob("vllm-*.whl"))


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("vllm/")]
        archive.extractall(folder, [name for name in names if name.endswith(".py")])


def ask(version: str, mode: str, question: object = None) -> Any:
    """The answer of that release's own code."""
    command = [str(PYTHON), "-m", "scripts.vllm_parser", str(source_of(version)), version, mode]
    asked = subprocess.run(
        command, input=json.dumps(question), capture_output=True, text=True, check=False, cwd=ROOT
    )
    if asked.returncode:
        raise SystemExit(f"error: vLLM {version} cannot be asked:\n{asked.stderr[-2000:]}")
    return json.loads(asked.stdout)


def check(paths: Sequence[Path]) -> int:
    """Print a line for each command line; the number of those that vLLM refuses.

    One that vLLM accepts and our own rules call an error counts too: then the rules are wrong.
    """
    by_version: dict[str, list[Case]] = defaultdict(list)
    for case in cases(paths):
        by_version[case.version].append(case)
    failed = 0
    for version, of_version in by_version.items():
        if not version:
            print(*(f"unknown version  {case.where}" for case in of_version), sep="\n")
            continue
        lists = [case.arguments for case in of_version]
        for case, said in zip(of_version, ask(version, "parse", lists), strict=True):
            failed += _judge(case, said)
    return failed


def _judge(case: Case, said: str | None) -> bool:
    """Print what vLLM says, and where our rules differ; whether either failed."""
    print(f"{'accepted' if said is None else 'refused'} by vLLM {case.version}  {case.where}")
    if said is not None:
        print(f"    {said}")
        return True
    nothing = ServingContext(None, None, None, None)
    ours = [p for p in check_args(case.arguments, {}, case.version, nothing) if p.index is not None]
    errors = [p for p in ours if p.severity == "error"]
    for problem in errors:
        print(f"    but pylib.validate says: {problem.message}")
    return bool(errors)


def release_of(version: str) -> Release:
    """All that the table keeps of one release."""
    package = source_of(version) / "vllm"
    flags = ask(version, "table")
    loaders = package / "model_executor" / "model_loader" / "__init__.py"
    listed = LOAD_FORMATS.search(loaders.read_text(encoding="utf-8")) if loaders.exists() else None
    if listed:  # the parser takes any name since loaders can be plugged in
        flags["--load-format"]["choices"] = re.findall(r'"(\w+)"', listed[1])
    return Release(version=version, flags=flags, environment=_environment(package.rglob("*.py")))


def _environment(files: Iterable[Path]) -> frozenset[str]:
    texts = (file.read_text(encoding="utf-8") for file in files)
    return frozenset(name for text in texts for name in ENVIRONMENT.findall(text))


def main() -> int:
    """Read the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="check-vllm-args")
    parser.add_argument("paths", nargs="*", help="manifests, or with --write versions of vLLM")
    parser.add_argument("--write", action="store_true", help="add releases to the table of facts")
    args = parser.parse_args()
    if args.write:
        table = read_table(TABLE) | {version: release_of(version) for version in args.paths}
        write_table(TABLE, table)
        return 0
    paths = [Path(path) for path in args.paths] or sorted(Path("values").glob("*/manifests.yaml"))
    print("vLLM's own command line and loaders, with stand-ins for torch and what else they import")
    return 1 if check(paths) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VfsError as error:
        sys.exit(f"error: {error}")
