"""The documentation has every rule, in its own words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kaas.credentials import terms
from kaas.credentials.secrets import table
from kaas.credentials.secrets.keys import AWS_KEYS, GCP_KEYS

DOCUMENTATION = (Path(__file__).parents[3] / "docs" / "credentials.md").read_text()


@pytest.mark.parametrize(
    "rules", [table.BOTH, table.AWS, table.GCP_FILE, table.GCP_ACCOUNT, table.GCP_EXTERNAL], ids=lambda r: r[0].id
)
def test_each_table_of_rules_is_in_the_documentation(rules: table.Rules) -> None:
    assert table.markdown(rules) in DOCUMENTATION


def test_types_and_keys_are_in_the_documentation() -> None:
    (types,) = re.findall(r"\| type \| keys \|\n\|---\|---\|\n((?:\|.*\n)+)", DOCUMENTATION)
    for name in (*terms.TYPES, *AWS_KEYS, *GCP_KEYS):
        assert f"`{name}`" in types


def test_every_rule_is_in_one_table() -> None:
    tables = (table.BOTH, table.AWS, table.GCP_FILE, table.GCP_ACCOUNT, table.GCP_EXTERNAL)
    assert [rule.id for rules in tables for rule in rules] == [rule.id for rule in table.ALL]
