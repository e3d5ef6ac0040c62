"""All rules in one table, for the documentation and for tests over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from kaas.credentials.secrets import account, aws, configuration, external, gcp, keys, values
from kaas.credentials.secrets.finding import Rule

Rules = tuple[Rule[Any], ...]

BOTH: Final[Rules] = (
    values.SHAPE_RULE,
    values.SIZE_RULE,
    keys.UNKNOWN_RULE,
    values.BASE64_RULE,
    *values.TEXT_RULES,
)
AWS: Final[Rules] = (*aws.RULES, *(rule for rules in aws.ENDPOINT_RULES.values() for rule in rules))
GCP_FILE: Final[Rules] = (*gcp.SECRET_RULES, *gcp.PROJECT_RULES, *configuration.FILE_RULES, *gcp.TYPE_RULES)
GCP_ACCOUNT: Final[Rules] = (*account.ACCOUNT_RULES, *account.KEY_RULES)
GCP_EXTERNAL: Final[Rules] = tuple(rule for rule in external.EXTERNAL_RULES if rule is not account.UNIVERSE_RULE)
ALL: Final[Rules] = (*BOTH, *AWS, *GCP_FILE, *GCP_ACCOUNT, *GCP_EXTERNAL)


def markdown(rules: Iterable[Rule[Any]]) -> str:
    """The rules as a table for people."""
    return "".join(f"{line}\n" for line in _lines(rules))


def _lines(rules: Iterable[Rule[Any]]) -> Iterator[str]:
    yield "| key | | what is wrong | way out |"
    yield "|---|---|---|---|"
    for rule in rules:
        place = f"`{rule.key}`" if rule.key and not rule.key.startswith("(") else rule.key or "any variable"
        yield f"| {place} | {rule.severity} | {rule.fault} | {_escaped(rule.way_out)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
