"""Rules of Secrets for Google Cloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kaas.credentials.secrets import account, external
from kaas.credentials.secrets.account import ACCOUNT_RULES, KEY_RULES, PROJECT
from kaas.credentials.secrets.configuration import FILE_RULES, Configuration, read
from kaas.credentials.secrets.external import EXTERNAL_RULES
from kaas.credentials.secrets.finding import DENY, Finding, Rule, broken, first_broken
from kaas.credentials.secrets.keys import GCP_KEYS, unknown_keys
from kaas.credentials.secrets.pem import key_fault
from kaas.credentials.secrets.policy import Policy
from kaas.credentials.secrets.values import text, text_faults
from kaas.credentials.terms import GCP_FILE, GCP_PROJECT

TYPE: Final = "service_account"

SECRET_RULES: Final[tuple[Rule[Mapping[str, bytes]], ...]] = (
    Rule(
        "gcp-file-missing",
        GCP_FILE,
        DENY,
        "is missing",
        "add the JSON key file, or make it with `kaas credentials create gcp`",
        lambda raw: GCP_FILE not in raw,
    ),
)
PROJECT_RULES: Final[tuple[Rule[str], ...]] = (
    Rule(
        "gcp-project-key-shape",
        GCP_PROJECT,
        DENY,
        "is no id of a project",
        "it has 6 to 30 lower-case letters, digits and hyphens, and is neither the project's name nor its number",
        lambda project: bool(project) and not PROJECT.fullmatch(project),
    ),
)
TYPE_RULES: Final[tuple[Rule[Configuration], ...]] = (
    Rule(
        "gcp-type-missing",
        account.key("type"),
        DENY,
        "is missing",
        "store the key file of a service account as Google made it; it has the field `type`",
        lambda c: not c["type"],
    ),
    Rule(
        "gcp-type-person",
        account.key("type"),
        DENY,
        "is for a person",
        "workloads need the key file of a service account; what `gcloud auth application-default login` made ends with "
        "its owner's session",
        lambda c: c["type"] in ("authorized_user", "external_account_authorized_user"),
    ),
    Rule(
        "gcp-type",
        account.key("type"),
        DENY,
        "is not service_account or external_account",
        "store the key file of a service account, or a configuration for workload identity federation",
        lambda c: c["type"] not in (TYPE, external.TYPE),
    ),
)


def check_gcp(raw: Mapping[str, bytes], policy: Policy) -> Iterator[Finding]:
    """Faults of the values of a Secret for Google Cloud."""
    yield from unknown_keys(raw, GCP_KEYS)
    yield from broken(SECRET_RULES, raw)
    project = text(raw.get(GCP_PROJECT, b""))
    if GCP_PROJECT in raw:
        yield from text_faults(GCP_PROJECT, project)
        yield from broken(PROJECT_RULES, project.clean)
    if GCP_FILE in raw:
        yield from _file(raw[GCP_FILE], policy, project.clean)


def _file(raw: bytes, policy: Policy, project: str) -> Iterator[Finding]:
    file = read(raw)
    if faults := first_broken(FILE_RULES, file):
        yield from faults
        return
    found = Configuration(file.document, policy, project)
    yield from first_broken(TYPE_RULES, found)
    if found["type"] == TYPE:
        yield from broken(ACCOUNT_RULES, found)
        if found["private_key"]:
            yield from first_broken(KEY_RULES, key_fault(found["private_key"]))
    elif found["type"] == external.TYPE:
        yield from broken(EXTERNAL_RULES, found)
