"""Names, labels, fingerprints and URLs, as Compute Engine checks them.

Sources: https://cloud.google.com/compute/docs/naming-resources and
https://cloud.google.com/compute/docs/labeling-resources#requirements.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from pylib.emulator.errors import ApiError, Json, fingerprint_mismatch, invalid, required
from pylib.emulator.store import Ref

LINKS = "https://www.googleapis.com/compute/v1/"
"""What every link begins with, whatever address the client uses."""

_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_URL = re.compile(
    r"(?:https?://[^/]+/(?:compute/)?(?:v1/)?(?:compute/v1/)?)?"
    r"(?:projects/(?P<project>[^/]+)/)?"
    r"(?P<scope>global|zones/[^/]+|regions/[^/]+)/"
    r"(?P<kind>[A-Za-z]+)/(?P<name>(?:family/)?[^/]+)"
)
MAX_LABELS = 64


def link(path: str) -> str:
    """Full URL of a partial one."""
    return f"{LINKS}{path}"


def last(url: str) -> str:
    """The bare name at the end of a URL."""
    return url.rsplit("/", 1)[-1]


def parse_url(url: str, kind: str, project: str, field: str) -> Ref:
    """The resource that a full or partial URL names; 400 when it is of another kind, or no URL."""
    found = _URL.fullmatch(url)
    if found is None:
        raise invalid(field, url, "The URL is malformed.")
    if kind == "images" and found["kind"] == "imageFamilyViews":
        # A family as a zone sees it while a new image of it is being rolled out.
        return Ref(kind, found["project"] or project, "global", f"family/{found['name']}")
    if found["kind"] != kind:
        raise invalid(field, url, f"The referenced resource is not one of {kind}.")
    return Ref(kind, found["project"] or project, found["scope"], found["name"])


def check_name(name: str, field: str = "resource.name") -> None:
    """400 unless the name is one that Compute Engine takes."""
    if not name:
        raise required(field)
    if not _NAME.fullmatch(name):
        raise invalid(field, name, f"Must be a match of regex '(?:{_NAME.pattern})'")


def check_labels(labels: Mapping[str, str], field: str = "resource.labels") -> None:
    """400 unless keys and values of all labels do."""
    if len(labels) > MAX_LABELS:
        raise invalid(field, "", f"Too many labels; the maximum is {MAX_LABELS}.")
    for key, value in labels.items():
        if not key or not _starts_lower(key) or not _label_text(key):
            raise invalid(
                field,
                "",
                f"Label key '{key}' violates format constraints. The key must start with a "
                "lowercase character, can only contain lowercase letters, numeric characters, "
                "underscores and dashes. The key can be at most 63 characters long. "
                "International characters are allowed.",
            )
        if not _label_text(value):
            raise invalid(
                field,
                "",
                f"Label value '{value}' violates format constraints. The value can only contain "
                "lowercase letters, numeric characters, underscores and dashes. The value can be "
                "at most 63 characters long. International characters are allowed.",
            )


def _starts_lower(text: str) -> bool:
    return unicodedata.category(text[0]) in {"Ll", "Lo"}


def _label_text(text: str) -> bool:
    fine = {"Ll", "Lo", "Nd", "Nl", "No"}
    return len(text) <= 63 and all(c in "-_" or unicodedata.category(c) in fine for c in text)


def fingerprint(what: Any) -> str:
    """A hash of ``what``, base64, eight bytes, as Compute Engine's fingerprints look."""
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).digest()
    return base64.urlsafe_b64encode(digest[:8]).decode()


def set_labels(doc: Json, body: Json) -> None:
    """Put the body's labels in place of the document's; 412 when they have changed since."""
    if body.get("labelFingerprint", "") != doc["labelFingerprint"]:
        raise fingerprint_mismatch(
            "Labels fingerprint either invalid or resource labels have changed"
        )
    labels = body.get("labels", {})
    check_labels(labels, "labels")
    put_labels(doc, labels)


def put_labels(doc: Json, labels: Mapping[str, str]) -> None:
    """Write labels and their fingerprint; a resource without labels shows none."""
    doc.pop("labels", None)
    if labels:
        doc["labels"] = dict(labels)
    doc["labelFingerprint"] = fingerprint(dict(labels))


def public(doc: Json) -> Json:
    """A document without what is the emulator's own."""
    return {key: value for key, value in doc.items() if not key.startswith("_")}


def whole(body: Json, key: str, field: str, default: int) -> int:
    """A positive integer of a body, as int64 comes in JSON: text or number."""
    value = body.get(key)
    if value is None:
        return default
    number = int(value)
    if number < 1:
        raise invalid(field, value, "Must be greater than or equal to 1")
    return number


def one_of(value: str, allowed: tuple[str, ...], field: str) -> str:
    """The value, if it is one of those that there are; else 400."""
    if value in allowed:
        return value
    raise ApiError(
        400,
        "invalid",
        f"Invalid value for field '{field}': '{value}'. Acceptable values are: "
        f"{', '.join(repr(one) for one in allowed)}",
    )
