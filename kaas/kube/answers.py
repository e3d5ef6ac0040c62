"""What an API server answers, read; and paths with a query."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from kaas.kube.errors import Unavailable
from kaas.kube.objects import Object, Objects
from kaas.kube.resources import Resource


def of_a_budget(refusal: Unavailable) -> bool:
    """Whether a PodDisruptionBudget refuses: 429 with its cause; 500 when a Pod has several, which is not supported."""
    said = " ".join([refusal.message, *(c.message for c in refusal.causes)]).lower()
    return "disruption budget" in said or "disruptionbudget" in said


def items(resource: Resource, answer: Object) -> Objects:
    """Objects of a list, which itself alone says what they are."""
    named = {"apiVersion": resource.api_version, "kind": resource.kind}
    return [{**item, **named} for item in answer.get("items") or []]


def decoded(what: str, body: bytes) -> Object:
    """The object in an answer; Unavailable when it is none."""
    try:
        answer: Any = json.loads(body)
    except ValueError as wrong:
        raise Unavailable(what, "the answer is not JSON: something else than an API server answers here") from wrong
    if not isinstance(answer, dict):
        raise Unavailable(what, "the answer is not an object")
    return answer


def seconds(header: str | None) -> float:
    """`Retry-After` in seconds; the form with a date, which API servers do not use, counts as none."""
    return float(header) if header and header.isdigit() else 0.0


def with_query(path: str, query: dict[str, str]) -> str:
    """Path and query of a request."""
    return f"{path}?{urlencode(query)}" if query else path
