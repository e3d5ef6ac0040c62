"""Who asks S3, and how: botocore's client, which lists, and keys for obstore, which reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import botocore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, InvalidRegionError, NoCredentialsError
from botocore.loaders import Loader, create_loader
from botocore.session import Session

from kaas.loader.source import Refused
from kaas.loader.sources.access import CONNECT_SECONDS, STALL_SECONDS, Access
from kaas.loader.sources.failures import StillExpired
from kaas.loader.sources.s3_listing import take_over
from kaas.loader.sources.signing import Secret

if TYPE_CHECKING:
    from obstore.store import S3Credential

T = TypeVar("T")
_MACHINES_OWN: Final = ("iam-role", "container-role")
"""What a machine in the cloud is given for itself: not whose data is loaded."""
_KEPT: Final = timedelta(minutes=2)
"""How long obstore keeps keys before it asks again; botocore knows when they have to be renewed."""
DEFAULT_REGION: Final = "us-east-1"
_BEFORE_ALL: Final = "before-parse.*.ListObjectsV2"
"""With a star there it comes before botocore's own handler, which would read a page whole to look for errors."""


class Keys:
    """Keys of a session, renewed as its configuration says: files, programs, tokens.

    failure: why obstore was not given any when it last asked, for it tells no more than that; None when it was.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session = _session(access)
        self.failure: BotoCoreError | ClientError | None = None
        self.refresh_threshold = timedelta(seconds=30)

    @property
    def session(self) -> Session:
        """The session of botocore that they are of."""
        return self._session

    def __call__(self) -> S3Credential:
        """Keys for obstore, which asks in a thread of its own. Blocks while they are renewed."""
        try:
            found, self.failure = self.secret(), None
        except (BotoCoreError, ClientError) as error:
            self.failure = error
            raise
        return {
            "access_key_id": found.access,
            "secret_access_key": found.secret,
            "token": found.token,
            "expires_at": datetime.now(UTC) + _KEPT,
        }

    def anew(self) -> bool:
        """Read files and environment again; whether there are other keys now. Blocks."""
        before, session = self.secret(), _session(self._access)
        found = _secret(session)  # before others can ask it: each would load them for itself
        self._session = session
        return found != before

    def secret(self) -> Secret:
        """Keys as they are now. Blocks while they are renewed; BotoCoreError, ClientError when there are none."""
        return _secret(self._session)


def _secret(session: Session) -> Secret:
    found = session.get_credentials()
    if found is None:
        raise NoCredentialsError
    frozen = asked(found.get_frozen_credentials)
    return Secret(frozen.access_key, frozen.secret_key, frozen.token)


def asked(work: Callable[[], T]) -> T:
    """Have botocore work. StillExpired for keys that it has renewed in vain, of which it makes no error of its own."""
    try:
        return work()
    except RuntimeError as error:
        if "still expired" not in str(error):
            raise
        raise StillExpired from error


@cache
def _models() -> Loader:
    """Descriptions of services: large, and the same for all."""
    return create_loader()


def _session(access: Access) -> Session:
    session = Session()
    session.register_component("data_loader", _models())
    if access.pod:
        chain = session.get_component("credential_provider")
        for name in _MACHINES_OWN:
            chain.remove(name)
        # Of S3 it is told where it is; tokens are never taken to where a Secret says.
        session.set_config_variable("ignore_configured_endpoint_urls", True)
    return session


def endpoint_of(session: Session, access: Access) -> str:
    """URL of the endpoint that somebody named, by option, environment or configuration; "" for the cloud's own."""
    if access.endpoint:
        return access.endpoint
    named = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    return next(filter(None, named), "") or str(session.get_scoped_config().get("endpoint_url") or "")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bucket is asked for. url: of the endpoint; ca: a file with authorities, "" for the system's."""

    url: str
    region: str
    ca: str

    @property
    def host(self) -> str:
        """Of the endpoint."""
        return urlsplit(self.url).hostname or ""

    @property
    def scheme(self) -> str:
        """Of the endpoint."""
        return urlsplit(self.url).scheme


def client_of(session: Session, access: Access, region: str, proxy: str | None) -> tuple[Any, Place]:
    """A client for a region, and where it asks. Refused for an endpoint or region that is none."""
    endpoint = endpoint_of(session, access)
    settings: dict[str, Any] = {
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": STALL_SECONDS,
        "max_pool_connections": 16,
        "proxies": {"http": proxy, "https": proxy} if proxy else None,
        "signature_version": botocore.UNSIGNED if access.anonymous else None,
        "s3": {"addressing_style": "path"} if endpoint else None,
    }
    config = Config(**{name: value for name, value in settings.items() if value is not None})
    chosen = region or session.get_config_variable("region") or DEFAULT_REGION
    try:
        client = session.create_client("s3", region_name=chosen, endpoint_url=endpoint or None, config=config)
    except InvalidRegionError:
        raise Refused(f"region {chosen!r}: is none: write for example eu-west-1") from None
    except ValueError as error:
        raise Refused(f"endpoint {endpoint!r}: is none ({error}): write https://host[:port]") from None
    client.meta.events.register_last("before-parameter-build.s3", _stay)
    client.meta.events.register_first(_BEFORE_ALL, take_over)
    url = str(client.meta.endpoint_url)
    return client, Place(url, chosen, str(session.get_config_variable("ca_bundle") or ""))


def _stay(context: dict[str, Any], **_: Any) -> None:
    """Keep botocore from following a bucket to its region: obstore has to be told, and a server may say it for ever."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def store_options(place: Place, proxy: str | None) -> dict[str, Any]:
    """Options of obstore's connections."""
    options: dict[str, Any] = {
        "allow_http": place.scheme == "http",
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=STALL_SECONDS),
        "timeout": timedelta(hours=1),
    }
    if proxy:
        options["proxy_url"] = proxy
    if place.ca:
        options["root_certificate"] = _authorities(place.ca)
    return options


def _authorities(path: str) -> str:
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        raise Refused(f"AWS_CA_BUNDLE {path}: cannot be read: correct it") from None
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise Refused(f"AWS_CA_BUNDLE {path}: has no certificate: correct it")
    return text
