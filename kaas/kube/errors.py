"""What an API server can refuse, one class a meaning. Messages name the object, the field and the way out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason of a refusal: `field` as the server writes it, empty when it named none."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class KubeError(Exception):
    """The API server did not do what was asked.

    what: verb and object, for example `apply Cluster.kaas.internal team-a/one`.
    code: HTTP status, 0 when no answer came.
    """

    hint = "see the API server's log"

    def __init__(
        self, what: str, message: str, *, code: int = 0, reason: str = "", causes: tuple[Cause, ...] = ()
    ) -> None:
        self.what = what
        self.message = message
        self.code = code
        self.reason = reason
        self.causes = causes
        super().__init__(f"{what}: {message} ({self.hint})")


class NotFound(KubeError):
    """The object, its namespace or its kind is not there."""

    hint = "check name and namespace, and that the kind's CRD is installed"


class Conflict(KubeError):
    """The object changed meanwhile, exists already, or is being deleted."""

    hint = "read it again and repeat"


class Invalid(KubeError):
    """The object is wrong: a field unknown or refused by schema, CEL rule or webhook; `causes` has them one by one."""

    hint = "correct the manifest"


class Forbidden(KubeError):
    """Credentials are missing, wrong, expired or not allowed to do this."""

    hint = "check the kubeconfig's credentials and the RBAC rules of the account"


class Unavailable(KubeError):
    """No answer in time, or an answer that says later. Nothing is known about what happened to a write."""

    hint = "repeated later by itself; check that the API server is up and reachable"


_BY_CODE: dict[int, type[KubeError]] = {
    HTTPStatus.UNAUTHORIZED: Forbidden,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Conflict,
}

_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})

# Server-side apply answers 500 for an unknown field or a wrong type: structured-merge-diff fails before validation.
_UNKNOWN_FIELD = ("field not declared in schema", "unknown field", "failed to create typed patch object")


def error_for(what: str, code: int, body: bytes) -> KubeError:
    """Error that an answer with status `code` and a Status body means."""
    status = _status(body)
    message = str(status.get("message") or body.decode(errors="replace")[:500] or HTTPStatus(code).phrase)
    kind = _BY_CODE.get(code, Unavailable if code in _LATER or code >= HTTPStatus.INTERNAL_SERVER_ERROR else Invalid)
    if any(words in message for words in _UNKNOWN_FIELD):
        kind = Invalid
    return kind(what, message, code=code, reason=str(status.get("reason") or ""), causes=_causes(status))


def _status(body: bytes) -> dict[str, Any]:
    """Status object; empty when something else answered, a proxy's HTML page for example."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _causes(status: dict[str, Any]) -> tuple[Cause, ...]:
    found = (status.get("details") or {}).get("causes") or []
    return tuple(Cause(str(c.get("field") or ""), str(c.get("message") or "")) for c in found)
