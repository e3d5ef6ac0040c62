"""The Novas of all Sites, by the name of the Site: credentials from the Site's Secret, read when they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from kaas.api.site import Site
from kaas.kube.objects import Object, Ref
from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.credentials import Credentials, CredentialsInvalid, from_secret
from kaas.openstack.errors import CloudError, Kind, Problem
from kaas.openstack.facts import ServerAction, ServerFacts
from kaas.repairs.facts import ServerView


class Reader(Protocol):
    """Who reads Secrets."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, None when there is none."""


class Nova:
    """What repairs ask of servers. site: gives the Site of a name, None when there is none. All raise CloudError."""

    def __init__(self, reader: Reader, directory: CloudDirectory, site: Callable[[str], Site | None]) -> None:
        self._reader = reader
        self._directory = directory
        self._site = site

    async def servers(self, site: Site) -> Mapping[str, ServerView]:
        """All servers of a Site's project, by id."""
        found = await self._directory.servers(await self._sign_in(site))
        return {server: view(facts) for server, facts in found.items()}

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
        told = site.spec.credentials
        if told is None:
            raise _invalid(f"Site {site.metadata.name} has no spec.credentials: add them")
        where = f"Site {site.metadata.name} spec.credentials.secret {told.secret.namespace}/{told.secret.name}"
        found = await self._reader.get(Ref("v1", "Secret", told.secret.namespace, told.secret.name))
        if found is None:
            raise _invalid(f"{where}: there is no such Secret; create it with clouds.yaml")
        try:
            return from_secret(found.get("data") or {}, told.cloud, site.spec.region)
        except CredentialsInvalid as error:
            raise _invalid(f"{where}: {error}") from error


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
