"""storage: buckets and objects, as much as logs and small models need."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from email.message import Message
from email.parser import BytesParser
from urllib.parse import quote

from pylib.emulator import access
from pylib.emulator.clock import zulu
from pylib.emulator.crc32c import encoded_crc32c
from pylib.emulator.errors import ApiError, Json
from pylib.emulator.lists import cut
from pylib.emulator.naming import check_labels, public
from pylib.emulator.operations import new_id
from pylib.emulator.policies import policy_of, replace_policy
from pylib.emulator.routes import Route
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, Response, World

_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")
_MOST_OBJECTS = 1000
"""https://cloud.google.com/storage/docs/json_api/v1/objects/list"""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")


def _bucket_ref(name: str) -> Ref:
    return Ref("buckets", "", "global", name)


def _need_bucket(world: World, name: str) -> Json:
    doc = world.store.get(_bucket_ref(name))
    if doc is None:
        raise ApiError(404, "notFound", "The specified bucket does not exist.")
    return doc


def _object_ref(world: World, call: Call, name: str) -> Ref:
    bucket = call.params["bucket"]
    _need_bucket(world, bucket)
    return Ref("objects", bucket, "global", name)


def insert_bucket(world: World, call: Call) -> Json:
    """Make a bucket; its name is free in the whole world, or taken."""
    name, project = call.body.get("name", ""), call.query.get("project", "")
    if project not in world.settings.numbers():
        raise ApiError(400, "required", "Required parameter: project")
    access.require(world, "storage.buckets.create", f"projects/{project}")
    if not _BUCKET.fullmatch(name) or name.startswith("goog"):
        raise ApiError(400, "invalid", f"Invalid bucket name: '{name}'")
    if world.store.get(_bucket_ref(name)) is not None:
        message = (
            "Your previous request to create the named bucket succeeded and you already own it."
        )
        raise ApiError(409, "conflict", message)
    check_labels(call.body.get("labels", {}), "labels")
    doc = {
        "kind": "storage#bucket",
        "id": name,
        "name": name,
        "projectNumber": world.number(project),
        "location": call.body.get("location", "US").upper(),
        "storageClass": call.body.get("storageClass", "STANDARD"),
        "timeCreated": zulu(world.now()),
        "metageneration": "1",
        "labels": call.body.get("labels", {}),
        "iamConfiguration": call.body.get("iamConfiguration", {}),
        "_project": project,
    }
    world.store.put(_bucket_ref(name), doc)
    return public(doc)


def get_bucket(world: World, call: Call) -> Json:
    """A bucket."""
    return public(_need_bucket(world, call.params["bucket"]))


def list_buckets(world: World, call: Call) -> Json:
    """Buckets of a project."""
    project = call.query.get("project", "")
    found = world.store.find("buckets").values()
    items = [public(doc) for doc in found if doc["_project"] == project]
    return {"kind": "storage#buckets", "items": items}


def delete_bucket(world: World, call: Call) -> Response:
    """Delete an empty bucket."""
    name = call.params["bucket"]
    _need_bucket(world, name)
    if world.store.find("objects", name):
        message = "The bucket you tried to delete is not empty."
        raise ApiError(409, "conflict", message)
    world.store.drop(_bucket_ref(name))
    return Response(204)


def upload(world: World, call: Call) -> Json:
    """Write an object, in one piece, with its metadata before it or without."""
    kind = call.query.get("uploadType", "media")
    if kind == "multipart":
        about, content, content_type = _parts(call)
    elif kind == "media":
        about, content = {}, call.raw
        content_type = call.headers.get("content-type", "application/octet-stream")
    else:
        raise ApiError(501, "notImplemented", f"The emulator takes no {kind} uploads")
    name = call.query.get("name") or about.get("name", "")
    if not name:
        raise ApiError(400, "required", "Required parameter: name")
    ref = _object_ref(world, call, name)
    access.require(world, "storage.objects.create", f"{ref.project}/{name}")
    _check_generation(world, call, ref)
    doc = _object(world, ref, content, about.get("contentType", content_type))
    file = world.file(f"object-{doc['_number']}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    world.store.put(ref, doc)
    return public(doc)


def _check_generation(world: World, call: Call, ref: Ref) -> None:
    wanted = call.query.get("ifGenerationMatch")
    found = world.store.get(ref)
    if wanted is not None and wanted != (found["generation"] if found else "0"):
        message = "At least one of the pre-conditions you specified did not hold."
        raise ApiError(412, "conditionNotMet", message, location="If-Match")


def _parts(call: Call) -> tuple[Json, bytes, str]:
    # gcloud puts the boundary into single quotes, and Cloud Storage takes them for quotes.
    kind = re.sub(r"boundary='([^']*)'", r'boundary="\1"', call.headers.get("content-type", ""))
    whole = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + call.raw)
    parts = [part for part in whole.get_payload() if isinstance(part, Message)]
    if len(parts) != 2:
        raise ApiError(400, "badRequest", "Malformed multipart body.")
    about: Json = json.loads(_content(parts[0]) or b"{}")
    return about, _content(parts[1]), parts[1].get_content_type()


