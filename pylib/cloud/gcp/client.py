"""All services behind one object: :func:`connect` makes it."""

from __future__ import annotations

import google.auth
from google.auth.credentials import AnonymousCredentials, Credentials

from pylib.cloud.clock import Clock, SystemClock
from pylib.cloud.gcp.admin import AdminCalls
from pylib.cloud.gcp.compute import ComputeCalls
from pylib.cloud.gcp.container import ContainerCalls
from pylib.cloud.gcp.endpoints import endpoints, open_text
from pylib.cloud.gcp.inventory import InventoryCalls
from pylib.cloud.gcp.logs import LogCalls
from pylib.cloud.gcp.storage import StorageCalls
from pylib.cloud.gcp.surroundings import SurroundingCalls
from pylib.cloud.gcp.translate import translated
from pylib.cloud.gcp.transport import Transport
from pylib.cloud.records import Operation
from pylib.cloud.retry import Policy, Retry

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GoogleCloud(
    ComputeCalls,
    ContainerCalls,
    SurroundingCalls,
    StorageCalls,
    AdminCalls,
    InventoryCalls,
    LogCalls,
):
    """:class:`pylib.cloud.serving.Serving` and :class:`pylib.cloud.logs.Logs` over Google's
    clients."""

    def operation(self, operation: Operation) -> Operation:
        """How far the operation is now, whichever service it is of."""
        if operation.scope.startswith("locations/"):
            return self.container_operation(operation)
        return super().operation(operation)


def connect(
    project: str,
    *,
    endpoint: str | None = None,
    anonymous: bool = False,
    clock: Clock | None = None,
    policy: Policy | None = None,
) -> GoogleCloud:
    """Google Cloud for ``project``: at ``endpoint``, else where ``VFS_ENDPOINT`` says, else Google.

    ``anonymous``: with no credentials; so it is by itself at an address of plain http, over which
    none may travel.  Raises :class:`pylib.cloud.faults.CallError` when there are no credentials,
    and :class:`pylib.errors.ConfigError` for an endpoint that is none.
    """
    addresses = endpoints(endpoint)
    retry = Retry(clock or SystemClock(), policy)
    credentials = _credentials(anonymous=anonymous or open_text(addresses))
    return GoogleCloud(Transport(project, addresses, credentials, retry))


def _credentials(*, anonymous: bool) -> Credentials:
    if anonymous:
        return AnonymousCredentials()
    found, _ = translated("credentials", lambda: google.auth.default(scopes=[SCOPE]))
    return found
