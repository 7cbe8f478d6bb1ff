"""``pylib validate -f`` (values, render, every check) against ``helm template | kubeconform``.

Both do the same releases of this chart, from files on disk, in the same run.  The baseline is a
shell loop over the bare tools, with the same helm, the same kubeconform, and the same bundled
schemas, which it would otherwise fetch over the network; it checks the schema only.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pylib.chart import chart_path
from pylib.files import read_text
from pylib.proc import Measured, run_measured
from pylib.render import KUBERNETES
from pylib.tools import find_helm, find_kubeconform
from pylib.validate.schemas import Schemas

MANY = 100
"""From here on one run is long enough to stand alone."""


@dataclass(frozen=True)
class Row:
    """Medians for one number of releases: seconds, and peak resident memory in MiB."""

    releases: int
    ours_seconds: float
    bare_seconds: float
    ours_mib: float
    bare_mib: float

    @property
    def ratio(self) -> float:
        """Our time over the baseline's; below 1 is faster."""
        return self.ours_seconds / self.bare_seconds


def measure(cases: Path, counts: Sequence[int], runs: int = 5) -> Iterator[Row]:
    """One row for each count of releases: each side once unmeasured, then ``runs`` times in turn.

    ``cases`` is a folder of cases, whose values files take turns, the tutorial's first.
    """
    texts = [read_text(file) for file in sorted(cases.glob("*/values.yaml"), key=_tutorial_first)]
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            values = tuple(_copies(texts, Path(folder) / str(count), count))
            yield _row(values, count, 1 if count >= MANY else runs)


def _tutorial_first(file: Path) -> tuple[bool, str]:
    return "tutorial" not in file.parent.name, file.parent.name


def _copies(texts: Sequence[str], folder: Path, count: int) -> Iterator[Path]:
    folder.mkdir()
    for index in range(count):
        file = folder / f"values-{index}.yaml"
        file.write_text(texts[index % len(texts)], encoding="utf-8")
        yield file


def _row(values: Sequence[Path], count: int, runs: int) -> Row:
    ours, bare = _ours(values), _bare(values)
    if count < MANY:  # the first run of each reads files and builds schemas that later runs find
        run_measured(ours)
        run_measured(bare)
    pairs = [(run_measured(ours), run_measured(bare)) for _ in range(runs)]
    return Row(
        count,
        *(statistics.median(run.seconds for run in side) for side in zip(*pairs, strict=True)),
        *(_peak(side) for side in zip(*pairs, strict=True)),
    )


def _peak(runs: Sequence[Measured]) -> float:
    return max(run.peak_mib for run in runs)


def _ours(values: Sequence[Path]) -> list[str]:
    return [sys.executable, "-m", "pylib", "validate", "--values", *map(str, values)]


def _bare(values: Sequence[Path]) -> list[str]:
    # One worker: kubeconform's reader of standard input shares its buffer between several.
    loop = (
        f'for values; do "{find_helm()}" template vllm "{chart_path()}"'
        f' --kube-version {KUBERNETES} -f "$values" |'
        f' "{find_kubeconform()}" -strict -n 1 -schema-location "{Schemas(KUBERNETES).location}" -'
        " || exit 1; done"
    )
    return ["sh", "-c", loop, "sh", *map(str, values)]


def table(rows: Iterator[Row]) -> Iterator[str]:
    """The rows as lines of text, each as soon as it is measured."""
    heads = ("releases", "pylib s", "bare s", "ratio", "pylib MiB", "bare MiB")
    yield "{:>8} {:>9} {:>9} {:>6} {:>10} {:>9}".format(*heads)
    for row in rows:
        yield (
            f"{row.releases:>8} {row.ours_seconds:>9.2f} {row.bare_seconds:>9.2f} {row.ratio:>6.2f}"
            f" {row.ours_mib:>10.0f} {row.bare_mib:>9.0f}"
        )
