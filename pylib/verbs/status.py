"""``status``: what of a config is there, how old, for whom, and what it costs a month."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, TextIO

from pylib.errors import EXIT_OK, CloudError
from pylib.verbs.down import site_arguments
from pylib.verbs.site import site_of

if TYPE_CHECKING:
    from pylib.up.status import Line


def arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    site_arguments(parser)


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print it; exit code 9 when a place gave no answer."""
    from pylib.up.status import status

    found = status(site_of(args, out))
    if args.output == "json":
        lines = [line.data() for line in found.lines]
        document = {"resources": lines, "month": found.month, "unknown": list(found.unknown)}
        out.write(json.dumps(document, indent=2) + "\n")
    else:
        out.writelines(f"{_text(line)}\n" for line in found.lines)
        out.write(f"about ${found.month:.2f} a month, as far as prices are known (guesses)\n")
        out.writelines(f"not known: {text}\n" for text in found.unknown)
    return CloudError.exit_code if found.unknown else EXIT_OK


def _text(line: Line) -> str:
    age = "" if line.days is None else f", {line.days:g} days old"
    month = ", price unknown" if line.month is None else f", ${line.month:.2f} a month"
    return f"{line.kind} {line.name}: {line.state}, {line.about}{age}{month}; {line.use}"
