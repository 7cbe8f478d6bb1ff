"""What the chart refuses because two values clash: the whole message, each with its way out."""

from typing import Any

import pytest

from tests.chart.helmtool import DOWNLOAD, REVISION, ZONE, merged, refusal, refused, serve
from tests.chart.test_autoscaling import KEDA, ON
from tests.chart.test_weights import CLAIM, NONE

CELL = {"zone": ZONE, "nodePool": "p"}
DISK = {"name": REVISION, "disks": {ZONE: "d"}}

REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "two cells of one name": (
        {"cells": [CELL, CELL]},
        """cells[0] and cells[1] are both named "us-central1-a".
Please set a name of its own:
cells:
  - name: us-central1-a-2
    zone: us-central1-a""",
    ),
    "a cell on no nodes": (
        {"cells": [{"zone": ZONE}]},
        """cells[0] (us-central1-a) names neither nodePool nor computeClass, \
so its pods would run on any node.
Please set one of the two:
cells:
  - zone: us-central1-a
    nodePool: <node pool>""",
    ),
    "a compute class and a node pool": (
        {"cells": [{**CELL, "computeClass": "gpu"}]},
        """cells[0] (us-central1-a) has computeClass "gpu" and nodePool "p": \
a compute class picks the nodes itself and must not meet other node selectors.
Please drop nodePool:
cells:
  - zone: us-central1-a
    computeClass: gpu""",
    ),
    "a compute class and spot": (
        {"cells": [{"zone": ZONE, "computeClass": "gpu", "spot": True}]},
        """cells[0] (us-central1-a) has computeClass "gpu" and spot "true": \
a compute class picks the nodes itself and must not meet other node selectors.
Please drop spot:
cells:
  - zone: us-central1-a
    computeClass: gpu""",
    ),
    "replicas under an autoscaler": (
        merged(ON, {"cells": [{**CELL, "replicas": 3}]}),
        """cells[0] (us-central1-a) has replicas 3 and autoscaling.enabled is true: \
the autoscaler would undo it.
Please set its bounds instead:
cells:
  - zone: us-central1-a
    minReplicas: 3""",
    ),
    "a least above the most": (
        merged(ON, {"autoscaling": {"minReplicas": 9}}),
        """cells[0] (us-central1-a) has minReplicas 9 above maxReplicas 5.
Please set:
autoscaling:
  maxReplicas: 9""",
    ),
    "an hpa to zero": (
        merged(ON, {"autoscaling": {"minReplicas": 0}}),
        """cells[0] (us-central1-a) has minReplicas 0 and autoscaling.source is "stackdriver": \
only KEDA scales to zero, given a signal that outlives the pods.
Please set:
autoscaling:
  minReplicas: 1""",
    ),
    "keda to zero without a signal": (
        merged(KEDA, {"cells": [{**CELL, "minReplicas": 0}]}),
        """cells[0] (us-central1-a) has minReplicas 0 and autoscaling.keda.activation.query \
is empty: with no pod left, vLLM's own metrics are gone and nothing would start the first one.
Please set a signal that outlives the pods, or minReplicas: 1:
autoscaling:
  keda:
    activation:
      query: sum(rate(gateway_requests_total{backend="vllm"}[1m]))""",
    ),
    "keda without prometheus": (
        merged(KEDA, {"autoscaling": {"keda": {"serverAddress": ""}}}),
        """autoscaling.source is "keda" and autoscaling.keda.serverAddress is empty.
Please set the Prometheus query endpoint that KEDA asks:
autoscaling:
  keda:
    serverAddress: http://frontend.gmp-public.svc.cluster.local:9090""",
    ),
    "two versions of vllm": (
        {"image": {"tag": "v0.5.3"}, "vllmVersion": "0.33.0"},
        """image.tag "v0.5.3" is vLLM 0.5.3 and vllmVersion is "0.33.0": \
arguments would be chosen for the wrong version.
Please set:
vllmVersion: "0.5.3\"""",
    ),
    "no version of vllm": (
        {"image": {"digest": f"sha256:{'a' * 64}"}},
        """image.tag "" does not tell the version of vLLM and vllmVersion is empty, \
so the chart cannot know which arguments this image takes.
Please set the version that is in the image:
vllmVersion: "0.33.0\"""",
    ),
    "an image that is not cached": (
        {"imageCache": {"images": ["docker.io/vllm/vllm-openai:v0.32.0", "other:1"]}},
        """The image "docker.io/vllm/vllm-openai:v0.33.0" is not on the image cache, \
which holds docker.io/vllm/vllm-openai:v0.32.0, other:1: each new node would pull it.
Please deploy an image that is cached, or bake a cache that holds this one and list it:
imageCache:
  images:
    - docker.io/vllm/vllm-openai:v0.33.0""",
    ),
    "gpus in two places": (
        {"resources": {"limits": {"nvidia.com/gpu": 2}}},
        """resources.limits has nvidia.com/gpu 2 and gpusPerPod is 1: \
one value sets the GPUs and --tensor-parallel-size alike.
Please set, and drop it from resources.limits:
gpusPerPod: 2""",
    ),
    "shared memory as large as memory": (
        {"server": {"shmSizeGiB": 32}},
        """server.shmSizeGiB 32 takes all of resources.limits.memory 32Gi, \
which /dev/shm counts against.
Please set a smaller /dev/shm or more memory:
server:
  shmSizeGiB: 8""",
    ),
    "volumes beyond the ephemeral storage": (
        merged(NONE, {"resources": {"limits": {"ephemeral-storage": "10Gi"}}}),
        """resources.limits.ephemeral-storage 10Gi is less than the 29 GiB that the pod's \
volumes may take (server.cacheSizeGiB 8, weights 20, /tmp 1): the kubelet would evict it.
Please set:
resources:
  requests:
    ephemeral-storage: 30Gi
  limits:
    ephemeral-storage: 30Gi""",
    ),
    "a label of the selectors": (
        {"podLabels": {"app": "mine"}},
        """podLabels sets the label "app", by which the Service and the Deployments find their pods.
Please use another name:
podLabels:
  my-app: mine""",
    ),
    "an argument of the chart": (
        {"server": {"args": ["--enforce-eager", "--tensor-parallel-size=4"]}},
        """server.args[1] is "--tensor-parallel-size", which the chart sets from gpusPerPod.
Please drop the argument and set gpusPerPod.""",
    ),
    "an argument of the chart spelt with underscores": (
        {"server": {"args": ["--served_model_name", "x"]}},
        """server.args[0] is "--served-model-name", which the chart sets from model.servedName.
Please drop the argument and set model.servedName.""",
    ),
    "an api key in the arguments": (
        {"server": {"args": ["--api-key=hunter2"]}},
        """server.args[0] is "--api-key", which the chart sets from server.apiKey.secretName.
Please drop the argument and set server.apiKey.secretName.""",
    ),
    "a secret in plain text": (
        {"server": {"extraEnv": [{"name": "HF_TOKEN", "value": "hf_x"}]}},
        """server.extraEnv[0] gives HF_TOKEN as plain text, \
which then stands in the Deployment and in Helm's history.
Please put it into a Secret and refer to that:
server:
  extraEnv:
    - name: HF_TOKEN
      valueFrom:
        secretKeyRef:
          name: <secret>
          key: <key>""",
    ),
    "two chat templates": (
        {"server": {"chatTemplate": {"inline": "x", "configMapName": "y"}}},
        """server.chatTemplate has both inline text and configMapName "y".
Please drop one of them:
server:
  chatTemplate:
    inline: "\"""",
    ),
    "an update that cannot move": (
        {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
        """strategy.rollingUpdate has maxSurge 0 and maxUnavailable 0: \
no pod could ever be replaced.
Please set, when there is no spare GPU node:
strategy:
  rollingUpdate:
    maxSurge: 0
    maxUnavailable: 1""",
    ),
    "a current revision that is not listed": (
        {"weights": {"disk": {"current": "v2"}}},
        """weights.disk.current "v2" is not among the revisions 3f2a9c01b7de.
Please set one of them:
weights:
  disk:
    current: 3f2a9c01b7de""",
    ),
    "a revision twice": (
        {"weights": {"disk": {"revisions": [DISK, DISK]}}},
        """weights.disk.revisions[1] is a second revision named "3f2a9c01b7de".
Please drop one of the two.""",
    ),
    "a cell without its disk": (
        {"weights": {"disk": {"revisions": [{**DISK, "disks": {}}]}}},
        """weights.disk.revisions[0].disks lacks cell "us-central1-a"; it has none.
Please add to weights.disk.revisions[0].disks:
  us-central1-a: <disk>""",
    ),
    "a disk without its cell": (
        {"weights": {"disk": {"revisions": [{**DISK, "disks": {ZONE: "d", "b": "e"}}]}}},
        """weights.disk.revisions[0].disks names "b", which is no cell; the cells are us-central1-a.
Please drop it, or give the cell that name:
cells:
  - name: b""",
    ),
    "a disk below the model": (
        {"model": {"sizeGiB": 140}, "weights": {"disk": {"sizeGiB": 100}}},
        """weights.disk.sizeGiB 100 is less than model.sizeGiB 140.
Please set the size of the disk, which is also what its speed follows from:
weights:
  disk:
    sizeGiB: 280""",
    ),
    "a revision's disk below the model": (
        {
            "model": {"sizeGiB": 140},
            "weights": {"disk": {"revisions": [{**DISK, "sizeGiB": 20}]}},
        },
        """weights.disk.sizeGiB 20 is less than model.sizeGiB 140.
Please set the size of the disk, which is also what its speed follows from:
weights:
  disk:
    sizeGiB: 280""",
    ),
    "a claim for another cell": (
        merged(CLAIM, {"cells": [{**CELL, "name": "a"}]}),
        """weights.claim.claims lacks cell "a"; it has us-central1-a.
Please add to weights.claim.claims:
  a: <claim>

weights.claim.claims names "us-central1-a", which is no cell; the cells are a.
Please drop it, or give the cell that name:
cells:
  - name: us-central1-a""",
    ),
    "two places for a download": (
        merged(NONE, {"weights": {"none": {"claims": {ZONE: "c"}}}}),
        """weights.none has both sizeGiB 20, for an emptyDir, and claims.
Please drop one of them:
weights:
  none:
    sizeGiB: null""",
    ),
    "no place for a download": (
        merged(NONE, {"weights": {"none": {"sizeGiB": None}}}),
        """weights.none has neither sizeGiB nor claims, so the download has nowhere to go.
Please set the size of an emptyDir that holds the model:
weights:
  none:
    sizeGiB: 20""",
    ),
}


