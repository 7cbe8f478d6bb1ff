"""The good twin of each clash: what stands just inside a rule is accepted."""

from __future__ import annotations

import pytest

from pylib.config.parse import parse_config
from tests.unit.bad_configs.tables import BASE, Edits, edited

WEIGHTS = "weights:\n  kind: disk\n  type: pd-ssd\n  sizeGiB: 1024\n"
CLAIM = {WEIGHTS: "weights: {kind: claim, claims: {a: models}}\n"}
GS = "source: gs://my-models/gemma/gemma-7b"
HF = "source: hf://google/gemma-7b"
NODES = "    maxNodes: 5\n"
POOL = "    nodePool: {name: l4-a}\n"
VERSION = '  vllmVersion: "0.33.0"\n'
KEDA = "source: keda\n  keda: {serverAddress: http://p:9090"
SECOND = "zone: us-central1-b, nodePool: {name: b}, machineType: g2-standard-24, accelerator: "
SECOND = f"  - {{{SECOND}{{type: nvidia-l4, count: 2}}, name: "
HYPERDISK = {
    "g2-standard-24": "a3-ultragpu-8g",
    "{type: nvidia-l4, count: 2}": "{type: nvidia-h200-141gb, count: 8}",
    "  type: pd-ssd\n": "  type: hyperdisk-ml\n",
    NODES: f"{NODES}    bootDisk: {{type: hyperdisk-balanced}}\n",
}

GOOD: dict[str, Edits] = {
    "two cells of one zone with names of their own": {NODES: f"{NODES}{SECOND}b}}\n"},
    "least nodes equal most nodes": {NODES: "    minNodes: 5\n    maxNodes: 5\n"},
    "no nodes at least": {NODES: f"{NODES}    minNodes: 0\n"},
    "a compute class instead of a node pool": {POOL: "    computeClass: {name: l4}\n"},
    "a reservation that is used": {
        NODES: f"{NODES}    provisioning: reservation\n    reservation: block\n"
    },
    "tensor parallelism of all GPUs": {VERSION: f"{VERSION}  tensorParallelism: 2\n"},
    "a machine type that the tables do not know": {
        "g2-standard-24": "g9-standard-24",
        "count: 2": "count: 16",
    },
    "Hyperdisk on a machine that attaches nothing else": HYPERDISK,
    "throughput on Hyperdisk ML": {
        **HYPERDISK,
        "  sizeGiB: 1024\n": "  sizeGiB: 1024\n  throughputMiBps: 1200\n",
    },
    "a disk as large as the model": {"  sizeGiB: 1024\n": "  sizeGiB: 16\n"},
    "the largest disk": {"  sizeGiB: 1024\n": "  sizeGiB: 65536\n"},
    "a download at start into an emptyDir": {
        WEIGHTS: "weights: {kind: none, sizeGiB: 16}\n",
        GS: HF,
    },
    "a download at start into claims": {
        WEIGHTS: "weights: {kind: none, claims: {a: cache}}\n",
        GS: HF,
    },
    "a claim": CLAIM,
    "a claim of a model without a source": {**CLAIM, GS: "name: gemma-7b"},
    "a revision of a hugging face source": {GS: f"{HF}\n  revision: main"},
    "a name and a directory of one's own for a hugging face source": {
        GS: f"{HF}\n  name: mine\n  directory: models"
    },
    "the name and directory that the bucket implies": {
        GS: f"{GS}\n  name: gemma-7b\n  directory: gemma"
    },
    "a model at the root of its bucket": {GS: "source: gs://my-models/gemma-7b"},
    "least replicas equal most replicas": {"minReplicas: 1": "minReplicas: 5"},
    "KEDA": {"source: stackdriver": f"{KEDA}}}"},
    "scaling to zero on a signal that outlives the pods": {
        "source: stackdriver": f"{KEDA}, activation: {{query: up}}}}",
        "minReplicas: 1": "minReplicas: 0",
    },
    "GKE's own metric without monitoring": {
        "source: stackdriver": "source: gke",
        "autoscaling:\n": "monitoring: {enabled: false}\nautoscaling:\n",
    },
    "no autoscaling, whatever stands beside it": {
        "minReplicas: 1": "minReplicas: 9\n  enabled: false",
        "autoscaling:\n": "monitoring: {enabled: false}\nautoscaling:\n",
    },
    "object names of 63 characters": {"  name: gemma\n": f"  name: {'g' * 43}\n"},
    "the longest release name": {**CLAIM, "  name: gemma\n": f"  name: {'g' * 53}\n"},
    "the longest cell name beside a claim": {
        **CLAIM,
        "- name: a\n": f"- name: {'c' * 57}\n",
        "{a: models}": f"{{{'c' * 57}: models}}",
    },
    "the longest image name for a compute class": {
        POOL: "    computeClass: {name: l4}\n",
        "cells:\n": f"imageCache: {{name: {'v' * 39}}}\ncells:\n",
    },
    "a longer image name for a node pool": {
        "cells:\n": f"imageCache: {{name: {'v' * 63}}}\ncells:\n"
    },
    "names of 63 characters": {"vllm-cluster": "c" * 63, "l4-a": "p" * 63},
    "a domain-scoped project": {"project: my-project": "project: example.com:my-project"},
    "a key": {
        "project: my-project": "project: my-project\n"
        "kmsKey: projects/my-project/locations/us-central1/keyRings/Ring_1/cryptoKeys/key"
    },
    "an image by digest": {VERSION: f"{VERSION}  image: localhost:5000/v@sha256:{'0' * 64}\n"},
    "an image by tag and digest": {
        VERSION: f"{VERSION}  image: eu-docker.pkg.dev/p/r/v:1@sha256:{'0' * 64}\n"
    },
    "a release after the release": {'"0.33.0"': '"0.10.1.post1"'},
    "a fraction of a core": {VERSION: f"{VERSION}  resources: {{cpu: 0.5}}\n"},
    "values of every type": {
        "autoscaling:\n": "values: {a: [1, {b: null}], c: 1.5}\nautoscaling:\n"
    },
}


@pytest.mark.parametrize("edits", GOOD.values(), ids=GOOD)
def test_what_fits_together_is_accepted(edits: Edits) -> None:
    parse_config(edited(BASE, edits))


def test_a_download_needs_no_cells_weights_or_server() -> None:
    config = parse_config(
        "version: 1\nmode: download\nproject: my-project\nregion: us-central1\n"
        "cluster: {name: c}\nrelease: {name: r, namespace: vllm}\n"
        "model: {source: hf://google/gemma-7b, revision: main, sizeGiB: 16}\n"
    )
    assert (config.mode, config.cells, config.weights, config.serving) == (
        "download",
        (),
        None,
        None,
    )


def test_clashes_of_serving_do_not_stop_a_download() -> None:
    clash = {"version: 1\n": "version: 1\nmode: download\n", "minReplicas: 1": "minReplicas: 9"}
    assert parse_config(edited(BASE, clash)).autoscaling.minReplicas == 9
