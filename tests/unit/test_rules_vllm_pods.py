"""Which containers serve with vLLM, in which version and with which arguments."""

from typing import Any

import pytest

from pylib.manifests import Manifest
from pylib.validate.rules.objects import Container, Context, Objects
from pylib.validate.rules.vllm_pods import (
    Image,
    arguments,
    environment,
    expand,
    gpus,
    image_of,
    is_server,
    machine_type,
    model_gib,
    option,
    server_pods,
    servers,
    version_of,
)


def objects(
    container: dict[str, Any],
    *,
    init: bool = False,
    annotations: dict[str, str] | None = None,
    context: Context | None = None,
) -> Objects:
    containers = {"initContainers" if init else "containers": [{"name": "it", **container}]}
    body = {"kind": "Pod", "metadata": {"annotations": annotations or {}}, "spec": containers}
    return Objects([Manifest(body)], context)


def container_of(container: dict[str, Any], **how: Any) -> Container:
    [pod] = objects(container, **how).pods()
    [found] = pod.containers()
    return found


@pytest.mark.parametrize(
    "container",
    [
        {"image": "vllm/vllm-openai:v0.5.3"},
        {"image": "vllm/vllm-openai:v0.5.3", "args": ["--model=/m"]},
        {"image": "us-docker.pkg.dev/vertex-ai/dockers/pytorch-vllm-serve:20240220_0936_RC01"},
        {"image": "registry.local:5000/my/vllm@sha256:" + "1" * 64},
        {"image": "my/server:1", "command": ["vllm", "serve", "/m"]},
        {"image": "my/server:1", "command": ["/opt/venv/bin/vllm", "serve"], "args": ["/m"]},
        {
            "image": "my/server:1",
            "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"],
        },
        {"image": "my/server:1", "command": ["/bin/sh", "-c", "sleep 1; exec vllm serve /m"]},
        {"image": "my/server:1", "command": ["bash", "-c"], "args": ["vllm serve /m --port 1"]},
        {"image": "my/server:1", "args": ["python3", "-m", "vllm.entrypoints.api_server"]},
    ],
)
def test_container_that_serves(container: dict[str, Any]) -> None:
    assert is_server(container_of(container))


@pytest.mark.parametrize(
    "container",
    [
        {"image": "vllm/vllm-openai:v0.33.0", "command": ["python3", "/scripts/check_weights.py"]},
        {"image": "lmcache/vllm-router:1"},
        {"image": "my/vllm-metrics-exporter:1"},
        {"image": "my/notvllmish:1"},
        {"image": "curlimages/curl:8", "command": ["curl"], "args": ["http://vllm:8000/health"]},
        {"image": "curlimages/curl:8", "command": ["sh", "-c", "curl http://vllm:8000/v1/models"]},
        {"image": "busybox:1", "command": ["sh", "-c"]},
        {"image": None},
        {},
    ],
)
def test_container_that_does_not_serve(container: dict[str, Any]) -> None:
    assert not is_server(container_of(container))


def test_init_container_never_serves() -> None:
    assert not is_server(container_of({"image": "vllm/vllm-openai:v0.33.0"}, init=True))


def test_servers_and_their_pods_are_found_once_each() -> None:
    server = {"name": "a", "image": "vllm/vllm-openai:v1.0.0"}
    pod = Manifest({"kind": "Pod", "spec": {"containers": [server, {**server, "name": "b"}]}})
    other = Manifest({"kind": "Pod", "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}})
    found = Objects([pod, other])
    assert [container.name for container in servers(found)] == ["a", "b"]
    assert [p.owner for p in server_pods(found)] == [pod]


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"image": "vllm/vllm-openai:v1", "args": ["--model=/m"]}, ["--model=/m"]),
        ({"command": ["vllm", "serve"], "args": ["/m", "--port", 8000]}, ["/m", "--port", "8000"]),
        (
            {"command": ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", "/m"]},
            ["--model", "/m"],
        ),
        (
            {"command": ["sh", "-c", "cd /tmp && exec vllm serve /m \\\n  --port '80 00' > log"]},
            ["/m", "--port", "80 00"],
        ),
        ({"command": ["sh", "-c", "vllm serve /m --port 1\necho done"]}, ["/m", "--port", "1"]),
        ({"command": ["sh", "-c", "vllm serve /m & wait"]}, ["/m"]),
        ({"command": ["sh", "-c", "vllm serve '/m"]}, []),
        ({"command": ["sh", "-c", "x=$(vllm serve /m)"]}, ["/m"]),
        ({"command": ["python3", "serve.py"], "args": ["--model=/m"]}, []),
    ],
)
def test_arguments_are_those_of_the_server(container: dict[str, Any], words: list[str]) -> None:
    assert [word.text for word in arguments(container_of(container))] == words


def test_arguments_keep_the_path_of_their_field() -> None:
    found = arguments(container_of({"command": ["vllm", "serve", "/m"], "args": ["--port=1"]}))
    assert [word.path for word in found] == [("command", 2), ("args", 0)]


def test_arguments_of_a_script_have_the_path_of_the_script() -> None:
    found = arguments(container_of({"command": ["sh", "-c"], "args": ["vllm serve /m"]}))
    assert [word.path for word in found] == [("args", 0)]


