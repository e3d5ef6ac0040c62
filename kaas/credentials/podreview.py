"""Admission of Pods, as pure functions over an AdmissionReview: what to look up for it, and the answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from kaas.credentials.pods.facts import SecretFacts
from kaas.credentials.pods.mutation import Outcome, mutate
from kaas.credentials.pods.seen import mark
from kaas.credentials.pods.wanted import Where, account_of, wanted

LONGEST_WARNING: Final = 256
"""Characters; the API server may cut what is longer (documentation of AdmissionResponse.warnings)."""
MOST_WARNINGS: Final = 12
"""Together the API server passes on 4,096 bytes."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What to look up in the Pod's namespace. service_account: None when it could change nothing."""

    namespace: str
    service_account: str | None = None
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole AdmissionReview to send back, and for the metrics: whose annotation gave what, and what was said."""

    review: dict[str, Any]
    given: Mapping[str, Where] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    denied: bool = False


def needs(review: object, service_account: Mapping[str, Any] | None = None, *, accounts: bool = True) -> Needs:
    """What has to be known for an answer. Never raises, whatever JSON it is.

    Ask twice: first without a ServiceAccount for its name, then with it for the names of the Secrets. When the first
    answer names none, its Secrets are the right ones already.
    accounts: False where the annotations of ServiceAccounts have no say.
    """
    request = _request(review)
    pod = _pod(request)
    namespace = _text(request.get("namespace"))
    if pod is None:
        return Needs(namespace)
    asked = wanted(pod, service_account if accounts else None)
    if asked.denied:
        return Needs(namespace)
    account = account_of(pod) if accounts and service_account is None else None
    return Needs(namespace, account, asked.secrets)


def answer(
    review: object,
    service_account: Mapping[str, Any] | None,
    secrets: Mapping[str, SecretFacts | None],
) -> Answer:
    """The answer to a review, with what was looked up (see `mutate`). Never raises, whatever JSON the review is.

    What is not the creation of a Pod is allowed as it is. A Pod is marked as seen, also when it is given nothing.
    """
    request = _request(review)
    pod = _pod(request)
    outcome = mutate(pod, service_account, secrets) if pod is not None else Outcome()
    patch = [*outcome.patch, *mark(pod, outcome.patch)] if pod is not None else []
    warnings = tuple(map(_shown, outcome.warnings[:MOST_WARNINGS]))
    response: dict[str, Any] = {"uid": _text(request.get("uid")), "allowed": outcome.denied is None}
    if outcome.denied is not None:
        patch = []
        code = HTTPStatus.UNPROCESSABLE_ENTITY
        response["status"] = {"code": code.value, "reason": "Invalid", "message": outcome.denied}
    if patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(json.dumps(patch, separators=(",", ":")).encode()).decode()
    if warnings:
        response["warnings"] = list(warnings)
    sent = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    return Answer(sent, outcome.given, warnings, outcome.denied is not None)


def respond(
    review: object, service_account: Mapping[str, Any] | None, secrets: Mapping[str, SecretFacts | None]
) -> dict[str, Any]:
    """The AdmissionReview of `answer`."""
    return answer(review, service_account, secrets).review


def _request(review: object) -> dict[str, Any]:
    request = review.get("request") if isinstance(review, dict) else None
    return request if isinstance(request, dict) else {}


def _pod(request: dict[str, Any]) -> dict[str, Any] | None:
    """The Pod that is to be created; None for anything else, such as its subresources."""
    kind, pod = request.get("kind"), request.get("object")
    is_pod = isinstance(kind, dict) and kind.get("kind") == "Pod" and kind.get("group") in ("", None)
    if not is_pod or request.get("operation") != "CREATE" or request.get("subResource"):
        return None
    return pod if isinstance(pod, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _shown(warning: str) -> str:
    """A warning as an HTTP header can carry it."""
    clean = warning if warning.isprintable() else "".join(c if c.isprintable() else "?" for c in warning)
    return clean if len(clean) <= LONGEST_WARNING else f"{clean[: LONGEST_WARNING - 1]}…"
