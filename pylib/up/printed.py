"""A plan as lines for a shell, for people who must review or paste them.

The lines end before the first step that needs what a bake of the same plan makes: its names and
digests are not known yet.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pylib.bake.options import Options
from pylib.kube import MANAGER, Body
from pylib.provision.action import Action
from pylib.yamlio import dump

_FLAGS: Mapping[str, str] = {
    "zones": "--zone",
    "network": "--network",
    "subnetwork": "--subnetwork",
    "machine_type": "--machine-type",
    "disk_type": "--disk-type",
    "timeout_seconds": "--timeout",
    "external_ip": "--external-ip",
    "service_account": "--service-account",
    "labels": "--label",
    "storage_locations": "--storage-location",
    "boot_image": "--boot-image",
    "log_bucket": "--log-bucket",
    "mirrors": "--mirror",
}
"""Fields of the options that ``up`` and ``bake`` take under the same words."""
_OF_WEIGHTS = {"shards": "--shards", "token_secret": "--token-secret"}


def printed(actions: list[Action], config: Path) -> Iterator[str]:
    """The lines of a plan for ``config``, each step under a comment that says what it is."""
    later = False
    for action in actions:
        later = later or (action.changes and not action.commands)
        if later and (action.changes or action.commands):
            yield f"# later: {action}"
        elif action.commands:
            yield f"# {action}"
            yield from action.commands
    if later:
        yield "# What comes later has names and digests of what is baked.  Run the lines above, and"
        yield f"# print the rest by the same flags: python -m pylib plan -f {config} --print gcloud"


def bake_line(kind: str, config: Path, options: Options) -> str:
    """One bake, as ``up`` does it with these options."""
    plain = Options(owner=options.owner)
    words = ["python", "-m", "pylib", "bake", kind, "-f", str(config)]
    for field, flag in {**_FLAGS, **(_OF_WEIGHTS if kind == "weights" else {})}.items():
        value = getattr(options, field)
        if value != getattr(plain, field):
            words += [word for one in _values(value) for word in (flag, *one)]
    return shlex.join(words)


def _values(value: Any) -> Iterator[tuple[str, ...]]:
    """What follows the flag, each time that it is written."""
    if value is True:
        yield ()
    elif isinstance(value, Mapping):
        yield from ((f"{key}={one}",) for key, one in value.items())
    elif isinstance(value, tuple):
        yield from (("=".join(one) if isinstance(one, tuple) else one,) for one in value)
    else:
        yield (str(value),)


def apply_lines(body: Body, kubeconfig: Path | None, context: str) -> str:
    """One object of the cluster, applied as ``up`` applies it."""
    words = ["kubectl", *cluster_words(kubeconfig, context), "apply", "--server-side"]
    words += [f"--field-manager={MANAGER}", "-f", "-"]
    return f"{shlex.join(words)} <<'EOF'\n{dump(body)}EOF"


def cluster_words(kubeconfig: Path | None, context: str | None) -> list[str]:
    """Which cluster, in words that kubectl and this program share."""
    found = [f"--kubeconfig={kubeconfig}"] if kubeconfig else []
    return [*found, f"--context={context}"] if context else found


def drop_line(lock_file: Path, config: Path, revision: str) -> str:
    """Take a revision out of the lock file, so that the next installation leaves it out."""
    code = (
        "from pathlib import Path; from pylib.bake.lockfile import drop_revision; "
        f"drop_revision(Path({str(lock_file)!r}), {config.name!r}, {revision!r})"
    )
    return shlex.join(["python", "-c", code])
