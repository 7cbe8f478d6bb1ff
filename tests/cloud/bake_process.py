"""A bake as a process of its own: ``ENDPOINT JOURNAL KILL_AT``, and then it is really killed.

Its time runs many times as fast as the service's, so that polling is quick.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from pylib.bake import runner
from pylib.bake.runner import Tools, run_bake
from pylib.cloud.gcp import connect
from pylib.journal import Entry, Journal
from tests.cloud.baking import pack, request
from tests.cloud.fast_clock import FastClock


class _Dying(Journal):
    """Dies right after its ``kill_at``th line is on disk."""

    kill_at = 0
    written = 0

    def append(self, entry: Entry) -> None:
        super().append(entry)
        _Dying.written += 1
        if _Dying.written == _Dying.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def main(endpoint: str, journal: str, kill_at: int) -> None:
    """One bake, with that journal."""
    _Dying.kill_at = kill_at
    vars(runner)[Journal.__name__] = _Dying
    asked = request()
    place = replace(asked.place, project="demo-project", images_project="demo-project")
    cloud = connect("demo-project", endpoint=endpoint, clock=FastClock())
    tools = Tools(cloud, Path(journal), pack, lambda _: None)
    run_bake(replace(asked, place=place), tools, lambda _: None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
