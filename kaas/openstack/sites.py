"""How the cloud of a Site is signed in to: by the Secret that the Site names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kaas.api.site import Site
from kaas.openstack.credentials import Credentials, CredentialsInvalid, from_secret

ReadSecret = Callable[[str, str], Awaitable[Mapping[str, Any] | None]]
"""The Secret of a namespace and name, None when there is none."""


class NoCredentials(Exception):
    """A Site whose cloud cannot be signed in to. reason: one CamelCase word; the message names field and way out."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


async def credentials_of(site: Site, read: ReadSecret) -> Credentials:
    """Credentials of a Site's cloud; NoCredentials when the Site or its Secret does not have them."""
    told = site.spec.credentials
    if told is None:
        raise NoCredentials("CredentialsMissing", f"Site {site.metadata.name} has no spec.credentials: add them")
    secret = told.secret
    where = f"Site {site.metadata.name} spec.credentials.secret {secret.namespace}/{secret.name}"
    found = await read(secret.namespace, secret.name)
    if found is None:
        raise NoCredentials("SecretNotFound", f"{where}: there is no such Secret; create it with clouds.yaml")
    try:
        return from_secret(found.get("data") or {}, told.cloud, site.spec.region)
    except CredentialsInvalid as error:
        raise NoCredentials("SecretInvalid", f"{where}: {error}") from error
