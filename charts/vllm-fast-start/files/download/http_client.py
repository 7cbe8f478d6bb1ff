"""HTTP as the Hugging Face source needs it: retries, resumed bodies, a token for one host only."""

from __future__ import annotations

import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from download.common import DownloadError, RefusedError

T = TypeVar("T")

_CHUNK = 4 << 20
_TIMEOUT_SECONDS = 60
_ATTEMPTS = 6
_PARTIAL_CONTENT = 206
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
# Not OSError as a whole: a full disk is one too, and no attempt mends it.
_NETWORK = (HTTPException, urllib.error.URLError, ConnectionError, TimeoutError, ssl.SSLError)


class _Get(urllib.request.Request):
    """A request that can only be HTTP; urllib would open ``file:`` addresses as well."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            message = f"{url!r} is no HTTP address: set HF_ENDPOINT to one, or leave it out."
            raise RefusedError(message)
        super().__init__(url, headers=headers)


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and gives the token to no other host: a CDN must not see it."""

    def redirect_request(self, req: urllib.request.Request, *args: Any) -> Any:
        following = super().redirect_request(req, *args)
        if following and urlsplit(following.full_url).netloc != urlsplit(req.full_url).netloc:
            following.headers.pop("Authorization", None)
        return following


class Client:
    """GET requests, with an optional bearer token; what it advises is for the chart's user."""

    if_private = "set download.tokenSecret to a Secret with a token."
    if_absent = "Set download.source and download.revision to what the model's page shows."

    def __init__(self, token: str = "") -> None:
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._opener = urllib.request.build_opener(_Redirect)

    def pages(self, url: str) -> list[Any]:
        """The items of the JSON list at ``url`` and at the pages that follow it."""
        items: list[Any] = []
        while url:
            page, url = self._retry(url, self._page)
            items.extend(page)
        return items

    def download(self, url: str, file: Path, size: int) -> None:
        """Bring ``size`` bytes to ``file``, going on where an earlier attempt ended."""
        self._retry(url, lambda address: self._resume(address, file, size))

    def _page(self, url: str) -> tuple[Any, str]:
        with self._open(url, {}) as answer:
            following = re.search(r'<([^>]+)>;\s*rel="next"', answer.headers.get("Link", ""))
            return json.loads(answer.read()), following[1] if following else ""

    def _resume(self, url: str, file: Path, size: int) -> None:
        have = file.stat().st_size if file.exists() else 0
        if have > size:
            have = 0
        if have < size or not file.exists():
            headers = {"Range": f"bytes={have}-"} if have else {}
            with self._open(url, headers) as answer:
                _append(answer, file)
        if file.stat().st_size != size:
            message = f"{file.stat().st_size} bytes came instead of {size}"
            raise HTTPException(message)

    def _open(self, url: str, headers: dict[str, str]) -> HTTPResponse:
        request = _Get(url, {**self._headers, **headers})
        answer: HTTPResponse = self._opener.open(request, timeout=_TIMEOUT_SECONDS)
        return answer

    def _retry(self, url: str, read: Callable[[str], T]) -> T:
        reason = ""
        for attempt in range(_ATTEMPTS):
            wait(2.0**attempt if attempt else 0)
            try:
                return read(url)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code not in _AGAIN:
                    raise self._refusal(url, error.code) from None
                reason = str(error)
            except _NETWORK as error:
                reason = str(error)
        message = f"{url} could not be read in {_ATTEMPTS} attempts: {reason}"
        raise DownloadError(message)

    def _refusal(self, url: str, code: int) -> RefusedError:
        message = f"{url} answers {code}."
        if code in {401, 403}:
            message = (
                f"{url} answers {code}: the model is private or gated, or the token may not read "
                f"it. Accept the model's terms, and {self.if_private}"
            )
        elif code == 404:
            message = (
                f"{url} answers 404: no such model, commit or file, or it is private. "
                f"{self.if_absent}"
            )
        return RefusedError(message)


def wait(seconds: float) -> None:
    """Wait before the next attempt."""
    time.sleep(seconds)


def _append(answer: HTTPResponse, file: Path) -> None:
    # A server may ignore the range and send everything.
    with file.open("ab" if answer.status == _PARTIAL_CONTENT else "wb") as target:
        while chunk := answer.read1(_CHUNK):
            target.write(chunk)
