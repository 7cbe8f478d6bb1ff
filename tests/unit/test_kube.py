"""Kubernetes' API by plain HTTP: what is absent, refused, away, cut or no JSON."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from pylib.errors import KubeError
from pylib.kube import Kube, transport

Answer = tuple[int, Any]
Answers = Callable[[str], Answer | None]

GROUPS: dict[str, Any] = {
    "/api/v1": {
        "resources": [
            {"name": "pods", "kind": "Pod", "namespaced": True},
            {"name": "pods/log", "kind": "Pod", "namespaced": True},
            {"name": "nodes", "kind": "Node", "namespaced": False},
        ]
    }
}


class Server:
    """Answers as its ``answers`` say; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, Any]] = []
        self.answers: Answers = lambda _: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                kind = self.headers.get("Content-Type", "")
                outer.asked.append((self.command, self.path, kind, body))
                found = outer.answers(self.path)
                if found is None:
                    known = GROUPS.get(self.path.partition("?")[0])
                    missing = {"kind": "Status", "message": "not there", "reason": "NotFound"}
                    found = (200, known) if known else (404, missing)
                data = found[1] if isinstance(found[1], bytes) else json.dumps(found[1]).encode()
                self.send_response(found[0])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._any)
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def port(self) -> int:
        return int(self.http.server_address[1])

    def requests(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _, _ in self.asked]


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.http.shutdown()
    one.http.server_close()


def kubeconfig(folder: Path, port: int, **contexts: str) -> Path:
    """A kubeconfig whose contexts (name to namespace) all lead to the port."""
    names = contexts or {"here": ""}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [
            {
                "name": name,
                "context": {"cluster": "c", "user": "u"} | ({"namespace": n} if n else {}),
            }
            for name, n in names.items()
        ],
        "current-context": next(iter(names)),
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return file


@pytest.fixture
def kube(server: Server, tmp_path: Path) -> Kube:
    return Kube.connect(kubeconfig(tmp_path, server.port))


def test_the_context_that_is_asked_for_gives_its_name_and_namespace(
    server: Server, tmp_path: Path
) -> None:
    file = kubeconfig(tmp_path, server.port, one="", two="models")
    first, second = Kube.connect(file), Kube.connect(file, "two")
    assert (first.context, first.namespace) == ("one", "default")
    assert (second.context, second.namespace) == ("two", "models")
    assert second.server == f"http://127.0.0.1:{server.port}"


@pytest.mark.fault("I10")
def test_a_context_that_is_not_there_names_those_that_are(server: Server, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, server.port, one="", two="")
    with pytest.raises(KubeError) as caught:
        Kube.connect(file, "three")
    assert str(caught.value) == "the kubeconfig has no context 'three'; it has: one, two."


def test_no_kubeconfig_and_no_cluster_around_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(
        KubeError, match=r"^no way to a cluster: .*gcloud container clusters get-cr"
    ):
        Kube.connect(tmp_path / "absent")


def test_the_version_is_major_and_minor(server: Server, kube: Kube) -> None:
    server.answers = lambda _: (200, {"major": "1", "minor": "35+"})
    assert kube.version() == "1.35"


def test_an_absent_object_and_an_absent_kind_are_none_and_empty(server: Server, kube: Kube) -> None:
    assert kube.get("v1", "Pod", "p", "n") is None
    assert kube.get("example.com/v1", "Thing", "t", "n") is None
    assert kube.list("example.com/v1", "Thing") == []
    assert not kube.delete("v1", "Pod", "p", "n")
    assert not kube.serves("example.com/v1", "Thing")
    assert kube.serves("v1", "Pod")
    assert ("GET", "/api/v1/namespaces/n/pods/p") in server.requests()


def test_a_namespace_is_left_out_for_what_has_none_and_names_are_quoted(
    server: Server, kube: Kube
) -> None:
    kube.get("v1", "Node", "a/b", "n")
    assert server.requests()[-1] == ("GET", "/api/v1/nodes/a%2Fb")


def test_a_list_follows_its_pages_and_each_item_says_its_kind(server: Server, kube: Kube) -> None:
    def pages(path: str) -> Answer | None:
        if "/pods?" not in path:
            return None
        names, more = (["c"], "") if "continue=more" in path else (["a", "b"], "more")
        items = [{"metadata": {"name": name}} for name in names]
        return 200, {"items": items, "metadata": {"continue": more}}

    server.answers = pages
    found = kube.list("v1", "Pod", "n", labels="app=x", fields="status.phase=Running")
    assert [item["metadata"]["name"] for item in found] == ["a", "b", "c"]
    assert {(item["apiVersion"], item["kind"]) for item in found} == {("v1", "Pod")}
    first = server.requests()[1][1]
    assert first.startswith("/api/v1/namespaces/n/pods?limit=500&labelSelector=app%3Dx")


def test_create_replace_apply_patch_and_delete_say_what_they_want(
    server: Server, kube: Kube
) -> None:
    server.answers = lambda p: (200, {"ok": 1}) if p not in GROUPS else None
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}}
    kube.create(pod, dry_run=True)
    kube.replace(pod, dry_run=True)
    kube.apply(pod, force=True, dry_run=True)
    kube.patch("v1", "Pod", "p", "n", [{"op": "remove"}], how="json", subresource="status")
    assert kube.delete("v1", "Pod", "p", "n", grace_seconds=0)
    pods, one = "/api/v1/namespaces/n/pods", "/api/v1/namespaces/n/pods/p"
    options = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
    apply = f"{one}?fieldManager=vllm-fast-start&force=true&dryRun=All"
    assert server.asked[1:] == [
        ("POST", f"{pods}?dryRun=All", "application/json", pod),
        ("PUT", f"{one}?dryRun=All", "application/json", pod),
        ("PATCH", apply, "application/apply-patch+yaml", pod),
        ("PATCH", f"{one}/status", "application/json-patch+json", [{"op": "remove"}]),
        ("DELETE", one, "application/json", options),
    ]


