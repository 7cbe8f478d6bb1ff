"""Every exception of Google's libraries and of requests as one :class:`CallError`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.protobuf import json_format

from pylib.cloud.faults import CallError, Kind, kind_of

Answer = TypeVar("Answer")

_CAUGHT = (
    api.GoogleAPICallError,
    auth.GoogleAuthError,
    requests.RequestException,
    json_format.ParseError,
    UnicodeDecodeError,
)

_PAGES = {
    403: Kind.PROXY,
    404: Kind.TRANSIENT,
    407: Kind.PROXY,
    409: Kind.TRANSIENT,
}
"""Kinds of what says nothing of the service's own, where its status would say too much."""


def translated(what: str, call: Callable[[], Answer]) -> Answer:
    """The answer of ``call``.  Raises :class:`CallError` for whatever the libraries raise."""
    try:
        return call()
    except _CAUGHT as error:
        raise _error(what, error) from error


def http_error(what: str, response: requests.Response) -> CallError:
    """The error that an HTTP answer with a status of 400 or more says."""
    status, body = response.status_code, _body(response)
    after = _seconds(response.headers.get("Retry-After"))
    if body is None:
        # A proxy's page, not the service's answer: it says nothing about the resource.
        kind = _PAGES.get(status) or kind_of("", status)
        message = f"HTTP {status} with a body that is not the service's"
        return CallError(what, kind, message, status=status, retry_after=after)
    reason, message = _reason(body), str(body.get("message") or f"HTTP {status}")
    kind = kind_of(reason, status, message)
    return CallError(what, kind, message, reason=reason, status=status, retry_after=after)


def _error(what: str, error: Exception) -> CallError:
    if isinstance(error, api.GoogleAPICallError):
        response: object = error.response
        if isinstance(response, requests.Response):
            return http_error(what, response)
        status = int(error.code or 0)
        return CallError(what, kind_of("", status), str(error.message), status=status)
    if isinstance(error, auth.GoogleAuthError):
        return CallError(what, _auth_kind(error), str(error))
    if isinstance(error, requests.exceptions.SSLError):
        return CallError(what, Kind.TLS, str(error))
    if isinstance(error, requests.exceptions.RequestException):
        return CallError(what, Kind.TRANSIENT, f"{type(error).__name__}: {error}")
    return CallError(what, Kind.TRANSIENT, f"the answer is not JSON of the service: {error}")


def _auth_kind(error: auth.GoogleAuthError) -> Kind:
    """A token server that is away is waited for; credentials that are gone are not."""
    passing = isinstance(error, auth.TransportError) or bool(error.retryable)
    return Kind.TRANSIENT if passing else Kind.CREDENTIALS


def _body(response: requests.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except (ValueError, requests.RequestException):
        return None
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else None


def _reason(error: dict[str, Any]) -> str:
    """Google's word: of the first of ``errors``, else of ``details``, else ``status``."""
    for group in ("errors", "details"):
        for entry in error.get(group) or ():
            if isinstance(entry, dict) and entry.get("reason"):
                return str(entry["reason"])
    return str(error.get("status") or "")


def _seconds(header: str | None) -> float | None:
    """``Retry-After``: seconds, or a date."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def parsed(what: str, response: requests.Response) -> dict[str, Any]:
    """The JSON object that a REST answer holds.  Raises :class:`CallError` for any other."""
    if response.status_code >= 400:
        raise http_error(what, response)
    try:
        body = json.loads(response.content or b"{}")
    except ValueError as error:
        raise CallError(what, Kind.TRANSIENT, "the answer is not JSON") from error
    if not isinstance(body, dict):
        raise CallError(what, Kind.TRANSIENT, "the answer is not a JSON object")
    return body
