"""What several verbs share: which releases the arguments name, and where a text goes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

from pylib.files import write_whole
from pylib.release import Release, release_of_config, release_of_values


def release_arguments(parser: argparse.ArgumentParser, *, many: bool) -> None:
    """The options that name one release, or many: by config, or by values file."""
    number = "+" if many else None
    parser.add_argument(
        "-f", "--config", type=Path, nargs=number, metavar="CONFIG", help="config file"
    )
    parser.add_argument(
        "--values", type=Path, nargs=number, metavar="VALUES", help="values file of the chart"
    )
    parser.add_argument("--release", default="vllm", help="release name, with --values")
    parser.add_argument("--namespace", default="default", help="namespace, with --values")
    parser.add_argument("--kubernetes", default="1.36", help="Kubernetes version (default 1.36)")


def releases_of(args: argparse.Namespace) -> list[Release]:
    """The releases that the arguments name.  Raises ConfigError with all problems of a file."""
    configs = _many(args.config)
    values = _many(args.values)
    return [
        *(release_of_config(path) for path in configs),
        *(release_of_values(path, args.release, args.namespace) for path in values),
    ]


def put(text: str, target: Path | None, out: TextIO) -> None:
    """``text`` into ``target``, or to ``out`` when there is none."""
    if target is None:
        out.write(text)
    else:
        write_whole(target, text)


def _many(paths: Path | list[Path] | None) -> list[Path]:
    if paths is None:
        return []
    return paths if isinstance(paths, list) else [paths]
