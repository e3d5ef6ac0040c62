"""`kaas repair pause`, `resume` and `confirm`: what a person says about all nodes of a Cluster or Site at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kaas.api.constants import ANNOTATION_CONFIRMED, ANNOTATION_PAUSED, ANNOTATION_REPLACED
from kaas.cli.delete import no_such
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.output import as_list, console, emit
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.cli.status import lean
from kaas.kube import resources
from kaas.kube.objects import Object, Objects, Ref, annotation, name_of, ref_of
from kaas.kube.resources import CLUSTER_NAME_LABEL
from kaas.repairs import pauses

_INCIDENT = re.compile(r"zone/[^/]+|host/[^/]+|heartbeats/[^/]+/[^/]+")


@dataclass(frozen=True)
class Scope:
    """What a command is about: one Cluster, one Site, or all Sites."""

    cluster: str | None
    site: str | None
    every: bool

    def check(self) -> None:
        """CliError unless exactly one is said."""
        if sum((self.cluster is not None, self.site is not None, self.every)) != 1:
            raise CliError("name exactly one: a Cluster, --site SITE or --all", ExitCode.WRONG_INPUT)


def pause(settings: Settings, scope: Scope, seconds: float | None, reason: str) -> None:
    """Let repairs wait, for some seconds or until they are resumed."""
    scope.check()
    until = _in(seconds) if seconds else None
    run(_write_all(settings, scope, pauses.pause(reason, until), f"repairs wait{f' until {until}' if until else ''}"))


def resume(settings: Settings, scope: Scope) -> None:
    """Let repairs go on; what is remembered of replacements that did not help is forgotten."""
    scope.check()
    run(_write_all(settings, scope, None, "repairs go on"))


async def _write_all(settings: Settings, scope: Scope, value: str | None, what: str) -> None:
    async with session(settings) as connected:
        about = await _objects(connected, scope)
        written = [await _note(connected, obj, ANNOTATION_PAUSED, value) for obj in about]
        if value is None:
            for deployment in await _replaced(connected, scope):
                await _note(connected, deployment, ANNOTATION_REPLACED, None)
    _tell(settings, written, what)


async def _objects(connected: Session, scope: Scope) -> Objects:
    """The Cluster, or the Sites. CliError when there is none."""
    if scope.cluster is not None:
        key = (connected.namespace, scope.cluster)
        found = await connected.client.get(Ref(resources.CLUSTER.api_version, "Cluster", *key))
        if found is None:
            raise no_such([key])
        return [found]
    if scope.site is not None:
        return [await _site(connected, scope.site)]
    found_sites = await connected.list(resources.SITE)
    if not found_sites:
        raise CliError("there is no Site yet: nothing is repaired", ExitCode.NOT_FOUND)
    return found_sites


async def _site(connected: Session, name: str) -> Object:
    found = await connected.client.get(Ref(resources.SITE.api_version, "Site", None, name))
    if found is None:
        known = ", ".join(sorted(s["metadata"]["name"] for s in await connected.list(resources.SITE))) or "none"
        raise CliError(f"--site: there is no Site {name!r}; there is {known}", ExitCode.NOT_FOUND)
    return found


async def _replaced(connected: Session, scope: Scope) -> Objects:
    """MachineDeployments in the scope of which replacements are remembered."""
    if scope.cluster is not None:
        selector = f"{CLUSTER_NAME_LABEL}={scope.cluster}"
        return remembered(await connected.list(resources.MACHINE_DEPLOYMENT, connected.namespace, selector))
    clusters = await connected.clusters(everywhere=True)
    keys = {name_of(c) for c in clusters if scope.every or c["spec"]["site"] == scope.site}
    every = await connected.list(resources.MACHINE_DEPLOYMENT, None, CLUSTER_NAME_LABEL)
    return remembered(d for d in every if _cluster_of(d) in keys)


def remembered(deployments: Iterable[Object]) -> Objects:
    """Those of which replacements are remembered."""
    return [d for d in deployments if annotation(d, ANNOTATION_REPLACED) is not None]


def _cluster_of(part: Object) -> tuple[str, str]:
    return part["metadata"]["namespace"], part["metadata"]["labels"][CLUSTER_NAME_LABEL]


# --- incidents ----------------------------------------------------------------------------------------------------


def confirm(settings: Settings, site: str, incident: str, seconds: float) -> None:
    """Have the nodes of an incident repaired all the same, for some seconds."""
    if not _INCIDENT.fullmatch(incident):
        words = "write zone/NAME, host/ID or heartbeats/NAMESPACE/CLUSTER, as `kaas repair status -A` names it"
        raise CliError(f"INCIDENT: {incident!r} is none: {words}", ExitCode.WRONG_INPUT)
    run(_confirm(settings, site, incident, seconds))


async def _confirm(settings: Settings, name: str, incident: str, seconds: float) -> None:
    until = _in(seconds)
    async with session(settings) as connected:
        site = await _site(connected, name)
        check_zone(site, incident)
        value = pauses.confirm(annotation(site, ANNOTATION_CONFIRMED), incident, until, datetime.now(UTC))
        written = await _note(connected, site, ANNOTATION_CONFIRMED, value)
    _tell(settings, [written], f"nodes of {incident} are repaired all the same until {until}")


def check_zone(site: Object, incident: str) -> None:
    """CliError for a zone that the Site does not have; one that says no zones may have any."""
    kind, _, zone = incident.partition("/")
    zones = [z["name"] for z in site["spec"].get("zones") or ()]
    if kind == "zone" and zones and zone not in zones:
        words = f"INCIDENT: Site {site['metadata']['name']} has no zone {zone!r}; it has {', '.join(zones)}"
        raise CliError(words, ExitCode.NOT_FOUND)


def _in(seconds: float) -> datetime:
    """That much later, to the second."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)


async def _note(connected: Session, obj: Object, name: str, value: str | None) -> Object:
    """Set an annotation, or take it away."""
    return await connected.client.patch(ref_of(obj), {"metadata": {"annotations": {name: value}}})


def _tell(settings: Settings, written: Objects, what: str) -> None:
    if settings.output is not None:
        emit(as_list(map(lean, written)), settings.output)
        return
    for obj in written:
        meta = obj["metadata"]
        name = "/".join(filter(None, (meta.get("namespace"), meta["name"])))
        console(settings).print(f"{obj['kind']} {name}: {what}", markup=False)
