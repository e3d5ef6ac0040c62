"""What the cloud of a Site is asked before an update."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from kaas.api.site import Site
from kaas.kube.errors import KubeError
from kaas.kube.objects import Object, Ref
from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.credentials import Credentials
from kaas.openstack.errors import CloudError, Kind
from kaas.openstack.facts import CloudFacts
from kaas.openstack.sites import NoCredentials, credentials_of
from kaas.updates.preflight.facts import CloudView, Unknown
from kaas.updates.preflight.surge import Need

PATIENCE: Final = 20.0
"""Seconds that a cloud is waited for."""
MOST_ROOMS: Final = 6
"""Flavors and zones that Placement is asked about."""

Place = tuple[str, str | None]
"""Flavor and zone."""


class Reader(Protocol):
    """Who reads Secrets of the management cluster."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, None when there is none."""


class SurgeClouds:
    """Looks at the clouds of Sites for what an update needs. The Secret is read each time, and not kept."""

    def __init__(self, reader: Reader, directory: CloudDirectory) -> None:
        self._reader = reader
        self._directory = directory

    async def look(self, site: Site, needs: Iterable[Need]) -> tuple[CloudView | None, str]:
        """What the cloud has, and why it could not be asked at all; never raises for a Secret or cloud that is away."""
        if site.spec.provider == "dev":
            return None, ""
        try:
            credentials = await credentials_of(site, self._secret)
        except (NoCredentials, KubeError) as missing:
            return CloudView(), str(missing)
        facts = await self._directory.facts(credentials, PATIENCE)
        if facts.error:
            return CloudView(), facts.error.message
        return view(facts, await self._rooms(credentials, needs)), ""

    async def _rooms(self, credentials: Credentials, needs: Iterable[Need]) -> Mapping[Place, int | Unknown]:
        """Hosts with room. Who may not ask about one flavor may not ask about another."""
        most: dict[Place, int] = {}
        for need in needs:
            most[need.flavor, need.zone] = max(need.servers, most.get((need.flavor, need.zone), 0))
        found: dict[Place, int | Unknown] = {}
        for (flavor, zone), servers in list(most.items())[:MOST_ROOMS]:
            try:
                found[flavor, zone] = await self._directory.hosts_with_room(credentials, flavor, zone, servers)
            except CloudError as error:
                if error.problem.kind in (Kind.FORBIDDEN, Kind.NO_SERVICE, Kind.TIMEOUT, Kind.UNREACHABLE):
                    return dict.fromkeys(most, Unknown(_words(error))) | found
                found[flavor, zone] = Unknown(error.problem.message)
        return found

    async def _secret(self, namespace: str, name: str) -> Object | None:
        return await self._reader.get(Ref("v1", "Secret", namespace, name))


def _words(error: CloudError) -> str:
    if error.problem.kind is Kind.FORBIDDEN:
        return "Placement answers administrators and services only, unless its policy says otherwise"
    return error.problem.message


def view(facts: CloudFacts, rooms: Mapping[Place, int | Unknown]) -> CloudView:
    """Facts of a cloud in the terms of the checks."""
    unknown = {name: Unknown(problem.message) for name, problem in facts.unknown.items()}
    return CloudView(
        images=unknown.get("images") or facts.images,
        flavors=unknown.get("flavors") or {name: (f.vcpus, f.ram_mb) for name, f in facts.flavors.items()},
        free=unknown.get("compute_quotas")
        or {name: quota.limit - quota.used for name, quota in facts.quotas.items() if quota.limit is not None},
        network=unknown.get("network_quotas"),
        rooms=rooms,
    )
