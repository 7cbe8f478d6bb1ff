"""The growth benchmark runs, and calls grow with pages and cells, not with resources."""

from __future__ import annotations

import pytest

from tests.cloud import growth


def test_growth_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert growth.main(["--cells", "3", "6", "--resources", "10", "400"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    calls = {(row[0], int(row[1])): int(row[2]) for row in rows}
    assert calls["plan", 6] - calls["plan", 3] == 3
    assert calls["status", 400] == calls["status", 10]
    assert calls["gc", 400] == calls["gc", 10]
