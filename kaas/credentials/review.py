"""Admission of Secrets, as a pure function over an AdmissionReview."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final

from kaas.credentials.secrets.check import check, check_update
from kaas.credentials.secrets.finding import DENY, WARN, Finding, denied
from kaas.credentials.secrets.policy import DEFAULT, Policy

LONGEST_WARNING: Final = 256
"""Bytes; the API server may cut what is longer (documentation of AdmissionResponse.warnings)."""
ALL_WARNINGS: Final = 4096
"""Bytes; of all warnings together the API server passes on no more."""
MOST_DENIALS: Final = 30

_REASONS: Final = {HTTPStatus.BAD_REQUEST: "BadRequest", HTTPStatus.UNPROCESSABLE_ENTITY: "Invalid"}


def review_secret(review: object, policy: Policy = DEFAULT) -> dict[str, Any]:
    """The AdmissionReview that answers one about a Secret. Never raises, whatever JSON it is given.

    What is refused is refused with code 422 and every fault; what is no review of a Secret's creation or update, with
    code 400. Other operations and other types are allowed.
    """
    request = _map(review).get("request")
    uid = _map(request).get("uid")
    response = secret_response(request, policy)
    response["uid"] = uid if isinstance(uid, str) else ""
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def secret_response(request: object, policy: Policy = DEFAULT) -> dict[str, Any]:
    """The response to the `request` of a review, without its uid."""
    if not isinstance(request, dict) or not isinstance(request.get("operation"), str):
        return _refused(HTTPStatus.BAD_REQUEST, "the review has no request with an operation")
    if request["operation"] not in ("CREATE", "UPDATE"):
        return {"allowed": True}
    secret = request.get("object")
    if not isinstance(secret, dict):
        return _refused(HTTPStatus.BAD_REQUEST, "the review has no object")
    old = request.get("oldObject")
    if request["operation"] == "UPDATE" and isinstance(old, dict):
        return _response(check_update(old, secret, policy))
    return _response(check(secret, policy))


def _response(findings: Sequence[Finding]) -> dict[str, Any]:
    response: dict[str, Any] = {"allowed": True}
    if denied(findings):
        response = _refused(HTTPStatus.UNPROCESSABLE_ENTITY, _message(findings))
    if warnings := list(_fitting(f"{f.key}: {f.message}" for f in findings if f.severity == WARN)):
        response["warnings"] = warnings
    return response


def _refused(code: HTTPStatus, message: str) -> dict[str, Any]:
    status = {"code": code.value, "reason": _REASONS[code], "message": message}
    return {"allowed": False, "status": status}


def _message(findings: Iterable[Finding]) -> str:
    denials = [f"{f.key}: {f.message}" for f in findings if f.severity == DENY]
    lines = denials[:MOST_DENIALS]
    if len(denials) > MOST_DENIALS:
        lines.append(f"and {len(denials) - MOST_DENIALS} more")
    return "these credentials would not work or are not allowed:\n" + "\n".join(f"* {line}" for line in lines)


def _fitting(warnings: Iterable[str]) -> Iterator[str]:
    """Warnings as the API server passes them on."""
    left = ALL_WARNINGS
    for warning in warnings:
        cut = _cut(warning)
        left -= len(cut.encode())
        if left < 0:
            return
        yield cut


def _cut(warning: str) -> str:
    encoded = warning.encode(errors="replace")
    if len(encoded) <= LONGEST_WARNING:
        return warning
    return encoded[: LONGEST_WARNING - 3].decode(errors="ignore") + "…"


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
