"""Names on a vLLM command line: whether that release has them, how often, and in which order."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.facts.vllm import Gate
from pylib.facts.vllm_flags import gates_text
from pylib.validate.vllm_line import Given, Line
from pylib.validate.vllm_problems import Problem, Target
from pylib.validate.words import listed, nearest

UNKNOWN = "vllm-argument-unknown"
VERSION = "vllm-argument-version"
FORM = "vllm-argument-form"
DUPLICATE = "vllm-argument-duplicate"

INSTEAD = {
    "--cuda-graph-sizes": "--cudagraph-capture-sizes",
    "--disable-log-requests": "nothing: requests are not logged by default",
    "--guided-decoding-backend": "--structured-outputs-config.backend",
    "--task": "--runner and --convert",
    "--num-lookahead-slots": "--speculative-config",
    "--speculative-model": "--speculative-config",
    "--num-speculative-tokens": "--speculative-config",
}
"""What took the place of arguments that are gone: the newer releases' own help."""

_MODEL_FIRST = Gate("0.17.0")
_MODEL_ONCE = Gate("0.11.1")


def name_problems(line: Line, target: Target) -> Iterator[Problem]:
    """Arguments that the release does not have, has twice, or reads in another order."""
    for given in line.given:
        if given.flag is None:
            yield _missing(given, target)
        elif given.spelled.startswith("--") and _is_short(given):
            yield Problem(
                FORM,
                "warning",
                f"{given.spelled} is short for {given.flag.name}, until a release has another "
                "argument that begins so",
                f"Write {given.flag.name}.",
                given.index,
            )
    yield from _duplicates(line)
    yield from _positions(line, target)


def _is_short(given: Given) -> bool:
    return given.spelled.partition(".")[0].replace("_", "-") != given.name


def _missing(given: Given, target: Target) -> Problem:
    gates = [flag.gate for flag in target.table.flags.get(given.name.replace("_", "-"), ())]
    if gates:
        return _other_release(given, gates, target)
    if given.candidates:
        return Problem(
            UNKNOWN,
            target.error,
            f"{given.spelled} may be short for {listed(given.candidates, 'or')}",
            "Write the whole name.",
            given.index,
        )
    near = _near(given.name, target)
    return Problem(
        UNKNOWN,
        target.error,
        f"{target} has no argument {given.spelled}",
        f"Write {near}, or drop it."
        if near
        else "Drop it, or look it up in vllm serve --help=all.",
        given.index,
    )


def _near(name: str, target: Target) -> str | None:
    """The long name that was probably meant; the dashes that all have in common do not count."""
    words = {n.removeprefix("--") for n in target.table.names(target.version) if n[1] == "-"}
    near = nearest(name.partition(".")[0].removeprefix("--").replace("_", "-"), sorted(words))
    return f"--{near}" if near else None


def _other_release(given: Given, gates: list[Gate], target: Target) -> Problem:
    later = all(gate.later(target.version) for gate in gates)
    instead = INSTEAD.get(given.name)
    fix = "Drop it." if instead is None else f"Drop it; in its place stands {instead}."
    if later:
        fix = f"Drop it, or serve with vLLM {gates[0].since} or newer."
    return Problem(
        VERSION,
        target.error,
        f"{target} has no argument {given.spelled}; {gates_text(gates)} "
        f"{'have' if later else 'had'} it",
        fix,
        given.index,
    )


def _duplicates(line: Line) -> Iterator[Problem]:
    seen: dict[str, Given] = {}
    for given in line.given:
        if given.flag is None or given.flag.repeats or given.key:
            continue
        before = seen.get(given.means)
        if before is not None:
            yield Problem(
                DUPLICATE,
                "warning",
                f"{given.means} is given twice, as {_text(before)} and as {_text(given)}; the "
                "last one counts",
                f"Drop {_text(before)}.",
                given.index,
            )
        seen[given.means] = given


def _text(given: Given) -> str:
    return " ".join((given.spelled, *given.values))


def _positions(line: Line, target: Target) -> Iterator[Problem]:
    for index, text in line.positionals[1:]:
        yield Problem(
            FORM,
            target.error,
            f"{text} stands alone: vllm serve takes one model, and {line.positionals[0][1]} is it",
            "Drop it, or write the argument that it belongs to before it.",
            index,
        )
    for index, model in line.positionals[:1]:
        named = line.last("--model")
        if named and _MODEL_ONCE.has(target.version):
            yield Problem(
                FORM,
                target.error,
                f"the model is given twice, as {model} and as {_text(named)}",
                "Drop --model.",
                named.index,
            )
        elif index > 0 and line.last("--served-model-name") and _MODEL_FIRST.has(target.version):
            yield Problem(
                FORM,
                target.error,
                f"the model {model} is not the first argument, which {target} demands beside "
                "--served-model-name",
                f"Move {model} to the front.",
                index,
            )
