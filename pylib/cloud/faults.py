"""What can go wrong with a call, in the few kinds that decide what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pylib.cloud.redact import redact
from pylib.errors import CloudError


class Kind(StrEnum):
    """Why a call failed."""

    TRANSIENT = "transient"
    RATE = "rate"
    STOCKOUT = "stockout"
    EXISTS = "exists"
    UNKNOWN = "unknown"
    ABSENT = "absent"
    QUOTA = "quota"
    IN_USE = "in-use"
    NOT_READY = "not-ready"
    CONDITION = "condition"
    POLICY = "policy"
    DENIED = "denied"
    DISABLED = "disabled"
    CREDENTIALS = "credentials"
    TLS = "tls"
    PROXY = "proxy"
    INVALID = "invalid"


class Class(StrEnum):
    """What to do about it: the same call again, another zone, look what is there, or give up."""

    RETRY = "retry"
    OTHER_ZONE = "other-zone"
    RECONCILE = "reconcile"
    FATAL = "fatal"


_CLASSES = {
    Kind.TRANSIENT: Class.RETRY,
    Kind.RATE: Class.RETRY,
    Kind.STOCKOUT: Class.OTHER_ZONE,
    Kind.EXISTS: Class.RECONCILE,
    Kind.UNKNOWN: Class.RECONCILE,
}

FIXES: Mapping[Kind, str] = {
    Kind.TRANSIENT: "Try again in a few minutes; https://status.cloud.google.com says more.",
    Kind.RATE: "Too many calls at once: wait a few minutes and run the same command again.",
    Kind.STOCKOUT: "The zone has no such machine or disk to give now: name more zones (--zone), "
    "or another machine type (--machine-type).",
    Kind.EXISTS: "Something of this name is there already: choose another name, or delete it.",
    Kind.UNKNOWN: "Whether it happened is not known: run the same command again, it looks first.",
    Kind.ABSENT: "Check the name, the project and the zone.",
    Kind.QUOTA: "Ask for more at https://console.cloud.google.com/iam-admin/quotas, or use a "
    "smaller machine or disk.",
    Kind.IN_USE: "Another resource uses it: delete or detach that one first.",
    Kind.NOT_READY: "It is still being made or changed: run the same command again later.",
    Kind.CONDITION: "Somebody changed it at the same time: run the same command again.",
    Kind.POLICY: "An organization policy forbids it: ask its administrator, or choose options "
    "that it allows (external IP, region, Shielded VM).",
    Kind.DENIED: "Ask for the permission that the message names; python -m pylib doctor lists all.",
    Kind.DISABLED: "Enable the API that the message names: gcloud services enable NAME.",
    Kind.CREDENTIALS: "Run: gcloud auth application-default login",
    Kind.TLS: "A proxy may replace certificates: name its authority's file in REQUESTS_CA_BUNDLE.",
    Kind.PROXY: "Something on the way refuses: check HTTPS_PROXY and NO_PROXY, or ask who runs the "
    "proxy to let googleapis.com through.",
    Kind.INVALID: "The request itself is wrong; see the message.",
}
"""The next step for each kind."""

_REASONS = {
    "ratelimitexceeded": Kind.RATE,
    "userratelimitexceeded": Kind.RATE,
    "resourceoperationrateexceeded": Kind.RATE,
    "operationquotaexceeded": Kind.RATE,
    "resourceexhausted": Kind.RATE,
    "quotaexceeded": Kind.QUOTA,
    "regionquotaexceeded": Kind.QUOTA,
    "limitexceeded": Kind.QUOTA,
    "dailylimitexceeded": Kind.QUOTA,
    "stockout": Kind.STOCKOUT,
    "gcestockout": Kind.STOCKOUT,
    "alreadyexists": Kind.EXISTS,
    "resourcealreadyexists": Kind.EXISTS,
    "duplicate": Kind.EXISTS,
    "notfound": Kind.ABSENT,
    "resourcenotfound": Kind.ABSENT,
    "resourceinusebyanotherresource": Kind.IN_USE,
    "resourcenotready": Kind.NOT_READY,
    "conditionnotmet": Kind.CONDITION,
    "forbidden": Kind.DENIED,
    "insufficientpermissions": Kind.DENIED,
    "permissiondenied": Kind.DENIED,
    "permissionserror": Kind.DENIED,
    "required": Kind.INVALID,
    "accessnotconfigured": Kind.DISABLED,
    "servicedisabled": Kind.DISABLED,
    "autherror": Kind.CREDENTIALS,
    "unauthenticated": Kind.CREDENTIALS,
    "backenderror": Kind.TRANSIENT,
    "internalerror": Kind.TRANSIENT,
    "internal": Kind.TRANSIENT,
    "unavailable": Kind.TRANSIENT,
    "deadlineexceeded": Kind.TRANSIENT,
    "aborted": Kind.CONDITION,
    "notimplemented": Kind.INVALID,
    "unimplemented": Kind.INVALID,
}
# Read in compute's and container's error catalogues as collected by
# kubernetes-sigs/gcp-compute-persistent-disk-csi-driver pkg/gce-cloud-provider/compute/gce.go and
# https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-api-errors.

_WORDED = {
    "incompatible operation": Kind.NOT_READY,  # of a cluster that another change holds
    "Insufficient regional quota": Kind.QUOTA,  # GKE's, with 403 as for a permission
}
"""What only the message tells."""

_STATUSES = {
    401: Kind.CREDENTIALS,
    403: Kind.DENIED,
    404: Kind.ABSENT,
    408: Kind.TRANSIENT,
    409: Kind.EXISTS,
    412: Kind.CONDITION,
    429: Kind.RATE,
}


class CallError(CloudError):
    """A call that failed: ``kind`` says why, ``reason`` is Google's own word, ``status`` HTTP's.

    ``retry_after`` is what the server asked for, in seconds.
    """

    def __init__(
        self,
        what: str,
        kind: Kind,
        message: str,
        *,
        reason: str = "",
        status: int = 0,
        retry_after: float | None = None,
    ) -> None:
        self.what = what
        self.kind = kind
        self.reason = reason
        self.status = status
        self.retry_after = retry_after
        self.detail = redact(message)
        said = f" ({reason})" if reason and reason not in self.detail else ""
        super().__init__(f"{what}: {self.detail}{said}\n    {FIXES[kind]}")

    @property
    def action(self) -> Class:
        """What to do about it."""
        return _CLASSES.get(self.kind, Class.FATAL)


def kind_of(reason: str, status: int, message: str = "") -> Kind:
    """The kind of a failure that came with Google's ``reason`` and an HTTP ``status``.

    Spelling differs between HTTP (``alreadyExists``) and operations (``RESOURCE_ALREADY_EXISTS``).
    """
    word = reason.replace("_", "").lower()
    if word.startswith("zoneresourcepoolexhausted"):
        return Kind.STOCKOUT
    if "constraints/" in message and status in (0, 400, 403, 412):
        return Kind.POLICY
    for words, kind in _WORDED.items():
        if words in message:
            return kind
    if word in _REASONS:
        return _REASONS[word]
    if status >= 500:
        return Kind.TRANSIENT
    return _STATUSES.get(status, Kind.INVALID)
