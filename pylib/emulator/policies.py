"""IAM policies: etags, versions, roles and members, as setIamPolicy judges them.

Sources: https://cloud.google.com/iam/docs/reference/rest/v1/Policy and
https://cloud.google.com/iam/docs/principal-identifiers.
"""

from __future__ import annotations

import re

from pylib.emulator.errors import ApiError, Json
from pylib.emulator.naming import fingerprint
from pylib.emulator.store import Ref
from pylib.emulator.world import World

_ROLE = re.compile(r"(projects/[^/]+/|organizations/[^/]+/)?roles/[A-Za-z0-9_.]+")
_MEMBER = re.compile(
    r"allUsers|allAuthenticatedUsers"
    r"|(user|serviceAccount|group):[^@\s]+@[^@\s]+|domain:[^@\s]+\.[^@\s]+"
    r"|serviceAccount:[^@\s]+\.svc\.id\.goog\[[^/\]]+/[^/\]]+\]"
    r"|(principal|principalSet)://iam\.googleapis\.com/.+"
    r"|(projectOwner|projectEditor|projectViewer):.+"
)
_POOL = re.compile(
    r"principal(?:Set)?://iam\.googleapis\.com/projects/(?P<number>[^/]+)/locations/global/"
    r"workloadIdentityPools/(?P<pool>[^/]+)/.+"
)
_EMPTY = {"version": 1}


def policy_of(world: World, ref: Ref) -> Json:
    """The policy of a resource, with its etag."""
    kept = world.store.get(ref) or dict(_EMPTY)
    return {**kept, "etag": fingerprint(kept)}


def conditional(policy: Json) -> bool:
    """Whether any binding of the policy has a condition."""
    return any("condition" in one for one in policy.get("bindings", []))


def replace_policy(world: World, ref: Ref, asked: Json) -> Json:
    """Put ``asked`` in place of the policy; 409 when it was read before a change."""
    now = policy_of(world, ref)
    etag = asked.get("etag")
    if etag and etag != now["etag"]:
        message = (
            "There were concurrent policy changes. Please retry the whole read-modify-write with "
            "exponential backoff."
        )
        raise ApiError(409, "aborted", message, canonical="ABORTED")
    version = int(asked.get("version", 0))
    if version not in {0, 1, 3}:
        raise _bad(f"Invalid policy version {version}.")
    if (conditional(asked) or (conditional(now) and not etag)) and version < 3:
        raise _bad("Policies with conditional role bindings must specify version 3 or higher.")
    for binding in asked.get("bindings", []):
        _check_binding(world, binding)
    kept = {
        "version": 3 if conditional(asked) else 1,
        "bindings": [one for one in asked.get("bindings", []) if one.get("members")],
    }
    world.store.put(ref, kept)
    return {**kept, "etag": fingerprint(kept)}


def _check_binding(world: World, binding: Json) -> None:
    role = binding.get("role", "")
    if not _ROLE.fullmatch(role):
        raise _bad(f"Role {role} is not supported for this resource.")
    for member in binding.get("members", []):
        if not _MEMBER.fullmatch(member):
            raise _bad(
                f"The member {member} is of an unknown type. Please set a valid type prefix for "
                "the member."
            )
        _check_pool(world, member)


def _check_pool(world: World, member: str) -> None:
    """A workload identity pool of GKE is there once a cluster of the project uses it.

    It goes by the project's number alone, says google-github-actions/auth#341; whether IAM refuses
    the id, as here, or takes it for nobody, was not found.
    """
    found = _POOL.fullmatch(member)
    if found is None:
        return
    project = found["pool"].removesuffix(".svc.id.goog")
    numbers = world.settings.numbers()
    clusters = world.store.find("clusters", project).values()
    used = any("workloadPool" in it.get("workloadIdentityConfig", {}) for it in clusters)
    if numbers.get(project) != found["number"] or not used:
        raise _bad(
            f"Identity Pool does not exist ({found['pool']}). Please check that you specified a "
            "valid resource name as returned in the `name` attribute in the configuration API."
        )


def _bad(message: str) -> ApiError:
    return ApiError(400, "badRequest", message)
