"""`kaas next`: what will happen to which Cluster, when, and why not earlier."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from kaas.api.addon import Addon
from kaas.api.cluster import Cluster
from kaas.api.parsed import Parsed
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.api.site import Site
from kaas.cli import next_view
from kaas.cli.delete import no_such
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.next_view import Fleet
from kaas.cli.output import console, emit
from kaas.cli.readable import readable
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.kube import resources
from kaas.kube.errors import Forbidden
from kaas.kube.objects import Object, Ref
from kaas.updates.subject import NOT_KNOWN_ADD_ONS, AddOns


def show(settings: Settings, name: str | None, *, everywhere: bool, days: int, ical: bool) -> None:
    """Show the calendar of one Cluster, or of all of the namespace or of all namespaces. CliError for wrong options."""
    if ical and settings.output is not None:
        raise CliError("--ical and --output exclude each other: leave one out", ExitCode.WRONG_INPUT)
    run(_show(settings, name, everywhere=everywhere, days=days, ical=ical))


async def _show(settings: Settings, name: str | None, *, everywhere: bool, days: int, ical: bool) -> None:
    async with session(settings) as connected:
        fleet = await _look(settings, connected, name, everywhere=everywhere)
        where = "any namespace" if everywhere else f"namespace {connected.namespace} (`-A` looks into all)"
    now = datetime.now(UTC).replace(microsecond=0)
    rows = next_view.rows(fleet, now, days)
    if ical:
        from kaas.cli.next_calendar import calendar  # noqa: PLC0415 - a fifth of a second, for this alone

        sys.stdout.write(calendar(rows, now).decode())
    elif settings.output is not None:
        emit([row.to_json() for row in rows], settings.output)
    else:
        console(settings).print(next_view.table(rows, namespaces=everywhere) if rows else f"no Cluster in {where}")


async def _look(settings: Settings, connected: Session, name: str | None, *, everywhere: bool) -> Fleet:
    clusters, sites, releases, waves, known_addons = await asyncio.gather(
        _clusters(connected, name, everywhere=everywhere),
        connected.list(resources.SITE),
        connected.list(resources.RELEASE),
        rollouts(settings, connected),
        addons(settings, connected),
    )
    parsed = Parsed()
    places, _ = parsed.all_sound(Site, sites)
    known, unread = parsed.all_sound(Release, releases)
    rolling, others = parsed.all_sound(Rollout, waves)
    models, without = readable(Cluster, clusters)
    return Fleet(
        models,
        {s.metadata.name: s for s in places},
        known,
        await namespaces(settings, connected, everywhere=everywhere),
        rolling,
        [*unread, *others],
        without,
        known_addons,
    )


async def _clusters(connected: Session, name: str | None, *, everywhere: bool) -> Sequence[Object]:
    if name is None:
        return await connected.clusters(everywhere=everywhere)
    kind = resources.CLUSTER
    found = await connected.client.get(Ref(kind.api_version, kind.kind, connected.namespace, name))
    if found is None:
        raise no_such([(connected.namespace, name)])
    return [found]


async def rollouts(settings: Settings, connected: Session) -> Sequence[Object]:
    """All Rollouts. Not everybody may read them; then that is said, for they decide whose turn it is."""
    try:
        return await connected.list(resources.ROLLOUT)
    except Forbidden:
        words = "Rollouts cannot be read: what they say of a Cluster's turn is left out"
        console(settings, stderr=True).print(words)
        return []


async def addons(settings: Settings, connected: Session) -> AddOns:
    """All Addons. Not everybody may read them; then that is said, for a Cluster stays with what they support."""
    try:
        raw = await connected.list(resources.ADDON)
    except Forbidden:
        words = "Addons cannot be read: what comes of them, and what they support, is left out"
        console(settings, stderr=True).print(words)
        return NOT_KNOWN_ADD_ONS
    found, others = Parsed().all_sound(Addon, raw)
    return AddOns.of(found, (o.name for o in others))


async def namespaces(settings: Settings, connected: Session, *, everywhere: bool) -> Mapping[str, Object]:
    """Namespaces by name. Not everybody may read them; then that is said, for what they say counts."""
    kind = resources.NAMESPACE
    try:
        if everywhere:
            found = await connected.client.list(kind)
        else:
            one = await connected.client.get(Ref(kind.api_version, kind.kind, None, connected.namespace))
            found = [one] if one else []
    except Forbidden:
        words = "Namespaces cannot be read: what their annotations say of maintenance is left out"
        console(settings, stderr=True).print(words)
        return {}
    return {n["metadata"]["name"]: n for n in found}
