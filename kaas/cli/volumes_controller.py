"""`kaas volumes controller`: the controller of volumes, in the cluster whose volumes they are or outside of it."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kaas.admission import access
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.session import run
from kaas.cli.settings import Settings
from kaas.runtime import logs
from kaas.runtime.controller import ControllerSettings, Feature, Services, run_controller
from kaas.runtime.leader import Election, LeaseLost
from kaas.runtime.watches import Watch
from kaas.volumes.metrics import VolumeMetrics
from kaas.volumes.reconciler import SWEEP, Office, VolumeReconciler
from kaas.volumes.settings import LoadSettings
from kaas.volumes.watched import interests

NO_METRICS: Final = -1
LEASE: Final = "kaas-volumes"
NAMESPACE: Final = "kaas-volumes"
"""Of the Lease, outside of a Pod."""
WORKERS: Final = 32
"""Claims that are looked at at once; most of the time an API server is waited for."""


@dataclass(frozen=True)
class Process:
    """How the process runs. namespaces: those that it watches, none means all."""

    namespaces: tuple[str, ...]
    metrics_host: str
    metrics_port: int
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


def controller(settings: Settings, process: Process, loads: LoadSettings) -> None:
    """Run until SIGTERM or SIGINT. CliError when another controller leads now."""
    logs.configure(process.log_format, "DEBUG" if settings.verbose else "INFO")
    for noisy in ("asyncio", "kopf", "urllib3"):
        logging.getLogger(noisy).setLevel("INFO" if settings.verbose else "WARNING")
    try:
        run(run_controller(_settings(settings, process), [volumes(loads, process.namespaces)]))
    except LeaseLost as lost:
        raise CliError(f"{lost}; start it again to be the standby") from lost


def _settings(settings: Settings, process: Process) -> ControllerSettings:
    return ControllerSettings(
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        namespaces=process.namespaces,
        leader_election=process.leader_elect,
        election=Election(name=LEASE, namespace=access.own_namespace(NAMESPACE)),
        metrics_port=None if process.metrics_port == NO_METRICS else process.metrics_port,
        metrics_host=process.metrics_host,
    )


def volumes(loads: LoadSettings, namespaces: tuple[str, ...] = ()) -> Feature:
    """The feature that has claims loaded and frees Pods that wait for them."""

    def watches(services: Services) -> Sequence[Watch]:
        found = interests(services.index)
        return [Watch(i.resource, i.keys, label_selector=i.selector, transform=i.keep, puts=True) for i in found]

    def reconciler(services: Services) -> VolumeReconciler:
        office = Office(
            store=services.index,
            client=services.client,
            announcer=services.events,
            clock=services.clock,
            metrics=VolumeMetrics(services.metrics.registry),
            add=services.add,
            namespaces=namespaces,
        )
        services.add(SWEEP)
        return VolumeReconciler(office, loads)

    return Feature("volumes", watches, reconciler, WORKERS)
