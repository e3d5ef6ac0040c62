"""Secrets of any shape, near to right ones, and what must hold for all of them."""

from __future__ import annotations

import base64
import json
from typing import Any

from kaas.credentials.review import ALL_WARNINGS, LONGEST_WARNING, review_secret
from kaas.credentials.secrets.check import check, check_update
from kaas.credentials.secrets.finding import DENY, denied
from kaas.credentials.secrets.keys import AWS_KEYS, GCP_KEYS
from kaas.credentials.secrets.policy import Policy
from kaas.credentials.secrets.table import ALL
from kaas.credentials.terms import AWS_TYPE, GCP_TYPE

POLICIES = (Policy(), Policy(allow_external_account=False, endpoint_hosts=("*.example.com",), max_bytes=4096))
SEVERITIES = {rule.id: rule.severity for rule in ALL}
FIXED = "\n".join(rule.message + rule.key for rule in ALL) + " ".join((*AWS_KEYS, *GCP_KEYS))
"""All that a finding may say of its own."""

PIECES = (
    "AKIAQ7Q7Q7Q7Q7Q7Q7Q7", "ASIA", "AROA", "GOOG", "\n", "\r", " ", '"', "'", "\ufeff", "\x00", "https://", "http://",
    "169.254.169.254", "@", "?", "#", "[::1]", "%2e", ":99999", "example.com", "arn:aws:iam::111122223333:role/",
    "{", "}", "-----BEGIN PRIVATE KEY-----\n", "-----BEGIN CERTIFICATE-----\n", "eu-central-1", "\\n",
)  # fmt: skip
FIELDS = (
    "type", "client_email", "private_key", "token_uri", "universe_domain", "project_id", "private_key_id", "audience",
    "token_url", "credential_source", "service_account_impersonation", "service_account_impersonation_url", "format",
    "file", "url", "executable", "token_lifetime_seconds",
)  # fmt: skip


def holds(secret: dict[str, Any]) -> None:
    """Check one Secret, and that all is true which is true of every Secret. AssertionError, or an error of ours."""
    for policy in POLICIES:
        findings = check(secret, policy)
        assert findings == check(secret, policy)
        assert all(f.severity == SEVERITIES[f.rule] for f in findings)
        assert [f.severity for f in findings] == sorted((f.severity for f in findings), key=lambda s: s != DENY)
        assert check_update(secret, secret, policy) == []
        answered(secret, policy)


def answered(secret: object, policy: Policy = POLICIES[0]) -> dict[str, Any]:
    """The response to the Secret's creation: allowed exactly when nothing is refused, within the server's limits."""
    review = {"request": {"uid": "u", "operation": "CREATE", "object": secret}}
    answer = review_secret(review, policy)
    json.dumps(answer)
    response: dict[str, Any] = answer["response"]
    if isinstance(secret, dict):
        assert response["allowed"] is not denied(check(secret, policy))
    assert response["allowed"] is ("status" not in response)
    warnings = [w.encode() for w in response.get("warnings", [])]
    assert all(len(w) <= LONGEST_WARNING for w in warnings)
    assert sum(map(len, warnings)) <= ALL_WARNINGS
    return response


def secret_of(kind: str, values: dict[str, bytes]) -> dict[str, Any]:
    """As the API server gives it."""
    return {"type": kind, "data": {key: base64.b64encode(value).decode() for key, value in values.items()}}


def keys_of(kind: str) -> tuple[str, ...]:
    return {AWS_TYPE: AWS_KEYS, GCP_TYPE: GCP_KEYS}[kind]