@pytest.mark.parametrize(("values", "message"), REFUSALS.values(), ids=list(REFUSALS))
def test_clash(values: dict[str, Any], message: str) -> None:
    assert refused(values) == message


def test_all_clashes_are_said_at_once() -> None:
    message = refused({"cells": [CELL, CELL], "server": {"args": ["--port=1"], "shmSizeGiB": 99}})
    paragraphs = message.split("\n\n")
    assert [p.splitlines()[0].split(" ")[0] for p in paragraphs] == [
        "cells[0]",
        "server.shmSizeGiB",
        "server.args[0]",
    ]


@pytest.mark.parametrize("revision", ["", "main", "abc123"])
def test_a_hugging_face_download_is_pinned_to_a_commit(revision: str) -> None:
    values = {"download": {"source": "hf://google/gemma-7b", "revision": revision}}
    found = refusal(merged(DOWNLOAD, values))
    if revision:
        assert "at '/download/revision'" in found
        return
    assert found == (
        'download.source is "hf://google/gemma-7b" and download.revision is "": a Hugging Face '
        "source needs a commit of 40 hex digits, since a branch moves.\n"
        "Please set:\n"
        "download:\n"
        "  revision: 0123456789abcdef0123456789abcdef01234567"
    )


def test_a_bucket_has_no_revision() -> None:
    found = refusal(merged(DOWNLOAD, {"download": {"revision": "a" * 40}}))
    assert found.startswith('download.source is "gs://models/gemma/gemma-7b", so download.revision')


