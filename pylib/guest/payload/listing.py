"""What a bucket holds of a model, as one digest that the host and the guest both compute."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable


def listing_digest(objects: Iterable[tuple[str, int, str]]) -> str:
    """sha256 in hex over (path below the model's folder, size in bytes, generation).

    The order does not matter; empty objects that stand for folders are left out.
    """
    listed = sorted(one for one in objects if not is_placeholder(one[0], one[1]))
    return hashlib.sha256(json.dumps(listed, separators=(",", ":")).encode()).hexdigest()


def is_placeholder(path: str, size: int) -> bool:
    """Whether an object only stands for a folder, as the console and gcsfuse make them: the folder
    itself, whose path is empty, or one below.

    https://cloud.google.com/storage/docs/objects#simulated-folders
    """
    return size == 0 and (not path or path.endswith("/"))
