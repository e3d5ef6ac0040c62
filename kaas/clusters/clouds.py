"""What a Site's cloud has, in the terms of a plan: credentials from the Site's Secret, facts from the cloud."""

from __future__ import annotations

from typing import Protocol

from kaas.api.site import Credentials as SiteCredentials
from kaas.api.site import Site
from kaas.clusters.snapshot import Cloud, Object
from kaas.kube.objects import Ref
from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.credentials import Credentials, CredentialsInvalid, from_secret
from kaas.openstack.errors import CloudError, Problem
from kaas.openstack.facts import CloudFacts

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
        credentials = site.spec.credentials
        if credentials is None:
            return Cloud(problem=("CredentialsMissing", f"Site {site.metadata.name} has no spec.credentials: add them"))
        found = await self._sign_in(site, credentials)
        if isinstance(found, Cloud):
            return found
        return seen(await self._directory.facts(found, self._patience), site.metadata.name)

    async def server_fault(self, site: Site, server: str) -> str | None:
        """Why a server is in ERROR, in Nova's words; None when the cloud could not be asked."""
        credentials = site.spec.credentials
        found = await self._sign_in(site, credentials) if credentials else None
        if not isinstance(found, Credentials):
            return None
        try:
            fault = await self._directory.server_fault(found, server)
        except CloudError:
            return None
        if fault is None:
            return f"there is no server {server}"
        return fault.message or f"server {server} is {fault.status}, for no reason given"

    async def _sign_in(self, site: Site, credentials: SiteCredentials) -> Credentials | Cloud:
        secret = credentials.secret
        where = f"Site {site.metadata.name} spec.credentials.secret {secret.namespace}/{secret.name}"
        found = await self._reader.get(Ref("v1", "Secret", secret.namespace, secret.name))
        if found is None:
            return Cloud(problem=("SecretNotFound", f"{where}: there is no such Secret; create it with clouds.yaml"))
        try:
            return from_secret(found.get("data") or {}, credentials.cloud, site.spec.region)
        except CredentialsInvalid as error:
            return Cloud(problem=("SecretInvalid", f"{where}: {error}"))


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
