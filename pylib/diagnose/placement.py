"""One waiting pod against the nodes: why those that match refuse it, or why none matches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from pylib.diagnose import nodes
from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import Scene
from pylib.diagnose.scheduler_message import NO_DRIVER, TOO_MANY_VOLUMES, VOLUME_ELSEWHERE, Verdict
from pylib.diagnose.wording import either, gke_cluster
from pylib.facts import gke
from pylib.snapshot.bodies import Body, name_of, ref_of, word
from pylib.snapshot.plain import plain
from pylib.validate.rules.quantities import GIB
from pylib.validate.words import count

SILENCE_SECONDS = 120
"""How long the cluster autoscaler may think about a new pod; it looks every ten seconds."""

_CORDONED = "node.kubernetes.io/unschedulable"
_UNHEALTHY = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
_DRIVER_TAINT = f"{gke.PD_CSI}/"


@dataclass(frozen=True)
class Placement:
    """A pod, and what the scheduler said about it."""

    scene: Scene
    pod: Body
    verdict: Verdict

    @cached_property
    def candidates(self) -> list[Body]:
        """Nodes that the pod's selector matches."""
        return nodes.matching(self.scene.snapshot, self.pod)

    def refused(self) -> Iterator[Cause]:
        """Why none of the nodes that match takes the pod."""
        free = [node for node in self.candidates if not nodes.untolerated(self.pod, node)]
        if not free:
            yield self._tainted()
        elif gke.GPU in self.verdict.insufficient():
            yield self._out_of_gpus(free)
        elif self.verdict.says(*VOLUME_ELSEWHERE):
            yield self._volume_elsewhere(free)
        elif self.verdict.says(TOO_MANY_VOLUMES):
            yield self._cause(
                "attach-limit",
                f"needs one more disk than {nodes.named_list(free)} may attach",
                self._describe_nodes(),
            )
        elif self.verdict.says(NO_DRIVER):
            yield self._no_driver(free)
        else:
            yield self._too_little(free)

    def unmatched(self) -> Iterator[Cause]:
        """Why no node matches the pod's selector."""
        selector = nodes.selector_of(self.pod)
        counts = self.scene.snapshot.label_counts
        nowhere = [label for label in _pairs(selector) if counts.get(label) == 0]
        pool = selector.get(gke.NODE_POOL, "")
        if not selector or not self.scene.snapshot.could_read("Node"):
            yield self._cause("no-node-fits", self._said(), self._describe())
        elif pool and f"{gke.NODE_POOL}={pool}" in nowhere:
            yield self._no_pool(pool)
        elif elsewhere := self._other_zone(selector, pool):
            yield elsewhere
        elif nowhere:
            yield self._no_label(nowhere)
        else:
            yield self._no_combination(selector, pool)

    # ---- nodes match ---------------------------------------------------------------------------

    def _tainted(self) -> Cause:
        taint = nodes.untolerated(self.pod, self.candidates[0])[0]
        key, value, effect = (word(taint, part) for part in ("key", "value", "effect"))
        shown = plain(f"{key}={value}:{effect}" if value else f"{key}:{effect}")
        where = nodes.named_list(self.candidates)
        if key == _CORDONED:
            return self._cause(
                "node-cordoned",
                f"fits {where}, but a drain or `kubectl cordon` closed it to new pods",
                f"kubectl uncordon {name_of(self.candidates[0])}",
            )
        if key.startswith((*_UNHEALTHY, _DRIVER_TAINT)):
            return self._cause(
                "node-not-ready",
                f"fits {where}, which {nodes.verb(self.candidates, 'is', 'are')} not ready: taint "
                f"{shown}",
                f"kubectl describe node {name_of(self.candidates[0])}",
            )
        operator = f'operator: Equal, value: "{value}"' if value else "operator: Exists"
        return self._cause(
            "gpu-taint" if key == gke.GPU else "node-taint",
            f"does not tolerate the taint {shown} of {where}",
            f"add to the values: tolerations: [{{key: {key}, {operator}, effect: {effect}}}]",
            final=True,
        )

    def _out_of_gpus(self, free: list[Body]) -> Cause:
        wanted = nodes.requested(self.pod, gke.GPU)
        asked = count(round(wanted), "GPU")
        has, offer = nodes.verb(free, "has", "have"), nodes.verb(free, "offers", "offer")
        have = [nodes.allocatable(node, gke.GPU) for node in free]
        where = nodes.named_list(free)
        if not any(have):
            return self._cause(
                "gpus-not-allocatable",
                f"wants {asked}; {where} {offer} none: the GPU driver or its device plugin "
                "is not running",
                "kubectl -n kube-system get pods -l k8s-app=nvidia-gpu-device-plugin -o wide",
            )
        if wanted > max(have):
            return self._cause(
                "no-node-fits",
                f"wants {asked} on one node; {where} {has} at most {max(have):g}",
                f"set gpusPerPod: {max(have):g} in the values, or use a larger machine type",
                final=True,
            )
        return self._cause(
            "out-of-gpus",
            f"wants {asked}; {where} {has} {sum(have):g}, {self._holders(free)}",
            self._grow(),
        )

    def _holders(self, free: list[Body]) -> str:
        if not self.scene.snapshot.could_read("pods of other namespaces"):
            return "not enough of them free"
        names = {name_of(node) for node in free}
        held: dict[str, int] = {}
        for tenant in self.scene.snapshot.tenants:
            if tenant.node in names:
                held[tenant.pod] = held.get(tenant.pod, 0) + tenant.gpus
        shown = ", ".join(f"{plain(pod)} ({gpus})" for pod, gpus in sorted(held.items())[:4])
        more = f" and {len(held) - 4} more" if len(held) > 4 else ""
        return (
            f"{sum(held.values())} of them held by {shown}{more}" if held else "none of them free"
        )

    def _volume_elsewhere(self, free: list[Body]) -> Cause:
        for name, claim in self.scene.claims(self.pod):
            volume = self.scene.volume_of(claim)
            zones = nodes.zones_of_volume(volume)
            here = nodes.zones_of_nodes(free)
            if volume and zones and not set(zones) & set(here):
                return self._cause(
                    "zone-mismatch",
                    f"fits {nodes.named_list(free)} in {', '.join(here) or 'no zone'}, but the "
                    f"disk of its claim {name} is in {', '.join(zones)}",
                    f"give the cell a disk in {either(here) or 'the zone of its nodes'}, or nodes "
                    f"in {zones[0]}; then run helm upgrade",
                    final=True,
                )
        return self._no_driver(free)

    def _no_driver(self, free: list[Body]) -> Cause:
        without = [node for node in free if gke.PD_CSI_ZONE not in nodes.labels_of(node)] or free
        return self._cause(
            "csi-driver-missing",
            f"mounts a Persistent Disk, but {nodes.named_list(without)} "
            f"{nodes.verb(without, 'has', 'have')} no {gke.PD_CSI} driver (label "
            f"{gke.PD_CSI_ZONE})",
            "gcloud container clusters update "
            f"{self._cluster()} --update-addons=GcePersistentDiskCsiDriver=ENABLED",
        )

    def _too_little(self, free: list[Body]) -> Cause:
        for resource in self.verdict.insufficient():
            wanted = nodes.requested(self.pod, resource)
            most = max(nodes.allocatable(node, resource) for node in free)
            asked = f"{_amount(wanted, resource)} of {resource}"
            if wanted > most:
                return self._cause(
                    "no-node-fits",
                    f"wants {asked}; {nodes.named_list(free)} "
                    f"{nodes.verb(free, 'offers', 'offer')} {_amount(most, resource)} at most",
                    f"lower resources.requests.{resource} in the values below "
                    f"{_amount(most, resource)}",
                    final=True,
                )
            return self._cause(
                "no-node-fits",
                f"wants {asked}; other pods leave less than that on {nodes.named_list(free)}",
                self._grow(),
            )
        return self._cause("no-node-fits", self._said(), self._describe())

    # ---- no node matches -----------------------------------------------------------------------

    def _no_pool(self, pool: str) -> Cause:
        return self._cause(
            "node-pool-absent",
            f"wants a node of node pool {pool}; there is none, and the cluster autoscaler has "
            "not said that it will add one",
            f"gcloud container node-pools describe {pool} {self._flags()}",
            final=self._long_silence(),
        )

    def _no_label(self, nowhere: list[str]) -> Cause:
        labels = " and none has ".join(nowhere)
        return self._cause(
            "node-selector-unmatched",
            f"wants a node with {', '.join(nowhere)}; no node has {labels}",
            f"kubectl get nodes -L {','.join(label.split('=')[0] for label in nowhere)}",
            final=self._long_silence(),
        )

    def _of_pool(self, pool: str) -> list[Body]:
        return [
            node
            for node in self.scene.snapshot.of("Node")
            if pool and nodes.labels_of(node).get(gke.NODE_POOL) == pool
        ]

    def _other_zone(self, selector: dict[str, str], pool: str) -> Cause | None:
        zones = nodes.zones_of_nodes(self._of_pool(pool))
        wanted = selector.get(gke.ZONE)
        if not zones or not wanted or wanted in zones:
            return None
        return self._cause(
            "zone-mismatch",
            f"wants zone {wanted}; the nodes of node pool {pool} are in {', '.join(zones)}",
            f"set the cell's zone to {either(zones)} in the values, or add nodes: "
            f"gcloud container node-pools update {pool} {self._flags()} "
            f"--node-locations={','.join(sorted({*zones, wanted}))}",
            final=self._long_silence(),
        )

    def _no_combination(self, selector: dict[str, str], pool: str) -> Cause:
        wrong = self._differences(selector, self._of_pool(pool))
        return self._cause(
            "node-selector-unmatched",
            f"no node has all labels of its nodeSelector{wrong}",
            f"kubectl get nodes -l {_pairs(selector)[0]} --show-labels",
            final=self._long_silence(),
        )

    def _differences(self, selector: dict[str, str], there: list[Body]) -> str:
        for node in there:
            labels = nodes.labels_of(node)
            wrong = [
                f"{key} is {labels.get(key) or 'absent'} instead of {value}"
                for key, value in selector.items()
                if labels.get(key) != value
            ]
            return f": on node {name_of(node)} {', '.join(wrong)}"
        return f": {', '.join(_pairs(selector))}"

    # ---- words ---------------------------------------------------------------------------------

    def _cause(self, code: str, message: str, command: str, *, final: bool = False) -> Cause:
        return Cause(code, Severity.ERROR, ref_of(self.pod), message, command, final=final)

    def _said(self) -> str:
        if not self.verdict.reasons:
            return f"fits no node: {plain(self.verdict.before) or 'the scheduler gave no reason'}"
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.verdict.reasons.items())
        return f"fits none of {self.verdict.nodes} nodes: {plain(reasons)}"

    def _describe(self) -> str:
        return self.scene.kubectl(f"describe pod {name_of(self.pod)}")

    def _describe_nodes(self) -> str:
        return f"kubectl describe nodes -l {nodes.pairs(nodes.selector_of(self.pod))}"

    def _grow(self) -> str:
        pool = nodes.selector_of(self.pod).get(gke.NODE_POOL)
        if not pool:
            return self._describe_nodes()
        return (
            f"gcloud container node-pools update {pool} {self._flags()} "
            "--enable-autoscaling --min-nodes=0 --max-nodes=MORE"
        )

    def _flags(self) -> str:
        return gke_cluster(self.scene.snapshot.context)

    def _cluster(self) -> str:
        name, *rest = self._flags().removeprefix("--cluster=").split(" ")
        return " ".join([name, *rest])

    def _long_silence(self) -> bool:
        return self.scene.age(word(self.pod, "metadata", "creationTimestamp")) > SILENCE_SECONDS


def _pairs(selector: dict[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in sorted(selector.items())]


def _amount(number: float, resource: str) -> str:
    if resource in ("memory", "ephemeral-storage"):
        return f"{number / GIB:.1f}Gi"
    return f"{number:g}"
