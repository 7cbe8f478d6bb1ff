"""Compute Engine's metadata server, as far as an adapter asks it who and where it is.

Followed: https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys (the header that
callers and answers bear, the keys); cloud.google.com/go/compute/metadata@v0.9.0 is the caller.
"""

from __future__ import annotations

from typing import Self

from tests.cluster.bed.adapter_rules import Cluster
from tests.cluster.bed.loopback import Answer, Loopback, Request, answer

_ROOT = "/computeMetadata/v1/"
_FLAVOR = "Google"


class MetadataServer:
    """One node's; its address goes into ``GCE_METADATA_HOST``."""

    def __init__(self, cluster: Cluster) -> None:
        self._texts = {
            "project/project-id": cluster.project,
            "project/numeric-project-id": "123456789012",
            "instance/attributes/cluster-location": cluster.location,
            "instance/attributes/cluster-name": cluster.name,
            "instance/hostname": f"node-1.c.{cluster.project}.internal",
            "instance/zone": f"projects/123456789012/zones/{cluster.location}",
        }
        self._server = Loopback(self._respond)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.port}"

    def _respond(self, request: Request) -> Answer:
        if request.path == "/":
            return answer(200, "computeMetadata/\n", Metadata_Flavor=_FLAVOR)
        if request.headers.get("metadata-flavor") != _FLAVOR:
            return answer(403, "Missing Metadata-Flavor:Google header.", Metadata_Flavor=_FLAVOR)
        key = request.path.removeprefix(_ROOT)
        if key == "instance/service-accounts/default/token":
            token = {"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}
            return answer(200, token, Metadata_Flavor=_FLAVOR)
        if key in self._texts:
            return answer(200, self._texts[key], Metadata_Flavor=_FLAVOR)
        return answer(404, "Not Found", Metadata_Flavor=_FLAVOR)
