"""What several verbs share: reading config and lock, writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pylib.errors import ConfigError, Problem


@dataclass(frozen=True)
class Inputs:
    """A config, its lock, and the chart values that follow from them."""

    file: Path
    release: str
    namespace: str
    values: dict[str, object]
    text: str


def load_inputs(config_file: Path) -> Inputs:
    """Config, lock and values from the config's path; raises ConfigError with all problems."""
    from pylib.config.parse import parse_config, read_text
    from pylib.lock import Lock, lock_path, parse_lock
    from pylib.values import Source, check_lock, make_values, values_file

    config_text = read_text(config_file)
    config = parse_config(config_text, str(config_file))
    sources = [Source.of(config_file.name, config_text)]
    lock_file = lock_path(config_file)
    lock = Lock(version=1)
    if lock_file.exists():
        lock_text = read_text(lock_file)
        lock = parse_lock(lock_text, str(lock_file))
        sources.append(Source.of(lock_file.name, lock_text))
    check_lock(config, lock, str(lock_file))
    return Inputs(
        config_file,
        config.release.name,
        config.release.namespace,
        make_values(config, lock),
        values_file(config, lock, tuple(sources)),
    )


def write_text(text: str, target: Path | None, out: TextIO) -> None:
    """``text`` into ``target``, replaced at once; or to ``out`` when there is no target."""
    if target is None:
        out.write(text)
        return
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        problem = Problem("", f"cannot be written: {error.strerror}", "Name a writable place.")
        raise ConfigError(str(target), [problem]) from None
