"""`kaas controller`: the controller, put together from its features."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kaas.cli.clouds import directory
from kaas.cli.exits import CliError
from kaas.cli.session import run
from kaas.cli.settings import Settings
from kaas.clusters.clouds import SiteClouds
from kaas.clusters.reconciler import ClusterReconciler
from kaas.clusters.watched import interests
from kaas.openstack.clouds import CloudDirectory
from kaas.runtime import logs
from kaas.runtime.controller import ControllerSettings, Feature, Services, run_controller
from kaas.runtime.leader import LeaseLost
from kaas.runtime.watches import Watch

NO_METRICS = -1
CLOUD_PATIENCE = 5.0  # seconds that a Cluster waits for its cloud, which is then asked on without it


@dataclass(frozen=True)
class Options:
    """How the controller runs. namespaces: those that it watches, none means all. workers: Clusters at once."""

    namespaces: tuple[str, ...]
    metrics_host: str
    metrics_port: int
    leader_elect: bool
    log_format: Literal["json", "human"]
    workers: int


def controller(settings: Settings, options: Options) -> None:
    """Run until SIGTERM or SIGINT. CliError when another controller leads now."""
    logs.configure(options.log_format, "DEBUG" if settings.verbose else "INFO")
    for noisy in ("asyncio", "kopf", "urllib3", "keystoneauth", "openstack"):
        logging.getLogger(noisy).setLevel("INFO" if settings.verbose else "WARNING")
    try:
        run(_controller(settings, options))
    except LeaseLost as lost:
        raise CliError(f"{lost}; start it again to be the standby") from lost


async def _controller(settings: Settings, options: Options) -> None:
    with directory() as clouds:
        await run_controller(_settings(settings, options), [clusters(clouds, options.workers)])


def _settings(settings: Settings, options: Options) -> ControllerSettings:
    return ControllerSettings(
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        namespaces=options.namespaces,
        leader_election=options.leader_elect,
        metrics_port=None if options.metrics_port == NO_METRICS else options.metrics_port,
        metrics_host=options.metrics_host,
    )


def clusters(clouds: CloudDirectory, workers: int) -> Feature:
    """The feature that brings Clusters to Cluster API."""

    def watches(services: Services) -> Sequence[Watch]:
        return [Watch(i.resource, i.keys, transform=i.keep) for i in interests(services.index)]

    def reconciler(services: Services) -> ClusterReconciler:
        sites = SiteClouds(services.client, clouds, CLOUD_PATIENCE)
        return ClusterReconciler(services.index, services.client, sites, services.clock, services.events)

    return Feature("clusters", watches, reconciler, workers)
