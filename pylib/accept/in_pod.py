"""Asks the server beside it for completions.  Runs in the serving container, by its own Python
(3.9 or later), as ``python3 -c``: so no key leaves the pod, and no way into it needs to be open.

Not through the API server's proxy: that takes the Authorization header for itself, and a policy of
the network may keep it from the pod.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from pathlib import Path

KEY_FILE = "/etc/vllm-fast-start/api-key/api-key"


def key() -> str:
    """The API key as the server has it, from file or environment; empty without one."""
    file = Path(KEY_FILE)
    found = file.read_text("utf-8") if file.exists() else os.environ.get("VLLM_API_KEY", "")
    return found.rstrip("\n")


def ask(port: int, model: str, tokens: int, timeout: float) -> dict[str, object]:
    """One completion: status, the text of it or of the refusal, seconds."""
    asked = {"model": model, "prompt": "One, two, three,", "max_tokens": tokens, "temperature": 0}
    headers = {"Content-Type": "application/json"}
    if key():
        headers["Authorization"] = f"Bearer {key()}"
    began = time.monotonic()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        connection.request("POST", "/v1/completions", json.dumps(asked), headers)
        answer = connection.getresponse()
        status, text = answer.status, answer.read().decode("utf-8", "replace")
        connection.close()
    except (OSError, http.client.HTTPException) as error:
        status, text = 0, repr(error)
    took = time.monotonic() - began
    if status == 200:
        text = _text(text)
    return {"status": status, "text": text[:400], "seconds": took}


def _text(body: str) -> str:
    try:
        return str(json.loads(body)["choices"][0]["text"])
    except (ValueError, LookupError, TypeError):
        return ""


def main(words: list[str]) -> None:
    """Port, model, tokens of the longer completion, seconds that each may take."""
    port, model, tokens, timeout = int(words[0]), words[1], int(words[2]), float(words[3])
    first = ask(port, model, 1, timeout)
    whole = ask(port, model, tokens, timeout)
    sys.stdout.write(json.dumps({"first": first, "whole": whole}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
