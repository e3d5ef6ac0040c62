"""Rules of Secrets for AWS, and for all that speaks S3."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kaas.credentials import terms
from kaas.credentials.secrets import pem
from kaas.credentials.secrets.endpoint import Endpoint, endpoint_rules
from kaas.credentials.secrets.finding import DENY, WARN, Finding, Rule, broken
from kaas.credentials.secrets.keys import AWS_KEYS, unknown_keys
from kaas.credentials.secrets.policy import Policy
from kaas.credentials.secrets.values import text, text_faults

ID, KEY, TOKEN = terms.AWS_ACCESS_KEY_ID, terms.AWS_SECRET_ACCESS_KEY, terms.AWS_SESSION_TOKEN
ENDPOINTS: Final = (terms.AWS_ENDPOINT_URL, terms.AWS_ENDPOINT_URL_S3)

# IAM user guide, "IAM identifiers": prefixes of unique ids that are no access keys.
_ENTITY: Final = re.compile(r"(?:AROA|AIDA|AGPA|ANPA|ANVA|AIPA|ASCA|APKA)[A-Z0-9]{12,}", re.ASCII)
_SHAPE: Final = re.compile(r"\w{16,128}", re.ASCII)  # IAM and STS API reference, AccessKeyId
_USUAL: Final = re.compile(r"(?:AKIA|ASIA)[A-Z0-9]{16}", re.ASCII)
_TWICE: Final = re.compile(r"(?:QUtJQ|QVNJQ)[A-Za-z0-9+/]{20,}={0,2}", re.ASCII)  # AKIA and ASIA in base64
_HMAC: Final = re.compile(r"GOOG[A-Z0-9]{20}(?:[A-Z0-9]{37})?", re.ASCII)  # Cloud Storage, HMAC keys: 24 or 61
_SECRET: Final = re.compile(r"[A-Za-z0-9/+=]{40}", re.ASCII)
_REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d", re.ASCII)
# IAM API reference, ARN of a role: twelve digits of an account, path and name.
_ROLE: Final = re.compile(r"arn:aws(?:-[a-z]+)*:iam::\d{12}:role/(?:[!-.0-~]+/)*[\w+=,.@-]{1,64}", re.ASCII)
_LONGEST_ARN = 2048  # STS API reference, AssumeRoleWithWebIdentity


@dataclass(frozen=True, slots=True, repr=False)
class AwsSecret:
    """Values by key, without what surrounds them by mistake. raw: as they are stored."""

    values: Mapping[str, str]
    raw: Mapping[str, bytes]
    policy: Policy

    def __getitem__(self, key: str) -> str:
        return self.values.get(key, "")

    @property
    def own_service(self) -> bool:
        """Whether it is for another service than AWS's own, which has keys and regions of its own forms."""
        return any(key in self.raw for key in ENDPOINTS)

    @property
    def keyless(self) -> bool:
        """Whether a token is exchanged in place of keys."""
        return terms.AWS_ROLE_ARN in self.raw


def _lacks(key: str) -> Rule[AwsSecret]:
    name = "id" if key == ID else "secret"
    way_out = f"add it, or {terms.AWS_ROLE_ARN} for a role without keys"
    return Rule(f"aws-{name}-missing", key, DENY, "is missing", way_out, lambda s: not s.keyless and key not in s.raw)


def _beside_role(key: str) -> Rule[AwsSecret]:
    name = {ID: "id", KEY: "secret", TOKEN: "token"}[key]
    way_out = f"remove it, or remove {terms.AWS_ROLE_ARN}: SDKs take keys first and never use the role"
    return Rule(
        f"aws-{name}-beside-role", key, DENY, "stands beside a role", way_out, lambda s: s.keyless and key in s.raw
    )


def _is_unusual(secret: AwsSecret) -> bool:
    found = secret[ID]
    return bool(_SHAPE.fullmatch(found)) and not any(p.fullmatch(found) for p in (_USUAL, _ENTITY, _TWICE, _HMAC))


