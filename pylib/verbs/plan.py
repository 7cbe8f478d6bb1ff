"""``plan``: what ``up`` would do now, and nothing of it done."""

from __future__ import annotations

import argparse
from typing import TextIO

from pylib.verbs.up import show_plan, up_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    up_arguments(parser)


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print the plan."""
    return show_plan(args, out)
