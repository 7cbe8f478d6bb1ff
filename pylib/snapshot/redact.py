"""Takes what may be a secret, and what nobody reads, out of objects and logs.

Pods of the chart refer to Secrets by name, so nothing here should ever match; it is for what
people add with ``extraEnv`` and ``args``, and for what programs print.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pylib.snapshot.bodies import Body, part, parts, word, words

REDACTED = "(redacted)"

_SECRET_NAME = re.compile(
    r"token|secret|passw|credential|private|api[-_]?key|(^|_)key$", re.IGNORECASE
)
_SECRET_FLAG = re.compile(r"--?[\w-]{0,40}(token|secret|password|api-key|api_key)", re.IGNORECASE)
# Lengths have bounds, so that no text takes longer than in proportion to its own length.
_SECRETS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), instead)
    for pattern, instead in (
        (r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----.*?(-----END [A-Z ]{0,30}-----|\Z)", REDACTED),
        (r"\bhf_[A-Za-z0-9]{16,200}", REDACTED),
        (r"\bya29\.[\w-]{16,2000}", REDACTED),
        (r"\bAIza[\w-]{30,50}", REDACTED),
        (r"\beyJ[\w-]{8,500}\.[\w-]{8,4000}\.[\w-]{0,1000}", REDACTED),
        (r"(Bearer\s{1,4})[\w.~+/=-]{8,4000}", rf"\1{REDACTED}"),
        (r"(://[^\s/:@]{1,100}:)[^\s/@]{1,200}@", rf"\1{REDACTED}@"),
        (r"('api_key':\s{0,4})(\[[^\]]{0,1000}\]|'[^']{0,500}')", rf"\1{REDACTED}"),
        (rf"({_SECRET_FLAG.pattern}[=\s]{{1,4}})(\S{{1,1000}})", rf"\1{REDACTED}"),
    )
)

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NODE_STATUS = ("allocatable", "capacity", "conditions")
_MESSAGE = 4000


def without_secrets(text: str) -> str:
    """``text`` with tokens, keys and passwords taken out."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def slim(body: Body) -> dict[str, Any]:
    """The object without managed fields, secrets and, for Nodes, all that diagnosis never reads."""
    meta = dict(part(body, "metadata"))
    meta.pop("managedFields", None)
    if "annotations" in meta:
        meta["annotations"] = {
            key: value for key, value in words(meta, "annotations").items() if key != _LAST_APPLIED
        }
    kept = {**body, "metadata": meta}
    if word(body, "kind") == "Node":
        kept = _node(kept)
    cleaned = _cleaned(kept)
    return cleaned if isinstance(cleaned, dict) else {}


def _node(body: Mapping[str, Any]) -> dict[str, Any]:
    meta = {key: value for key, value in part(body, "metadata").items() if key != "annotations"}
    status = part(body, "status")
    return {
        **body,
        "metadata": meta,
        "status": {key: status[key] for key in _NODE_STATUS if key in status},
    }


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)[:_MESSAGE]
    if isinstance(value, Mapping):
        return {str(key): _cleaned_field(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        before = ("", *value)
        return [
            REDACTED if isinstance(last, str) and _SECRET_FLAG.fullmatch(last) else _cleaned(item)
            for last, item in zip(before, value, strict=False)
        ]
    return value


def _cleaned_field(key: str, value: Any) -> Any:
    if key == "env":
        return [_variable(item) for item in parts({"env": value}, "env")]
    return _cleaned(value)


def _variable(variable: Body) -> Any:
    if "value" in variable and _SECRET_NAME.search(word(variable, "name")):
        return {**variable, "value": REDACTED}
    return _cleaned(variable)
