"""Secrets that pods cannot start without: there, with the key, with something in it.

A pod that misses one waits in CreateContainerConfigError without ever failing.  Diagnosis knows the
faults; here it looks at pods that are not made yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from pylib.diagnose import secrets as faults
from pylib.diagnose.cause import Cause
from pylib.diagnose.scene import Scene
from pylib.install.site import Site
from pylib.snapshot.model import Snapshot
from pylib.snapshot.pod_reads import secrets
from pylib.snapshot.reader import Reader
from pylib.snapshot.times import written


def secret_contents(site: Site, reader: Reader) -> Iterator[Cause]:
    """What is wrong with the Secrets that the pods name, but for those the release brings."""
    workloads = [owner.body for owner in site.with_pods()]
    own = {f"Secret/{manifest.name}" for manifest in site.of("Secret")}
    snapshot = Snapshot(
        taken=written(datetime.now(UTC)),
        context=site.kube.context,
        release=site.release.name,
        namespace=site.release.namespace,
        objects=tuple(workloads),
        secrets=secrets(reader, workloads),
    )
    return (cause for cause in faults.causes(Scene(snapshot)) if cause.object not in own)
