"""A small stand-in for Cloud Monitoring, for what reads metrics of pods from it over REST.

Served: ``projects.metricDescriptors.list`` and ``.get``, ``projects.timeSeries.list`` with filter,
interval and per-series alignment.  Refused as the real one refuses: calls without a token, unknown
metrics and labels, filters that join a metric with a resource that it is never written for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from tests.cluster.bed.loopback import Answer, Loopback, Request, answer
from tests.cluster.bed.monitoring_api import ApiError, respond
from tests.cluster.bed.monitoring_store import Store


class FakeMonitoring(Store):
    """A project's metrics, served on loopback, and what the server is to do wrong."""

    def __init__(
        self,
        project: str = "my-project",
        location: str = "us-central1",
        cluster: str = "vllm-cluster",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(project, location, cluster, clock)
        self.requests: list[Request] = []
        self._failure: ApiError | None = None
        self._slow = 0.0
        self._server = Loopback(self._respond)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on a port of loopback."""
        self._server.start()

    def stop(self) -> None:
        """Refuse connections."""
        self._server.stop()

    @property
    def url(self) -> str:
        """The address in place of ``https://monitoring.googleapis.com/``."""
        return f"http://127.0.0.1:{self._server.port}/"

    def fail(self, status: int, message: str = "") -> None:
        """Answer every call with this error until :meth:`mend`."""
        self._failure = ApiError(status, message)

    def slow_down(self, seconds: float) -> None:
        """Answer every call so much later until :meth:`mend`."""
        self._slow = seconds

    def mend(self) -> None:
        """Answer rightly and at once again."""
        self._failure = None
        self._slow = 0.0

    def clear(self) -> None:
        """As new, and listening."""
        self.mend()
        super().clear()
        self.requests.clear()

    def _respond(self, request: Request) -> Answer:
        if self._slow:
            time.sleep(self._slow)
        with self.lock:
            self.requests.append(request)
            try:
                if self._failure:
                    raise self._failure
                return answer(200, respond(self, request))
            except ApiError as error:
                return error.answer()
