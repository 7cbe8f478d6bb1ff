"""What installing would change, asked of the server itself: a dry run of every object.

The dry run goes through admission, so it also says what the server would refuse, and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pylib.diagnose.cause import Cause, Severity
from pylib.errors import KubeError
from pylib.install.site import Site, scaler_of
from pylib.kube import Body
from pylib.manifests import Manifest
from pylib.snapshot.bodies import dig, part, parts, word
from pylib.snapshot.plain import plain
from pylib.snapshot.reader import Reader

_CONFLICT = 409
_INVALID = 422
_BOOKKEEPING = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid")
_CONFLICTING_FIELD = re.compile(r"(?:: |^- )(\.\S+)$", re.MULTILINE)
_REPLICAS = ".spec.replicas"


@dataclass(frozen=True)
class Changes:
    """Objects by what becomes of them, each as ``Kind/namespace/name``.

    ``new_pods`` are the Deployments and Jobs whose pods would be made anew; ``lost_sizes`` the size
    of each Deployment that helm 3 would set back to one pod; ``resized`` says that an autoscaler's
    number gives way to a fixed one.
    """

    create: tuple[str, ...] = ()
    change: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    new_pods: frozenset[str] = frozenset()
    lost_sizes: Mapping[str, int] = field(default_factory=dict)
    resized: bool = False

    @property
    def none(self) -> bool:
        """Whether every object is as it is to be."""
        return not (self.create or self.change or self.delete)


@dataclass
class _Answers:
    """What the server said to each dry run."""

    made: dict[str, Body] = field(default_factory=dict)
    refusals: list[Cause] = field(default_factory=list)
    resized: bool = False


def plan_changes(
    site: Site, deployed: Mapping[str, Manifest], *, force_conflicts: bool = False
) -> tuple[Changes, list[Cause]]:
    """The changes, and what the server refuses; ``deployed`` is the release's last revision."""
    answers = _Answers()
    for manifest in site.objects:
        _try(site, manifest, answers, force_conflicts=force_conflicts)
    differing = {m.ref for m in site.objects if _differs(site, m, deployed, answers)}
    create = [m.ref for m in site.objects if m.ref not in site.live]
    wanted = {m.ref for m in site.objects}
    changes = Changes(
        create=tuple(create),
        change=tuple(m.ref for m in site.objects if m.ref in differing and m.ref in site.live),
        keep=tuple(m.ref for m in site.objects if m.ref not in differing),
        delete=tuple(ref for ref in deployed if ref not in wanted),
        new_pods=frozenset(
            m.ref for m in site.of("Deployment", "Job") if _makes_pods(site, m, answers)
        ),
        lost_sizes=dict(_lost_sizes(site, deployed)),
        resized=answers.resized,
    )
    return changes, answers.refusals


def _try(site: Site, manifest: Manifest, answers: _Answers, *, force_conflicts: bool) -> None:
    if not site.kube.serves(manifest.api_version, manifest.kind):
        return
    if manifest.namespace and site.namespace is None:
        return
    live = site.live.get(manifest.ref)
    if live is not None and not site.is_ours(live):
        return
    try:
        answers.made[manifest.ref] = _accepted(
            site, manifest, live, answers, force_conflicts=force_conflicts
        )
    except KubeError as error:
        if error.status == 0:
            raise
        answers.refusals.append(_refusal(site, manifest, error))


def _accepted(
    site: Site, manifest: Manifest, live: Body | None, answers: _Answers, *, force_conflicts: bool
) -> Body:
    """The object as the server would keep it."""
    # What helm applied from the client it changes without asking whose field it is.
    from_client = live is not None and not applied_by(live, site.manager)
    try:
        return _dry_run(site, manifest, answers, force=force_conflicts or from_client)
    except KubeError as error:
        if error.status != _INVALID or not from_client:
            raise
    # Applying leaves entries of lists that helm, from the client, takes away: a port that got
    # another number would be there twice.
    return site.kube.replace(site.owned(manifest), dry_run=True)


def _dry_run(site: Site, manifest: Manifest, answers: _Answers, *, force: bool) -> Body:
    body = _sized(site, manifest)
    try:
        return site.kube.apply(body, manager=site.manager, force=force, dry_run=True)
    except KubeError as error:
        fields = set(_CONFLICTING_FIELD.findall(_said(error)))
        if error.status != _CONFLICT or fields != {_REPLICAS}:
            raise
    # Only the size differs: the autoscaler that set it is on its way out.
    answers.resized = True
    return site.kube.apply(body, manager=site.manager, force=True, dry_run=True)


