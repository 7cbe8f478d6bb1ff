"""``python -m pylib VERB``: reads arguments, prints results, picks the exit code; no more.

Verbs in the order of the flow.  Each calls one typed function that :mod:`pylib` exports; modules
load when their verb runs, so that ``validate`` on plain manifests starts fast.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TextIO

from pylib import __version__
from pylib.errors import EXIT_INTERRUPTED, EXIT_OK, VfsError

VERBS = {
    "init": "write a commented config to start from",
    "doctor": "check that a project can bake and serve, before anything is made",
    "plan": "show what up would do",
    "bake": "make the disk images, and note them in the lock file",
    "up": "bring everything to what a config says, from baked images to a release that serves",
    "down": "take away what up made",
    "gc": "find what dead bakes left behind, and delete it when told to",
    "status": "list what of a config is there, and what it costs",
    "values": "write the chart values that follow from config and lock",
    "render": "render the chart for a config, or for a values file",
    "validate": "check configs, values files, or manifests that any tool made",
    "install": "bring a release into a cluster, and wait until it serves",
    "observe": "say why a release is not ready, and where its start-up time went",
    "accept": "prove on a user's own cluster what no emulator can",
    "emulator": "serve the Google Cloud APIs that bake uses, on this machine",
    "bench": "measure render and validate against bare helm and kubeconform",
}
"""Each verb, in the order of the flow, and what it does; its module in :mod:`pylib.verbs`."""

Verb = Callable[[argparse.Namespace, TextIO], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code and never raises for what a user can cause."""
    words = sys.argv[1:] if argv is None else argv
    args = _parser(words).parse_args(words)
    verb: Verb = args.verb
    try:
        code = verb(args, sys.stdout)
        sys.stdout.flush()  # here, where a reader that went away is no traceback
    except VfsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of the pipe went away; Python would try to write to it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of a command line: of all verbs, only the one that is named loads."""
    parser = argparse.ArgumentParser(
        prog="python -m pylib",
        description="Start vLLM fast on GKE: config -> bake -> values -> render -> "
        "validate -> install -> observe.",
        epilog="Exit codes: 0 done, 1 findings, 2 usage or config, 3 tool missing, 4 tool failed, "
        "5 render, 6 unreadable manifest, 7 cluster, 8 install, 9 Google Cloud, 10 bake, "
        "11 provision, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"vllm-fast-start {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    named = next((word for word in words if not word.startswith("-")), "")
    for name, text in VERBS.items():
        sub = verbs.add_parser(name, help=text, description=text)
        if name == named:
            module = import_module(f"pylib.verbs.{name}")
            module.arguments(sub)
            sub.set_defaults(verb=module.run)
    return parser
