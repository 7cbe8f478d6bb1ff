"""The config file as frozen records; what each field means is its description.

The records hold what one file says, with defaults filled in, and nothing that needs a second look
at the world.  Rules that tie fields together live in :mod:`pylib.config.checks`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from pylib.config.types import (
    AcceleratorType,
    Count,
    GiB,
    ImageReference,
    KmsKey,
    Location,
    MachineType,
    ModelSource,
    PathWord,
    ProjectId,
    Region,
    RelativePath,
    ResourceName,
    Seconds,
    ServedName,
    VllmVersion,
    Zone,
)

# Bounds stand at each member of a union, or the exported schema lacks them.
Cores = (
    Annotated[StrictFloat, Field(gt=0, le=1000, allow_inf_nan=False)]
    | Annotated[StrictInt, Field(gt=0, le=1000)]
)
Threshold = (
    Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)] | Annotated[StrictInt, Field(ge=0)]
)


class Record(BaseModel):
    """Base of every record: closed, frozen, camelCase as in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Provisioning(StrEnum):
    """How the nodes of a cell are bought."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    RESERVATION = "reservation"
    FLEX_START = "flex-start"


class Network(Record):
    """Where bake VMs and nodes attach."""

    name: ResourceName = Field(default="default", description="VPC network.")
    subnetwork: ResourceName | None = Field(default=None, description="Subnetwork in the region.")


class Cluster(Record):
    """The GKE cluster that serves."""

    name: ResourceName = Field(description="Cluster name.")
    location: Location | None = Field(
        default=None, description="Region or zone; default: the region."
    )
    existing: StrictBool = Field(
        default=True, description="True: checked, never created or changed."
    )


class Release(Record):
    """What helm calls the installation."""

    name: ResourceName = Field(description="Helm release name; also the Service's name.")
    namespace: ResourceName = Field(description="Kubernetes namespace.")
    serviceAccount: ResourceName | None = Field(
        default=None,
        description="Existing Kubernetes service account; default: the chart makes one.",
    )


class NodePool(Record):
    """A node pool, by name."""

    name: ResourceName = Field(description="Node pool name.")
    existing: StrictBool = Field(
        default=False, description="True: checked, never created or changed."
    )


class ComputeClass(Record):
    """A GKE ComputeClass, by name."""

    name: ResourceName = Field(description="ComputeClass name.")
    existing: StrictBool = Field(
        default=False, description="True: checked, never created or changed."
    )


class Accelerator(Record):
    """The GPUs of one node."""

    type: AcceleratorType = Field(description="GKE accelerator name.")
    count: Annotated[StrictInt, Field(ge=1, le=16)] = Field(description="GPUs on one node.")


class BootDisk(Record):
    """Boot disk of the nodes; GKE gives the secondary boot disk the same type."""

    type: Literal["pd-ssd", "pd-balanced", "pd-standard", "hyperdisk-balanced"] = Field(
        default="pd-ssd", description="Disk type."
    )
    sizeGiB: Annotated[StrictInt, Field(ge=10, le=65_536)] = Field(
        default=100, description="Size in GiB."
    )


class Cell(Record):
    """One zone's node pool, weights disk, Deployment and autoscaler."""

    name: ResourceName | None = Field(default=None, description="Cell name; default: the zone.")
    zone: Zone = Field(description="Zone of the nodes and of the weights disk.")
    nodePool: NodePool | None = Field(default=None, description="Node pool; or use computeClass.")
    computeClass: ComputeClass | None = Field(
        default=None, description="ComputeClass; or use nodePool."
    )
    machineType: MachineType = Field(description="Machine type of the nodes.")
    accelerator: Accelerator = Field(description="GPUs of one node.")
    provisioning: Provisioning = Field(
        default=Provisioning.ON_DEMAND, strict=False, description="How the nodes are bought."
    )
    reservation: ResourceName | None = Field(
        default=None, description="Reservation name, with provisioning: reservation."
    )
    minNodes: Annotated[StrictInt, Field(ge=0, le=1000)] = Field(
        default=1, description="Least nodes."
    )
    maxNodes: Count = Field(default=5, description="Most nodes.")
    bootDisk: BootDisk = Field(default=BootDisk(), description="Boot disk of the nodes.")

    @property
    def key(self) -> str:
        """The cell's name, or its zone where it has none."""
        return self.name or self.zone


