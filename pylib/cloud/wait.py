"""Waiting for operations: our own, since Google's polls through a client that ignores endpoints.

google-cloud-compute 1.57.0 builds the poller of an ExtendedOperation without ``api_endpoint``
(compute_v1/services/disks/transports/base.py), and its ``*_unary`` methods raise nothing when an
operation ends in an error.
"""

from __future__ import annotations

from pylib.cloud.api import Compute
from pylib.cloud.faults import CallError, Kind, kind_of
from pylib.cloud.records import Operation

FIRST_POLL = 1.0
LONGEST_POLL = 10.0
_SPREAD = 1.5


def wait(compute: Compute, operation: Operation, seconds: float) -> Operation:
    """The operation once it is done, after at most ``seconds``.

    Raises :class:`CallError`: of the operation's own kind when it ended in an error; UNKNOWN when
    the time is over, or the service has forgotten the operation, since it may yet take effect.
    """
    clock = compute.clock
    end, pause = clock.monotonic() + seconds, FIRST_POLL
    while not operation.done:
        left = end - clock.monotonic()
        if left <= 0:
            message = f"operation {operation.name} is not done after {seconds:.0f} s"
            raise CallError(operation.what, Kind.UNKNOWN, message)
        clock.sleep(min(pause, left))
        pause = min(LONGEST_POLL, pause * _SPREAD)
        operation = _poll(compute, operation)
    error = error_of(operation)
    if error is not None:
        raise error
    return operation


def error_of(operation: Operation) -> CallError | None:
    """The error that a finished operation ended in; its HTTP status was 200 all the same."""
    if operation.errors:
        first = operation.errors[0]
        message = "; ".join(error.message or error.code for error in operation.errors)
        kind = kind_of(first.code, operation.http_status, message)
        # What failed as an operation is over: only a new request can bring another result.
        return CallError(
            operation.what, kind, message, reason=first.code, status=operation.http_status
        )
    if operation.http_status >= 400:
        message = operation.http_message or f"HTTP status {operation.http_status}"
        kind = kind_of("", operation.http_status, message)
        return CallError(operation.what, kind, message, status=operation.http_status)
    return None


def _poll(compute: Compute, operation: Operation) -> Operation:
    try:
        return compute.operation(operation)
    except CallError as error:
        if error.kind is not Kind.ABSENT:
            raise
        message = f"operation {operation.name} is no longer known"
        raise CallError(operation.what, Kind.UNKNOWN, message) from error
