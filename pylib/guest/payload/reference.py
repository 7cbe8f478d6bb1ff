"""Names of images, as containerd reads them: registry, repository, tag or digest."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pylib.guest.payload.failure import GuestError

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST = re.compile(r"localhost(:[0-9]+)?|\[[0-9a-fA-F:]+\](:[0-9]+)?|[A-Za-z0-9.-]+(:[0-9]+)?")
_REPOSITORY = re.compile(r"[a-z0-9]+([._/-]+[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
"""https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests"""


@dataclass(frozen=True)
class Reference:
    """``text`` is its name on a node; one of ``tag`` and ``digest`` may be empty."""

    text: str
    host: str
    repository: str
    tag: str
    digest: str

    @property
    def target(self) -> str:
        """What to ask the registry for."""
        return self.digest or self.tag


def parse_reference(text: str) -> Reference:
    """Raises :class:`GuestError` for what is no full reference."""
    name, _, digest = text.partition("@")
    host, _, rest = name.partition("/")
    repository, _, tag = rest.partition(":")
    good = (
        ("." in host or ":" in host or host == "localhost")
        and _HOST.fullmatch(host)
        and _REPOSITORY.fullmatch(repository)
        and (not tag or _TAG.fullmatch(tag))
        and (not digest or DIGEST.fullmatch(digest))
        and (tag or digest)
    )
    if not good:
        raise GuestError(
            f"{text!r} is no full image reference: write registry, name, and tag or digest, such "
            "as docker.io/vllm/vllm-openai:v0.11.0"
        )
    if host == "docker.io" and "/" not in repository:
        repository = f"library/{repository}"
    return Reference(text, host, repository, tag, digest)
