"""Start vLLM fast on GKE: from one config file to validated manifests, as a library.

Names load their module when they are first used, so that importing the package costs nothing and
linting manifests never pays for what only rendering needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylib.config.model import Config
    from pylib.config.parse import load_config, parse_config
    from pylib.config.starter import starter_config
    from pylib.errors import (
        BakeError,
        CloudError,
        ConfigError,
        InstallError,
        KubeError,
        ManifestError,
        ProvisionError,
        RenderError,
        ToolFailedError,
        ToolMissingError,
        VfsError,
    )
    from pylib.install.install import install_release
    from pylib.kube.objects import Kube
    from pylib.lock import Lock, load_lock, lock_path, parse_lock
    from pylib.manifests import Manifest
    from pylib.pipeline import validate_releases
    from pylib.release import Release, release_of_config, release_of_values
    from pylib.render import Rendered, render_release
    from pylib.validate.checking import validate_manifests
    from pylib.validate.report import Finding, Report, Severity
    from pylib.values import make_values, values_file

__version__ = "0.1.0"

_HOME = {
    "BakeError": "errors",
    "CloudError": "errors",
    "Config": "config.model",
    "ConfigError": "errors",
    "Finding": "validate.report",
    "InstallError": "errors",
    "Kube": "kube.objects",
    "KubeError": "errors",
    "Lock": "lock",
    "Manifest": "manifests",
    "ManifestError": "errors",
    "ProvisionError": "errors",
    "Release": "release",
    "RenderError": "errors",
    "Rendered": "render",
    "Report": "validate.report",
    "Severity": "validate.report",
    "ToolFailedError": "errors",
    "ToolMissingError": "errors",
    "VfsError": "errors",
    "install_release": "install.install",
    "load_config": "config.parse",
    "load_lock": "lock",
    "lock_path": "lock",
    "make_values": "values",
    "parse_config": "config.parse",
    "parse_lock": "lock",
    "release_of_config": "release",
    "release_of_values": "release",
    "render_release": "render",
    "starter_config": "config.starter",
    "validate_manifests": "validate.checking",
    "validate_releases": "pipeline",
    "values_file": "values",
}

__all__ = [
    "BakeError",
    "CloudError",
    "Config",
    "ConfigError",
    "Finding",
    "InstallError",
    "Kube",
    "KubeError",
    "Lock",
    "Manifest",
    "ManifestError",
    "ProvisionError",
    "Release",
    "RenderError",
    "Rendered",
    "Report",
    "Severity",
    "ToolFailedError",
    "ToolMissingError",
    "VfsError",
    "install_release",
    "load_config",
    "load_lock",
    "lock_path",
    "make_values",
    "parse_config",
    "parse_lock",
    "release_of_config",
    "release_of_values",
    "render_release",
    "starter_config",
    "validate_manifests",
    "validate_releases",
    "values_file",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOME[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
