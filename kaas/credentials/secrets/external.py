"""Rules of Google configurations without a key: the Pod's own token is exchanged, and sent nowhere else.

A client library does what such a file says: it reads the file that is named, asks the URL, runs the program, and sends
what comes out to `token_url`. So everything that is not needed for our token is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from kaas.credentials.secrets.account import EMAIL, PROJECT, UNIVERSE_RULE, key
from kaas.credentials.secrets.configuration import Configuration
from kaas.credentials.secrets.finding import DENY, WARN, Rule
from kaas.credentials.terms import AWS_TOKEN_FILE, TOKEN_MOUNT

TYPE: Final = "external_account"
TOKEN_FILE: Final = f"{TOKEN_MOUNT}/gcp"
TOKEN_URL: Final = "https://sts.googleapis.com/v1/token"  # noqa: S105 - an address
TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:jwt"  # noqa: S105 - RFC 8693
_INTROSPECTION: Final = "https://sts.googleapis.com/v1/introspect"
_TOKEN_TYPES: Final = (TOKEN_TYPE, "urn:ietf:params:oauth:token-type:id_token")
_IMPERSONATION: Final = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
_ACTION: Final = ":generateAccessToken"
_FIELDS: Final = (
    "type",
    "audience",
    "subject_token_type",
    "token_url",
    "token_info_url",
    "credential_source",
    "service_account_impersonation",
    "service_account_impersonation_url",
    "universe_domain",
    "quota_project_id",
)
# IAM documentation, workload identity pools: ids have 4 to 32 characters.
PROVIDER: Final = re.compile(
    r"projects/\d{1,20}/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}", re.ASCII
)
_AUDIENCE_HOST: Final = "//iam.googleapis.com/"
_URL: Final = re.compile(re.escape(_IMPERSONATION) + EMAIL + re.escape(_ACTION), re.ASCII)
# As the volume has it: no part leads out of it or is the kubelet's own (`..data`).
_PART: Final = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}"
_FILE: Final = re.compile(rf"{re.escape(TOKEN_MOUNT)}/(?!{AWS_TOKEN_FILE}(?:/|\Z)){_PART}(?:/{_PART}){{0,3}}", re.ASCII)
_SHORTEST_LIFE, _LONGEST_LIFE = 600, 43200  # seconds; AIP-4117, token_lifetime_seconds


def _source(c: Configuration) -> Mapping[str, Any]:
    found = c.fields.get("credential_source")
    return found if isinstance(found, Mapping) else {}


def _has_other_format(c: Configuration) -> bool:
    return "format" in _source(c) and _source(c)["format"] not in ({}, {"type": "text"})


def _has_other_life(c: Configuration) -> bool:
    if "service_account_impersonation" not in c.fields:
        return False
    found = c.fields["service_account_impersonation"]
    if not isinstance(found, Mapping) or set(found) - {"token_lifetime_seconds"}:
        return True
    life = found.get("token_lifetime_seconds", _SHORTEST_LIFE)
    return type(life) is not int or not _SHORTEST_LIFE <= life <= _LONGEST_LIFE


def _is_elsewhere(c: Configuration) -> bool:
    file = _source(c).get("file")
    return not isinstance(file, str) or not _FILE.fullmatch(file)


EXTERNAL_RULES: Final[tuple[Rule[Configuration], ...]] = (
    Rule(
        "gcp-external-policy",
        key("type"),
        DENY,
        "is external_account, which is not allowed here",
        "use the key file of a service account, or ask an administrator to allow configurations without a key",
        lambda c: not c.policy.allow_external_account,
    ),
    Rule(
        "gcp-external-fields",
        key(),
        DENY,
        "has a field that such a configuration does not need",
        "make it anew with `kaas credentials create gcp --workload-identity-provider …`",
        lambda c: not set(c.fields) <= {*_FIELDS},
    ),
    Rule(
        "gcp-external-audience",
        key("audience"),
        DENY,
        "is no provider of a workload identity pool",
        "write //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER",
        lambda c: not is_audience(c["audience"]),
    ),
    Rule(
        "gcp-external-token-type",
        key("subject_token_type"),
        DENY,
        "is not what the token of a Pod is",
        f"write {TOKEN_TYPE}",
        lambda c: c["subject_token_type"] not in _TOKEN_TYPES,
    ),
    Rule(
        "gcp-external-token-url",
        key("token_url"),
        DENY,
        "is not Google's",
        f"the Pod's token would go to somebody else; write {TOKEN_URL}",
        lambda c: c["token_url"] != TOKEN_URL,
    ),
    Rule(
        "gcp-external-token-info-url",
        key("token_info_url"),
        DENY,
        "is not Google's",
        f"remove it, or write {_INTROSPECTION}",
        lambda c: "token_info_url" in c.fields and c["token_info_url"] != _INTROSPECTION,
    ),
    Rule(
        "gcp-external-impersonation",
        key("service_account_impersonation_url"),
        DENY,
        "is not Google's",
        f"remove it, or write {_IMPERSONATION}EMAIL{_ACTION}",
        lambda c: (
            "service_account_impersonation_url" in c.fields
            and not _URL.fullmatch(c["service_account_impersonation_url"])
        ),
    ),
    Rule(
        "gcp-external-lifetime",
        key("service_account_impersonation"),
        DENY,
        "has more than a lifetime that Google accepts",
        f"remove it, or set only token_lifetime_seconds, {_SHORTEST_LIFE} to {_LONGEST_LIFE}",
        _has_other_life,
    ),
    Rule(
        "gcp-external-executable",
        key("credential_source.executable"),
        DENY,
        "names a program to run",
        f"remove it, and set credential_source.file to {TOKEN_FILE}",
        lambda c: "executable" in _source(c),
    ),
    Rule(
        "gcp-external-source-url",
        key("credential_source.url"),
        DENY,
        "names an address to ask",
        f"remove it, and set credential_source.file to {TOKEN_FILE}",
        lambda c: "url" in _source(c),
    ),
    Rule(
        "gcp-external-file",
        key("credential_source.file"),
        DENY,
        "is not where Pods are given their token",
        f"write {TOKEN_FILE}",
        _is_elsewhere,
    ),
    Rule(
        "gcp-external-source",
        key("credential_source"),
        DENY,
        "has something besides a file",
        f"leave only file, as {TOKEN_FILE}",
        lambda c: not set(_source(c)) <= {"file", "format", "url", "executable"},
    ),
    Rule(
        "gcp-external-format",
        key("credential_source.format"),
        DENY,
        "is not plain text",
        "remove it: the token is the whole file",
        _has_other_format,
    ),
    UNIVERSE_RULE,
    Rule(
        "gcp-external-project",
        "project_id",
        WARN,
        "is missing",
        "the file of a keyless Secret names no project; add this key for programs that need one",
        lambda c: not PROJECT.fullmatch(c.project),
    ),
)


def is_audience(audience: str) -> bool:
    """Whether a text names a provider as Google's token service wants it."""
    return audience.startswith(_AUDIENCE_HOST) and bool(PROVIDER.fullmatch(audience.removeprefix(_AUDIENCE_HOST)))


def configuration(provider: str, service_account: str = "") -> dict[str, Any]:
    """A configuration for Pods.

    provider: `projects/…/providers/…`, with or without host. service_account: to act as; empty to be the principal of
    the pool itself. What is wrong in them is what the rules find.
    """
    path = provider.removeprefix("https:").removeprefix(_AUDIENCE_HOST)
    made: dict[str, Any] = {
        "type": TYPE,
        "audience": f"{_AUDIENCE_HOST}{path}",
        "subject_token_type": TOKEN_TYPE,
        "token_url": TOKEN_URL,
        "credential_source": {"file": TOKEN_FILE},
    }
    if service_account:
        made["service_account_impersonation_url"] = f"{_IMPERSONATION}{service_account}{_ACTION}"
    return made
