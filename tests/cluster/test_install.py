"""``install`` on a real API server: ready, again, volumes, sizes, not ready."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from pylib.errors import InstallError
from pylib.install.install import install_release
from pylib.kube import Kube
from pylib.release import release_of_values
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.wait import until
from tests.cluster.installing import NOTHING, SCALED, SHM, Installer, codes
from tests.cluster.release import (
    NAME,
    POOL,
    SECONDS,
    ZONE_A,
    ZONE_B,
    Helm,
    cell,
    claim_name,
    deployment,
    pods,
    static_claim,
    volume_name,
    write_values,
)


def test_the_release_gets_ready_and_a_second_run_changes_nothing(
    install: Installer, kube: Kube, any_helm: Path, nodes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFS_HELM", str(any_helm))
    first = install(SCALED)
    assert (first.revision, first.changed, first.ready) == (1, True, True)
    assert f"Deployment/{install.namespace}/v-a" in first.changes.create
    assert install.said[-1] == "release v is ready, revision 1"
    assert any(line.endswith("Deployment/v-a: 1 of 1 ready") for line in install.said)
    assert json.loads(json.dumps(first.notes)).startswith("vLLM")

    before = deployment(kube, install.namespace)["metadata"]["resourceVersion"]
    again = install(SCALED)
    assert (again.revision, again.changed, again.ready) == (1, False, True)
    assert again.changes.none
    assert any(line.startswith(NOTHING) for line in install.said)
    assert deployment(kube, install.namespace)["metadata"]["resourceVersion"] == before


def test_what_somebody_changed_or_deleted_in_the_cluster_is_put_right(
    install: Installer, kube: Kube, nodes: None
) -> None:
    install()
    place = install.namespace
    kube.delete("v1", "Service", NAME, place)
    kube.patch("v1", "ConfigMap", "v-scripts", place, {"data": {"check_weights.py": ""}})
    mended = install(force_conflicts=True)
    assert mended.changes.create == (f"Service/{place}/v",)
    assert mended.changes.change == (f"ConfigMap/{place}/v-scripts",)
    assert kube.get("v1", "Service", NAME, place) is not None
    assert install().changes.none


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    install: Installer, kube: Kube, nodes: None
) -> None:
    place = install.namespace
    install()
    dry = install(SHM, dry_run=True)
    assert dry.changes.change == (f"Deployment/{place}/v-a",)
    assert (dry.changed, dry.ready, dry.revision) == (False, None, 1)
    assert f"  change Deployment/{place}/v-a" in install.said
    fewer = install({"serviceAccount": {"create": False}}, dry_run=True)
    assert fewer.changes.delete == (f"ServiceAccount/{place}/v",)
    assert deployment(kube, place)["metadata"]["generation"] == 1


@pytest.mark.fault("I10")
def test_nothing_is_changed_unless_confirmed(install: Installer, kube: Kube, nodes: None) -> None:
    release = release_of_values(write_values(install.folder), NAME, install.namespace)
    with pytest.raises(InstallError, match=r"^not confirmed; nothing was changed$"):
        install_release(release, kube, kubeconfig=install.bed.kubeconfig, confirm=lambda _: False)
    assert deployment(kube, install.namespace) == {}


def test_it_installs_again_over_volumes_whose_claims_went_with_their_namespace(
    install: Installer, kube: Kube, nodes: None
) -> None:
    place = install.namespace
    install()
    kube.delete("v1", "Namespace", place)
    until(lambda: kube.get("v1", "Namespace", place) is None, SECONDS, "the namespace is gone")
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}})
    kept = ("v1", "PersistentVolume", volume_name(place))
    until(lambda: (kube.get(*kept) or {})["status"]["phase"] == "Released", SECONDS, "released")
    again = install()
    assert (again.ready, again.revision) == (True, 1)
    assert (
        f"PersistentVolume/{volume_name(place)} was held for a claim that is gone; it is free again"
    ) in install.said
    assert (kube.get(*kept) or {})["status"]["phase"] == "Bound"


def test_it_waits_until_what_an_uninstall_deletes_is_gone(
    install: Installer, bed: Bed, kube: Kube, helm: Path, nodes: None
) -> None:
    place = install.namespace
    install()
    pod = pods(kube, place)[0]["metadata"]["name"]
    kube.patch("v1", "Pod", pod, place, {"metadata": {"finalizers": ["bed/drains"]}})
    Helm(helm, bed).uninstall(NAME, place)
    claim = f"PersistentVolumeClaim/{place}/{claim_name()}"
    said = install.refused(timeout=0.5)
    assert claim in said
    assert "still being deleted after 0 s. Nothing was changed." in said

    def drain() -> None:
        until(lambda: install.said, SECONDS, "it says that it waits")
        kube.patch("v1", "Pod", pod, place, {"metadata": {"finalizers": None}})

    install.said.clear()
    drained = threading.Thread(target=drain)
    drained.start()
    try:
        assert install().ready
    finally:
        drained.join()
    assert install.said[0].startswith("waits until what was deleted is gone: ")


def test_a_volume_that_another_claim_holds_is_told(install: Installer, kube: Kube) -> None:
    place = install.namespace
    name = volume_name(place)
    static_claim(kube, place, "theirs", ZONE_A, mode="ReadOnlyMany")
    marks = {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "meta.helm.sh/release-name": NAME,
            "meta.helm.sh/release-namespace": place,
        },
    }
    theirs = kube.get("v1", "PersistentVolume", f"{place}-theirs") or {}
    spec = {**theirs["spec"], "claimRef": {"namespace": place, "name": "theirs-2"}}
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, **marks},
            "spec": spec,
        }
    )
    said = install.refused()
    assert "volume-of-another-claim" in codes(said)
    assert (
        f"PersistentVolume/{name}: is held by claim {place}/theirs-2, and the release wants it for "
        f"claim {place}/{claim_name()}"
    ) in said


def test_pods_are_not_lost_when_an_autoscaler_takes_over_and_give_way_to_a_fixed_number(
    install: Installer, kube: Kube, nodes: None
) -> None:
    place = install.namespace

    def size() -> int:
        return int(deployment(kube, place)["spec"]["replicas"])

    install({"cells": [cell(replicas=3)]}, wait=False)
    assert size() == 3
    install(SCALED, wait=False)
    assert size() == 3
    assert not install(SCALED, wait=False).changed
    patch = {"spec": {"replicas": 2}}
    kube.patch("apps/v1", "Deployment", "v-a", place, patch, subresource="scale")
    install({**SCALED, **SHM}, wait=False)
    assert size() == 2
    assert install({"cells": [cell(replicas=1)]}, wait=False).changes.resized
    assert size() == 1


def test_no_node_fits_ends_with_the_cause_at_the_deadline(install: Installer, bed: Bed) -> None:
    bed.add_node("small", zone=ZONE_A, pool=POOL, gpus=0)
    said = install.refused(timeout=4)
    assert said.splitlines()[0] == (
        f"release v in namespace {install.namespace} is not ready after 4 s (the limit is 4 s); it "
        "stays installed, and its pods go on trying:"
    )
    assert "    next: " in said


def test_what_waiting_cannot_mend_ends_the_wait_at_once(
    install: Installer, bed: Bed, kube: Kube
) -> None:
    bed.add_node("gpu-a", zone=ZONE_A, pool=POOL)
    static_claim(kube, install.namespace, "models", ZONE_B, mode="ReadOnlyMany")
    claimed = {"weights": {"kind": "claim", "claim": {"claims": {"a": "models"}}}}
    said = install.refused(claimed, timeout=SECONDS)
    assert "(waiting longer cannot help)" in said
    assert "models" in said
    assert "set the cell's zone to us-central1-b" in said
