"""What every test has: a cache folder that is its run's own, and generated data that repeats; and
what those of several tiers ask for."""

import os
import signal
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import SplitResult

import pytest
from hypothesis import HealthCheck, settings

from pylib.guest.payload.web import Session

settings.register_profile(
    "repeatable",
    derandomize=True,  # the same examples on every run and every machine
    database=None,
    deadline=None,
    max_examples=100,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Schema bundles and versions of tools go there, and not into the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VFS_CACHE_DIR", os.fspath(tmp_path_factory.mktemp("cache")))
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    """The metrics tests may run on Google's own adapter, which cannot be built everywhere."""
    parser.addoption(
        "--adapter-binary",
        metavar="PATH",
        default="",
        help="run the metrics tests on this custom-metrics-stackdriver-adapter",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Hand the option to the tests, which read the environment when they are imported.

    A shell starts what it puts into the background with SIGINT ignored, and so would be every
    process that a test sends it to.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if path := config.getoption("--adapter-binary"):
        os.environ["ADAPTER_BINARY"] = path


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The guest's connections end with the test; in a VM they end with the process."""
    opened: list[HTTPConnection] = []
    original = Session._connect

    def connect(session: Session, parts: SplitResult) -> HTTPConnection:
        opened.append(original(session, parts))
        return opened[-1]

    monkeypatch.setattr(Session, "_connect", connect)
    yield
    for connection in opened:
        connection.close()
