"""Ask vLLM's own argument parser; run by scripts/check_vllm_args.py, in a Python of its own.

    python vllm_parser.py table            prints every argument that `vllm serve` takes, as JSON
    python vllm_parser.py parse < LISTS    reads JSON lists of arguments, prints one verdict each:
                                           null when accepted, else what vLLM says

Environment: VLLM_SOURCE is the folder that holds the package `vllm`, VLLM_RELEASE its version; with
VLLM_STAND_INS=1 packages that are not in REAL are replaced (scripts/vllm_stand_ins.py).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


def prepare() -> Path:
    """Make ``vllm`` importable; the folder of the package."""
    warnings.simplefilter("ignore")
    source, release = Path(os.environ["VLLM_SOURCE"]), os.environ["VLLM_RELEASE"]
    os.environ.update(VLLM_LOGGING_LEVEL="ERROR", VLLM_CONFIGURE_LOGGING="0")
    sys.path.insert(0, str(source))
    # vLLM takes itself for its CPU build by this; without a GPU the other one has no device.
    versions = {"vllm": f"{release}+cpu"}
    if os.environ.get("VLLM_STAND_INS") == "1":
        import vllm_stand_ins

        vllm_stand_ins.install(REAL, versions)
    else:
        installed = importlib.metadata.version
        importlib.metadata.version = lambda name: versions.get(name) or installed(name)
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
    return next((kind for kind in PROBES if kind in taken and (kind != "int" or "float" not in taken)), "str")


def describe(action: argparse.Action) -> dict[str, Any]:
    """One argument as data; what is usual is left out."""
    kind = kind_of(action)
    said: dict[str, Any] = {"kind": kind}
    if action.nargs in {"+", "*"}:
        said["many"] = True
    if action.nargs == "?":
        said["optional"] = True
    if isinstance(action, argparse._AppendAction):
        said["repeats"] = True
    if action.choices is not None:
        said["choices"] = [str(choice) for choice in action.choices]
    elif kind not in {"str", "switch"} and callable(action.type):
        said |= {"words": words} if (words := [w for w in WORDS if _accepts(action.type, w)]) else {}
    return said


def table(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Every option string with its description; ``of`` names the first long one of the same."""
    found: dict[str, Any] = {}
    for action in parser._actions:
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


def load(namespace: argparse.Namespace) -> None:
    """Let vLLM make the weights loader that the arguments ask for: it checks its own settings."""
    engine = importlib.import_module("vllm.engine.arg_utils").AsyncEngineArgs.from_cli_args(namespace)
    if hasattr(engine, "create_load_config"):
        loaders = importlib.import_module("vllm.model_executor.model_loader")
        loaders.get_model_loader(engine.create_load_config())


def intercept(parser_class: Any) -> None:
    """Let vLLM parse, and check what it parsed, but not go on to serve."""
    parse = parser_class.parse_args

    def parse_args(self: Any, *args: Any, **options: Any) -> Any:
        parsed = parse(self, *args, **options)

        def stop(namespace: Any) -> None:
            load(namespace)
            raise Parsed

        if hasattr(parsed, "dispatch_function"):
            parsed.dispatch_function = stop
        return parsed

    parser_class.parse_args = parse_args


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


def verdicts(package: Path) -> Iterator[str | None]:
    """One verdict for each list of arguments on standard input."""
    lists = json.load(sys.stdin)
    intercept(flexible_parser(package))
    main = own_main(package)
    for arguments in lists:
        yield verdict(main, arguments)


def run(mode: str) -> None:
    """Answer on the real standard output; what vLLM prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        package = prepare()
        answer = table(make_parser(package)) if mode == "table" else list(verdicts(package))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    run(sys.argv[1])
