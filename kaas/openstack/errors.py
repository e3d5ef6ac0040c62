"""What can go wrong with a cloud, in a few kinds, with messages that stay the same from one attempt to the next.

The SDK's own messages carry request ids and addresses of objects in memory: written into a status, they would change it
with every attempt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import requests
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk

_LONGEST: Final = 512
_NOISE: Final = re.compile(r"\s*\(Request-ID: [^)]*\)|req-[0-9a-f-]{36}|<[\w.]+ object at 0x[0-9a-f]+>:? ?")


class Kind(StrEnum):
    """What is wrong, for programs: also the reason of conditions."""

    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    UNREACHABLE = "Unreachable"
    TIMEOUT = "Timeout"
    INVALID = "InvalidCredentials"
    NO_SERVICE = "NoSuchService"
    CONFLICT = "Conflict"
    """Not as things are now: a server is busy, locked, or in a state that does not allow it."""
    REFUSED = "Refused"
    """Not at all: what was asked for is wrong, or is not there."""
    FAILED = "Failed"


@dataclass(frozen=True)
class Problem:
    """What a cloud did not do, and why. The message is for people and holds no secret."""

    kind: Kind
    message: str


class CloudError(Exception):
    """A cloud that did not do what was asked; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


_NOT_IN_TIME: Final = "{} does not answer in time: check the network and the cloud's services"

# The first that fits wins: requests' certificate errors are connection errors too. {} is the cloud's address.
_BY_TYPE: Final[tuple[tuple[tuple[type[BaseException], ...], Kind, str], ...]] = (
    (
        (requests.Timeout, keystone.ConnectTimeout, sdk.ResourceTimeout),
        Kind.TIMEOUT,
        _NOT_IN_TIME,
    ),
    (
        (keystone.SSLError, requests.exceptions.SSLError),
        Kind.UNREACHABLE,
        "{}: its certificate is not trusted: put its CA into the key cacert of the Site's Secret",
    ),
    (
        (requests.ConnectionError, keystone.ConnectFailure, keystone.UnknownConnectionError),
        Kind.UNREACHABLE,
        "{} cannot be reached: check its address, the network and the cloud's services",
    ),
)
# These say themselves what is missing in clouds.yaml.
_INVALID: Final = (keystone.MissingRequiredOptions, keystone.NoMatchingPlugin, sdk.ConfigException)
_BY_STATUS: Final = {
    HTTPStatus.UNAUTHORIZED: (Kind.UNAUTHORIZED, "{} refuses the credentials: renew them in the Site's Secret"),
    HTTPStatus.FORBIDDEN: (Kind.FORBIDDEN, "{} forbids it: give the credentials a role that allows it"),
}


def not_in_time(where: str) -> Problem:
    """The problem of a cloud that is waited for no longer."""
    return Problem(Kind.TIMEOUT, _NOT_IN_TIME.format(where))


def clean(text: str) -> str:
    """A message of a cloud on one line, without what differs between attempts, of at most 512 characters."""
    line = " ".join(_NOISE.sub("", text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def classify(error: BaseException, where: str) -> Problem:
    """Why a call failed. `where` is the address to name."""
    for cause in _chain(error):
        if found := _known(cause, where):
            return found
    return Problem(Kind.FAILED, f"{where}: {clean(f'{type(error).__name__}: {error}')}")


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it came from, the deepest first: discovery hides its cause."""
    chain = [error]
    while (cause := _cause(chain[-1])) and cause not in chain:
        chain.append(cause)
    return chain[::-1]


def _cause(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _address(error: BaseException, where: str) -> str:
    """The service that was asked, if the error tells and it is another than `where`."""
    told = [getattr(getattr(error, name, None), "url", None) for name in ("response", "request")]
    url = urlsplit(str(next((u for u in told if u), "")))
    return where if url.netloc in ("", urlsplit(where).netloc) else f"{url.scheme}://{url.netloc}"


def _known(error: BaseException, where: str) -> Problem | None:
    if isinstance(error, CloudError):
        return error.problem
    where = _address(error, where)
    for types, kind, message in _BY_TYPE:
        if isinstance(error, types):
            return Problem(kind, message.format(where))
    if isinstance(error, sdk.ServiceDisabledException | keystone.CatalogException):
        return Problem(Kind.NO_SERVICE, f"{where}: {_missing_endpoint(error)}: check the Site's region")
    if isinstance(error, _INVALID):
        return Problem(Kind.INVALID, f"{where}: clouds.yaml: {clean(str(error))}: correct it in the Site's Secret")
    return _by_status(error, where)


def _missing_endpoint(error: BaseException) -> str:
    """`public endpoint for compute service in RegionOne region not found`, without the SDK's introduction."""
    return clean(str(error)).rpartition("catalog: ")[2]


def _by_status(error: BaseException, where: str) -> Problem | None:
    status = getattr(error, "http_status", None) or getattr(error, "status_code", None)
    if not isinstance(status, int):
        return None
    if status in _BY_STATUS:
        kind, message = _BY_STATUS[HTTPStatus(status)]
        return Problem(kind, message.format(where))
    return Problem(Kind.FAILED, f"{where} answers with HTTP {status}: {clean(str(error))}")
