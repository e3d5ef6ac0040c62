"""`kaas explain NAME`: why a Cluster has not been updated, what happens next, and what a person can do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from kaas.api.cluster import Cluster
from kaas.api.parsed import Parsed
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.api.site import Site
from kaas.cli import explain_view
from kaas.cli.delete import no_such
from kaas.cli.explain_view import Asked
from kaas.cli.next import addons, namespaces, rollouts
from kaas.cli.output import console, emit
from kaas.cli.readable import read
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.kube import resources
from kaas.kube.objects import Object, Ref


def explain(settings: Settings, name: str) -> None:
    """Show why one Cluster has not been updated. CliError when there is no such Cluster."""
    run(_explain(settings, name))


async def _explain(settings: Settings, name: str) -> None:
    async with session(settings) as connected:
        asked = await _look(settings, connected, name)
    found = explain_view.explained(asked, datetime.now(UTC).replace(microsecond=0))
    if settings.output is not None:
        emit(explain_view.to_json(asked.cluster, found), settings.output)
    else:
        console(settings).print(explain_view.shown(asked.cluster, found))


async def _look(settings: Settings, connected: Session, name: str) -> Asked:
    cluster, releases, waves, said, known_addons = await asyncio.gather(
        _cluster(connected, name),
        connected.list(resources.RELEASE),
        rollouts(settings, connected),
        namespaces(settings, connected, everywhere=False),
        addons(settings, connected),
    )
    site = await connected.client.get(Ref(resources.SITE.api_version, "Site", None, cluster["spec"]["site"]))
    parsed = Parsed()
    sites, _ = parsed.all_sound(Site, [site] if site else [])
    known, unread = parsed.all_sound(Release, releases)
    rolling, others = parsed.all_sound(Rollout, waves)
    about = read(Cluster, cluster)
    place, ill = sites[0] if sites else None, [*unread, *others]
    return Asked(about, place, said.get(connected.namespace), known, rolling, ill, known_addons)


async def _cluster(connected: Session, name: str) -> Object:
    kind = resources.CLUSTER
    found = await connected.client.get(Ref(kind.api_version, kind.kind, connected.namespace, name))
    if found is None:
        raise no_such([(connected.namespace, name)])
    return found
