"""What a Site's cloud has, in the terms of a plan: credentials from the Site's Secret, facts from the cloud."""

from __future__ import annotations

import asyncio
from typing import Protocol

from kaas.api.site import Site
from kaas.clusters.addresses import Surplus, surplus, twice
from kaas.clusters.snapshot import Cloud, Live, Object
from kaas.kube.objects import Ref
from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.errors import CloudError, Problem
from kaas.openstack.facts import CloudFacts
from kaas.openstack.floating_ip import FloatingIP
from kaas.openstack.sites import NoCredentials, credentials_of

# Without these nobody can say whether what is wanted is there; an unknown quota only means that it is not checked.
NEEDED = ("images", "flavors", "external_networks", "zones")


class Reader(Protocol):
    """Who reads Secrets."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, None when there is none."""


class SiteClouds:
    """Looks at the clouds of Sites. The Secret is read when something is wanted of the cloud, and not kept.

    patience: seconds to wait for a cloud, which is asked on while others go about their work; None: for its answer.
    """

    def __init__(self, reader: Reader, directory: CloudDirectory, patience: float | None = None) -> None:
        self._reader = reader
        self._directory = directory
        self._patience = patience

    async def look(self, site: Site) -> Cloud:
        """What the cloud has, or the problem; never raises for a Secret or cloud that is wrong or away."""
        try:
            credentials = await credentials_of(site, self._secret)
        except NoCredentials as missing:
            return Cloud(problem=(missing.reason, str(missing)))
        return seen(await self._directory.facts(credentials, self._patience), site.metadata.name)

    async def server_fault(self, site: Site, server: str) -> str | None:
        """Why a server is in ERROR, in Nova's words; None when the cloud could not be asked."""
        try:
            fault = await self._directory.server_fault(await credentials_of(site, self._secret), server)
        except (NoCredentials, CloudError):
            return None
        if fault is None:
            return f"there is no server {server}"
        return fault.message or f"server {server} is {fault.status}, for no reason given"

    async def surplus(self, site: Site, live: Live) -> Surplus | None:
        """A floating IP that CAPO made twice; the cloud is asked only when its OpenStackCluster names two.

        None when there is none, and when the cloud could not be asked.
        """
        found = twice(live.infrastructure)
        if found is None or live.infrastructure is None or live.cluster is None:
            return None
        try:
            async with asyncio.timeout(self._patience):
                credentials = await credentials_of(site, self._secret)
                known = await self._directory.floating_ips(credentials, (found.used, found.other))
        except (NoCredentials, CloudError, TimeoutError):
            return None
        return surplus(live.infrastructure, live.cluster, found, known)

    async def release(self, site: Site, address: FloatingIP) -> str | None:
        """Give a floating IP back that leads nowhere; why it is not gone, None when it is."""
        what = f"floating IP {address.address} of Site {site.metadata.name} cannot be given back"
        try:
            gone = await self._directory.release(await credentials_of(site, self._secret), address.id)
        except (NoCredentials, CloudError) as error:
            return f"{what}: {error}"
        return None if gone else f"{what}: it is in use by now"

    async def _secret(self, namespace: str, name: str) -> Object | None:
        return await self._reader.get(Ref("v1", "Secret", namespace, name))


def seen(facts: CloudFacts, site: str) -> Cloud:
    """Facts of a cloud in the terms of a plan."""
    for name, problem in (("", facts.error), *((n, facts.unknown.get(n)) for n in NEEDED)):
        if problem:
            return Cloud(problem=_words(site, name, problem))
    return Cloud(
        images=facts.images,
        flavors={name: (f.vcpus, f.ram_mb) for name, f in facts.flavors.items()},
        external_networks=frozenset([*facts.external_networks, *facts.external_networks.values()]),
        zones=facts.zones,
        free={name: q.limit - q.used for name, q in facts.quotas.items() if q.limit is not None},
    )


def _words(site: str, name: str, problem: Problem) -> tuple[str, str]:
    asked = f" ({name.replace('_', ' ')})" if name else ""
    return f"Cloud{problem.kind.value}", f"the cloud of Site {site}{asked}: {problem.message}"
