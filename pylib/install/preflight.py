"""Everything that would stop the release, or hold it up, at once and before anything changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pylib.diagnose.cause import Cause, Severity, in_order
from pylib.install import needs, ownership, quota, secret_checks, surroundings
from pylib.install.changes import Changes, not_checked, plan_changes
from pylib.install.pods import try_pods
from pylib.install.site import Site
from pylib.manifests import Manifest
from pylib.validate.words import count


@dataclass(frozen=True)
class Preflight:
    """What installing would do, and what is in its way.

    ``released_volumes`` are volumes of ours that remember a claim that is gone; they are freed
    before helm runs.
    """

    causes: tuple[Cause, ...]
    changes: Changes
    released_volumes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Cause, ...]:
        """The causes that stop the install."""
        return tuple(cause for cause in self.causes if cause.severity is Severity.ERROR)

    @property
    def nothing_to_do(self) -> bool:
        """Whether the cluster has every object as it is to be."""
        return self.changes.none and not self.released_volumes


def preflight(
    site: Site,
    deployed: Mapping[str, Manifest],
    *,
    create_namespace: bool = False,
    force_conflicts: bool = False,
) -> Preflight:
    """Ask the cluster about every object, pod, Secret and volume of the release; change nothing.

    ``deployed`` holds the objects of the release's last revision.  Raises
    :class:`~pylib.errors.KubeError` when the server is away.
    """
    reader = site.reader()
    changes, refusals = plan_changes(site, deployed, force_conflicts=force_conflicts)
    admitted, pod_refusals = try_pods(site, changes)
    causes = [
        *needs.version(site),
        *needs.kinds(site),
        *needs.namespace(site, create=create_namespace),
        *ownership.strangers(site),
        *ownership.taken_volumes(site),
        *refusals,
        *pod_refusals,
        *quota.room(site, reader, admitted),
        *secret_checks.secret_contents(site, reader),
        *_lost_sizes(changes),
        *surroundings.nodes(site, reader),
        *surroundings.metrics(site, reader),
    ]
    return Preflight(
        causes=in_order([*_said_once(causes), *not_checked(reader)]),
        changes=changes,
        released_volumes=ownership.released_volumes(site),
    )


def _said_once(causes: Iterable[Cause]) -> list[Cause]:
    """Fifty cells with one fault are one problem, with one object as the example."""
    alike: dict[tuple[str, str], list[Cause]] = {}
    for cause in causes:
        alike.setdefault((cause.code, cause.message), []).append(cause)
    return [_with_others(*group) for group in alike.values()]


def _with_others(first: Cause, *others: Cause) -> Cause:
    objects = {cause.object for cause in others} - {first.object}
    if not objects:
        return first
    return replace(first, object=f"{first.object} and {count(len(objects), 'more object')}")


def _lost_sizes(changes: Changes) -> Iterable[Cause]:
    for ref, size in changes.lost_sizes.items():
        yield Cause(
            "size-lost",
            Severity.WARNING,
            ref,
            f"has {size} pods; as helm 3 hands their number over to the autoscaler it sets it to 1 "
            "for a moment, and pods that serve end",
            "do it while there is little load, or with helm 4 and --server-side=true",
        )
