"""Refusals, worded and shaped as Google's services word and shape them.

Wording of Compute Engine: errors quoted in the issue trackers of
hashicorp/terraform-provider-google, skypilot-org/skypilot, ansible/ansible and
GoogleCloudPlatform/k8s-config-connector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ApiError(Exception):
    """An HTTP answer that refuses: ``status``, Google's ``reason`` and a message."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        location: str = "",
        canonical: str = "",
        details: list[Json] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.location = location
        self.canonical = canonical or _STATUS_NAMES.get(status, "UNKNOWN")
        self.details = details or []
        self.headers = dict(headers or {})

    def body(self) -> Json:
        """Google's JSON error: the older list of errors, and the newer status and details."""
        domain = "usageLimits" if self.reason in _USAGE_LIMITS else "global"
        one: Json = {"message": self.message, "domain": domain, "reason": self.reason}
        if self.location:
            one |= {"location": self.location, "locationType": "header"}
        error: Json = {
            "code": self.status,
            "message": self.message,
            "errors": [one],
            "status": self.canonical,
        }
        if self.details:
            error["details"] = self.details
        return {"error": error}


_USAGE_LIMITS = {"accessNotConfigured", "quotaExceeded", "rateLimitExceeded"}


class OperationFailedError(Exception):
    """Ends an operation with an error: ``code`` such as ZONE_RESOURCE_POOL_EXHAUSTED."""

    def __init__(self, code: str, message: str, http_status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status or _OPERATION_STATUS.get(code, 503)


_OPERATION_STATUS = {
    "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE": 400,
    "RESOURCE_NOT_FOUND": 404,
    "RESOURCE_ALREADY_EXISTS": 409,
    "UNSUPPORTED_OPERATION": 400,
    "INVALID_USAGE": 400,
    "QUOTA_EXCEEDED": 403,
    "REGION_QUOTA_EXCEEDED": 403,
    "RATE_LIMIT_EXCEEDED": 403,
    "RESOURCE_OPERATION_RATE_EXCEEDED": 403,
    "CONDITION_NOT_MET": 412,
    "INTERNAL_ERROR": 500,
}


def not_found(path: str) -> ApiError:
    """404 for a resource that is not there."""
    return ApiError(404, "notFound", f"The resource '{path}' was not found")


def already_exists(path: str) -> ApiError:
    """409 for a name that is taken."""
    return ApiError(409, "alreadyExists", f"The resource '{path}' already exists")


def invalid(field: str, value: object, why: str) -> ApiError:
    """400 for a field whose value does not do."""
    return ApiError(400, "invalid", f"Invalid value for field '{field}': '{value}'. {why}")


def required(field: str) -> ApiError:
    """400 for a field that is missing."""
    return ApiError(400, "required", f"Required field '{field}' not specified")


def not_ready(path: str) -> ApiError:
    """400 for a resource that is still being made, or going."""
    return ApiError(400, "resourceNotReady", f"The resource '{path}' is not ready")


def in_use(kind: str, path: str, by: str) -> ApiError:
    """400 for a resource that another one holds."""
    message = f"The {kind} resource '{path}' is already being used by '{by}'"
    return ApiError(400, "resourceInUseByAnotherResource", message)


def fingerprint_mismatch(message: str) -> ApiError:
    """412 for a change that was made to an older state."""
    return ApiError(412, "conditionNotMet", message, location="If-Match")


def forbidden(permission: str, path: str) -> ApiError:
    """403 for a permission that the caller lacks."""
    return ApiError(403, "forbidden", f"Required '{permission}' permission for '{path}'")


def bad_request(message: str) -> ApiError:
    """400 for a request that is not well formed."""
    return ApiError(400, "badRequest", message)
