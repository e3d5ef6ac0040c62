"""From facts to a report: all findings at once, as Cluster and Site want them to count. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.preflight import ALWAYS, Check, PreflightOverride
from kaas.api.site import Site
from kaas.updates.preflight.facts import Found, PreflightFacts
from kaas.updates.preflight.table import CHECKS, Row
from kaas.updates.run import Finding, Report, Severity

MOST: Final = 50
"""Findings in a report, as `status.update.preflight` takes."""
LONGEST: Final = 1024
MORE: Final = "MoreFindings"
"""Name of the finding that says how many more there are."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What Cluster and Site say of the checks. severities: by check, where it is not as in the table."""

    severities: dict[Check, Severity]
    overrides: dict[Check, PreflightOverride]

    @classmethod
    def of(cls, cluster: Cluster, site: Site) -> Rules:
        """What the Cluster says goes before what its Site says."""
        own = cluster.spec.updates.preflight
        said = [*site.spec.updates.preflight.severities, *own.severities]
        return cls({s.check: Severity(s.severity) for s in said}, {o.check: o for o in own.overrides})


def review(facts: PreflightFacts) -> Report:
    """All that the checks find, what blocks first."""
    rules = Rules.of(facts.case.cluster, facts.case.site)
    rows = (row for row in CHECKS if facts.case.aims.replaces or not row.machines)
    found = {f for row in rows for f in _findings(row, row.check(facts), rules, facts.now)}
    order = {str(row.name): index for index, row in enumerate(CHECKS)}
    in_order = sorted(found, key=lambda f: (not f.blocks, f.severity is Severity.WARN, order[f.check], f.message))
    return Report(facts.now, _at_most(in_order, MOST))


def _findings(row: Row, found: Iterable[Found], rules: Rules, now: datetime) -> Iterator[Finding]:
    for each in found:
        severity = _severity(row, each, rules)
        override, ended = _override(row.name, rules, now)
        words = each.message + (ended if severity is Severity.BLOCK else "")
        yield Finding(str(row.name), severity, _short(words), override if severity is Severity.BLOCK else "")


def _severity(row: Row, found: Found, rules: Rules) -> Severity:
    usual = Severity.WARN if found.warns else row.severity
    said = rules.severities.get(row.name, usual)
    return max(said, usual, key=_strictness) if row.name in ALWAYS else said


def _strictness(severity: Severity) -> bool:
    return severity is Severity.BLOCK


def _override(check: Check, rules: Rules, now: datetime) -> tuple[str, str]:
    """Why its findings are put up with; or what is said of an override that counts no longer."""
    said = None if check in ALWAYS else rules.overrides.get(check)
    if said is None:
        return "", ""
    if said.until is not None and said.until <= now:
        return "", f" (the override for this ended {said.until:%Y-%m-%d %H:%M} UTC)"
    return said.reason, ""


def _at_most(findings: Sequence[Finding], most: int) -> tuple[Finding, ...]:
    """Those that fit; when there are more, the last says how many, and blocks if one of them does."""
    if len(findings) <= most:
        return tuple(findings)
    shown, rest = findings[: most - 1], findings[most - 1 :]
    blocking = sum(f.blocks for f in rest)
    severity = Severity.BLOCK if blocking else Severity.WARN
    words = f"{len(rest)} more findings, {blocking} of which block: they are shown when those above are gone"
    return (*shown, Finding(MORE, severity, words))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
