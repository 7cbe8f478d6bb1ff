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

from pylib.files import read_text
from pylib.proc import Measured, run_measured
from pylib.chart import chart_path
from pylib.release import release_of_config
from pylib.render import KUBERNETES
from pylib.tools import find_helm, find_kubeconform
from pylib.validate.schemas import Schemas

CASE = "gemma-7b-tutorial"


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


def measure(case: Path, counts: Sequence[int], runs: int = 3) -> Iterator[Row]:
    """One row for each count: each side once unmeasured, then ``runs`` times in turn."""
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            configs = tuple(_copies(case, Path(folder) / str(count), count))
            yield _row(configs, count, 1 if count >= 100 else runs)


def _copies(case: Path, folder: Path, count: int) -> Iterator[Path]:
    """``count`` configs that differ in release name, each with its lock and its values file."""
    text, lock = read_text(case / "config.yaml"), read_text(case / "config.lock.yaml")
    name = load_inputs(case / "config.yaml").release
    for index in range(count):
        place = folder / f"r{index}"
        place.mkdir(parents=True)
        config = place / "config.yaml"
        config.write_text(text.replace(f"name: {name}\n", f"name: r{index}\n"), encoding="utf-8")
        (place / "config.lock.yaml").write_text(lock, encoding="utf-8")
        (place / "values.yaml").write_text(load_inputs(config).text, encoding="utf-8")
        yield config


def _row(configs: Sequence[Path], count: int, runs: int) -> Row:
    ours, bare = _ours(configs), _bare(configs)
    if count < 100:  # the first run of each reads files and builds schemas that later runs find
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


def _ours(configs: Sequence[Path]) -> list[str]:
    return [sys.executable, "-m", "pylib", "validate", "-f", *map(str, configs)]


def _bare(configs: Sequence[Path]) -> list[str]:
    locations = " ".join(f"-schema-location '{place}'" for place in schema_locations(KUBERNETES))
    loop = (
        f'for values; do "{find_helm()}" template r "{chart_path()}" --namespace vllm'
        f' --kube-version {KUBERNETES} -f "$values" |'
        f' "{find_kubeconform()}" -strict {locations} - || exit 1; done'
    )
    return ["sh", "-c", loop, "sh", *(str(path.with_name("values.yaml")) for path in configs)]


def table(rows: Iterator[Row]) -> Iterator[str]:
    """The rows as lines of text, each as soon as it is measured."""
    yield f"{'releases':>8} {'pylib s':>9} {'bare s':>9} {'ratio':>6} {'pylib MiB':>10} {'bare MiB':>9}"
    for row in rows:
        yield (
            f"{row.releases:>8} {row.ours_seconds:>9.2f} {row.bare_seconds:>9.2f} {row.ratio:>6.2f}"
            f" {row.ours_mib:>10.0f} {row.bare_mib:>9.0f}"
        )
