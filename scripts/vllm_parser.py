"""Ask vLLM's own command line; scripts/check_vllm_args.py runs it, in a Python of its own.

    python -m scripts.vllm_parser FOLDER VERSION table            all arguments of `vllm serve`
    python -m scripts.vllm_parser FOLDER VERSION parse < LISTS    a verdict for each list of them

FOLDER holds the package `vllm`.  Both answer in JSON; a verdict is null when vLLM accepts the
arguments, else vLLM's own words.  What vLLM imports beside REAL is replaced by stand-ins.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from scripts.vllm_stand_ins import install

# Behind vLLM's parser stand these, as they are.
REAL = frozenset(
    {
        "annotated_types",
        "cachetools",
        "msgspec",
        "packaging",
        "pydantic",
        "pydantic_core",
        "regex",
        "scripts",
        "typing_extensions",
        "typing_inspection",
        "vllm",
        "yaml",
        "_yaml",
    }
)
GARBAGE = "x y{"
PROBES = {"size": "1k", "int": "1", "float": "1.5", "json": "{}"}
WORDS = ("auto", "None")


class Parsed(Exception):
    """Carries the arguments out of vLLM's main function, before it serves."""


def prepare(source: Path, release: str) -> Path:
    """Make ``vllm`` importable; the folder of the package."""
    warnings.simplefilter("ignore")
    os.environ.update(VLLM_LOGGING_LEVEL="ERROR", VLLM_CONFIGURE_LOGGING="0")
    sys.path.insert(0, str(source))
    # By its version vLLM takes itself for its CPU build; the other one finds no device here.
    install(REAL, {"vllm": f"{release}+cpu"})
    return source / "vllm"


def make_parser(package: Path) -> Any:
    """The parser of the OpenAI-compatible server, made by vLLM."""
    folders = ("common", "launchers", "openai")
    folder = next(f for f in folders if (package / "entrypoints" / f / "cli_args.py").exists())
    make = importlib.import_module(f"vllm.entrypoints.{folder}.cli_args").make_arg_parser
    return make(flexible_parser(package)())


def flexible_parser(package: Path) -> Any:
    """vLLM's own class of parsers."""
    own = (package / "utils" / "argparse_utils.py").exists()
    module = importlib.import_module("vllm.utils.argparse_utils" if own else "vllm.utils")
    return module.FlexibleArgumentParser


def _accepts(convert: Callable[[str], Any], text: str) -> bool:
    try:
        convert(text)
    except (argparse.ArgumentTypeError, SyntaxError, TypeError, ValueError):
        return False
    return True


def kind_of(action: argparse.Action) -> str:
    """``switch``, ``int``, ``size`` (an int that may end in k, M, …), ``float``, ``json``, ``str``.

    Found by trying: what vLLM gives as the type may be any function.
    """
    if action.nargs == 0:
        return "switch"
    convert = action.type if callable(action.type) else str
    if _accepts(convert, GARBAGE):
        return "str"
    taken = {kind for kind, text in PROBES.items() if _accepts(convert, text)}
    if "json" in taken:
        return "json"
    if "float" in taken:
        return "float"
    return next((kind for kind in PROBES if kind in taken), "str")


def describe(action: argparse.Action) -> dict[str, Any]:
    """One argument as data; what is usual is left out."""
    kind = kind_of(action)
    said: dict[str, Any] = {"kind": kind}
    if action.nargs in {"+", "*"}:
        said["many"] = True
    if action.nargs == "?":
        said["optional"] = True
    if type(action).__name__ == "_AppendAction":
        said["repeats"] = True
    if action.choices is not None:
        said["choices"] = [str(choice) for choice in action.choices]
    elif kind not in {"str", "switch"} and callable(action.type):
        words = [word for word in WORDS if _accepts(action.type, word)]
        said |= {"words": words} if words else {}
    return said


def table(parsers: Iterable[argparse.ArgumentParser]) -> dict[str, Any]:
    """Every option string with its description; ``of`` names the first long one of the same."""
    found: dict[str, Any] = {}
    for parser in parsers:
        for action in vars(parser)["_actions"]:
            long = [option for option in action.option_strings if option.startswith("--")]
            for option in action.option_strings:
                found[option] = describe(action) | ({"of": long[0]} if option != long[0] else {})
    return found


def own_main(package: Path) -> Callable[[], None]:
    """The function behind the command ``vllm``."""
    old = (package / "scripts.py").exists() and not (package / "entrypoints/cli/main.py").exists()
    main: Callable[[], None] = importlib.import_module(
        "vllm.scripts" if old else "vllm.entrypoints.cli.main"
    ).main
    return main


def load(parsed: argparse.Namespace) -> None:
    """Let vLLM make the weights loader that the arguments ask for: it checks its own settings."""
    if not hasattr(parsed, "model"):  # in some releases `serve` moves it there, too late for us
        parsed.model = parsed.model_tag
    engine = importlib.import_module("vllm.engine.arg_utils").AsyncEngineArgs.from_cli_args(parsed)
    if hasattr(engine, "create_load_config"):
        loaders = importlib.import_module("vllm.model_executor.model_loader")
        loaders.get_model_loader(engine.create_load_config())


def intercept(parser_class: Any) -> list[Any]:
    """Let vLLM parse, and check what it parsed, but not go on to serve.

    The parser that vLLM's main function made is appended to the list that this returns.
    """
    parse = parser_class.parse_args
    made: list[Any] = []

    def stop(parsed: argparse.Namespace) -> None:
        load(parsed)
        raise Parsed

    def parse_args(self: Any, *args: Any, **options: Any) -> Any:
        made.append(self)
        parsed = parse(self, *args, **options)
        if hasattr(parsed, "dispatch_function"):
            parsed.dispatch_function = stop
        return parsed

    parser_class.parse_args = parse_args
    return made


def verdict(main: Callable[[], None], arguments: list[str]) -> str | None:
    """``None`` when ``vllm serve`` takes these arguments, else its last words."""
    sys.argv = ["vllm", "serve", *arguments]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            main()
    except Parsed:
        return None
    except SystemExit:
        lines = said.getvalue().strip().splitlines()
        return lines[-1] if lines else "it exits without a word"
    except Exception as error:  # whatever vLLM raises, it refuses
        return f"{type(error).__name__}: {error}"
    return "it does nothing with these arguments"


def parsers(package: Path) -> Iterator[argparse.ArgumentParser]:
    """The parser of the server's own module, then that of ``vllm serve``, which takes more."""
    yield make_parser(package)
    made = intercept(flexible_parser(package))
    said = verdict(own_main(package), ["model"])
    if said is not None:
        raise SystemExit(f"vLLM refuses a command line with nothing but a model: {said}")
    for action in vars(made[0])["_actions"]:
        if isinstance(action.choices, dict):
            yield action.choices["serve"]


def verdicts(package: Path) -> Iterator[str | None]:
    """One verdict for each list of arguments on standard input."""
    lists = json.load(sys.stdin)
    intercept(flexible_parser(package))
    main = own_main(package)
    for arguments in lists:
        yield verdict(main, arguments)


def run(folder: str, release: str, mode: str) -> None:
    """Answer on standard output; what vLLM prints meanwhile goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        package = prepare(Path(folder), release)
        answer = table(parsers(package)) if mode == "table" else list(verdicts(package))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    run(*sys.argv[1:])