@pytest.mark.parametrize(
    ("image", "listed"),
    [
        ({}, "docker.io/vllm/vllm-openai:v0.33.0"),
        ({}, "vllm/vllm-openai:v0.33.0"),
        ({}, f"vllm/vllm-openai:v0.33.0@sha256:{'a' * 64}"),
        ({"tag": "v0.33.0", "digest": f"sha256:{'a' * 64}"}, "vllm/vllm-openai:v0.33.0"),
        (
            {"tag": "v0.33.0", "digest": f"sha256:{'a' * 64}"},
            f"docker.io/vllm/vllm-openai@sha256:{'a' * 64}",
        ),
        ({"repository": "localhost:5000/vllm"}, "localhost:5000/vllm:v0.33.0"),
    ],
)
def test_a_cached_image_is_known_by_any_part_of_its_reference(
    image: dict[str, Any], listed: str
) -> None:
    assert serve({"image": image, "imageCache": {"images": [listed]}}).all("Deployment")


def test_a_cached_image_of_another_digest_is_another_image() -> None:
    image = {"tag": "v0.33.0", "digest": f"sha256:{'a' * 64}"}
    listed = f"docker.io/vllm/vllm-openai:v0.33.0@sha256:{'b' * 64}"
    assert "is not on the image cache" in refused(
        {"image": image, "imageCache": {"images": [listed]}}
    )
