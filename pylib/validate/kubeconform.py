"""Manifests against their schemas, by kubeconform: one process, offline, strict.

Objects of one shape share a verdict unless their schema constrains values, so kubeconform sees each
shape once.  It reads a file, not standard input, whose reader hands one buffer to several workers
(kubeconform 0.8.0, pkg/resource/stream.go).  Each object goes in with a number for a name, and the
answers are counted: one that is missing is an error, never silence.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylib import proc
from pylib.errors import ToolFailedError
from pylib.manifests import Manifest
from pylib.tools import find_kubeconform
from pylib.validate.report import Finding, Severity, Unchecked
from pylib.validate.rules.builtin import SCHEMA_FROM_DOCUMENTATION
from pylib.validate.schemas import DOCUMENTATION, Schema, Schemas
from pylib.validate.shapes import document, shape
from pylib.validate.typemeta import finding, not_json, problems, without_schema
from pylib.yamlio import Path as FieldPath

_TIMEOUT_SECONDS = 600.0
_INVALID = "statusInvalid"


@dataclass
class Judgement:
    """What the schemas say of a sequence of manifests.

    ``misfits`` holds, by position in that sequence, the fields whose type is wrong, so that rules
    can be spared them.
    """

    findings: list[Finding] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    misfits: dict[int, list[FieldPath]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Group:
    """Positions of the manifests that get one verdict; the first stands for all."""

    schema: Schema
    members: list[int]


def check(manifests: Sequence[Manifest], kubernetes: str) -> tuple[list[Finding], list[Unchecked]]:
    """Findings, and what no schema could judge; see :func:`judge`."""
    judgement = judge(manifests, Schemas(kubernetes))
    return judgement.findings, judgement.unchecked


def judge(manifests: Sequence[Manifest], schemas: Schemas) -> Judgement:
    """Hold each manifest against the schema of its kind.

    Raises :class:`~pylib.errors.ToolMissingError` without a kubeconform that fits, and
    :class:`ToolFailedError` when it does not answer for every object.
    """
    judgement = Judgement()
    groups = _group(manifests, schemas, judgement)
    if not groups:
        return judgement
    judgement.findings.extend(_documentation_notes(manifests, groups))
    documents = [document(dict(manifests[g.members[0]].body), str(i)) for i, g in enumerate(groups)]
    for number, answer in _run(documents, schemas.location).items():
        group = groups[number]
        if answer["status"] == _INVALID:
            _explain(manifests, group, str(answer["msg"]), judgement)
        else:
            judgement.unchecked.extend(_unread(manifests, group, str(answer["msg"])))
    return judgement


def _group(manifests: Sequence[Manifest], schemas: Schemas, judgement: Judgement) -> list[_Group]:
    groups: dict[object, _Group] = {}
    for index, manifest in enumerate(manifests):
        if broken := list(problems(manifest)):
            judgement.findings.extend(broken)
            continue
        schema = schemas.find(manifest.api_version, manifest.kind)
        if schema is None:
            missing = without_schema(manifest, schemas)
            if isinstance(missing, Finding):
                judgement.findings.append(missing)
            else:
                judgement.unchecked.append(missing)
            continue
        try:
            key = (schema.path, shape(manifest.body), index if schema.constrains_values else 0)
        except ValueError:
            judgement.findings.append(not_json(manifest))
            continue
        groups.setdefault(key, _Group(schema, [])).members.append(index)
    return list(groups.values())


def _run(documents: Sequence[str], location: str) -> Mapping[int, Mapping[str, Any]]:
    """kubeconform's answers by number, of the documents that are not valid."""
    with tempfile.TemporaryDirectory(prefix="vllm-fast-start-") as folder:
        file = Path(folder) / "objects.yaml"
        file.write_text("\n---\n".join(documents) + "\n", encoding="utf-8")
        command: list[str | Path] = [
            find_kubeconform(), "-strict", "-output", "json", "-summary",
            "-n", str(2 * (os.cpu_count() or 1)), "-schema-location", location, file,
        ]  # fmt: skip
        done = proc.run(
            command, ok_codes=(0, 1), timeout=_TIMEOUT_SECONDS, settings=proc.GO_SETTINGS
        )
    try:
        report = json.loads(done.stdout)
        judged = sum(int(n) for n in report["summary"].values())
        answers = {int(answer["name"]): answer for answer in report["resources"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ToolFailedError(_unreadable(done)) from None
    if judged != len(documents):
        message = (
            f"kubeconform answered for {judged} of {len(documents)} objects; "
            "this is a bug, please report it."
        )
        raise ToolFailedError(message)
    return answers


def _unreadable(done: proc.Completed) -> str:
    said = (done.stderr or done.stdout).strip()
    return f"kubeconform did not report in JSON; it said: {said[:2000] or 'nothing'}"


def _explain(manifests: Sequence[Manifest], group: _Group, said: str, judgement: Judgement) -> None:
    """Findings for every member; the reasons are sought once, in the first."""
    from pylib.validate.jsonerrors import UNKNOWN_FIELD, WRONG_TYPE, violations

    schema = json.loads(group.schema.text)
    broken = violations(schema, manifests[group.members[0]].body)
    documented = group.schema.origin == DOCUMENTATION
    for index in group.members:
        manifest = manifests[index]
        if not broken:
            judgement.findings.append(finding(manifest, (), said))
        for violation in broken:
            unsure = documented and violation.keyword == UNKNOWN_FIELD
            judgement.findings.append(
                finding(
                    manifest,
                    violation.path,
                    violation.text(manifest.get(*violation.path)),
                    violation.fix,
                    severity=Severity.WARNING if unsure else None,
                )
            )
            if violation.keyword == WRONG_TYPE:
                judgement.misfits.setdefault(index, []).append(violation.path)


def _unread(manifests: Sequence[Manifest], group: _Group, said: str) -> Iterator[Unchecked]:
    for manifest in (manifests[index] for index in group.members):
        reason = f"kubeconform could not judge it with {group.schema.path}: {said}"
        yield Unchecked(manifest.ref, reason, manifest.file, manifest.line)


def _documentation_notes(
    manifests: Sequence[Manifest], groups: Sequence[_Group]
) -> Iterator[Finding]:
    """One note for each kind whose schema was written without its CRD at hand."""
    first = {g.schema: g.members[0] for g in reversed(groups) if g.schema.origin == DOCUMENTATION}
    for schema, index in first.items():
        manifest = manifests[index]
        message = (
            f"{manifest.kind} is checked against a schema that was written from documentation "
            f"alone, not from its CRD: {schema.source}"
        )
        yield finding(manifest, ("kind",), message, rule=SCHEMA_FROM_DOCUMENTATION)
