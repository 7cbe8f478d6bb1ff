"""``python -m tests.cluster.bed up``: a control plane to try things on, until it is told to end."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import Any

from tests.cluster.bed.bed import Bed


def main() -> int:
    """Start a control plane and keep it until a signal comes or standard input's writer says so."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.bed", description=__doc__)
    parser.add_argument("what", choices=["up"])
    parser.add_argument("--keep", action="store_true", help="until a signal comes (the default)")
    parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    began = time.monotonic()
    try:
        with Bed() as bed:
            sys.stdout.write(f"export KUBECONFIG={bed.kubeconfig}\n")
            sys.stdout.flush()
            sys.stderr.write(f"ready after {time.monotonic() - began:.1f} s; Ctrl-C ends it\n")
            signal.pause()
    except (KeyboardInterrupt, SystemExit):
        return 0
    return 0


def _end(number: int, frame: Any) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
