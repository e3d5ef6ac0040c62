"""The check of a whole Secret, when it is made and when it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kaas.credentials.secrets.aws import check_aws
from kaas.credentials.secrets.finding import DENY, Finding
from kaas.credentials.secrets.gcp import check_gcp
from kaas.credentials.secrets.policy import DEFAULT, Policy
from kaas.credentials.secrets.values import SIZE_RULE, decoded, has_too_many_keys
from kaas.credentials.terms import AWS_TYPE, GCP_TYPE

_CHECKS: Final[Mapping[str, Callable[[Mapping[str, bytes], Policy], Iterator[Finding]]]] = {
    AWS_TYPE: check_aws,
    GCP_TYPE: check_gcp,
}


def is_ours(secret: Mapping[str, Any]) -> bool:
    """Whether a Secret is of a type that is checked."""
    kind = secret.get("type")
    return isinstance(kind, str) and kind in _CHECKS


def check(secret: Mapping[str, Any], policy: Policy = DEFAULT) -> list[Finding]:
    """What is wrong with a Secret as the API has it, `data` in base64 and `stringData` over it. Never raises.

    Nothing is wrong with Secrets of other types. Nothing of a value is in a finding. What is refused comes first.
    """
    if not is_ours(secret):
        return []
    if has_too_many_keys(secret):
        return [SIZE_RULE.finding()]
    raw, findings = decoded(secret)
    if sum(map(len, raw.values())) > policy.max_bytes:
        return [SIZE_RULE.finding()]
    # A key that could not be read is there all the same, so nobody is told that it is missing.
    unread = {f.key for f in findings}
    found = (f for f in _CHECKS[secret["type"]](raw, policy) if f.key.partition(" ")[0] not in unread)
    return sorted(dict.fromkeys([*findings, *found]), key=lambda f: f.severity != DENY)


def check_update(old: Mapping[str, Any], new: Mapping[str, Any], policy: Policy = DEFAULT) -> list[Finding]:
    """What is wrong with a change.

    A change that leaves the values alone is never refused: labels and finalizers of a Secret from before the check
    must go on changing, or it could not even be deleted.
    """
    return [] if _values(old) == _values(new) else check(new, policy)


def _values(secret: Mapping[str, Any]) -> tuple[Any, ...]:
    return secret.get("type"), secret.get("data") or {}, secret.get("stringData") or {}
