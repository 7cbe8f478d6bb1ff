"""Environment variables of a vLLM server: what that release reads, and what it trips over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pylib.facts.vllm_flags import gates_text
from pylib.validate.vllm_line import Line
from pylib.validate.vllm_problems import Problem, Target
from pylib.validate.vllm_serving import KEY
from pylib.validate.words import nearest, show

ENVIRONMENT = "vllm-environment"
PORT = "vllm-port"
DEFAULT_PORT = 8000

INSTEAD = {
    "VLLM_ATTENTION_BACKEND": "the argument --attention-backend",
    "VLLM_USE_V1": "nothing: there is one engine",
}
"""What took the place of variables that are gone."""

_PREFIX = re.compile(r"VLLM_[A-Z0-9_]+")


def environment_problems(line: Line, env: Mapping[str, str], target: Target) -> Iterator[Problem]:
    """Variables that the release does not read, and a port that is none or is taken."""
    for name in env:
        if _PREFIX.fullmatch(name) and not target.table.reads(name, target.version):
            yield _not_read(name, target)
    yield from _port(line, env.get("VLLM_PORT"), target)
    if env.get("VLLM_API_KEY") and "$(" not in env["VLLM_API_KEY"]:
        yield Problem(
            KEY,
            "error",
            "VLLM_API_KEY holds a secret in plain text, for all who can read the object",
            "Take it from a Secret by valueFrom.secretKeyRef, and revoke this one.",
        )


def _not_read(name: str, target: Target) -> Problem:
    gates = target.table.environment.get(name, ())
    message = f"{target} does not read the variable {name}"
    if not gates:
        names = (n for n in target.table.environment if target.table.reads(n, target.version))
        near = nearest(name, names)
        fix = f"Write {near}, or drop it." if near else "Drop it."
    elif all(gate.later(target.version) for gate in gates):
        message += f"; {gates_text(gates)} do"
        fix = f"Drop it, or serve with vLLM {gates[0].since} or newer."
    else:
        message += f"; {gates_text(gates)} did"
        instead = INSTEAD.get(name)
        fix = f"Drop it; in its place stands {instead}." if instead else "Drop it."
    return Problem(ENVIRONMENT, "warning", message, fix)


def _port(line: Line, said: str | None, target: Target) -> Iterator[Problem]:
    """VLLM_PORT is the first port that vLLM's own processes talk on, not that of the server."""
    if said is None or "$(" in said:
        return
    if not re.fullmatch(r"\d{1,9}", said):
        yield Problem(
            PORT,
            target.error,
            f"VLLM_PORT is {show(said)}, not a port, and {target} does not start; a Service called "
            "vllm sets it so",
            "Drop it; for the Service, set enableServiceLinks: false in the pod.",
        )
    elif int(said) == line.integer("--port", DEFAULT_PORT):
        yield Problem(
            PORT,
            target.error,
            f"VLLM_PORT is {said}, the port of the server itself; vLLM's own processes take it "
            "first",
            "Drop VLLM_PORT, and write --port for the server's.",
        )