RULES: Final[tuple[Rule[AwsSecret], ...]] = (
    _lacks(ID),
    _lacks(KEY),
    Rule(
        "aws-id-entity",
        ID,
        DENY,
        "is the id of a user, role, group or policy",
        "use an access key id, which begins with AKIA or ASIA (`aws iam create-access-key`)",
        lambda s: bool(_ENTITY.fullmatch(s[ID])),
    ),
    Rule(
        "aws-id-twice",
        ID,
        DENY,
        "is encoded in base64 twice",
        "encode it once under `data`, or not at all under `stringData`",
        lambda s: bool(_TWICE.fullmatch(s[ID])),
    ),
    Rule(
        "aws-id-shape",
        ID,
        DENY,
        "is no access key id",
        "it has 16 to 128 letters, digits and underscores; for another service than AWS add its AWS_ENDPOINT_URL_S3",
        lambda s: bool(s[ID]) and not s.own_service and not _SHAPE.fullmatch(s[ID]),
    ),
    Rule(
        "aws-id-unusual",
        ID,
        WARN,
        "does not look like a key of AWS",
        "those are AKIA or ASIA and 16 letters and digits; for another service add its AWS_ENDPOINT_URL_S3",
        lambda s: not s.own_service and _is_unusual(s),
    ),
    Rule(
        "aws-id-hmac",
        ID,
        WARN,
        "is an HMAC key of Google Cloud Storage",
        "add AWS_ENDPOINT_URL_S3 with https://storage.googleapis.com",
        lambda s: not s.own_service and bool(_HMAC.fullmatch(s[ID])),
    ),
    Rule(
        "aws-secret-is-id",
        KEY,
        DENY,
        "is an access key id",
        f"the two are swapped, or the id was copied twice: the id belongs under {ID}",
        lambda s: bool(_USUAL.fullmatch(s[KEY])),
    ),
    Rule(
        "aws-secret-length",
        KEY,
        WARN,
        "does not look like a secret key of AWS",
        "those have 40 characters out of A-Z a-z 0-9 / + =; copy it anew, or add AWS_ENDPOINT_URL_S3",
        lambda s: bool(s[KEY]) and not s.own_service and not _SECRET.fullmatch(s[KEY]) and not _USUAL.fullmatch(s[KEY]),
    ),
    Rule(
        "aws-token-missing",
        TOKEN,
        DENY,
        "is missing for a key id that begins with ASIA",
        "such keys are temporary: add the session token that came with them, or use a key that begins with AKIA",
        lambda s: s[ID].startswith("ASIA") and TOKEN not in s.raw and not s.own_service,
    ),
    Rule(
        "aws-token-extra",
        TOKEN,
        WARN,
        "stands beside a key that has none",
        "AWS refuses such a pair; remove the token, or use the key id that begins with ASIA",
        lambda s: bool(s[TOKEN]) and s[ID].startswith("AKIA") and not s.own_service,
    ),
    Rule(
        "aws-region-shape",
        terms.AWS_REGION,
        WARN,
        "does not look like a region",
        "write one like eu-central-1, not a zone or a city",
        lambda s: bool(s[terms.AWS_REGION]) and not s.own_service and not _REGION.fullmatch(s[terms.AWS_REGION]),
    ),
    Rule(
        "aws-role-shape",
        terms.AWS_ROLE_ARN,
        DENY,
        "is no ARN of a role",
        "write it like arn:aws:iam::111122223333:role/name",
        lambda s: bool(s[terms.AWS_ROLE_ARN]) and not _is_role(s[terms.AWS_ROLE_ARN]),
    ),
    _beside_role(ID),
    _beside_role(KEY),
    _beside_role(TOKEN),
    Rule(
        "aws-ca-key",
        terms.AWS_CA,
        DENY,
        "holds a private key",
        "store certificates only, and replace that key: it was on its way to every container",
        lambda s: pem.holds_private_key(s.raw.get(terms.AWS_CA, b"")),
    ),
    Rule(
        "aws-ca-pem",
        terms.AWS_CA,
        DENY,
        "holds no certificates in PEM",
        "store the CA as text that begins with -----BEGIN CERTIFICATE-----",
        lambda s: terms.AWS_CA in s.raw and not pem.are_certificates(s.raw[terms.AWS_CA]),
    ),
)
ENDPOINT_RULES: Final = {key: endpoint_rules(key) for key in ENDPOINTS}


def check_aws(raw: Mapping[str, bytes], policy: Policy) -> Iterator[Finding]:
    """Faults of the values of a Secret for AWS."""
    yield from unknown_keys(raw, AWS_KEYS)
    texts = {key: text(raw[key]) for key in AWS_KEYS if key in raw and key != terms.AWS_CA}
    for key, value in texts.items():
        yield from text_faults(key, value)
    cleaned = {key: value.clean for key, value in texts.items()}
    yield from broken(RULES, AwsSecret(cleaned, raw, policy))
    for key in ENDPOINTS:
        if key in cleaned:
            yield from broken(ENDPOINT_RULES[key], Endpoint(cleaned[key], policy))


def _is_role(arn: str) -> bool:
    return len(arn) <= _LONGEST_ARN and bool(_ROLE.fullmatch(arn))