def test_variables_are_replaced_as_the_kubelet_does() -> None:
    env = [
        {"name": "MODEL", "value": "/model-data/gemma"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    args = ["--model=$(MODEL)", "--api-key=$(KEY)", "--x=$$(MODEL)", "--y=$(NONE)"]
    found = arguments(container_of({"image": "vllm:1", "env": env, "args": args}))
    assert [word.text for word in found] == [
        "--model=/model-data/gemma",
        "--api-key=$(KEY)",
        "--x=$(MODEL)",
        "--y=$(NONE)",
    ]


def test_environment_knows_literals_and_references() -> None:
    env = [{"name": "A", "value": 1}, {"name": "B"}, {"name": "C", "valueFrom": {}}]
    assert environment(container_of({"env": env})) == {"A": "1", "B": "", "C": None}
    assert expand("$(B)|$(C)", {"B": "", "C": None}) == "|$(C)"


@pytest.mark.parametrize(
    ("args", "value"),
    [
        (["--tensor-parallel-size=2"], "2"),
        (["--tensor-parallel-size", "4"], "4"),
        (["--tensor_parallel_size=8"], "8"),
        (["-tp", "16"], "16"),
        (["-tp=1", "-tp=2"], "2"),
        (["--tensor-parallel-size"], None),
        (["--port=1"], None),
    ],
)
def test_option_is_read_in_every_spelling(args: list[str], value: str | None) -> None:
    words = arguments(container_of({"image": "vllm:1", "args": args}))
    found = option(words, "--tensor-parallel-size", "-tp")
    assert (found.text if found else None) == value


@pytest.mark.parametrize(
    ("reference", "image"),
    [
        ("vllm/vllm-openai:v0.5.3", Image("vllm/vllm-openai", "v0.5.3", "")),
        ("localhost:5000/vllm", Image("localhost:5000/vllm", "", "")),
        ("a/b:t@sha256:12", Image("a/b", "t", "sha256:12")),
        (None, Image("", "", "")),
    ],
)
def test_image_in_parts(reference: object, image: Image) -> None:
    assert image_of(reference) == image


@pytest.mark.parametrize(
    ("image", "annotations", "context", "version"),
    [
        ("vllm/vllm-openai:v0.5.3", {}, "0.9.0", "0.5.3"),
        ("vllm/vllm-openai:v0.5.3.post1", {}, "", "0.5.3.post1"),
        ("vllm/vllm-openai:0.10.2-x86_64", {}, "", "0.10.2"),
        ("vllm/vllm-openai:v0.5.3", {"vllm-fast-start/vllm-version": "v0.33.0"}, "", "0.33.0"),
        ("vllm/vllm-openai:latest", {}, "0.9.0", "0.9.0"),
        ("vllm/vllm-openai@sha256:12", {}, "", ""),
        ("vertex/pytorch-vllm-serve:20240220_0936_RC01", {}, "", ""),
    ],
)
def test_version_by_annotation_then_tag_then_run(
    image: str, annotations: dict[str, str], context: str, version: str
) -> None:
    run = objects({"image": image}, annotations=annotations, context=Context(vllm_version=context))
    [container] = servers(run)
    assert version_of(container, run) == version


@pytest.mark.parametrize(
    ("text", "size"), [("16", 16.0), ("15.5", 15.5), ("0", None), ("16Gi", None), ("", None)]
)
def test_model_size_is_a_number_of_gib(text: str, size: float | None) -> None:
    found = container_of({}, annotations={"vllm-fast-start/model-size-gib": text})
    assert model_gib(found.pod) == size


def test_annotation_of_the_owner_stands_in_for_the_template() -> None:
    body = {
        "kind": "Deployment",
        "metadata": {"annotations": {"vllm-fast-start/model-size-gib": "16"}},
        "spec": {"template": {"spec": {"containers": []}}},
    }
    [pod] = Objects([Manifest(body)]).pods()
    assert model_gib(pod) == 16


def test_machine_type_by_annotation_then_selector_then_run() -> None:
    selector = {"node.kubernetes.io/instance-type": "g2-standard-8"}
    annotation = {"annotations": {"vllm-fast-start/machine-type": "g2-standard-24"}}

    def found(metadata: dict[str, Any], spec: dict[str, Any]) -> str:
        run = Objects(
            [Manifest({"kind": "Pod", "metadata": metadata, "spec": spec})],
            Context(machine_type="g2-standard-4"),
        )
        return machine_type(run.pods()[0], run)

    assert found(annotation, {"nodeSelector": selector}) == "g2-standard-24"
    assert found({}, {"nodeSelector": selector}) == "g2-standard-8"
    assert found({}, {}) == "g2-standard-4"


@pytest.mark.parametrize(
    ("resources", "count"),
    [
        ({"limits": {"nvidia.com/gpu": 2}}, 2),
        ({"limits": {"nvidia.com/gpu": "2"}}, 2),
        ({"requests": {"nvidia.com/gpu": 1}}, 1),
        ({"limits": {"nvidia.com/gpu": "many"}}, None),
        ({}, None),
    ],
)
def test_gpus_of_a_container(resources: dict[str, Any], count: int | None) -> None:
    assert gpus(container_of({"resources": resources})) == count
