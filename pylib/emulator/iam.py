"""iam: service accounts of a project, to look at."""

from __future__ import annotations

from pylib.emulator.errors import ApiError, Json
from pylib.emulator.routes import Route
from pylib.emulator.world import Call, World


def get(world: World, call: Call) -> Json:
    """A service account: the project's default one, or any that is named as one of it."""
    email = call.params["account"]
    project = world.settings.project if call.params["owner"] == "-" else call.params["owner"]
    number = world.number(project)
    default = f"{number}-compute@developer.gserviceaccount.com"
    if email != default and not email.endswith(f"@{project}.iam.gserviceaccount.com"):
        raise ApiError(404, "notFound", f"Unknown service account: {email}")
    return {
        "name": f"projects/{project}/serviceAccounts/{email}",
        "projectId": project,
        "uniqueId": f"1{number}",
        "email": email,
        "displayName": email.partition("@")[0],
    }


ROUTES = (
    Route(
        "iam.serviceAccounts.get",
        "GET",
        "/v1/projects/{owner}/serviceAccounts/{account}",
        get,
        permissions=("iam.serviceAccounts.get",),
    ),
)