class ImageCache(Record):
    """The disk image with unpacked container images, for the secondary boot disk."""

    enabled: StrictBool = Field(default=True, description="False: nodes pull or stream the image.")
    existing: StrictBool = Field(
        default=False, description="True: checked, never baked or deleted."
    )
    name: ResourceName | None = Field(
        default=None, description="Name of the disk image; default: baked."
    )
    images: tuple[ImageReference, ...] = Field(
        default=(), strict=False, description="Images to unpack; default: the serving image alone."
    )
    sizeGiB: Annotated[StrictInt, Field(ge=10, le=65_536)] | None = Field(
        default=None, description="Size of the disk image in GiB; default: computed when baking."
    )


class Model(Record):
    """The model and where its files come from."""

    source: ModelSource | None = Field(
        default=None,
        description="gs://bucket/dir/name or hf://org/name; required unless weights.kind is claim.",
    )
    revision: PathWord | None = Field(
        default=None, description="Commit, tag or branch of a Hugging Face source."
    )
    name: PathWord | None = Field(
        default=None, description="Model name; default: end of the source."
    )
    directory: RelativePath | None = Field(
        default=None, description="Directory above it on the disk; default: middle of the source."
    )
    servedName: ServedName | None = Field(
        default=None, description="Name in the API; default: the name."
    )
    sizeGiB: GiB = Field(description="Size of the weights in GiB, rounded up.")
    shards: Count | None = Field(default=None, description="Number of weight files, where known.")


class Disk(Record):
    """Weights on a persistent disk or Hyperdisk ML, mounted ReadOnlyMany."""

    kind: Literal["disk"] = Field(description="Weights disk.")
    existing: StrictBool = Field(
        default=False, description="True: disks in the lock file are never ours."
    )
    type: Literal["pd-ssd", "pd-balanced", "hyperdisk-balanced", "hyperdisk-ml"] = Field(
        default="pd-ssd", description="Disk type."
    )
    sizeGiB: GiB = Field(description="Size of each weights disk in GiB.")
    throughputMiBps: Annotated[StrictInt, Field(ge=1, le=1_200_000)] | None = Field(
        default=None, description="Provisioned throughput of a Hyperdisk ML volume."
    )
    readAheadKiB: Annotated[StrictInt, Field(ge=4, le=1_048_576, multiple_of=4)] = Field(
        default=4096, description="Read-ahead of the mounted device in KiB."
    )
    verify: Literal["manifest", "none"] = Field(
        default="manifest", description="Check of the files before vLLM starts."
    )


class Claim(Record):
    """Weights on claims that exist already."""

    kind: Literal["claim"] = Field(description="Existing claims.")
    claims: dict[str, ResourceName] = Field(description="Claim of each cell.")
    subPath: RelativePath | None = Field(default=None, description="Folder of the claim to mount.")
    verify: Literal["manifest", "none"] = Field(
        default="none", description="Check of the files before vLLM starts."
    )


class Secret(Record):
    """One key of an existing Secret."""

    name: ResourceName = Field(description="Secret name.")
    key: PathWord = Field(default="token", description="Key in it.")


class NoWeights(Record):
    """No weights in advance: vLLM downloads at start."""

    kind: Literal["none"] = Field(description="Download at start.")
    claims: dict[str, ResourceName] = Field(
        default={},
        description="Writable claim of each cell to download into; default: an emptyDir.",
    )
    sizeGiB: GiB | None = Field(default=None, description="Size limit of the emptyDir in GiB.")
    tokenSecret: Secret | None = Field(default=None, description="Hugging Face token.")


class Resources(Record):
    """What one pod asks for besides its GPUs."""

    cpu: Cores | None = Field(
        default=None, description="CPU request; no limit is set. Default: most of the pod's share."
    )
    memoryGiB: GiB | None = Field(
        default=None, description="Memory request and limit in GiB; default: from the model's size."
    )
    ephemeralStorageGiB: GiB | None = Field(
        default=None,
        description="Ephemeral storage in GiB; default: what the pod's volumes may take.",
    )


class ApiKey(Record):
    """API key by an existing Secret; ``as`` is a Python word, hence the alias."""

    secret: Secret = Field(description="The Secret.")
    form: Literal["env", "file"] = Field(default="env", description="How vLLM gets it.")


