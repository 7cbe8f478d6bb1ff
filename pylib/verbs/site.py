"""The world of a config, as the words of several verbs name it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TextIO

from pylib.verbs.bake import progress, sayer

if TYPE_CHECKING:
    from pylib.config.model import Config
    from pylib.kube import Kube
    from pylib.up.site import Site, Wishes


def site_of(args: argparse.Namespace, out: TextIO, wishes: Wishes | None = None) -> Site:
    """Config, Google Cloud, and the cluster once something asks for it."""
    from pylib.bake.options import Options
    from pylib.cloud.gcp import connect
    from pylib.config.parse import load_config
    from pylib.up.site import Site, Wishes

    config = load_config(args.config)
    return Site(
        file=args.config,
        config=config,
        cloud=connect(config.project, endpoint=args.endpoint),
        connect=lambda: _kube(args, config),
        wishes=wishes or Wishes(Options(owner="")),
        say=sayer(out),
        progress=progress(out),
        kubeconfig=args.kubeconfig,
    )


def _kube(args: argparse.Namespace, config: Config) -> Kube:
    """The cluster, unless the current context is another one than the config's."""
    from pylib.install.target import check_context
    from pylib.kube import Kube

    kube = Kube.connect(args.kubeconfig, args.context)
    if args.context is None:
        check_context(config, kube.context)
    return kube
