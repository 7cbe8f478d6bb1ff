"""The pod of ``helm test``: a completion through the Service."""

import json

from tests.chart.helmtool import serve


def test_the_pod_is_a_test_hook_outside_of_every_selector() -> None:
    objects = serve()
    pod = objects.one("Pod")
    assert pod.get("metadata", "annotations") == {
        "helm.sh/hook": "test",
        "helm.sh/hook-delete-policy": "before-hook-creation",
    }
    assert "app" not in pod.get("metadata", "labels")


def test_it_asks_the_service_for_the_served_model() -> None:
    objects = serve({"model": {"servedName": "google/gemma"}, "service": {"port": 80}})
    (container,) = objects.one("Pod").get("spec", "containers")
    env = {e["name"]: e["value"] for e in container["env"]}
    assert env["URL"] == "http://vllm:80/v1/completions"
    assert json.loads(env["REQUEST"])["model"] == "google/gemma"
    assert json.loads(env["REQUEST"])["max_tokens"] == 8


def test_its_image_is_pinned_and_can_be_replaced() -> None:
    (container,) = serve().one("Pod").get("spec", "containers")
    assert container["image"] == "docker.io/curlimages/curl:8.10.1"
    image = {"repository": "mirror.gcr.io/curl", "tag": "1", "digest": f"sha256:{'0' * 64}"}
    (container,) = serve({"test": {"image": image}}).one("Pod").get("spec", "containers")
    assert container["image"] == f"mirror.gcr.io/curl:1@sha256:{'0' * 64}"


def test_the_api_key_reaches_it_as_a_file() -> None:
    key = {"secretName": "key", "key": "token"}
    pod = serve({"server": {"apiKey": key}}).one("Pod")
    (volume,) = pod.get("spec", "volumes")
    assert volume["secret"]["secretName"] == "key"
    assert volume["secret"]["items"] == [{"key": "token", "path": "api-key"}]
    assert "volumes" not in serve().one("Pod").get("spec")
