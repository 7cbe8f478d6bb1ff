"""vLLM's own command line, asked without what it imports: on a package that is built alike."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.support import SCRIPTS

UTILS = """
import argparse
import torch
from torch.nn import Module

class FlexibleArgumentParser(argparse.ArgumentParser):
    pass

@torch.compile(mode="fast")
def compiled(x: torch.Tensor | None = None) -> torch.Tensor:
    return x

class Layer(Module, torch.nn.Other[int]):
    scale = 1.0 / torch.finfo(torch.float16).max
    size = max(2, torch.cuda.get_device_properties(0).total_memory * 2)
"""
CLI_ARGS = """
import json
import vllm._C
from vllm._C import kernel

def size(text):
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)

def make_arg_parser(parser):
    parser.add_argument("--model")
    parser.add_argument("--dtype", choices=["half", "float"])
    parser.add_argument("--port", "-p", type=int)
    parser.add_argument("--length", type=size)
    parser.add_argument("--share", type=float)
    parser.add_argument("--extra", type=json.loads)
    parser.add_argument("--names", nargs="+")
    parser.add_argument("--hook", action="append")
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--maybe", nargs="?")
    return parser
"""
MAIN = """
from vllm.entrypoints.openai.cli_args import make_arg_parser
from vllm.utils import FlexibleArgumentParser

def main():
    parser = FlexibleArgumentParser(prog="vllm")
    serve = parser.add_subparsers().add_parser("serve")
    serve.add_argument("model_tag")
    serve.add_argument("--config")
    make_arg_parser(serve).set_defaults(dispatch_function=lambda args: print("serving"))
    args = parser.parse_args()
    args.dispatch_function(args)
"""
ENGINE = """
class AsyncEngineArgs:
    @classmethod
    def from_cli_args(cls, args):
        if args.dtype == "float":
            raise ValueError("no float today")
        return cls()
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a package ``vllm`` in the layout of the older releases."""
    folder = tmp_path_factory.mktemp("source")
    files = {
        "__init__.py": "",
        "utils.py": UTILS,
        "scripts.py": MAIN,
        "engine/__init__.py": "",
        "engine/arg_utils.py": ENGINE,
        "entrypoints/__init__.py": "",
        "entrypoints/openai/__init__.py": "",
        "entrypoints/openai/cli_args.py": CLI_ARGS,
    }
    for name, text in files.items():
        file = folder / "vllm" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def ask(package: Path, mode: str, question: object = None) -> Any:
    """The answer of scripts/vllm_parser.py."""
    command = [sys.executable, "-m", "scripts.vllm_parser", str(package), "0.5.3", mode]
    text = json.dumps(question)
    asked = subprocess.run(
        command, input=text, capture_output=True, check=False, text=True, cwd=SCRIPTS.parent
    )
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)


def test_every_argument_is_told_with_the_kind_of_its_value(package: Path) -> None:
    found = ask(package, "table")
    assert found.pop("-h") == {"kind": "switch", "of": "--help"}
    assert found == {
        "--config": {"kind": "str"},
        "--dtype": {"kind": "str", "choices": ["half", "float"]},
        "--eager": {"kind": "switch"},
        "--extra": {"kind": "json"},
        "--help": {"kind": "switch"},
        "--hook": {"kind": "str", "repeats": True},
        "--length": {"kind": "size"},
        "--maybe": {"kind": "str", "optional": True},
        "--model": {"kind": "str"},
        "--names": {"kind": "str", "many": True},
        "--port": {"kind": "int"},
        "--share": {"kind": "float"},
        "-p": {"kind": "int", "of": "--port"},
    }


def test_each_command_line_gets_the_packages_own_verdict(package: Path) -> None:
    lists = [
        ["model", "--port=1", "--names", "a", "b"],
        ["model", "--port=x"],
        ["model", "--bogus"],
        ["model", "--dtype=float"],
        ["--port=1"],
    ]
    assert ask(package, "parse", lists) == [
        None,
        "vllm serve: error: argument --port/-p: invalid int value: 'x'",
        "vllm: error: unrecognized arguments: --bogus",
        "ValueError: no float today",
        "vllm serve: error: the following arguments are required: model_tag",
    ]
