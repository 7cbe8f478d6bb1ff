"""A release as files say it: its name, its namespace, and the chart values it is rendered from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylib.errors import ConfigError
from pylib.files import read_text
from pylib.manifests import Lines
from pylib.yamlio import YamlError, parse_one


@dataclass(frozen=True)
class Release:
    """What to render.

    ``file`` is the config or the values file; ``text`` the values as YAML, which a config's
    values file holds; ``lines`` the line of each value where ``file`` holds them itself.
    """

    file: Path
    name: str
    namespace: str
    values: Mapping[str, Any]
    text: str
    lines: Lines = field(default_factory=dict, compare=False, repr=False)

    @property
    def manifests_file(self) -> str:
        """What messages call the rendered text: the file beside the config that is made of it."""
        return str(self.file.with_name("manifests.yaml"))


def release_of_config(config_file: Path) -> Release:
    """The release that a config and its lock make.

    Raises :class:`ConfigError` with all problems of either file.
    """
    from pylib.config.parse import parse_config
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
    return Release(
        file=config_file,
        name=config.release.name,
        namespace=config.release.namespace,
        values=make_values(config, lock),
        text=values_file(config, lock, tuple(sources)),
    )


def release_of_values(values_file: Path, name: str, namespace: str) -> Release:
    """The release that a chart values file makes.  Raises :class:`ConfigError` for bad YAML."""
    text = read_text(values_file)
    try:
        document = parse_one(text)
    except YamlError as error:
        raise ConfigError(str(values_file), error.problems) from None
    return Release(values_file, name, namespace, document.body, text, document.lines)
