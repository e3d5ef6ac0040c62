"""Who asks Cloud Storage: credentials of a file, and tokens of them for obstore."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import google.auth
import requests
from google.auth import identity_pool
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from kaas.loader.source import Denied, Refused
from kaas.loader.sources.access import Access

if TYPE_CHECKING:
    from obstore.store import GCSCredential

SCOPES: Final = ("https://www.googleapis.com/auth/devstorage.read_only",)
FILE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
_NONE: Final = f"no credentials for gs:// were found: set {FILE}, or say that it is public"
_KINDS: Final[Mapping[str, Any]] = {
    "service_account": service_account.Credentials.from_service_account_info,
    "external_account": identity_pool.Credentials.from_info,
}


def credentials_of(access: Access) -> Credentials:
    """Credentials that the access allows. Denied when there are none, or they are not such as a Pod may use.

    In a Pod only what the file of GOOGLE_APPLICATION_CREDENTIALS says counts, never the identity of the machine.
    """
    if access.anonymous:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    if access.pod:
        return _of_file(os.environ.get(FILE, ""))
    try:
        found, _ = google.auth.default(scopes=SCOPES)
    except GoogleAuthError as error:
        raise Denied(f"{_NONE} ({type(error).__name__})") from None
    return found


def check_endpoint(access: Access, host: str) -> None:
    """Refused when a token would be shown to somebody whom only the load's owner names: who has it can use it."""
    own = host.lower().removesuffix(".").endswith(".googleapis.com")
    if access.anonymous or access.policy is None or own or access.policy.vouched(host):
        return
    raise Refused(
        f"endpoint {host}: tokens for Cloud Storage are not shown to it: "
        "ask it without credentials, or have an administrator allow this host"
    )


def _of_file(path: str) -> Credentials:
    if not path:
        raise Denied(_NONE)
    try:
        info = json.loads(Path(path).read_bytes())
        make = _KINDS[info["type"]]
        _check(path, info)
        made: Credentials = make(info, scopes=SCOPES)
        return made
    except (OSError, ValueError, KeyError, TypeError, GoogleAuthError) as error:
        kinds = " or ".join(_KINDS)
        raise Denied(f"{path}: cannot be used ({type(error).__name__}): it has to be of type {kinds}") from None


def _check(path: str, info: Mapping[str, Any]) -> None:
    """Refuse a file by which requests would go to somebody else, from inside of the cluster."""
    source = info.get("credential_source", {})
    if "url" in source or "executable" in source:
        raise Denied(f"{path}: credential_source names an address or a program: only a file may be read")
    for name in ("token_uri", "token_url", "service_account_impersonation_url"):
        url = urlsplit(info.get(name) or "https://oauth2.googleapis.com")
        if url.scheme != "https" or not (url.hostname or "").endswith(".googleapis.com"):
            raise Denied(f"{path}: {name} is not Google's")


def session_of(proxy: str | None) -> requests.Session:
    """Connections for tokens and listings."""
    session = requests.Session()
    if proxy:
        session.trust_env = False
        session.proxies = {"http": proxy, "https": proxy}
    return session


class Tokens:
    """Tokens for obstore, refreshed in time.

    failure: why it was not given one when it last asked, for it tells no more than that; None when it was.
    """

    def __init__(self, credentials: Credentials, session: requests.Session) -> None:
        self._credentials = credentials
        self._request = Request(session)
        self._one = threading.Lock()
        self.failure: GoogleAuthError | None = None
        self.refresh_threshold = timedelta(minutes=4)

    def __call__(self) -> GCSCredential:
        """A token and when it expires, for obstore, which asks in a thread of its own. Blocks while it is renewed."""
        with self._one:
            self._refresh()
            expiry = self._credentials.expiry
        return {"token": str(self._credentials.token), "expires_at": expiry.replace(tzinfo=UTC) if expiry else None}

    def _refresh(self) -> None:
        try:
            if not self._credentials.valid:
                self._credentials.refresh(self._request)  # type: ignore[no-untyped-call]
        except GoogleAuthError as error:
            self.failure = error
            raise
        self.failure = None