def _content(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _object(world: World, ref: Ref, content: bytes, kind: str) -> Json:
    number = new_id(world)
    digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    path = f"b/{ref.project}/o/{quote(ref.name, safe='')}"
    return {
        "kind": "storage#object",
        "id": f"{ref.project}/{ref.name}/{number}",
        "bucket": ref.project,
        "name": ref.name,
        "generation": str(number),
        "metageneration": "1",
        "size": str(len(content)),
        "contentType": kind,
        "md5Hash": digest,
        "crc32c": encoded_crc32c(content),
        "timeCreated": zulu(world.now()),
        "updated": zulu(world.now()),
        "selfLink": f"https://www.googleapis.com/storage/v1/{path}",
        "mediaLink": f"{world.url}/download/storage/v1/{path}?generation={number}&alt=media",
        "_number": number,
    }


def get_object(world: World, call: Call) -> Json | Response:
    """An object's metadata, or with ``alt=media`` its content, all of it or a range."""
    name = call.params["object"]
    doc = world.store.get(_object_ref(world, call, name))
    wanted = call.query.get("generation", doc["generation"] if doc else "")
    if doc is None or doc["generation"] != wanted:
        message = f"No such object: {call.params['bucket']}/{name}"
        raise ApiError(404, "notFound", message)
    if call.query.get("alt") == "media":
        content = world.file(f"object-{doc['_number']}").read_bytes()
        return _media(content, call.headers.get("range", ""), doc["contentType"])
    return public(doc)


def _media(content: bytes, asked: str, kind: str) -> Response:
    """The bytes that a Range header asks for; one that is none is as if it were not there."""
    match = _RANGE.fullmatch(asked)
    if match is None:
        return Response(200, content, kind)
    first, last = int(match[1]), int(match[2] or len(content))
    if first >= len(content):
        headers = {"Content-Range": f"bytes */{len(content)}"}
        return Response(416, b"Requested range not satisfiable", "text/plain", headers)
    part = content[first : last + 1]
    span = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
    return Response(206, part, kind, {"Content-Range": span})


def list_objects(world: World, call: Call) -> Json:
    """One page of a bucket's objects whose names begin with ``prefix``, by name."""
    bucket, prefix = call.params["bucket"], call.query.get("prefix", "")
    _need_bucket(world, bucket)
    found = world.store.find("objects", bucket)
    names = sorted(ref.name for ref in found if ref.name.startswith(prefix))
    docs = {ref.name: public(doc) for ref, doc in found.items()}
    asked = call.query.get("maxResults", "")
    most = min(int(asked) if asked.isdecimal() else _MOST_OBJECTS, _MOST_OBJECTS)
    rows, token = cut(world, call, [docs[name] for name in names], max(1, most))
    answer: Json = {"kind": "storage#objects"}
    if rows:
        answer["items"] = rows
    if token:
        answer["nextPageToken"] = token
    return answer


def delete_object(world: World, call: Call) -> Response:
    """Delete an object."""
    ref = _object_ref(world, call, call.params["object"])
    doc = world.store.get(ref)
    if doc is None:
        raise ApiError(404, "notFound", f"No such object: {ref.project}/{ref.name}")
    world.file(f"object-{doc['_number']}").unlink(missing_ok=True)
    world.store.drop(ref)
    return Response(204)


def get_iam(world: World, call: Call) -> Json:
    """The bucket's policy."""
    name = call.params["bucket"]
    _need_bucket(world, name)
    return {"kind": "storage#policy", **policy_of(world, Ref("policies", "", "buckets", name))}


def set_iam(world: World, call: Call) -> Json:
    """Replace the bucket's policy."""
    name = call.params["bucket"]
    _need_bucket(world, name)
    asked = {key: value for key, value in call.body.items() if key not in {"kind", "resourceId"}}
    done = replace_policy(world, Ref("policies", "", "buckets", name), asked)
    return {"kind": "storage#policy", **done}


_ALL = "/storage/v1/b"
_ONE = f"{_ALL}/{{bucket}}"
ROUTES = (
    Route("storage.buckets.insert", "POST", _ALL, insert_bucket),
    Route("storage.buckets.list", "GET", _ALL, list_buckets, permissions=("storage.buckets.list",)),
    Route("storage.buckets.get", "GET", _ONE, get_bucket, permissions=("storage.buckets.get",)),
    Route(
        "storage.buckets.delete",
        "DELETE",
        _ONE,
        delete_bucket,
        permissions=("storage.buckets.delete",),
    ),
    Route("storage.buckets.getIamPolicy", "GET", f"{_ONE}/iam", get_iam),
    Route("storage.buckets.setIamPolicy", "PUT", f"{_ONE}/iam", set_iam),
    Route("storage.objects.insert", "POST", f"/upload{_ONE}/o", upload, media=True),
    Route(
        "storage.objects.list",
        "GET",
        f"{_ONE}/o",
        list_objects,
        permissions=("storage.objects.list",),
    ),
    Route(
        "storage.objects.get",
        "GET",
        f"{_ONE}/o/{{object}}",
        get_object,
        permissions=("storage.objects.get",),
    ),
    Route(
        "storage.objects.get",
        "GET",
        f"/download{_ONE}/o/{{object}}",
        get_object,
        permissions=("storage.objects.get",),
    ),
    Route(
        "storage.objects.delete",
        "DELETE",
        f"{_ONE}/o/{{object}}",
        delete_object,
        permissions=("storage.objects.delete",),
    ),
)