class Serving(Record):
    """The vLLM server."""

    vllmVersion: VllmVersion = Field(description="vLLM release.")
    image: ImageReference | None = Field(
        default=None, description="Image; default: docker.io/vllm/vllm-openai:v<vllmVersion>."
    )
    tensorParallelism: Annotated[StrictInt, Field(ge=1, le=16)] | None = Field(
        default=None, description="GPUs of one pod; default: all GPUs of a node."
    )
    args: tuple[Annotated[StrictStr, Field(min_length=1)], ...] = Field(
        default=(), strict=False, description="More vLLM arguments."
    )
    env: dict[str, StrictStr] = Field(default={}, description="More environment variables.")
    resources: Resources = Field(
        default=Resources(), description="CPU, memory, storage of one pod."
    )
    apiKey: ApiKey | None = Field(default=None, description="API key.")
    priorityClassName: ResourceName | None = Field(default=None, description="PriorityClass.")
    drainSeconds: Seconds = Field(
        default=60, description="Time for requests in flight at shutdown."
    )
    startupBudgetSeconds: Seconds | None = Field(
        default=None, description="Start-up budget; default: computed from size and disk."
    )


class Activation(Record):
    """A signal that outlives the pods, to scale from zero."""

    query: StrictStr = Field(description="PromQL, such as a gateway's request count.")
    threshold: Threshold = Field(default=0, description="Start above this value.")


class Keda(Record):
    """KEDA's source."""

    serverAddress: StrictStr = Field(description="Prometheus query endpoint.")
    activation: Activation | None = Field(default=None, description="Required for minReplicas: 0.")
    authenticationRef: ResourceName | None = Field(
        default=None, description="TriggerAuthentication."
    )


class Autoscaling(Record):
    """How each cell scales."""

    enabled: StrictBool = Field(default=True, description="False: a fixed number of replicas.")
    source: Literal["stackdriver", "gke", "keda"] = Field(
        default="stackdriver", description="Who serves the metric."
    )
    metric: Literal["running", "waiting", "both"] = Field(default="running", description="Signal.")
    targetRunning: Count = Field(default=10, description="Running requests per pod.")
    targetWaiting: Count = Field(default=5, description="Waiting requests per pod.")
    minReplicas: Annotated[StrictInt, Field(ge=0, le=1000)] = Field(
        default=1, description="Least pods."
    )
    maxReplicas: Count = Field(default=5, description="Most pods.")
    keda: Keda | None = Field(default=None, description="Required with source: keda.")


class Monitoring(Record):
    """Google Managed Prometheus."""

    enabled: StrictBool = Field(default=True, description="PodMonitoring.")
    intervalSeconds: Annotated[StrictInt, Field(ge=5, le=300)] = Field(
        default=15, description="Scrape interval."
    )
    rules: StrictBool = Field(default=False, description="Alert rules.")


class Download(Record):
    """The downloader Job, for mode: download."""

    claimSizeGiB: GiB = Field(default=100, description="Size of the claim to fill.")
    storageClassName: ResourceName = Field(
        default="standard-rwo", description="StorageClass of it."
    )
    deadlineSeconds: Seconds = Field(default=7200, description="When the Job gives up.")
    tokenSecret: Secret | None = Field(default=None, description="Hugging Face token.")


Weights = Annotated[Disk | Claim | NoWeights, Field(discriminator="kind")]


class Config(Record):
    """One config file."""

    version: Literal[1] = Field(description="Version of this file's format.")
    mode: Literal["serve", "download"] = Field(
        default="serve", description="What the release does."
    )
    project: ProjectId = Field(description="Project of cluster and disks.")
    imagesProject: ProjectId | None = Field(
        default=None, description="Project of the disk images; default: the project."
    )
    region: Region = Field(description="Region of the cluster.")
    network: Network = Field(default=Network(), description="Network of bake VMs and nodes.")
    kmsKey: KmsKey | None = Field(default=None, description="Customer-managed encryption key.")
    cluster: Cluster = Field(description="GKE cluster.")
    release: Release = Field(description="Helm release.")
    model: Model = Field(description="Model.")
    weights: Weights | None = Field(default=None, description="Where pods read the weights.")
    cells: tuple[Cell, ...] = Field(
        default=(), strict=False, description="Cells; one or more to serve."
    )
    imageCache: ImageCache = Field(default=ImageCache(), description="Cached container images.")
    serving: Serving | None = Field(default=None, description="vLLM server; required to serve.")
    autoscaling: Autoscaling = Field(default=Autoscaling(), description="Autoscaling of each cell.")
    monitoring: Monitoring = Field(default=Monitoring(), description="Metrics and alerts.")
    download: Download = Field(default=Download(), description="Downloader Job.")
    values: dict[str, Any] = Field(
        default={}, description="Chart values laid over the generated ones, by helm's rules."
    )
