"""`kaas controller`: the controller, put together from its features."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Literal

from kaas.api.parsed import Parsed
from kaas.api.repair import Limits, Mode
from kaas.cli.adding import add_ons
from kaas.cli.clouds import directory
from kaas.cli.connections import Connections
from kaas.cli.draining import drains
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.repairing import repairs
from kaas.cli.rolling import rollouts
from kaas.cli.session import run
from kaas.cli.settings import Settings
from kaas.cli.updating import updates
from kaas.clusters.clouds import SiteClouds
from kaas.clusters.reconciler import ClusterReconciler
from kaas.clusters.watched import interests
from kaas.openstack.clouds import CloudDirectory
from kaas.repairs.settings import FleetSettings
from kaas.runtime import logs
from kaas.runtime.controller import ControllerSettings, Feature, Services, run_controller
from kaas.runtime.leader import LeaseLost
from kaas.runtime.watches import Watch

CLOUD_PATIENCE = 5.0  # seconds that a Cluster waits for its cloud, which is then asked on without it


@dataclass(frozen=True)
class Options:
    """How the controller runs. namespaces: those that it watches, none means all. workers: Clusters at once.

    metrics_port: None serves no metrics. repairs: what holds for the whole fleet.
    """

    namespaces: tuple[str, ...]
    metrics_host: str
    metrics_port: int | None
    leader_elect: bool
    log_format: Literal["json", "human"]
    workers: int
    repairs: FleetSettings = field(default_factory=FleetSettings)


def fleet_settings(mode: Mode, in_flight: str, unhealthy: str, ticket_url: str | None) -> FleetSettings:
    """What the options say of repairs. CliError for what is no number, percentage or address."""
    options = {"--repair-max-in-flight": in_flight, "--repair-max-unhealthy": unhealthy}
    for option, value in options.items():
        if not re.fullmatch(r"[0-9]{1,6}|(100|[1-9]?[0-9])%", value):
            words = f"{option}: {value!r} is neither a number of nodes nor a percentage, as 20 or 30%"
            raise CliError(words, ExitCode.WRONG_INPUT)
    if ticket_url and not re.match(r"https?://", ticket_url):
        words = f"--repair-ticket-url: {ticket_url!r} must begin with https:// or http://"
        raise CliError(words, ExitCode.WRONG_INPUT)
    found, sick = (int(v) if v.isdigit() else v for v in options.values())
    return FleetSettings(mode, Limits(max_in_flight=found, max_unhealthy=sick), ticket_url)


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
        async with AsyncExitStack() as ending:
            parsed, connections = Parsed(), Connections()
            features = [
                clusters(clouds, options.workers, parsed),
                repairs(clouds, options.repairs, parsed, ending, connections),
                updates(clouds, connections, parsed, ending),
                rollouts(parsed),
                drains(parsed, ending),
                *add_ons(connections, parsed),
            ]
            await run_controller(_settings(settings, options), features)


def _settings(settings: Settings, options: Options) -> ControllerSettings:
    return ControllerSettings(
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        namespaces=options.namespaces,
        leader_election=options.leader_elect,
        metrics_port=options.metrics_port,
        metrics_host=options.metrics_host,
    )


def clusters(clouds: CloudDirectory, workers: int, parsed: Parsed) -> Feature:
    """The feature that brings Clusters to Cluster API. parsed: shared with other features."""

    def watches(services: Services) -> Sequence[Watch]:
        found = interests(services.index)
        return [Watch(i.resource, i.keys, transform=i.keep, concern=i.concern, puts=True) for i in found]

    def reconciler(services: Services) -> ClusterReconciler:
        sites = SiteClouds(services.client, clouds, CLOUD_PATIENCE)
        return ClusterReconciler(services.index, services.client, sites, services.clock, services.events, parsed=parsed)

    return Feature("clusters", watches, reconciler, workers)
