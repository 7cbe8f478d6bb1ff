"""Services of a project, its number, buckets, and who may do what."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pylib.cloud.clock import Clock
from pylib.cloud.faults import CallError, Kind
from pylib.cloud.gcp.transport import Transport
from pylib.cloud.pools import Policy
from pylib.cloud.serving import Holder

ENABLE_SECONDS = 300.0
_POLL_SECONDS = 2.0
_VERSION = 3
"""Policies with conditions have it; asked for a lower one the service hides the conditions:
https://cloud.google.com/iam/docs/policies#versions."""


class AdminCalls:
    """The part of :class:`pylib.cloud.serving.Serving` that no service of machines has."""

    _transport: Transport
    clock: Clock

    def enable(self, service: str) -> None:
        """Turn a service of the project on, and return when it is."""
        path = f"/v1/projects/{self._project}/services/{service}:enable"
        answer = self._transport.rest("serviceusage", "POST", path, json={})
        end = self.clock.monotonic() + ENABLE_SECONDS
        while not answer.get("done"):
            if self.clock.monotonic() > end:
                raise CallError(f"enable {service}", Kind.UNKNOWN, "is not done in 5 minutes")
            self.clock.sleep(_POLL_SECONDS)
            answer = self._transport.rest("serviceusage", "GET", f"/v1/{answer['name']}")
        if error := answer.get("error"):
            raise CallError(f"enable {service}", Kind.INVALID, str(error.get("message", error)))

    def project_number(self) -> str:
        """Number of the project, which identity pools go by."""
        found = self._transport.rest("resourcemanager", "GET", f"/v1/projects/{self._project}")
        return str(found["projectNumber"])

    def has_bucket(self, bucket: str) -> bool:
        """Whether there is such a bucket that the caller may see."""
        return self._transport.read_rest("storage", _bucket(bucket)) is not None

    def make_bucket(self, bucket: str, location: str) -> None:
        """Make a bucket that only uniform access opens."""
        uniform = {"uniformBucketLevelAccess": {"enabled": True}}
        body = {"name": bucket, "location": location, "iamConfiguration": uniform}
        params = {"project": self._transport.project}
        self._transport.rest("storage", "POST", "/storage/v1/b", json=body, params=params)

    def policy(self, holder: Holder, name: str) -> Policy:
        """IAM policy of a project or a bucket."""
        if holder == "project":
            path = f"/v1/projects/{quote(name, safe=':')}:getIamPolicy"
            options = {"options": {"requestedPolicyVersion": _VERSION}}
            found = self._transport.rest("resourcemanager", "POST", path, json=options)
        else:
            params = {"optionsRequestedPolicyVersion": str(_VERSION)}
            path = f"{_bucket(name)}/iam"
            found = self._transport.rest("storage", "GET", path, params=params)
        return Policy(tuple(found.get("bindings", ())), str(found.get("etag", "")))

    def set_policy(self, holder: Holder, name: str, policy: Policy) -> None:
        """Replace the policy, unless it changed since it was read: CallError of kind CONDITION."""
        body: dict[str, Any] = {
            "version": _VERSION,
            "bindings": list(policy.bindings),
            "etag": policy.etag,
        }
        if holder == "project":
            path = f"/v1/projects/{quote(name, safe=':')}:setIamPolicy"
            self._transport.rest("resourcemanager", "POST", path, json={"policy": body})
        else:
            self._transport.rest("storage", "PUT", f"{_bucket(name)}/iam", json=body)

    @property
    def _project(self) -> str:
        return quote(self._transport.project, safe=":")


def _bucket(name: str) -> str:
    return f"/storage/v1/b/{quote(name, safe='')}"
