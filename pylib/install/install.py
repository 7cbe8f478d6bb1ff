"""Installs a release, or brings it to what its values say: check, mend, helm, wait.

Safe to run again at any time: a second run changes nothing when there is nothing to change, and
goes on where an interrupted one stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pylib.chart import chart_path
from pylib.diagnose.cause import Cause
from pylib.errors import InstallError
from pylib.helm import PENDING, HelmError, HelmRelease, Revision
from pylib.install import recover
from pylib.install.changes import Changes
from pylib.install.deadline import Deadline
from pylib.install.preflight import Preflight, preflight
from pylib.install.site import Site, look
from pylib.install.text import cause_lines, change_lines
from pylib.install.wait import wait_ready
from pylib.kube import Kube
from pylib.manifests import Manifest
from pylib.release import Release
from pylib.render import render_release
from pylib.tools import find_helm
from pylib.validate.words import count

Say = Callable[[str], None]

T = TypeVar("T")

_AWAY_TRIES = 3
"""Runs of helm that a server which goes away may spoil."""


def _silent(line: str) -> None:
    """For callers that want no news."""


@dataclass(frozen=True)
class Options:
    """How to install.

    ``timeout`` is in seconds, for all of it; ``None`` takes the longest that the release's own
    objects allow themselves.  ``take_over`` treats a pending revision as interrupted at once.
    """

    timeout: float | None = None
    create_namespace: bool = False
    dry_run: bool = False
    wait: bool = True
    take_over: bool = False
    force_conflicts: bool = False


@dataclass(frozen=True)
class Installed:
    """The outcome: ``revision`` is helm's number, 0 after a dry run of a new release.

    ``changed`` says whether helm ran, ``ready`` whether the release serves, ``None`` when nobody
    waited; ``causes`` is what is not as it should be and did not stop it.
    """

    release: str
    namespace: str
    context: str
    revision: int
    changed: bool
    ready: bool | None
    changes: Changes
    causes: tuple[Cause, ...] = ()
    notes: str = ""


def install_release(
    release: Release,
    kube: Kube,
    *,
    kubeconfig: Path | None = None,
    options: Options = Options(),
    confirm: Callable[[Preflight], bool] | None = None,
    say: Say = _silent,
) -> Installed:
    """Install or upgrade ``release`` in the cluster that ``kube`` is connected to.

    ``kubeconfig`` is the file that ``kube`` was connected with.  ``confirm`` is asked after the
    checks and before the first change; ``say`` gets a line whenever there is news.

    Raises :class:`InstallError` with every problem that the checks find, when helm refuses, and
    when the release does not get ready; :class:`~pylib.errors.KubeError` when the cluster is away;
    what :func:`pylib.render.render_release` raises.  The values are validated by
    :func:`pylib.pipeline.validate_releases`, before this.
    """
    run = _Run(release, kube, kubeconfig, options, say)
    try:
        return run.install(confirm)
    except HelmError as error:
        raise InstallError(run.helm_failed(error)) from None
    except KeyboardInterrupt:
        say(run.after_interrupt())
        raise


class _Run:
    """One install, step by step."""

    def __init__(
        self, release: Release, kube: Kube, kubeconfig: Path | None, options: Options, say: Say
    ) -> None:
        self._release = release
        self._kube = kube
        self._options = options
        self._say = say
        # Rendered as the server will have it rendered: the chart may look at the version.
        self._manifests = render_release(release, kubernetes=kube.version()).manifests
        context = None if kube.context == "in-cluster" else kube.context
        self._helm = HelmRelease(find_helm(), release.name, release.namespace, kubeconfig, context)
        self._seconds = options.timeout or longest(self._manifests)
        self._deadline = Deadline(self._seconds)
        self._touched = False

    def install(self, confirm: Callable[[Preflight], bool] | None) -> Installed:
        """All steps."""
        site = self._look_when_gone()
        history: Sequence[Revision] = self._helm.history()
        plan = self._check(site, history)
        if self._options.dry_run:
            return self._outcome(plan, history, changed=False, ready=None)
        if confirm is not None and not confirm(plan):
            raise InstallError("not confirmed; nothing was changed")
        self._deadline = Deadline(self._seconds)  # the time somebody took to say yes is his own
        self._touched = True
        history, plan, site = self._settle(history, plan, site)
        changed = not (plan.nothing_to_do and self._is_deployed(history))
        notes = self._change(site, plan) if changed else self._unchanged(history)
        history = self._helm.history()
        if not self._options.wait:
            return self._outcome(plan, history, changed=changed, ready=None, notes=notes)
        causes = wait_ready(site, self._deadline, self._say)
        self._say(f"release {self._release.name} is ready, revision {history[-1].number}")
        return self._outcome(plan, history, changed=changed, ready=True, notes=notes, causes=causes)

    def after_interrupt(self) -> str:
        """What the interrupted run leaves, and how to go on."""
        if not self._touched:
            return "interrupted before anything was changed"
        history = self._helm.history()
        state = (
            f"revision {history[-1].number} of release {self._release.name} is {history[-1].status}"
            if history
            else "nothing is installed"
        )
        return f"interrupted: {state}. Run the same command again: it goes on from there."

    def _look(self) -> Site:
        return look(self._kube, self._release, self._manifests, self._helm.manager)

    def _look_when_gone(self) -> Site:
        if self._options.dry_run:
            return self._look()
        return recover.wait_until_gone(self._look, self._deadline, self._say)

    def _check(self, site: Site, history: Sequence[Revision]) -> Preflight:
        plan = preflight(
            site,
            self._deployed(history),
            create_namespace=self._options.create_namespace,
            force_conflicts=self._options.force_conflicts,
        )
        if plan.errors:
            head = (
                f"the cluster of context {self._kube.context} cannot take release "
                f"{self._release.name} in namespace {self._release.namespace}: "
                f"{count(len(plan.errors), 'problem')}. Nothing was changed."
            )
            raise InstallError("\n".join([head, *cause_lines(plan.causes)]))
        for line in (*cause_lines(plan.causes), *change_lines(plan.changes)):
            self._say(line)
        return plan

    def _deployed(self, history: Sequence[Revision]) -> Mapping[str, Manifest]:
        """The objects of the revision that helm will compare with."""
        deployed = [revision.number for revision in history if revision.status == "deployed"]
        known = deployed or [rev.number for rev in history[-1:] if rev.status != "uninstalled"]
        return recover.objects_of(self._helm, known[-1]) if known else {}

    def _settle(
        self, history: Sequence[Revision], plan: Preflight, site: Site
    ) -> tuple[Sequence[Revision], Preflight, Site]:
        """No operation is pending; what was found before is found anew when that took a change."""

        def settle() -> Sequence[Revision]:
            return recover.settle(
                self._helm,
                site.objects,
                self._deadline,
                self._say,
                take_over=self._options.take_over,
            )

        settled = self._patiently(settle)
        if tuple(settled) == tuple(history):
            return history, plan, site
        site = self._look_when_gone()
        return settled, self._check(site, settled), site

    def _is_deployed(self, history: Sequence[Revision]) -> bool:
        """Whether helm's last word is a success with these very values."""
        if not history or history[-1].status != "deployed":
            return False
        given = json.loads(json.dumps(self._release.values))
        return bool(self._helm.values(history[-1].number) == given)

    def _unchanged(self, history: Sequence[Revision]) -> str:
        number = history[-1].number
        self._say(f"nothing to change: revision {number} is what {self._release.file} makes")
        return ""

    def _change(self, site: Site, plan: Preflight) -> str:
        recover.free_volumes(site, plan.released_volumes, self._deadline, self._say)
        force = self._options.force_conflicts or plan.changes.resized
        return self._patiently(lambda: self._upgrade(site, force=force))

    def _patiently(self, step: Callable[[], T]) -> T:
        """Run a step of helm's again after the server went away in the middle of it.

        A server that is back may not list all its kinds for seconds more, and what helm then
        refuses for that is the outage's fault too.
        """
        was_away = False
        for _ in range(_AWAY_TRIES):
            try:
                return step()
            except HelmError as error:
                was_away = was_away or error.away
                if not was_away or self._deadline.passed:
                    raise
                self._say(f"the API server went away while helm worked, which runs again: {error}")
            self._wait_until_back()
        return step()

    def _wait_until_back(self) -> None:
        """The server answers, and lists every kind of the release, as it did at the checks."""
        self._kube.version()  # comes back when the server does
        self._kube.forget_kinds()
        wanted = {(manifest.api_version, manifest.kind) for manifest in self._manifests}
        while not all(self._kube.serves(*kind) for kind in wanted) and not self._deadline.passed:
            self._deadline.pause()

    def _upgrade(self, site: Site, *, force: bool) -> str:
        history = self._helm.history()
        if history and history[-1].status in PENDING:
            # Settled before, so this is what our own helm left when the server went away.
            recover.finish(self._helm, history, site.objects, self._say)
        return self._helm.upgrade(
            chart_path(),
            self._release.values,
            create_namespace=self._options.create_namespace,
            force_conflicts=force and self._helm.major() > 3,
        )

    def helm_failed(self, error: HelmError) -> str:
        """What helm said, the state it left, and how to go on."""
        history = self._helm.history()
        state = (
            f"revision {history[-1].number} is {history[-1].status}" if history else "not installed"
        )
        return (
            f"helm failed at release {self._release.name} in namespace {self._release.namespace} "
            f"({state}):\n{error}\nMend that and run the same command again: it goes on from there."
        )

    def _outcome(
        self,
        plan: Preflight,
        history: Sequence[Revision],
        *,
        changed: bool,
        ready: bool | None,
        notes: str = "",
        causes: tuple[Cause, ...] | None = None,
    ) -> Installed:
        return Installed(
            release=self._release.name,
            namespace=self._release.namespace,
            context=self._kube.context,
            revision=history[-1].number if history else 0,
            changed=changed,
            ready=ready,
            changes=plan.changes,
            causes=plan.causes if causes is None else causes,
            notes=notes,
        )


def longest(manifests: Sequence[Manifest]) -> float:
    """Seconds that the release's slowest part may take by its own word, and a minute."""
    limits = [
        *(m.get("spec", "progressDeadlineSeconds") for m in manifests if m.kind == "Deployment"),
        *(m.get("spec", "activeDeadlineSeconds") for m in manifests if m.kind == "Job"),
    ]
    return float(max([limit for limit in limits if limit], default=600)) + 60
