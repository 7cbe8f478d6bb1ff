"""The release in its cluster: brought to what config and lock say, looked at, taken away."""

from __future__ import annotations

from datetime import UTC, datetime

from pylib.errors import InstallError
from pylib.helm import HelmRelease
from pylib.install.install import Options, install_release
from pylib.pipeline import validate_releases
from pylib.release import Release, release_of_config
from pylib.tools import find_helm
from pylib.up.site import Site
from pylib.validate.output import RENDERERS
from pylib.validate.report import Severity


def install(site: Site) -> None:
    """Install or upgrade, and wait until it serves."""
    wishes = site.wishes
    options = Options(timeout=wishes.timeout, create_namespace=True, take_over=wishes.take_over)
    release = release_of_config(site.file)
    _validate(release)
    install_release(release, site.kube, kubeconfig=site.kubeconfig, options=options, say=site.say)


def _validate(release: Release) -> None:
    """Raises InstallError with what validate finds, before a cluster sees any of it."""
    today = datetime.now(UTC).date()
    report = validate_releases([release], today=today)
    if report.failed(Severity.ERROR):
        text = RENDERERS["text"](report, colour=False)
        raise InstallError(f"the release does not pass validate; nothing was installed:\n{text}")


def is_installed(site: Site) -> bool:
    """Whether helm knows the release."""
    return bool(_helm(site).history())


def uninstall(site: Site) -> None:
    """Delete the release; its claims and volumes leave the disks as they are."""
    _helm(site).uninstall()


def _helm(site: Site) -> HelmRelease:
    release = site.config.release
    return HelmRelease(
        helm=find_helm(),
        name=release.name,
        namespace=release.namespace,
        kubeconfig=site.kubeconfig,
        context=None if site.kube.context == "in-cluster" else site.kube.context,
    )
