"""How calls go out: with credentials, to which address, under the one retry layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from google.api_core.client_options import ClientOptions
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession

from pylib.cloud.faults import CallError, Kind
from pylib.cloud.gcp.translate import parsed, translated
from pylib.cloud.retry import Retry

Answer = TypeVar("Answer")

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0


class Transport:
    """What every group of calls shares; Google's own retries stay off."""

    def __init__(
        self,
        project: str,
        addresses: Mapping[str, str],
        credentials: Credentials,
        retry: Retry,
    ) -> None:
        self.project = project
        self.addresses = addresses
        self.credentials = credentials
        self.retry = retry
        self._session: AuthorizedSession | None = None

    def options(self, service: str) -> ClientOptions:
        """Options of a generated client, which point it at the service's address."""
        return ClientOptions(api_endpoint=self.addresses[service])

    def call(self, what: str, once: Callable[[], Answer]) -> Answer:
        """The answer of a generated client's method, tried again as need be."""
        return self.retry.call(what, lambda: translated(what, once))

    def read(self, what: str, once: Callable[[], Answer]) -> Answer | None:
        """As :meth:`call`; ``None`` when the service says that there is no such thing."""
        try:
            return self.call(what, once)
        except CallError as error:
            if error.kind is Kind.ABSENT:
                return None
            raise

    def rest(
        self,
        service: str,
        method: str,
        path: str,
        *,
        json: object = None,
        data: bytes | None = None,
        params: Mapping[str, str] | None = None,
        what: str = "",
    ) -> dict[str, Any]:
        """The JSON answer of a call that has no generated client here."""
        what = what or f"{service} {method} {path}"
        url = f"{self.addresses[service]}{path}"

        def once() -> dict[str, Any]:
            response = self._http().request(
                method,
                url,
                json=json,
                data=data,
                params=params,
                timeout=READ_SECONDS,
                allow_redirects=False,
            )
            return parsed(what, response)

        return self.call(what, once)

    def read_rest(self, service: str, path: str) -> dict[str, Any] | None:
        """As :meth:`rest` with GET; ``None`` when the service says that there is no such thing."""
        try:
            return self.rest(service, "GET", path)
        except CallError as error:
            if error.kind is Kind.ABSENT:
                return None
            raise

    def date(self, service: str, path: str) -> float | None:
        """When the service answered a GET, in seconds since 1970; ``None`` if it does not say."""
        what = f"{service} GET {path}"

        def once() -> str:
            response = self._http().request(
                "GET",
                f"{self.addresses[service]}{path}",
                timeout=READ_SECONDS,
                allow_redirects=False,
            )
            parsed(what, response)
            return str(response.headers.get("Date", ""))

        said = self.call(what, once)
        try:
            return parsedate_to_datetime(said).timestamp()
        except ValueError:
            return None

    def _http(self) -> AuthorizedSession:
        if self._session is None:
            self._session = AuthorizedSession(self.credentials)
        return self._session
