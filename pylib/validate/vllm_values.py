"""Values on a vLLM command line: there, of the right type, among the choices, in range."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pylib.facts.vllm_flags import Flag
from pylib.validate.vllm_line import Given, Line
from pylib.validate.vllm_problems import Problem, Target
from pylib.validate.words import listed, nearest, show

VALUE = "vllm-argument-value"

_WORDS = {
    "int": "an integer",
    "size": "an integer, such as 8192 or 8k",
    "float": "a number",
}
_SIZE = re.compile(r"\d+(\.\d+)?[kmgt]|\d+[KMGT]")


@dataclass(frozen=True)
class Range:
    """Numbers that make sense; ``least`` itself does unless ``above``."""

    least: float
    most: float = float("inf")
    above: bool = False

    def holds(self, number: float) -> bool:
        """True when the number lies inside."""
        return self.least <= number <= self.most and not (self.above and number == self.least)

    def __str__(self) -> str:
        low = f"more than {self.least:g}" if self.above else f"at least {self.least:g}"
        return low if self.most == float("inf") else f"{low} and at most {self.most:g}"


RANGES = {
    "--data-parallel-size": Range(1),
    "--gpu-memory-utilization": Range(0, 1, above=True),
    "--max-num-seqs": Range(1),
    "--optimization-level": Range(0, 3),
    "--pipeline-parallel-size": Range(1),
    "--port": Range(1, 65535),
    "--safetensors-prefetch-block-size": Range(1),
    "--safetensors-prefetch-num-threads": Range(1),
    "--shutdown-timeout": Range(0),
    "--tensor-parallel-size": Range(1),
}
"""Ranges that vllm/config/*.py checks when the server starts, or that nothing else works with."""


def value_problems(line: Line, target: Target) -> Iterator[Problem]:
    """What is wrong with the values of arguments that the release has."""
    for given in line.given:
        if given.flag is not None:
            yield from _of(given, given.flag, target)


def _of(given: Given, flag: Flag, target: Target) -> Iterator[Problem]:
    if flag.kind == "switch":
        if given.values:
            yield _problem(
                given, target, f"{given.spelled} takes no value, and has {show(given.value)}",
                _switch_fix(given, target),
            )  # fmt: skip
    elif not given.values and not flag.optional:
        yield _problem(
            given, target, f"{given.spelled} has no value",
            f"Write {given.spelled}=VALUE." if given.spelled.startswith("--") else "Add its value.",
        )  # fmt: skip
    elif not given.key:
        for value in given.values:
            yield from _one(given, flag, value, target)


def _switch_fix(given: Given, target: Target) -> str:
    opposite = f"--no-{given.means.removeprefix('--')}"
    said_no = (given.value or "").lower() in {"false", "0", "no", "off"}
    if said_no and target.table.flag(opposite, target.version):
        return f"Write {opposite}."
    return "Drop it." if said_no else f"Write {given.means}."


def _one(given: Given, flag: Flag, value: str, target: Target) -> Iterator[Problem]:
    if "$(" in value or value in flag.words:
        return
    if flag.choices and value not in flag.choices:
        if flag.name != "--load-format":  # has its own rule, which knows more
            yield _choice(given, flag, value, target)
    elif not _is_of(flag.kind, value):
        yield _type(given, flag, value, target)
    elif (wanted := _range(given)) and not wanted.holds(_number(value, wanted)):
        fix = f"Write a number of {wanted}."
        yield _problem(given, target, f"{given.spelled} is {value}, not {wanted}", fix)


def _range(given: Given) -> Range | None:
    # Before 0.12.0 -O is another name of --compilation-config, and takes a level too.
    return RANGES.get("--optimization-level" if given.spelled.startswith("-O") else given.means)


def _is_of(kind: str, value: str) -> bool:
    if kind == "json":
        # Several releases take other forms beside JSON: -O3, key=value.
        return not value.startswith(("{", "[")) or _is_json(value)
    if kind == "size" and _SIZE.fullmatch(value):
        return True
    try:
        {"int": int, "size": int, "float": float}.get(kind, str)(value)
    except ValueError:
        return False
    return True


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except (RecursionError, ValueError):
        return False
    return True


def _number(value: str, wanted: Range) -> float:
    """The number; what is none, as 16M or O2, is taken to lie in range."""
    try:
        return float(value)
    except ValueError:
        return max(wanted.least, 1)


def _type(given: Given, flag: Flag, value: str, target: Target) -> Problem:
    if flag.kind == "json":
        return _problem(
            given, target, f"{given.spelled} is not JSON: {show(value)}",
            "Write a JSON object, its keys and strings in double quotes.",
        )  # fmt: skip
    wanted = " or ".join((_WORDS[flag.kind], *flag.words))
    return _problem(
        given, target, f"{given.spelled} is {show(value)}, not {wanted}", f"Write {wanted}."
    )


def _choice(given: Given, flag: Flag, value: str, target: Target) -> Problem:
    others = [f.gate for f in target.table.flags[flag.name] if value in f.choices]
    if others:
        return Problem(
            VALUE,
            target.error,
            f"{given.spelled} is {show(value)}, which {target} does not know; {others[0]} do",
            f"Write one of {listed(flag.choices, 'or')}.",
            given.index,
        )
    near = nearest(value, flag.choices)
    fix = f"Write {near}." if near else f"Write one of {listed(flag.choices, 'or')}."
    return _problem(given, target, f"{given.spelled} is {show(value)}, not one of its choices", fix)


def _problem(given: Given, target: Target, message: str, fix: str) -> Problem:
    return Problem(VALUE, target.error, message, fix, given.index)
