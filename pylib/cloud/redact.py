"""Takes secrets out of text that is logged, shown or kept."""

from __future__ import annotations

import re

_SECRETS = (
    re.compile(r"(?i)(authorization\s*[:=]\s*)(?:bearer\s+|basic\s+)?[^\s,;\"']+"),
    re.compile(r"(?i)(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(
        r"(?i)((?:access_token|refresh_token|id_token|token|password|secret|client_secret|"
        r"private_key|x-goog-signature)[\"']?\s*[:=]\s*[\"']?)[^\s,;&\"'}]+"
    ),
    re.compile(r"()\bya29\.[A-Za-z0-9._-]+"),
    re.compile(r"()\bhf_[A-Za-z0-9]{8,}"),
    re.compile(r"(://)[^/\s:@]+:[^/\s@]+(?=@)"),
)


def redact(text: str) -> str:
    """``text`` with tokens, passwords and keys replaced by ``[redacted]``."""
    for pattern in _SECRETS:
        text = pattern.sub(r"\1[redacted]", text)
    return text
