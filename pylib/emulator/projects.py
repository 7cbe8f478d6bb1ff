"""cloudresourcemanager, v1 and v3: projects, their IAM policies, and what the caller may do."""

from __future__ import annotations

from pylib.emulator import access
from pylib.emulator.errors import ApiError, Json
from pylib.emulator.policies import conditional, policy_of, replace_policy
from pylib.emulator.routes import Route
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World

_MOST_PERMISSIONS = 100
_MADE = "2024-01-01T08:00:00.000Z"


def _policy_ref(call: Call) -> Ref:
    return Ref("policies", call.project, "global", call.project)


def get_v1(world: World, call: Call) -> Json:
    """A project."""
    return {
        "projectId": call.project,
        "projectNumber": world.number(call.project),
        "name": call.project,
        "lifecycleState": "ACTIVE",
        "createTime": _MADE,
    }


def get_v3(world: World, call: Call) -> Json:
    """A project."""
    number = world.number(call.project)
    return {
        "name": f"projects/{number}",
        "projectId": call.project,
        "displayName": call.project,
        "state": "ACTIVE",
        "createTime": _MADE,
    }


def get_iam_policy(world: World, call: Call) -> Json:
    """The project's policy; conditions are left out for those who cannot read them."""
    policy = policy_of(world, _policy_ref(call))
    wanted = int(call.body.get("options", {}).get("requestedPolicyVersion", 1))
    if wanted not in {0, 1, 3}:
        raise ApiError(400, "badRequest", f"Invalid requested policy version {wanted}.")
    if wanted < 3 and conditional(policy):
        bindings = [_without_condition(one) for one in policy["bindings"]]
        return {**policy, "version": 1, "bindings": bindings}
    return policy


def _without_condition(binding: Json) -> Json:
    if "condition" not in binding:
        return binding
    return {"role": f"{binding['role']}_withcond_1", "members": binding["members"]}


def set_iam_policy(world: World, call: Call) -> Json:
    """Replace the project's policy."""
    if "policy" not in call.body:
        raise ApiError(400, "badRequest", "Policy is required.")
    return replace_policy(world, _policy_ref(call), call.body["policy"])


def test_iam_permissions(world: World, call: Call) -> Json:
    """Those of the permissions that the caller has."""
    asked = call.body.get("permissions", [])
    if len(asked) > _MOST_PERMISSIONS:
        message = f"At most {_MOST_PERMISSIONS} permissions can be tested at once."
        raise ApiError(400, "badRequest", message)
    for permission in asked:
        if permission.count(".") < 2 or "*" in permission:
            message = f"Permission {permission} is not valid for this resource."
            raise ApiError(400, "badRequest", message)
    held = [permission for permission in asked if access.has(world, permission)]
    return {"permissions": held} if held else {}


def _routes(version: str) -> tuple[Route, ...]:
    one = f"/{version}/projects/{{project}}"
    kind = "cloudresourcemanager.projects"
    permission = "resourcemanager.projects"
    return (
        Route(
            f"{kind}.get",
            "GET",
            one,
            get_v1 if version == "v1" else get_v3,
            permissions=(f"{permission}.get",),
        ),
        Route(
            f"{kind}.getIamPolicy",
            "POST",
            f"{one}:getIamPolicy",
            get_iam_policy,
            permissions=(f"{permission}.getIamPolicy",),
        ),
        Route(
            f"{kind}.setIamPolicy",
            "POST",
            f"{one}:setIamPolicy",
            set_iam_policy,
            permissions=(f"{permission}.setIamPolicy",),
        ),
        Route(
            f"{kind}.testIamPermissions",
            "POST",
            f"{one}:testIamPermissions",
            test_iam_permissions,
        ),
    )


ROUTES = (*_routes("v1"), *_routes("v3"))
