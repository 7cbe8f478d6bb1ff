"""What every test has: a cache folder that is its run's own."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Schema bundles and versions of tools go there, and not into the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VFS_CACHE_DIR", os.fspath(tmp_path_factory.mktemp("cache")))
        yield
