"""The Novas of all Sites, by the name of the Site, with the credentials of the Site's Secret.

The Secret is read again when the cloud lets nobody in, and every ten minutes: a look at a cloud that is well costs the
management cluster nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from kaas.api.site import Credentials as SiteCredentials
from kaas.api.site import Site
from kaas.kube.objects import Object, Ref
from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.credentials import Credentials
from kaas.openstack.errors import CloudError, Kind, Problem
from kaas.openstack.facts import ServerAction, ServerFacts
from kaas.openstack.sites import NoCredentials, credentials_of
from kaas.repairs.facts import ServerView

KEPT_SECONDS = 600.0
_Views = Mapping[str, tuple[ServerFacts, ServerView]]  # by server: what Nova says, and what is made of it
_Told = tuple[SiteCredentials | None, str | None]  # what of a Site decides where is signed in, and how


class Reader(Protocol):
    """Who reads Secrets."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, None when there is none."""


class Nova:
    """What repairs ask of servers. All raise CloudError.

    site: gives the Site of a name, None when there is none. clock: monotonic seconds.
    """

    def __init__(
        self,
        reader: Reader,
        directory: CloudDirectory,
        site: Callable[[str], Site | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._directory = directory
        self._site = site
        self._clock = clock
        self._known: dict[str, tuple[float, _Told, Credentials]] = {}
        self._views: dict[str, _Views] = {}

    async def servers(self, site: Site) -> Mapping[str, ServerView]:
        """All servers of a Site's project, by id."""
        try:
            found = await self._directory.servers(await self._sign_in(site))
        except CloudError:
            self._known.pop(site.metadata.name, None)
            raise
        known = self._views.get(site.metadata.name, {})
        views = await asyncio.to_thread(_views, found, known)  # ten thousand at once would hold up the event loop
        self._views[site.metadata.name] = views
        return {server: seen for server, (_, seen) in views.items()}

    async def server(self, site: str, server: str) -> ServerFacts | None:
        """A server as it is now; None when there is none."""
        return await self._directory.server(await self._named(site), server)

    async def server_actions(self, site: str, server: str) -> tuple[ServerAction, ...]:
        """What was begun with a server, oldest first."""
        return await self._directory.server_actions(await self._named(site), server)

    async def reboot(self, site: str, server: str, *, hard: bool) -> str:
        """Begin a reboot."""
        return await self._directory.reboot(await self._named(site), server, hard=hard)

    async def stop(self, site: str, server: str) -> str:
        """Begin to switch a server off."""
        return await self._directory.stop(await self._named(site), server)

    async def start(self, site: str, server: str) -> str:
        """Begin to switch a server on."""
        return await self._directory.start(await self._named(site), server)

    async def rebuild(self, site: str, server: str) -> str:
        """Begin to write a server's disk anew."""
        return await self._directory.rebuild(await self._named(site), server)

    async def _named(self, name: str) -> Credentials:
        site = self._site(name)
        if site is None:
            raise _invalid(f"there is no Site {name}")
        return await self._sign_in(site)

    async def _sign_in(self, site: Site) -> Credentials:
        told, known = (site.spec.credentials, site.spec.region), self._known.get(site.metadata.name)
        if known and known[1] == told and self._clock() - known[0] < KEPT_SECONDS:
            return known[2]
        try:
            credentials = await credentials_of(site, self._secret)
        except NoCredentials as missing:
            raise _invalid(str(missing)) from missing
        self._known[site.metadata.name] = (self._clock(), told, credentials)
        return credentials

    async def _secret(self, namespace: str, name: str) -> Object | None:
        return await self._reader.get(Ref("v1", "Secret", namespace, name))


def _views(found: Mapping[str, ServerFacts], known: _Views) -> _Views:
    """What is made of each server; of one that is as it was, the same object as before."""
    views = {}
    for server, facts in found.items():
        before = known.get(server)
        views[server] = before if before is not None and before[0] == facts else (facts, view(facts))
    return views


def view(facts: ServerFacts) -> ServerView:
    """What repairs are decided from."""
    return ServerView(
        id=facts.id,
        status=facts.status,
        power=facts.power,
        task=facts.task,
        host=facts.host,
        host_status=facts.host_status,
        fault=facts.fault,
    )


def _invalid(message: str) -> CloudError:
    return CloudError(Problem(Kind.INVALID, message))
