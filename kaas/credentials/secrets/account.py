"""Rules of key files of Google service accounts."""

from __future__ import annotations

import re
from typing import Final

from kaas.credentials.secrets.configuration import Configuration, differs_by_case
from kaas.credentials.secrets.finding import DENY, WARN, Rule
from kaas.credentials.secrets.pem import SMALLEST, KeyFault
from kaas.credentials.terms import GCP_FILE

EMAIL: Final = r"[a-z0-9-]{1,63}@[a-z0-9.-]{1,200}\.gserviceaccount\.com"
PROJECT: Final = re.compile(r"(?:[a-z0-9.-]{1,253}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", re.ASCII)
# What google-auth requires of a key file, and what Google writes into one.
NEEDED: Final = ("client_email", "private_key", "token_uri")
_KNOWN: Final = (
    *NEEDED,
    "type",
    "project_id",
    "private_key_id",
    "client_id",
    "auth_uri",
    "auth_provider_x509_cert_url",
    "client_x509_cert_url",
    "universe_domain",
    "quota_project_id",
)
# The present one, and those in key files from before 2018.
_TOKEN_URIS: Final = (
    "https://oauth2.googleapis.com/token",
    "https://accounts.google.com/o/oauth2/token",
    "https://www.googleapis.com/oauth2/v4/token",
)
_EMAIL: Final = re.compile(EMAIL, re.ASCII)
_KEY_ID: Final = re.compile(r"[0-9a-f]{40}", re.ASCII)
_DIGITS: Final = re.compile(r"\d+", re.ASCII)
_ANEW: Final = "take the file anew as `gcloud iam service-accounts keys create` made it"


def key(field: str = "") -> str:
    """The place of a field for a person."""
    return f"{GCP_FILE} {field}".rstrip()


def _is_foreign(c: Configuration) -> bool:
    universes = (f"https://oauth2.{u}/token" for u in c.policy.universe_domains)
    return bool(c["token_uri"]) and c["token_uri"] not in (*_TOKEN_URIS, *universes)


def _lacks(field: str) -> Rule[Configuration]:
    name = field.replace("_", "-")
    return Rule(f"gcp-{name}-missing", key(field), DENY, "is missing, or no text", _ANEW, lambda c: not c[field])


UNIVERSE_RULE: Final[Rule[Configuration]] = Rule(
    "gcp-universe",
    key("universe_domain"),
    DENY,
    "is none of the clouds that are allowed here",
    "leave it out for googleapis.com, or ask an administrator to allow it",
    lambda c: "universe_domain" in c.fields and c["universe_domain"] not in c.policy.universe_domains,
)
ACCOUNT_RULES: Final[tuple[Rule[Configuration], ...]] = (
    *map(_lacks, NEEDED),
    Rule(
        "gcp-field-case",
        key(),
        DENY,
        "has a field whose name differs from a known one by case only",
        "write it in lower case, or remove it: programs do not agree on whether it counts",
        lambda c: differs_by_case(c.fields, _KNOWN),
    ),
    Rule(
        "gcp-email-shape",
        key("client_email"),
        DENY,
        "is no address of a service account",
        "it is like name@project.iam.gserviceaccount.com",
        lambda c: bool(c["client_email"]) and not _EMAIL.fullmatch(c["client_email"]),
    ),
    Rule(
        "gcp-token-uri",
        key("token_uri"),
        DENY,
        "is not Google's",
        f"signed requests for tokens would go to somebody else; write {_TOKEN_URIS[0]}",
        _is_foreign,
    ),
    UNIVERSE_RULE,
    Rule(
        "gcp-private-key-id",
        key("private_key_id"),
        WARN,
        "is not 40 hexadecimal digits",
        f"it is sent along with each request for a token; {_ANEW}",
        lambda c: not _KEY_ID.fullmatch(c["private_key_id"]),
    ),
    Rule(
        "gcp-client-id",
        key("client_id"),
        WARN,
        "is no number",
        _ANEW,
        lambda c: "client_id" in c.fields and not _DIGITS.fullmatch(c["client_id"]),
    ),
    Rule(
        "gcp-project-missing",
        key("project_id"),
        WARN,
        "is missing",
        "programs that need a project will not find one; add the key `project_id` to the Secret",
        lambda c: not c["project_id"] and not c.project,
    ),
    Rule(
        "gcp-project-shape",
        key("project_id"),
        WARN,
        "does not look like the id of a project",
        "it has 6 to 30 lower-case letters, digits and hyphens, and is neither the project's name nor its number",
        lambda c: bool(c["project_id"]) and not PROJECT.fullmatch(c["project_id"]),
    ),
)


def _key_rule(name: str, fault: str, way_out: str, kind: KeyFault) -> Rule[KeyFault | None]:
    return Rule(f"gcp-key-{name}", key("private_key"), DENY, fault, way_out, lambda found: found is kind)


KEY_RULES: Final[tuple[Rule[KeyFault | None], ...]] = (
    _key_rule(
        "escaped",
        "has the two characters \\n in place of line breaks",
        "it was escaped twice; store the file as it is, with `--from-file` and not through a shell variable",
        KeyFault.ESCAPED,
    ),
    _key_rule("encrypted", "needs a passphrase", "no library would ask for it; " + _ANEW, KeyFault.ENCRYPTED),
    _key_rule(
        "form",
        "is not in PKCS#8",
        "it begins with -----BEGIN PRIVATE KEY-----; `openssl pkcs8 -topk8 -nocrypt` converts it",
        KeyFault.OTHER_FORM,
    ),
    _key_rule("none", "is no private key in PEM", _ANEW, KeyFault.NO_KEY),
    _key_rule("unreadable", "cannot be read", f"part of it is lost or changed; {_ANEW}", KeyFault.UNREADABLE),
    _key_rule("kind", "is no RSA key", f"Google signs with RSA; {_ANEW}", KeyFault.NOT_RSA),
    _key_rule("short", f"has fewer than {SMALLEST:,} bits", "create a new key", KeyFault.SHORT),
    _key_rule("damaged", "is damaged", f"its parts do not belong together; {_ANEW}", KeyFault.DAMAGED),
)
