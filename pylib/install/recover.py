"""Mends what an earlier run left: a pending revision, a volume that remembers a deleted claim.

Helm writes "pending" before it starts and nothing while it works, and a helm that was killed never
takes it back; every later upgrade is then refused.  No lease says whether that helm still lives, so
age decides: without ``--wait`` and hooks helm is done in seconds, and its own default limit for
everything else is five minutes.  ``helm rollback`` ends the state; it does so also onto the pending
revision itself, whose objects it then completes.  So nothing needs to be uninstalled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pylib.diagnose.wording import seconds as shown
from pylib.errors import InstallError
from pylib.helm import PENDING, HelmRelease, Revision
from pylib.install.deadline import Deadline
from pylib.install.site import Site
from pylib.manifests import Manifest
from pylib.snapshot.bodies import word
from pylib.yamlio import parse_all

Say = Callable[[str], None]

INTERRUPTED_SECONDS = 330.0
"""Age from which a pending revision has no helm any more: helm's default ``--timeout``, and some.
helm.sh/helm pkg/cmd/upgrade.go@v4.3.1."""

_UNINSTALLING = "uninstalling"


def objects_of(helm: HelmRelease, revision: int) -> dict[str, Manifest]:
    """The objects of a revision, by their ``Kind/namespace/name``."""
    found = (Manifest(document.body) for document in parse_all(helm.manifest(revision)))
    return {manifest.ref: manifest for manifest in found}


def settle(
    helm: HelmRelease, wanted: Sequence[Manifest], deadline: Deadline, say: Say, *, take_over: bool
) -> tuple[Revision, ...]:
    """The release's history with no operation pending.

    Waits for an operation that may be somebody's, and ends one that was interrupted; at once with
    ``take_over``.  Raises :class:`InstallError` when the deadline passes before either.
    """
    began = datetime.now(UTC)
    said = False
    while True:
        history = helm.history()
        if not history or history[-1].status not in {*PENDING, _UNINSTALLING}:
            return history
        last = history[-1]
        # An uninstall leaves the time of the install in place.
        since = began if last.status == _UNINSTALLING else last.updated
        age = (datetime.now(UTC) - since).total_seconds()
        if take_over or age >= INTERRUPTED_SECONDS:
            finish(helm, history, wanted, say)
            continue
        if deadline.passed:
            raise InstallError(_busy(helm, last))
        if not said:
            said = True
            say(
                f"revision {last.number} is {last.status} for {shown(age)}: another helm may be at "
                f"work, so this waits up to {shown(INTERRUPTED_SECONDS - age)} for it; --take-over "
                "goes on at once, if you know that none is"
            )
        deadline.pause()


def finish(
    helm: HelmRelease, history: Sequence[Revision], wanted: Sequence[Manifest], say: Say
) -> None:
    """End the last revision's pending state, whose helm is known to be gone."""
    last = history[-1]
    if last.status == _UNINSTALLING:
        say(f"an uninstall of release {helm.name} was interrupted; it is finished first")
        helm.uninstall()
        return
    target = _target(helm, history, wanted)
    what = "completed" if target == last.number else f"rolled back to revision {target}"
    say(f"revision {last.number} was left {last.status} by an interrupted run; it is {what}")
    helm.rollback(target)


def _target(helm: HelmRelease, history: Sequence[Revision], wanted: Sequence[Manifest]) -> int:
    """The last good revision; the interrupted one where that is what is wanted, or all there is."""
    last = history[-1].number
    deployed = [revision.number for revision in history if revision.status == "deployed"]
    if not deployed:
        return last
    begun = objects_of(helm, last)
    same = {ref: manifest.body for ref, manifest in begun.items()} == {
        manifest.ref: manifest.body for manifest in wanted
    }
    return last if same else deployed[-1]


def _busy(helm: HelmRelease, last: Revision) -> str:
    return (
        f"revision {last.number} of release {helm.name} is {last.status} since "
        f"{last.updated:%H:%M:%S} UTC: another helm works on it, or was killed. "
        "Nothing was changed. Wait for it, or, when you know that none runs, use --take-over."
    )


def wait_until_gone(look: Callable[[], Site], deadline: Deadline, say: Say) -> Site:
    """A look at the cluster in which nothing of the release is being deleted any more.

    What is applied onto an object that is going away goes with it.  Raises
    :class:`InstallError` at the deadline, with the objects that stay.
    """
    said: tuple[str, ...] = ()
    while True:
        site = look()
        ending = site.ending()
        if not ending:
            return site
        if deadline.passed:
            kind, _, name = ending[0].partition("/")
            finalizers = f"get {kind.lower()} {name.rpartition('/')[2]} -o yaml"
            raise InstallError(
                f"{', '.join(ending)}: still being deleted after {shown(deadline.seconds)}. "
                f"Nothing was changed. See what holds it: {site.kubectl(finalizers)}"
            )
        if ending != said:
            said = ending
            say(f"waits until what was deleted is gone: {', '.join(ending)}")
        deadline.pause()


def free_volumes(site: Site, volumes: Sequence[str], deadline: Deadline, say: Say) -> None:
    """Let volumes whose claim was deleted bind to the new claim of the same name.

    Returns when the controller has taken note.  Raises :class:`InstallError` at the deadline.
    """
    for name in volumes:
        forget = {"spec": {"claimRef": {"uid": None, "resourceVersion": None}}}
        site.kube.patch("v1", "PersistentVolume", name, None, forget)
        say(f"PersistentVolume/{name} was held for a claim that is gone; it is free again")
    for name in volumes:
        while _phase(site, name) == "Released":
            if deadline.passed:
                raise InstallError(
                    f"PersistentVolume/{name} stays Released though its claim was taken off it. "
                    f"See what holds it: {site.kubectl(f'describe pv {name}')}"
                )
            deadline.pause()


def _phase(site: Site, volume: str) -> str:
    return word(site.kube.get("v1", "PersistentVolume", volume), "status", "phase")
