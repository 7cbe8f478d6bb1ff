"""Whether a vLLM command line's loader, strategy and loader settings are there and fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pylib.facts.vllm import Gate
from pylib.facts.vllm_loaders import (
    DEFAULT_FORMATS,
    MULTITHREAD,
    SETTINGS,
    STRATEGIES,
    STRATEGY_CHECKED,
    Setting,
)
from pylib.validate.vllm_loading import EXTRA, FORMAT, STRATEGY, Loading
from pylib.validate.vllm_problems import Problem, ProblemSeverity, Target
from pylib.validate.words import listed, nearest, show

LOAD_FORMAT = "vllm-load-format"
LOAD_STRATEGY = "vllm-load-strategy"
SETTING = "vllm-loader-setting"
CONFLICT = "vllm-loader-conflict"

_KINDS = {
    "bool": "true or false, without quotes",
    "positive": "an integer of at least 1, without quotes",
    "memory": "an integer of at least -1, without quotes",
    "str": "a string",
}
_LOWERED = Gate("0.10.1")


def setting_problems(loading: Loading, target: Target) -> Iterator[Problem]:
    """What the release's loaders would refuse, or pass over in silence."""
    yield from _format(loading, target)
    yield from _strategy(loading, target)
    yield from _conflict(loading, target)
    yield from _extra(loading, target)


def _format(loading: Loading, target: Target) -> Iterator[Problem]:
    given = loading.line.last(FORMAT)
    if given is None or given.flag is None or given.value is None or "$(" in given.value:
        return
    asked = given.value.lower() if _LOWERED.has(target.version) else given.value
    if asked in given.flag.choices:
        return
    gates = [f.gate for f in target.table.flags[FORMAT] if asked in f.choices]
    known = listed(given.flag.choices, "or")
    if not gates:
        longer = (name for name in given.flag.choices if asked and asked in name)
        near = nearest(asked, given.flag.choices) or next(longer, None)
        message = f"{target} has no loader {asked}"
        fix = f"Write {near}." if near else f"Write one of {known}."
    elif all(gate.later(target.version) for gate in gates):
        message = f"{target} has no loader {asked} yet; {gates[0].since} is the first with it"
        fix = f"Write one of {known}, or serve with vLLM {gates[0].since} or newer."
    else:
        message = f"{target} has no loader {asked} any more; {gates[-1].until} dropped it"
        fix = f"Write one of {known}."
    yield Problem(LOAD_FORMAT, target.error, message, fix, given.index)


def _strategy(loading: Loading, target: Target) -> Iterator[Problem]:
    """Before the parser knew the choices, an unknown one loaded lazily."""
    if loading.strategy is None or STRATEGY_CHECKED.has(target.version):
        return
    given, gate = loading.line.last(STRATEGY), STRATEGIES.get(loading.strategy)
    if given is None or given.flag is None or (gate and gate.has(target.version)):
        return
    known = [name for name, since in STRATEGIES.items() if since.has(target.version)]
    yield Problem(
        LOAD_STRATEGY,
        "warning",
        f"{target} does not know the strategy {loading.strategy} and loads lazily instead"
        + (f"; {gate} know it" if gate else ""),
        f"Write {listed(known, 'or')}.",
        given.index,
    )


def _conflict(loading: Loading, target: Target) -> Iterator[Problem]:
    if not loading.multithreaded or loading.strategy in {None, "lazy"}:
        return
    if loading.load_format not in DEFAULT_FORMATS or not MULTITHREAD.has(target.version):
        return
    refused = STRATEGY_CHECKED.has(target.version)
    yield Problem(
        CONFLICT,
        target.error if refused else "warning",
        f"enable_multithread_load reads lazily, and {STRATEGY} is {loading.strategy}: {target} "
        + ("refuses both together" if refused else "ignores the strategy"),
        f"Drop one: {STRATEGY}, or enable_multithread_load from {EXTRA}.",
        loading.index(STRATEGY),
    )


def _extra(loading: Loading, target: Target) -> Iterator[Problem]:
    mentions = loading.line.all(EXTRA)
    values = [given.value for given in mentions]
    if not values or any(value is None or "$(" in value for value in values):
        return
    at = mentions[-1].index
    if loading.extra is None:
        said = show(next(g.value for g in mentions if not g.key))
        fix = 'Write an object, as in {"enable_multithread_load":true}.'
        yield Problem(SETTING, target.error, f"{EXTRA} is no JSON object: {said}", fix, at)
        return
    known = SETTINGS.get(loading.load_format)
    if known is None or not loading.extra:
        return
    has = {name: s for name, s in known.items() if s.gate.has(target.version)}
    for key, value in loading.extra.items():
        if key not in has:
            yield _unknown(key, known.get(key), list(has), loading, target)
        elif not _fits(has[key], value):
            yield Problem(
                SETTING,
                _severity(target),
                f"{key} of {EXTRA} is {show(value)}, not {_KINDS[has[key].kind]}",
                f"Write {_KINDS[has[key].kind]}.",
                at,
            )


def _severity(target: Target) -> ProblemSeverity:
    """Of a wrong type: older releases drop such a setting, or take a string for true."""
    return target.error if STRATEGY_CHECKED.has(target.version) else "warning"


def _unknown(
    key: str, other: Setting | None, has: list[str], loading: Loading, target: Target
) -> Problem:
    strict = loading.load_format != "runai_streamer" or STRATEGY_CHECKED.has(target.version)
    fix = f"Write {listed(has, 'or')}, or drop it." if has else f"Drop {EXTRA}."
    return Problem(
        SETTING,
        target.error if strict else "warning",
        f"the loader {loading.load_format} of {target} takes no setting {show(key)}"
        + (f"; {other.gate} do" if other else ""),
        fix,
        loading.index(EXTRA),
    )


def _fits(setting: Setting, value: Any) -> bool:
    if setting.kind == "bool":
        return isinstance(value, bool)
    if setting.kind == "str":
        return isinstance(value, str)
    least = 1 if setting.kind == "positive" else -1
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
