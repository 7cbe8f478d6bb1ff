"""From one config to a release that serves: each stage looks, plans, acts, and writes down.

Safe to stop anywhere and to run again: what is there is found by name and labels, and a second run
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from pylib.errors import ConfigError
from pylib.facts import gke_bake
from pylib.journal import Journal
from pylib.provision.action import Action, Verb
from pylib.up.after import Disks, Objects, Pools, TheRelease
from pylib.up.baking import ImageBake, WeightsBake
from pylib.up.before import LogBucket, Roles, Services, TheCluster
from pylib.up.kept import kept
from pylib.up.prune import Prune
from pylib.up.site import Site, Stage


def stages() -> list[Stage]:
    """All stages, in their order."""
    return [
        *(Services(), LogBucket(), TheCluster(), Roles()),
        *(ImageBake(), WeightsBake()),
        *(Pools(), Disks(), Objects()),
        *(TheRelease(), Prune()),
    ]


def plan(site: Site) -> list[Action]:
    """What ``up`` would do now.  Raises ConfigError with all that must be mended first."""
    found: list[Action] = []
    for stage in stages():
        actions = stage.plan(site)
        found += actions
        if isinstance(stage, Services) and any(_is_read(it) for it in actions):
            why = "what else is to do is known once these services are on"
            return [*found, Action(Verb.CHECK, "project", site.config.project, why)]
        if isinstance(stage, ImageBake | WeightsBake) and any(it.changes for it in actions):
            site.pending.add(stage.kind)
    site.pending.clear()
    _refuse(site)
    return found


def up(site: Site, confirm: Callable[[list[Action]], bool]) -> list[Action]:
    """Bring the world to what the config says; returns what was done.

    Raises ConfigError, CallError, BakeError, ProvisionError, InstallError: what was made before
    stays, and the same call goes on from there.
    """
    with Journal(site.file.with_name(f"{site.file.stem}.up.journal"), "up") as held:
        if not confirm(plan(site)):
            held.remove()
            return []
        done: list[Action] = []
        for stage in stages():
            done += _run(stage, site)
        for line in kept(site):
            site.say(line)
        held.remove()
    return done


def _is_read(action: Action) -> bool:
    """Whether it turns a service on that the stages after it look into."""
    return action.changes and action.name in gke_bake.READ_SERVICES


def _run(stage: Stage, site: Site) -> list[Action]:
    """One stage; its plan is made anew, since the stages before have changed what is there."""
    done = []
    actions = stage.plan(site)
    _refuse(site)
    for action in actions:
        if action.changes:
            site.say(str(action))
            stage.act(site, action)
            done.append(action)
    stage.settle(site)
    _refuse(site)
    return done


def _refuse(site: Site) -> None:
    if site.problems:
        problems = list(dict.fromkeys(site.problems))
        site.problems.clear()
        raise ConfigError(str(site.file), problems)
