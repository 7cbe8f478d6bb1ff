"""From the text of a config file to a frozen Config, or to every problem in it at once."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pylib.config.checks import cross_problems
from pylib.config.model import Config
from pylib.config.problems import from_pydantic, show
from pylib.errors import ConfigError, Problem
from pylib.files import read_text
from pylib.yamlio import Document, YamlError, dotted, parse_one

R = TypeVar("R", bound=BaseModel)


def load_config(path: Path) -> Config:
    """The config in the file at ``path``.

    Raises :class:`ConfigError` with all problems: YAML, structure, then fields that clash.
    """
    return parse_config(read_text(path), str(path))


def parse_config(text: str, file: str = "config.yaml") -> Config:
    """The config that ``text`` says; ``file`` is the name that messages use.

    Raises :class:`ConfigError` with all problems.
    """
    document = parse_document(text, file)
    config = parse_record(Config, document, file)
    problems = [
        Problem(p.path, p.message, p.fix, line_at(document, p.path)) for p in cross_problems(config)
    ]
    if problems:
        raise ConfigError(file, sorted(problems, key=lambda p: p.line or 0))
    return config


def parse_document(text: str, file: str) -> Document:
    """The one YAML document of ``text``, a map.  Raises :class:`ConfigError`."""
    try:
        document = parse_one(text)
    except YamlError as error:
        raise ConfigError(file, error.problems) from None
    if not isinstance(document.body, dict):
        message = f"holds {show(document.body)} where a map belongs"
        raise ConfigError(file, [Problem("", message, "Write key: value lines.", document.line)])
    return document


def parse_record(model: type[R], document: Document, file: str) -> R:
    """The document as a record.  Raises :class:`ConfigError` with every field that is wrong."""
    try:
        return model.model_validate(document.body)
    except ValidationError as error:
        problems = from_pydantic(error.errors(include_url=False), model, document)
        raise ConfigError(file, problems) from None


def line_at(document: Document, path: str) -> int | None:
    """Line of the field at a dotted path, or of its nearest parent that the file holds."""
    lines = {dotted(at): line for at, line in document.lines.items()}
    while path:
        if path in lines:
            return lines[path]
        cut = max(path.rfind("."), path.rfind("["))
        path = path[:cut] if cut > 0 else ""
    return None
