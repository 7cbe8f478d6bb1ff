"""Google's own message types judge every body and query: unknown fields are refused.

The one module of the emulator that imports Google's packages, and only their types.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from pylib.emulator.errors import ApiError, Json

_MODULES = {
    "compute": "google.cloud.compute_v1.types.compute",
    "container": "google.cloud.container_v1.types.cluster_service",
}


@cache
def _class(service: str, name: str) -> type[Message]:
    wrapper = getattr(import_module(_MODULES[service]), name)
    message: type[Message] = wrapper.pb()
    return message


def _fields(service: str, name: str) -> list[FieldDescriptor]:
    descriptor: Any = _class(service, name).DESCRIPTOR
    return list(descriptor.fields)


@cache
def query_names(service: str, request: str) -> frozenset[str]:
    """Names in JSON of the fields of a request that are no message: path and query parameters."""
    return frozenset(f.json_name for f in _fields(service, request) if f.message_type is None)


@cache
def body_type(service: str, request: str) -> str:
    """Type of a compute request's body, from its field ``…_resource``; empty when it has none."""
    for field in _fields(service, request):
        if field.name.endswith("_resource") and isinstance(field.message_type, Descriptor):
            return str(field.message_type.name)
    return ""


def parse(service: str, name: str, text: bytes) -> Json:
    """A body as the message type writes it, int64 as text; 400 for what the type has not."""
    message = _class(service, name)()
    try:
        json_format.Parse(text or b"{}", message, ignore_unknown_fields=False)
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise _refusal(str(error)) from None
    doc: Json = json_format.MessageToDict(message)
    return doc


def complain(service: str, name: str, doc: Json) -> str:
    """What is wrong with an answer of ours, by the type that it should be of; empty if nothing."""
    try:
        json_format.ParseDict(doc, _class(service, name)(), ignore_unknown_fields=False)
    except json_format.ParseError as error:
        return str(error)
    return ""


_UNKNOWN = re.compile(r'has no field named "([^"]*)"(?: at "([^"]*)")?')


def _refusal(text: str) -> ApiError:
    unknown = _UNKNOWN.search(text)
    if unknown:
        where = (unknown[2] or "").partition(".")[2]
        place = f" at '{where}'" if where else ""
        why = f'Unknown name "{unknown[1]}"{place}: Cannot find field.'
    else:
        why = text
    return ApiError(400, "badRequest", f"Invalid JSON payload received. {why}")
