"""Keys that a Secret may have, and which one somebody meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from kaas.credentials import terms
from kaas.credentials.secrets.finding import DENY, Finding, Rule, shown

AWS_KEYS: Final = (
    terms.AWS_ACCESS_KEY_ID,
    terms.AWS_SECRET_ACCESS_KEY,
    terms.AWS_SESSION_TOKEN,
    terms.AWS_REGION,
    terms.AWS_ENDPOINT_URL,
    terms.AWS_ENDPOINT_URL_S3,
    terms.AWS_ROLE_ARN,
    terms.AWS_CA,
)
GCP_KEYS: Final = (terms.GCP_FILE, terms.GCP_PROJECT)

# What other tools call them, without case and separators.
ALIASES: Final = {
    "accesskey": terms.AWS_ACCESS_KEY_ID,
    "accesskeyid": terms.AWS_ACCESS_KEY_ID,
    "awsaccesskey": terms.AWS_ACCESS_KEY_ID,
    "keyid": terms.AWS_ACCESS_KEY_ID,
    "secretkey": terms.AWS_SECRET_ACCESS_KEY,
    "secretaccesskey": terms.AWS_SECRET_ACCESS_KEY,
    "awssecretkey": terms.AWS_SECRET_ACCESS_KEY,
    "sessiontoken": terms.AWS_SESSION_TOKEN,
    "awssecuritytoken": terms.AWS_SESSION_TOKEN,
    "region": terms.AWS_REGION,
    "awsdefaultregion": terms.AWS_REGION,
    "endpoint": terms.AWS_ENDPOINT_URL,
    "endpointurl": terms.AWS_ENDPOINT_URL,
    "s3endpointurl": terms.AWS_ENDPOINT_URL_S3,
    "rolearn": terms.AWS_ROLE_ARN,
    "cabundle": terms.AWS_CA,
    "awscabundle": terms.AWS_CA,
    "cacrt": terms.AWS_CA,
    "gcloudapplicationcredentials": terms.GCP_FILE,
    "googleapplicationcredentials": terms.GCP_FILE,
    "keyjson": terms.GCP_FILE,
    "serviceaccountjson": terms.GCP_FILE,
    "project": terms.GCP_PROJECT,
    "googlecloudproject": terms.GCP_PROJECT,
}
_SEPARATORS: Final = re.compile(r"[-_.]")
_LONGEST_COMPARED: Final = 64
_MOST_NAMED: Final = 10
_NEAR = 0.7  # ratio of difflib: one or two letters of a key

UNKNOWN_RULE: Final[Rule[bool]] = Rule(
    "key-unknown",
    "(any other key)",
    DENY,
    "is not a key of this type",
    "remove it, or write what the message suggests",
    lambda unknown: unknown,
)


def unknown_keys(keys: Iterable[str], known: tuple[str, ...]) -> list[Finding]:
    """A finding for each key that is not known, with the one that was meant, in the order of the alphabet.

    Of very many only the first are named: whoever may create a Secret chooses how many there are.
    """
    unknown = sorted(key for key in keys if key not in known)
    findings = [_unknown(key, known) for key in unknown[:_MOST_NAMED]]
    if (more := len(unknown) - _MOST_NAMED) > 0:
        findings.append(Finding(DENY, f"({more} more keys)", "are not keys of this type: remove them", UNKNOWN_RULE.id))
    return findings


def _unknown(key: str, known: tuple[str, ...]) -> Finding:
    meant = _meant(key, known)
    way_out = f"did you mean {meant}?" if meant else f"remove it; known keys are {', '.join(known)}"
    return Finding(DENY, shown(key), f"{UNKNOWN_RULE.fault}: {way_out}", UNKNOWN_RULE.id)


def _meant(key: str, known: tuple[str, ...]) -> str | None:
    if len(key) > _LONGEST_COMPARED:
        return None
    folded = {_folded(k): k for k in known}
    alias = ALIASES.get(_folded(key))
    if alias in known:
        return alias
    near = get_close_matches(_folded(key), folded, n=1, cutoff=_NEAR)
    return folded[near[0]] if near else None


def _folded(key: str) -> str:
    return _SEPARATORS.sub("", key).lower()
