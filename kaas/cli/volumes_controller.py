"""`kaas volumes controller`: the controller of volumes, in the cluster whose volumes they are or outside of it."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from kaas.admission import access
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.session import run
from kaas.cli.settings import Settings
from kaas.kube import quantity
from kaas.runtime import logs
from kaas.runtime.controller import ControllerSettings, Feature, Services, run_controller
from kaas.runtime.leader import Election, LeaseLost
from kaas.runtime.watches import Watch
from kaas.volumes.cache import reconciler as cache_reconciler
from kaas.volumes.cache import watched as cache_watched
from kaas.volumes.cache.keeper import Births, Keeper, Nobody
from kaas.volumes.cache.limits import ANY, Limits
from kaas.volumes.cache.reconciler import CacheMetrics, CacheReconciler
from kaas.volumes.metrics import VolumeMetrics
from kaas.volumes.populator import watched as populator_watched
from kaas.volumes.populator.reconciler import REGISTER, PopulatorReconciler
from kaas.volumes.reconciler import SWEEP, Office, VolumeReconciler
from kaas.volumes.settings import LoadSettings
from kaas.volumes.watched import Interest, interests

LEASE: Final = "kaas-volumes"
NAMESPACE: Final = "kaas-volumes"
"""Of the Lease, outside of a Pod."""
WORKERS: Final = 32
"""Claims that are looked at at once; most of the time an API server is waited for."""


@dataclass(frozen=True)
class Process:
    """How the process runs. namespaces: those that it watches, none means all. metrics_port: None serves none."""

    namespaces: tuple[str, ...]
    metrics_host: str
    metrics_port: int | None
    leader_elect: bool
    log_format: Literal["json", "human"]


def checked(given: LoadSettings) -> LoadSettings:
    """The settings, checked. CliError for a network that is none."""
    for cidr in given.keep_out:
        try:
            ipaddress.ip_network(cidr)
        except ValueError as wrong:
            raise CliError(f"--keep-out: {wrong}: write it like 10.0.0.0/8", ExitCode.WRONG_INPUT) from None
    return given


def limits_of(sizes: Sequence[str], per_namespace: int, unused_days: int, cut_seconds: int) -> Limits:
    """Limits of the cache. sizes: `CLASS=QUANTITY`. CliError for one that is none."""
    found = {}
    for entry in sizes:
        name, equals, amount = entry.rpartition("=")
        try:
            found[name or ANY] = quantity.whole(amount)
        except ValueError as wrong:
            raise CliError(f"--cache-size: {wrong}", ExitCode.WRONG_INPUT) from None
        if equals and not name:
            raise CliError(f"--cache-size: {entry!r}: write CLASS=QUANTITY, or QUANTITY for any", ExitCode.WRONG_INPUT)
    return Limits(found, per_namespace, timedelta(days=unused_days), timedelta(seconds=cut_seconds))


def controller(settings: Settings, process: Process, loads: LoadSettings, limits: Limits) -> None:
    """Run until SIGTERM or SIGINT. CliError when another controller leads now."""
    logs.configure(process.log_format, "DEBUG" if settings.verbose else "INFO")
    for noisy in ("asyncio", "kopf", "urllib3"):
        logging.getLogger(noisy).setLevel("INFO" if settings.verbose else "WARNING")
    try:
        run(run_controller(_settings(settings, process), features(loads, limits, process.namespaces)))
    except LeaseLost as lost:
        raise CliError(f"{lost}; start it again to be the standby") from lost


def _settings(settings: Settings, process: Process) -> ControllerSettings:
    return ControllerSettings(
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        namespaces=process.namespaces,
        leader_election=process.leader_elect,
        election=Election(name=LEASE, namespace=access.own_namespace(NAMESPACE)),
        metrics_port=process.metrics_port,
        metrics_host=process.metrics_host,
    )


def features(loads: LoadSettings, limits: Limits, namespaces: tuple[str, ...] = ()) -> list[Feature]:
    """All that the controller does."""
    return [volumes(loads, namespaces, limits), cache(limits, namespaces), populator(namespaces)]


def volumes(loads: LoadSettings, namespaces: tuple[str, ...] = (), limits: Limits | None = None) -> Feature:
    """The feature that has claims loaded and frees Pods that wait for them. Without limits no snapshot is kept."""

    def reconciler(services: Services) -> VolumeReconciler:
        office = Office(
            store=services.index,
            client=services.client,
            announcer=services.events,
            clock=services.clock,
            metrics=VolumeMetrics(services.metrics.registry),
            add=services.add,
            namespaces=namespaces,
            keeper=_keeper(services, limits) if limits else Nobody(),
        )
        services.add(SWEEP)
        return VolumeReconciler(office, loads)

    return Feature("volumes", lambda services: _watches(interests(services.index)), reconciler, WORKERS)


def _keeper(services: Services, limits: Limits) -> Keeper:
    births = Births(services.metrics.registry)
    return Keeper(services.index, services.client, services.events, services.clock, limits, births)


def cache(limits: Limits, namespaces: tuple[str, ...] = ()) -> Feature:
    """The feature that keeps the snapshot cache within its limits."""

    def reconciler(services: Services) -> CacheReconciler:
        services.add(cache_reconciler.KEY)
        return CacheReconciler(
            store=services.index,
            client=services.client,
            announcer=services.events,
            clock=services.clock,
            limits=limits,
            metrics=CacheMetrics(services.metrics.registry),
            namespaces=namespaces,
        )

    return Feature("volumes-cache", lambda _: _watches(cache_watched.interests()), reconciler, 1)


def populator(namespaces: tuple[str, ...] = ()) -> Feature:
    """The feature that fills claims with a DataSource before they are bound."""

    def reconciler(services: Services) -> PopulatorReconciler:
        services.add(REGISTER)
        return PopulatorReconciler(services.index, services.client, services.events, services.clock)

    return Feature("volumes-populator", lambda s: _watches(populator_watched.interests(s.index)), reconciler, WORKERS)


def _watches(found: Sequence[Interest]) -> Sequence[Watch]:
    return [
        Watch(i.resource, i.keys, label_selector=i.selector, transform=i.keep, puts=i.alone, urgent=i.urgent)
        for i in found
    ]
