"""What the guest says, by guest attributes; serial output is for people only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pylib.cloud.api import Compute
from pylib.cloud.faults import CallError
from pylib.cloud.redact import redact
from pylib.errors import BakeError

ATTRIBUTE = "vfs/report"
POLL_SECONDS = 6.0
"""Ten queries a minute are allowed per VM:
https://cloud.google.com/compute/docs/metadata/manage-guest-attributes#limitations."""
SILENCE_SECONDS = 600.0
"""Longest boot until the first report; daisy and Packer give a VM about as much."""
STOP_SECONDS = 300.0
STATUS_POLLS = 5
TAIL_LINES = 20
STOPPED = frozenset({"TERMINATED", "STOPPED"})


@dataclass(frozen=True)
class Report:
    """One report; ``result`` is empty until the end, then ``ok`` or ``fail``; sizes in bytes."""

    phase: str
    done_bytes: int
    total_bytes: int
    result: str
    message: str
    line: int
    digest: str
    facts: Mapping[str, Any]


Progress = Callable[[Report], None]


def parse_report(text: str | None, nonce: str) -> Report | None:
    """The report in ``text``; ``None`` when it is none, or of another boot or another VM."""
    try:
        found = json.loads(text or "")
        if found["nonce"] != nonce:
            return None
        return Report(
            phase=str(found["phase"]),
            done_bytes=int(found.get("done_bytes") or 0),
            total_bytes=int(found.get("total_bytes") or 0),
            result=str(found.get("result") or ""),
            message=redact(str(found.get("message") or "")),
            line=int(found.get("line") or 0),
            digest=str(found.get("digest") or ""),
            facts=dict(found.get("facts") or {}),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def watch(
    compute: Compute, zone: str, vm: str, nonce: str, seconds: float, progress: Progress
) -> Report:
    """The report of success, after at most ``seconds``.

    Raises :class:`BakeError` when the guest says that it failed, stops or vanishes without a word,
    or says nothing in time.
    """
    clock = compute.clock
    start, polls, report = clock.monotonic(), 0, None
    while True:
        newest = parse_report(compute.guest_attribute(zone, vm, ATTRIBUTE), nonce)
        if newest is not None and newest != report:
            report = newest
            progress(report)
        if report is not None and report.result:
            return _ended(compute, zone, vm, report)
        spent = clock.monotonic() - start
        if polls % STATUS_POLLS == STATUS_POLLS - 1:
            _alive(compute, zone, vm, nonce)
        if report is None and spent > SILENCE_SECONDS:
            raise BakeError(_silent(compute, zone, vm))
        if spent > seconds:
            phase = report.phase if report else "boot"
            said = f"VM {vm} is not done after {seconds:.0f} s (phase {phase}); see --timeout."
            raise BakeError(f"{said}{tail(compute, zone, vm)}")
        polls += 1
        clock.sleep(POLL_SECONDS)


def until_stopped(compute: Compute, zone: str, vm: str) -> None:
    """Wait for the VM to stop: nothing is imaged while a guest could still write.

    Raises :class:`BakeError` when it vanishes or keeps running.
    """
    clock = compute.clock
    end = clock.monotonic() + STOP_SECONDS
    while True:
        found = compute.instance(zone, vm)
        if found is None:
            raise BakeError(f"VM {vm} is gone before its disk was imaged{_why_gone()}")
        if found.status in STOPPED:
            return
        if clock.monotonic() > end:
            raise BakeError(f"VM {vm} reported success but is still {found.status}; not imaged.")
        clock.sleep(POLL_SECONDS)


def console(compute: Compute, zone: str, vm: str) -> str:
    """Serial output that is kept, without secrets; raises CallError.

    The service keeps the last MB: of a line whose start is gone nobody can tell that it held one.
    """
    found = compute.serial(zone, vm, 0)
    text = found.text.partition("\n")[2] if found.start > 0 else found.text
    return redact(text)


def tail(compute: Compute, zone: str, vm: str) -> str:
    """Last lines of the serial output, on lines of their own; nothing when there are none."""
    try:
        lines = console(compute, zone, vm).splitlines()[-TAIL_LINES:]
    except CallError:
        return ""
    return "".join(["\n    last lines of its serial output:", *(f"\n    | {it}" for it in lines)])


def _ended(compute: Compute, zone: str, vm: str, report: Report) -> Report:
    if report.result == "ok":
        return report
    line = f" (line {report.line})" if report.line else ""
    message = f"the guest failed in phase {report.phase}{line}: {report.message}"
    raise BakeError(f"{message}{tail(compute, zone, vm)}")


def _alive(compute: Compute, zone: str, vm: str, nonce: str) -> None:
    found = compute.instance(zone, vm)
    if found is None:
        raise BakeError(f"VM {vm} is gone before it reported{_why_gone()}")
    if found.status not in STOPPED:
        return
    report = parse_report(compute.guest_attribute(zone, vm, ATTRIBUTE), nonce)
    if report is None or not report.result:
        raise BakeError(
            f"VM {vm} stopped before it reported its result: it was preempted, its host failed, or "
            f"somebody stopped it.{tail(compute, zone, vm)}"
        )


def _why_gone() -> str:
    return ": its longest run time was over (--timeout), it was preempted, or somebody deleted it."


def _silent(compute: Compute, zone: str, vm: str) -> str:
    return (
        f"VM {vm} has reported nothing for {SILENCE_SECONDS:.0f} s: guest attributes may be off "
        "(constraints/compute.disableGuestAttributesAccess), or it did not boot."
        f"{tail(compute, zone, vm)}"
    )
