"""Google Cloud through Google's own clients: the one place that imports them."""

from __future__ import annotations

from pylib.cloud.gcp.client import GoogleCloud, connect
from pylib.cloud.gcp.endpoints import SERVICES, endpoints

__all__ = ["SERVICES", "GoogleCloud", "connect", "endpoints"]
