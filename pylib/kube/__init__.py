"""Kubernetes' API as plain JSON objects; nothing else of the library imports its client."""

from pylib.kube.objects import MANAGER, Kube
from pylib.kube.transport import Body

__all__ = ["MANAGER", "Body", "Kube"]
