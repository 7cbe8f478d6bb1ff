"""The texts that a config may hold: each with its pattern, its wording and an example.

A pattern stands once here; pydantic checks it, the exported JSON Schema shows it, and a message
says it in words.  Sources: Compute Engine resource names follow RFC 1035 (63 characters),
Kubernetes object names RFC 1123; bucket names
https://cloud.google.com/storage/docs/buckets#naming.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt, WithJsonSchema
from pydantic_core import PydanticCustomError


def _text(pattern: str, what: str, example: str) -> tuple[AfterValidator, WithJsonSchema]:
    """Validator and schema of a text that matches ``pattern`` as a whole."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value):
            return value
        raise PydanticCustomError("vfs_text", "must be {what}", {"what": what, "example": example})

    plain = re.sub(r"\?P<\w+>", "?:", pattern)  # JSON Schema's dialect has no such names
    schema = {"type": "string", "pattern": f"^(?:{plain})$", "description": what}
    return AfterValidator(check), WithJsonSchema({**schema, "examples": [example]})


_LABEL = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
_PATH_WORD = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_DIGEST = r"sha256:[0-9a-f]{64}"
_HOST_WORD = r"[a-z0-9]+(-+[a-z0-9]+)*"
_PORT = r":[0-9]{1,5}"
_HOST = rf"({_HOST_WORD}(\.{_HOST_WORD})+({_PORT})?|{_HOST_WORD}{_PORT}|localhost)"

IMAGE = re.compile(
    rf"(?P<repository>{_HOST}(/[a-z0-9]+([._-]+[a-z0-9]+)*)+)(?=[:@])"
    rf"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}))?(@(?P<digest>{_DIGEST}))?"
)
GS_SOURCE = re.compile(rf"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{{1,220}})(?P<path>(/{_PATH_WORD})+)")
HF_SOURCE = re.compile(rf"hf://(?P<org>{_PATH_WORD})/(?P<name>{_PATH_WORD})")

ResourceName = Annotated[
    str,
    *_text(
        _LABEL,
        "1 to 63 lower-case letters, digits and hyphens, starting with a letter",
        "vllm-l4-a",
    ),
]
ProjectId = Annotated[
    str,
    *_text(
        r"([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]",
        "a project id: 6 to 30 lower-case letters, digits and hyphens",
        "my-project",
    ),
]
Zone = Annotated[
    str, *_text(r"[a-z]+-[a-z]+[0-9]+-[a-z]", "a zone (region, hyphen, letter)", "us-central1-a")
]
Region = Annotated[str, *_text(r"[a-z]+-[a-z]+[0-9]+", "a region, not a zone", "us-central1")]
Location = Annotated[
    str, *_text(r"[a-z]+-[a-z]+[0-9]+(-[a-z])?", "a region or a zone", "us-central1")
]
MachineType = Annotated[
    str, *_text(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", "a machine type", "g2-standard-24")
]
AcceleratorType = Annotated[
    str, *_text(r"nvidia-[a-z0-9]+(-[a-z0-9]+)*", "a GKE accelerator name", "nvidia-l4")
]
ImageReference = Annotated[
    str,
    *_text(
        IMAGE.pattern,
        "a full image reference: registry, repository, and tag or digest",
        "docker.io/vllm/vllm-openai:v0.33.0",
    ),
]
ModelSource = Annotated[
    str,
    *_text(
        rf"{GS_SOURCE.pattern}|{HF_SOURCE.pattern}".replace("?P<name>", "").replace("?P<path>", ""),
        "gs://bucket/dir/name or hf://org/name, of letters, digits, dots, hyphens, underscores",
        "gs://my-bucket/gemma/gemma-7b",
    ),
]
PathWord = Annotated[
    str,
    *_text(
        _PATH_WORD,
        "one path element of letters, digits, dots, hyphens and underscores",
        "gemma-7b",
    ),
]
RelativePath = Annotated[
    str,
    *_text(
        rf"{_PATH_WORD}(/{_PATH_WORD})*",
        "a relative path without '..', of letters, digits, dots, hyphens, underscores",
        "gemma",
    ),
]
ServedName = Annotated[
    str,
    *_text(
        r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*",
        "letters, digits and . _ / : @ + -, starting with a letter or digit",
        "gemma-7b",
    ),
]
KmsKey = Annotated[
    str,
    *_text(
        r"projects/[a-z0-9.:-]+/locations/[a-z0-9-]+"
        r"/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63}",
        "the full name of a Cloud KMS key",
        "projects/my-project/locations/us-central1/keyRings/ring/cryptoKeys/key",
    ),
]
VllmVersion = Annotated[
    str,
    *_text(
        r"[0-9]+\.[0-9]+\.[0-9]+(\.post[0-9]+)?",
        "a vLLM release of three numbers, without 'v'",
        "0.33.0",
    ),
]
Digest = Annotated[str, *_text(_DIGEST, "sha256: and 64 hex digits", "sha256:" + "0" * 64)]
Sha256 = Annotated[str, *_text(r"[0-9a-f]{64}", "64 lower-case hex digits", "0" * 64)]
RevisionName = Annotated[
    str,
    *_text(
        r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?",
        "1 to 20 lower-case letters, digits and hyphens; a bake uses 12 hex digits",
        "3f2a9c01b7de",
    ),
]
NumericId = Annotated[str, *_text(r"[0-9]{1,20}", "a numeric resource id, in quotes", '"123456"')]

GiB = Annotated[StrictInt, Field(ge=1, le=65_536)]
Count = Annotated[StrictInt, Field(ge=1, le=1_000)]
Seconds = Annotated[StrictInt, Field(ge=1, le=604_800)]
