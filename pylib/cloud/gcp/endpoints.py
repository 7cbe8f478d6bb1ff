"""Where each service is: Google's own addresses, or one address for all, such as the emulator's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from pylib.errors import ConfigError, Problem

SERVICES: Mapping[str, str] = {
    "compute": "https://compute.googleapis.com",
    "container": "https://container.googleapis.com",
    "logging": "https://logging.googleapis.com",
    "resourcemanager": "https://cloudresourcemanager.googleapis.com",
    "serviceusage": "https://serviceusage.googleapis.com",
    "storage": "https://storage.googleapis.com",
}
"""Every service that is called, and its public address."""

ENDPOINT = "VFS_ENDPOINT"
"""Environment variable: one address in place of all of them, such as ``http://127.0.0.1:8080``."""


def endpoints(override: str | None = None) -> Mapping[str, str]:
    """Address of each service: ``override``, else the environment's, else Google's.

    Raises :class:`ConfigError` for an address that is no http or https URL of a host alone.
    """
    address = override if override is not None else os.environ.get(ENDPOINT)
    if not address:
        return SERVICES
    parts = urlsplit(address)
    plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
        message = f"{address!r} is not the address of a server"
        fix = f"Write for example {ENDPOINT}=http://127.0.0.1:8080, without a path."
        raise ConfigError("endpoint", [Problem("", message, fix)])
    return dict.fromkeys(SERVICES, f"{parts.scheme}://{parts.netloc}")


def open_text(addresses: Mapping[str, str]) -> bool:
    """Whether any address is plain http, over which no credentials may travel."""
    return any(urlsplit(address).scheme == "http" for address in addresses.values())
