"""Stages before anything is baked: services, the log bucket, the cluster, and who may read what."""

from __future__ import annotations

from pylib import gcloud
from pylib.cloud.faults import CallError, Kind
from pylib.errors import Problem
from pylib.facts import gke_bake
from pylib.provision.action import Action, Verb
from pylib.provision.roles import Grant, plan_grant, wanted_grants
from pylib.up import acts
from pylib.up.site import Site, Stage

CLUSTER_SECONDS = 3600.0
ETAG_TRIES = 20
ETAG_PAUSE = 1.0
"""A policy that others change at the same time is read and written anew, so many times."""


class Services(Stage):
    """The APIs that all the rest calls."""

    def plan(self, site: Site) -> list[Action]:
        """Enable those that are off."""
        enabled = site.cloud.enabled(gke_bake.UP_SERVICES)
        project = site.config.project
        return [
            Action(Verb.REUSE, "service", name)
            if enabled[name]
            else Action(
                Verb.CREATE, "service", name, "", (gcloud.enable_service(project, name),), name
            )
            for name in gke_bake.UP_SERVICES
        ]

    def act(self, site: Site, action: Action) -> None:
        """Enable one."""
        site.cloud.enable(action.name)


class LogBucket(Stage):
    """The bucket for the bake VMs' serial output, where one was asked for."""

    def plan(self, site: Site) -> list[Action]:
        """Make it, unless it is there."""
        name = site.wishes.log_bucket
        if name is None:
            return []
        if site.cloud.has_bucket(name):
            return [Action(Verb.REUSE, "bucket", name)]
        line = gcloud.create_bucket(site.config.project, name, site.config.region)
        return [Action(Verb.CREATE, "bucket", name, "", (line,), name)]

    def act(self, site: Site, action: Action) -> None:
        """Make it."""
        try:
            site.cloud.make_bucket(action.name, site.config.region)
        except CallError as error:
            if error.kind is not Kind.EXISTS or not site.cloud.has_bucket(action.name):
                raise


class TheCluster(Stage):
    """The cluster, which is checked and never made; only one that does not exist for itself alone
    (``existing: false``) gets Workload Identity, without which no pod may read metrics."""

    def plan(self, site: Site) -> list[Action]:
        """Whether it is there, runs, and gives pods identities."""
        config, place = site.config, site.location
        name, project = config.cluster.name, config.project
        found = site.cloud.cluster(place, name)
        if found is None:
            line = gcloud.create_cluster(project, place, name, config.network.name)
            message = f"there is no cluster {name} in {place}"
            site.problems.append(Problem("cluster", message, f"Mend the name, or: {line}"))
            return []
        if found.status not in {"RUNNING", "RECONCILING"}:
            message = f"cluster {name} is {found.status}"
            site.problems.append(Problem("cluster", message, "Wait until it runs."))
        about = f"GKE {found.version}, {found.status}"
        if found.workload_pool:
            return [Action(Verb.CHECK, "cluster", name, about)]
        line = gcloud.turn_workload_identity_on(project, place, name)
        why = "has no Workload Identity, so that no pod may read metrics"
        if not config.cluster.existing:
            return [Action(Verb.CHANGE, "cluster", name, why, (line,))]
        site.problems.append(Problem("cluster", f"cluster {name} {why}", f"Turn it on: {line}"))
        return []

    def act(self, site: Site, action: Action) -> None:
        """Turn it on; the control plane is busy with it for some minutes."""
        place = site.location
        acts.patiently(
            site.cloud, lambda: site.cloud.identify_pods(place, action.name), CLUSTER_SECONDS
        )


class Roles(Stage):
    """Who must be let in to buckets and metrics."""

    def plan(self, site: Site) -> list[Action]:
        """Give what is missing."""
        config, wishes = site.config, site.wishes
        account = config.release.serviceAccount or config.release.name
        number = site.cloud.project_number()
        grants = wanted_grants(config, number, wishes.bake.service_account, account)
        return [plan_grant(it, site.cloud.policy(it.holder, it.name)) for it in grants]

    def act(self, site: Site, action: Action) -> None:
        """Give one, beside whatever else the policy holds or gets meanwhile."""
        grant: Grant = action.spec
        for attempt in range(ETAG_TRIES):
            policy = site.cloud.policy(grant.holder, grant.name)
            if policy.holds(grant.role, grant.member):
                return
            try:
                changed = policy.with_member(grant.role, grant.member)
                site.cloud.set_policy(grant.holder, grant.name, changed)
            except CallError as error:
                crossed = error.kind in {Kind.CONDITION, Kind.EXISTS, Kind.UNKNOWN}
                if not crossed or attempt == ETAG_TRIES - 1:
                    raise
                site.cloud.clock.sleep(ETAG_PAUSE)
            else:
                return
