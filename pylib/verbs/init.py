"""``init``: a commented config to start from, from flags or a few questions."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any, TextIO

from pylib.config.starter import QUESTIONS, Answers, defaults, starter_config
from pylib.errors import EXIT_OK, ConfigError, Problem


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb: one flag for each question."""
    for name, question in QUESTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", help=question)
    parser.add_argument("-o", "--output", type=Path, default=Path("config.yaml"))
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Write the file; on a terminal ask for what no flag gives."""
    from pylib.config.parse import parse_config
    from pylib.verbs.common import put

    if args.output.exists() and not args.force:
        problem = Problem("", "exists already", "Name another file with -o, or add --force.")
        raise ConfigError(str(args.output), [problem])
    text = starter_config(_answers(args, out))
    parse_config(text, str(args.output))
    put(text, args.output, out)
    out.write(f"wrote {args.output}\nnext: python -m pylib values -f {args.output}\n")
    return EXIT_OK


def _answers(args: argparse.Namespace, out: TextIO) -> Answers:
    known = defaults()
    given: dict[str, str] = {}
    missing: list[Problem] = []
    for name, question in QUESTIONS.items():
        text = getattr(args, name)
        if text is None and sys.stdin.isatty():
            text = _ask(question, known.get(name), out)
        text = text or known.get(name)
        if text is None:
            flag = f"--{name.replace('_', '-')}"
            missing.append(Problem(flag, "is required", f"Add {flag} ({question})."))
        else:
            given[name] = text
    if missing:
        raise ConfigError("init", missing)
    return _typed(given)


def _ask(question: str, default: str | None, out: TextIO) -> str:
    out.write(f"{question}{f' [{default}]' if default else ''}: ")
    out.flush()
    return sys.stdin.readline().strip()


def _typed(given: dict[str, str]) -> Answers:
    problems: list[Problem] = []
    numbers: dict[str, int] = {}
    for name in ("model_gib", "gpus"):
        text = given.pop(name)
        if re.fullmatch("[0-9]{1,9}", text):
            numbers[name] = int(text)
            continue
        flag = f"--{name.replace('_', '-')}"
        fix = f"Write for example {flag} 2."
        problems.append(Problem(flag, f"{text!r} must be a whole number", fix))
    if problems:
        raise ConfigError("init", problems)
    answers: dict[str, Any] = {**given, **numbers}
    return Answers(**answers)
