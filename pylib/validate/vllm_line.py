"""A command line of ``vllm serve``, taken apart as vLLM's own parser does it.

That is argparse with additions: ``--flag value`` and ``--flag=value``; underscores for dashes in
names; unambiguous beginnings of names; since 0.9.1 ``--flag.key value`` for a key of a JSON
value; since 0.6.5 ``-O3``.  Source: vllm/utils/argparse_utils.py (vllm/utils.py before 0.11.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pylib.facts.vllm import Gate
from pylib.facts.vllm_flags import Flag
from pylib.validate.vllm_problems import Target

_NEGATIVE_NUMBER = re.compile(r"-\d+|-\d*\.\d+")
_DOTTED = Gate("0.9.1")
_LEVEL = Gate("0.6.5")
_LEVEL_NAMED = Gate("0.12.0")


@dataclass(frozen=True)
class Given:
    """One argument as given.

    ``name`` is as vLLM reads it, ``spelled`` as written; ``flag`` is ``None`` where the release
    has no such argument, and ``candidates`` then are the names that it may be short for; ``key``
    is what follows the first dot; ``attached`` says that the value stood behind ``=``.
    """

    index: int
    name: str
    spelled: str
    flag: Flag | None
    values: tuple[str, ...] = ()
    key: str = ""
    attached: bool = False
    candidates: tuple[str, ...] = ()

    @property
    def means(self) -> str:
        """Long name of the argument that this is a spelling of."""
        return (self.flag.of or self.flag.name) if self.flag else self.name

    @property
    def value(self) -> str | None:
        """The value, the last one of several; ``None`` without."""
        return self.values[-1] if self.values else None


@dataclass(frozen=True)
class Line:
    """All of a command line: arguments, and what stands between them with its index."""

    given: tuple[Given, ...]
    positionals: tuple[tuple[int, str], ...] = field(default=())

    def last(self, name: str) -> Given | None:
        """The last mention of an argument by its long name, the one that counts."""
        return next((g for g in reversed(self.given) if g.means == name and not g.key), None)

    def all(self, name: str) -> tuple[Given, ...]:
        """Every mention of an argument, those of its keys included."""
        return tuple(g for g in self.given if g.means == name)

    def value(self, name: str) -> str | None:
        """Value of the last mention."""
        last = self.last(name)
        return last.value if last else None

    def integer(self, name: str, default: int) -> int | None:
        """Value as an integer; ``None`` when it is none."""
        text = self.value(name)
        if text is None:
            return default
        return int(text) if re.fullmatch(r"\d{1,9}", text) else None


def read_line(args: Sequence[str], target: Target) -> Line:
    """Take a command line apart; ``args`` begin behind ``vllm serve``."""
    given: list[Given] = []
    positionals: list[tuple[int, str]] = []
    index = 0
    while index < len(args):
        if args[index] == "--":
            positionals += list(enumerate(args))[index + 1 :]
            break
        if _is_value(args[index]):
            positionals.append((index, args[index]))
            index += 1
            continue
        found = _argument(args, index, target)
        given.append(found)
        index += 1 + (0 if found.attached else len(found.values))
    return Line(tuple(given), tuple(positionals))


def _is_value(text: str) -> bool:
    return not text.startswith("-") or text == "-" or bool(_NEGATIVE_NUMBER.fullmatch(text))


def _argument(args: Sequence[str], index: int, target: Target) -> Given:
    text = args[index]
    if text.startswith("-O") and text != "-O" and _LEVEL.has(target.version):
        return _level(text, index, target)
    spelled, equals, value = text.partition("=")
    name, key = _name_and_key(spelled, target)
    flag, candidates = _find(name, target)
    if key and flag and flag.kind not in {"json", "str"}:
        flag = None
    shape = flag or next(reversed(target.table.flags.get(name, ())), None)
    values = (value,) if equals else tuple(_following(args[index + 1 :], shape, key))
    return Given(
        index=index,
        name=flag.name if flag else spelled,
        spelled=spelled,
        flag=flag,
        values=values,
        key=key,
        attached=bool(equals),
        candidates=candidates,
    )


def _level(text: str, index: int, target: Target) -> Given:
    named = _LEVEL_NAMED.has(target.version)
    name = "--optimization-level" if named else "--compilation-config"
    value = text[2:].removeprefix("=")
    flag = target.table.flag(name, target.version)
    return Given(index, name, text, flag, (value,), attached=True)


def _name_and_key(spelled: str, target: Target) -> tuple[str, str]:
    if not spelled.startswith("--"):
        if spelled == "-O" and _LEVEL_NAMED.has(target.version):
            return "--optimization-level", ""
        return spelled, ""
    if not _DOTTED.has(target.version):
        return spelled.replace("_", "-"), ""
    name, _, key = spelled.partition(".")
    return name.replace("_", "-"), key


def _find(name: str, target: Target) -> tuple[Flag | None, tuple[str, ...]]:
    """The argument of that name, or the only one that begins so."""
    exact = target.table.flag(name, target.version)
    if exact or not name.startswith("--"):
        return exact, ()
    begins = tuple(n for n in target.table.names(target.version) if n.startswith(name))
    if len(begins) == 1:
        return target.table.flag(begins[0], target.version), ()
    return None, begins


def _following(rest: Sequence[str], flag: Flag | None, key: str) -> Iterator[str]:
    """Values behind an argument without ``=``.

    One that the release does not have is read as another release reads it, and one that none has is
    taken to have at most one value, so that what follows is not misread.
    """
    if flag and flag.kind == "switch":
        return
    for text in rest:
        if not _is_value(text):
            return
        yield text
        if key or flag is None or not flag.many:
            return