def test_a_refusal_says_the_servers_words_status_and_reason(server: Server, kube: Kube) -> None:
    status = {"kind": "Status", "message": 'pods is forbidden: User "x"', "reason": "Forbidden"}
    server.answers = lambda p: (403, status) if "/pods" in p else None
    with pytest.raises(KubeError) as caught:
        kube.list("v1", "Pod", "n")
    error = caught.value
    assert (error.status, error.reason) == (403, "Forbidden")
    assert str(error) == ('GET /api/v1/namespaces/n/pods: pods is forbidden: User "x" (HTTP 403)')


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, b"<html>login</html>"), "answered something that is no JSON: '<html>login</html>'"),
        ((502, b"<html>bad gateway</html>"), "<html>bad gateway</html> (HTTP 502)"),
        ((500, [1]), "[1] (HTTP 500)"),
    ],
    ids=["page", "proxy", "list"],
)
def test_an_answer_of_something_between_is_an_error_and_no_traceback(
    server: Server, kube: Kube, answer: Answer, words: str
) -> None:
    server.answers = lambda _: answer
    with pytest.raises(KubeError) as caught:
        kube.version()
    assert words in str(caught.value)


def test_a_server_that_was_never_there_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        file = kubeconfig(tmp_path, taken.getsockname()[1])
        with pytest.raises(KubeError) as caught:
            Kube.connect(file).version()
    assert (caught.value.status, caught.value.reason) == (0, "Unreachable")
    assert "the cluster of context 'here' at http://127.0.0.1:" in str(caught.value)
    assert "refused" in str(caught.value)


def test_a_server_that_is_busy_is_asked_again(server: Server, kube: Kube) -> None:
    left = [429, 503]

    def busy(_: str) -> Answer:
        return (left.pop(), {}) if left else (200, {"major": "1", "minor": "36"})

    assert kube.serves("v1", "Pod")
    server.answers = busy
    assert kube.version() == "1.36"
    assert len(server.asked) == 4


def test_a_change_whose_answer_was_lost_is_not_sent_twice(
    server: Server, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kube.serves("v1", "Pod")

    def cut(_: str) -> Answer:
        raise ConnectionAbortedError

    monkeypatch.setattr(server.http, "handle_error", lambda *_: None)
    server.answers = cut
    with pytest.raises(KubeError, match="cannot be reached"):
        kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}})
    assert [method for method, *_ in server.asked] == ["GET", "POST"]


def test_patience_has_an_end(server: Server, kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kube.serves("v1", "Pod")
    monkeypatch.setattr(transport, "PATIENCE_SECONDS", 0.3)
    server.answers = lambda _: (503, {"message": "overloaded"})
    with pytest.raises(KubeError, match=r"overloaded \(HTTP 503\)"):
        kube.version()
    assert len(server.asked) > 2


def test_a_watch_yields_its_events_and_leaves_bookmarks_out(server: Server, kube: Kube) -> None:
    events = [
        {"type": "ADDED", "object": {"metadata": {"name": "a"}}},
        {"type": "BOOKMARK", "object": {}},
        {"type": "DELETED", "object": {"metadata": {"name": "a"}}},
    ]
    stream = "".join(json.dumps(event) + "\n" for event in events).encode()
    server.answers = lambda p: (200, stream) if "watch" in p else None
    found = list(kube.watch("v1", "Pod", "n", seconds=5))
    assert [(kind, body["metadata"]["name"]) for kind, body in found] == [
        ("ADDED", "a"),
        ("DELETED", "a"),
    ]
    assert server.requests()[-1][1].endswith("/pods?watch=true&timeoutSeconds=5")


def test_a_watch_from_too_long_ago_is_an_error_with_status_410(server: Server, kube: Kube) -> None:
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old", "reason": "Expired"}}
    stream = json.dumps(gone).encode() + b"\n"
    server.answers = lambda p: (200, stream) if "watch" in p else None
    with pytest.raises(KubeError, match="watch Pod: too old") as caught:
        list(kube.watch("v1", "Pod", resource_version="1"))
    assert (caught.value.status, caught.value.reason) == (410, "Expired")


def test_a_watch_that_is_refused_is_an_error(server: Server, kube: Kube) -> None:
    server.answers = lambda _: (403, {"message": "no", "reason": "Forbidden"})
    with pytest.raises(KubeError, match="no"):
        list(kube.watch("v1", "Pod"))


def test_a_change_of_a_kind_that_is_not_served_says_so(kube: Kube) -> None:
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}
    with pytest.raises(KubeError) as caught:
        kube.apply(thing)
    assert str(caught.value) == "the cluster of context 'here' does not know example.com/v1 Thing."
    assert caught.value.reason == "NotFound"


def test_logs_are_text_or_nothing(server: Server, kube: Kube) -> None:
    server.answers = lambda _: (200, b"one\ntwo \xff\n")
    assert kube.logs("p", "n", "c", tail=5, previous=True) == "one\ntwo \ufffd\n"
    assert server.requests()[-1][1] == (
        "/api/v1/namespaces/n/pods/p/log?container=c&previous=true&tailLines=5"
    )
    server.answers = lambda _: (400, {"message": "ContainerCreating"})
    assert kube.logs("p", "n", "c") is None


def test_a_path_without_json_is_text(server: Server, kube: Kube) -> None:
    server.answers = lambda _: (500, b"[-]etcd failed")
    assert kube.raw_text("/readyz") == "[-]etcd failed"