def _sized(site: Site, manifest: Manifest) -> Body:
    """The object as helm sends it; the chart goes on stating the size of a Deployment whose
    autoscaler is new, for what helm owned and states no more would be set back to 1."""
    body = site.owned(manifest)
    live = site.live.get(manifest.ref)
    if scaler_of(site, manifest) is None or not _owns_size(live, site.manager):
        return body
    return {**body, "spec": {**body["spec"], "replicas": dig(live, "spec", "replicas")}}


def _owns_size(live: Body | None, manager: str) -> bool:
    return any(
        word(entry, "manager") == manager
        and word(entry, "operation") == "Apply"
        and "f:replicas" in part(entry, "fieldsV1", "f:spec")
        for entry in parts(live, "metadata", "managedFields")
    )


def applied_by(live: Body, manager: str) -> bool:
    """Whether ``manager`` keeps the object by server-side apply."""
    return any(
        word(entry, "manager") == manager and word(entry, "operation") == "Apply"
        for entry in parts(live, "metadata", "managedFields")
    )


def _differs(
    site: Site, manifest: Manifest, deployed: Mapping[str, Manifest], answers: _Answers
) -> bool:
    live, made = site.live.get(manifest.ref), answers.made.get(manifest.ref)
    before = deployed.get(manifest.ref)
    if live is None or made is None or before is None:
        return True
    return _stated(site, manifest, before) != manifest.body or _essence(live) != _essence(made)


def _stated(site: Site, manifest: Manifest, before: Manifest) -> Mapping[str, Any]:
    """What the last revision said, but for a size that an autoscaler decides."""
    if scaler_of(site, manifest) is None:
        return before.body
    spec = {key: value for key, value in before.body["spec"].items() if key != "replicas"}
    return {**before.body, "spec": spec}


def _essence(body: Body) -> Body:
    """The object without its status and what the server keeps books with."""
    meta = {k: v for k, v in body["metadata"].items() if k not in _BOOKKEEPING}
    return {k: v for k, v in body.items() if k != "status"} | {"metadata": meta}


def _makes_pods(site: Site, manifest: Manifest, answers: _Answers) -> bool:
    live, made = site.live.get(manifest.ref), answers.made.get(manifest.ref)
    if live is None:
        return True
    return made is not None and _template(live) != _template(made)


def _template(body: Body) -> Any:
    return dig(body, "spec", "template")


def _lost_sizes(site: Site, deployed: Mapping[str, Manifest]) -> Iterator[tuple[str, int]]:
    """Helm that applies from the client takes back a number that it stated and states no more."""
    for manifest in site.of("Deployment"):
        before, live = deployed.get(manifest.ref), site.live.get(manifest.ref)
        if live is None or before is None or applied_by(live, site.manager):
            continue
        size = dig(live, "spec", "replicas") or 0
        was_stated = before.get("spec", "replicas") is not None
        if size > 1 and was_stated and scaler_of(site, manifest) is not None:
            yield manifest.ref, int(size)


def _said(error: KubeError) -> str:
    """The server's own message."""
    text = str(error)
    return text.partition(": ")[2].rpartition(" (HTTP ")[0] or text


def _refusal(site: Site, manifest: Manifest, error: KubeError) -> Cause:
    said = _said(error)
    what = f"{manifest.kind.lower()}/{manifest.name}"
    if error.status == _CONFLICT:
        code = "fields-owned-by-others"
        next_step = "undo that change, put it into the config, or add --force-conflicts"
    elif error.status == _INVALID and "immutable" in said:
        code = "cannot-change"
        next_step = (
            "undo the change, or delete the object first, if nothing uses it: "
            f"{site.kubectl(f'delete {what}')}"
        )
    elif error.reason == "Forbidden" and said.count("User "):
        code = "not-allowed"
        next_step = site.kubectl(f"auth can-i patch {manifest.kind.lower()}")
    else:
        code = "refused"
        next_step = (
            site.kubectl(f"describe {what}")
            if manifest.ref in site.live
            else ("change the config so that the server takes it")
        )
    return Cause(code, Severity.ERROR, manifest.ref, plain(said), next_step, final=True)


def not_checked(reader: Reader) -> Iterator[Cause]:
    """What the user may not see, as warnings: unknown is not the same as absent."""
    for unread in reader.all_unread():
        yield Cause(
            "not-checked",
            Severity.WARNING,
            unread.what,
            f"cannot be looked at: {plain(unread.reason)}",
            "ask for the right to read it, or check it yourself",
        )
