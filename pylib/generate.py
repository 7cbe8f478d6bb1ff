"""Everything that is generated and committed: ``python -m pylib.generate [--check]``.

Schemas of config and lock, and for each folder in ``values/`` its values and manifests.  The
chart's own schema and table come from :mod:`pylib.chartdoc`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pylib.config.model import Config
from pylib.errors import EXIT_FINDINGS, EXIT_OK, VfsError
from pylib.lock import Lock
from pylib.release import release_of_config
from pylib.render import render_all

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Write every generated file, or with ``--check`` name those that are stale."""
    parser = argparse.ArgumentParser(prog="python -m pylib.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    args = parser.parse_args(argv)
    try:
        stale = [
            path for path, text in generated(ROOT) if not _settle(path, text, check=args.check)
        ]
    except VfsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    for path in stale:
        sys.stderr.write(f"stale: {path.relative_to(ROOT)} (run scripts/generate)\n")
    return EXIT_FINDINGS if stale else EXIT_OK


def generated(root: Path) -> Iterator[tuple[Path, str]]:
    """Path and text of each generated file below ``root``."""
    yield root / "pylib/config/config.schema.json", _schema(Config, "config")
    yield root / "pylib/config/lock.schema.json", _schema(Lock, "lock")
    releases = [release_of_config(path) for path in sorted(root.glob("values/*/config.yaml"))]
    for release, rendered in zip(releases, render_all(releases), strict=True):
        yield release.file.with_name("values.yaml"), release.text
        yield release.file.with_name("manifests.yaml"), rendered.text


def _schema(model: type[Config] | type[Lock], what: str) -> str:
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"vllm-fast-start {what} file",
        **{k: v for k, v in model.model_json_schema().items() if k != "title"},
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _settle(path: Path, text: str, *, check: bool) -> bool:
    """True when the file is as it should be; without ``check`` it is made so."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return True
    if not check:
        path.write_text(text, encoding="utf-8")
    return not check


if __name__ == "__main__":
    sys.exit(main())
