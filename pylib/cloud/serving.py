"""What provisioning needs of Google Cloud beside :class:`pylib.cloud.api.Compute`.

A read has three answers, as there: a record, ``None``, or CallError when it is not known.
"""

from __future__ import annotations

from typing import Literal, Protocol

from pylib.cloud.api import Cloud
from pylib.cloud.inventory import Inventory
from pylib.cloud.pools import NodePool, Policy, PoolSpec
from pylib.cloud.records import Operation

Holder = Literal["project", "bucket"]
"""What has a policy."""


class Serving(Cloud, Inventory, Protocol):
    """Node pools, services, buckets, and who may do what."""

    def identify_pods(self, location: str, name: str) -> Operation:
        """Turn Workload Identity of a cluster on."""

    def pools(self, location: str, cluster: str) -> tuple[NodePool, ...]:
        """Node pools of a cluster; none when there is no such cluster."""

    def pool(self, spec: PoolSpec) -> NodePool | None:
        """The node pool that has the name of ``spec`` now."""

    def insert_pool(self, spec: PoolSpec) -> Operation:
        """Make a node pool."""

    def scale_pool(self, spec: PoolSpec) -> Operation:
        """Let the pool have as many nodes as ``spec`` says."""

    def delete_pool(self, spec: PoolSpec) -> Operation:
        """Delete a node pool."""

    def enable(self, service: str) -> None:
        """Turn a service of the project on, and return when it is."""

    def project_number(self) -> str:
        """Number of the project, which identity pools go by."""

    def has_bucket(self, bucket: str) -> bool:
        """Whether there is such a bucket that the caller may see."""

    def make_bucket(self, bucket: str, location: str) -> None:
        """Make a bucket that only uniform access opens."""

    def policy(self, holder: Holder, name: str) -> Policy:
        """IAM policy of a project or a bucket."""

    def set_policy(self, holder: Holder, name: str, policy: Policy) -> None:
        """Replace the policy, unless it changed since it was read: CallError of kind CONDITION."""
