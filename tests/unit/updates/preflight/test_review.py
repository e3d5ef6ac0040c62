"""What a report makes of what is found: severities, overrides, and that nothing that blocks is ever left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.api.preflight import ALWAYS, Check
from kaas.updates.preflight.facts import Hook, PreflightFacts, Unknown
from kaas.updates.preflight.review import LONGEST, MORE, MOST, review
from kaas.updates.preflight.table import CHECKS
from kaas.updates.run import Finding, Severity
from tests.unit.updates.preflight.cases import BUDGET, CLOUD, FLAVORS, HOOK, case, cluster, facts, worker
from tests.unit.updates.subjects import NOW, Object, site

BLOCK, WARN = Severity.BLOCK, Severity.WARN
SICK = (worker("a", ready=False),)


def said(of_cluster: Object | None = None, of_site: list[Object] | None = None, **changed: Any) -> PreflightFacts:
    """A Cluster and a Site that say something of preflight."""
    where = site(flavors=FLAVORS, updates={"preflight": {"severities": of_site or []}})
    asking = cluster(updates={"preflight": of_cluster or {}})
    return facts(case=case(asking, where=where), **changed)


def severity(check: str, what: Severity) -> Object:
    return {"check": check, "severity": str(what)}


def only(found: PreflightFacts) -> Finding:
    (finding,) = review(found).findings
    return finding


def test_all_is_well() -> None:
    report = review(facts())
    assert report.findings == ()
    assert report.checked == NOW


def test_all_findings_at_once_and_what_blocks_first() -> None:
    wrong = facts(machines=SICK, image="gone", budgets=(BUDGET,), kubelets=Unknown("it hangs"))
    found = [(f.check, f.severity) for f in review(wrong).findings]
    assert found == [
        ("ImageActive", BLOCK),
        ("MachinesHealthy", BLOCK),
        ("DisruptionBudgets", BLOCK),
        ("VersionSkew", WARN),
    ]
    assert [f.check for f in review(wrong).blocking] == ["ImageActive", "MachinesHealthy", "DisruptionBudgets"]


def test_a_site_and_before_it_a_cluster_say_what_blocks() -> None:
    assert only(said(machines=SICK)).severity is BLOCK
    mild = [severity("MachinesHealthy", WARN)]
    assert only(said(of_site=mild, machines=SICK)).severity is WARN
    strict = {"severities": [severity("MachinesHealthy", BLOCK)]}
    assert only(said(strict, mild, machines=SICK)).severity is BLOCK
    assert only(said(strict, machines=(worker("a", ready=None),))).severity is BLOCK, "what is not known too"


def test_an_override_is_recorded_with_its_reason() -> None:
    override = {"check": "MachinesHealthy", "reason": "it is being replaced by hand"}
    found = only(said({"overrides": [override]}, machines=SICK))
    assert found.severity is BLOCK
    assert found.override == "it is being replaced by hand"
    assert not found.blocks
    assert review(said({"overrides": [override]}, image="gone", machines=SICK)).blocking[0].check == "ImageActive"


def test_an_override_ends() -> None:
    override = {"check": "MachinesHealthy", "reason": "later", "until": (NOW + timedelta(hours=1)).isoformat()}
    found = said({"overrides": [override]}, machines=SICK)
    assert not only(found).blocks
    ended = only(replace(found, now=NOW + timedelta(hours=1)))
    assert ended.blocks
    assert "the override for this ended 2027-01-04 13:00 UTC" in ended.message


def test_what_only_warns_needs_no_override() -> None:
    override = {"check": "MachinesHealthy", "reason": "r"}
    assert only(said({"overrides": [override]}, machines=(worker("a", ready=None),))).override == ""


def test_more_than_fit_are_counted() -> None:
    hooks = [Hook("c", f"h{n}", ("nodes",), "Service a/b", 0) for n in range(60)]
    report = review(facts(hooks=tuple(hooks)))
    assert len(report.findings) == MOST
    last = report.findings[-1]
    assert (last.check, last.severity) == (MORE, BLOCK)
    assert last.message.startswith("11 more findings, 11 of which block")
    warned = review(facts(hooks=tuple(replace(h, endpoints=1) for h in hooks)))
    assert warned.findings[-1].severity is WARN
    assert not warned.blocking


def test_the_same_is_told_once_and_long_messages_are_cut() -> None:
    assert len(review(facts(hooks=(HOOK_DOWN, HOOK_DOWN))).findings) == 1
    long = review(facts(cluster_away="x" * 5000)).findings[0].message
    assert len(long) == LONGEST
    assert long.endswith("…")


HOOK_DOWN = replace(HOOK, endpoints=0)
WRONG: dict[Check, dict[str, Any]] = {
    Check.UNREACHABLE_CLUSTER: {"cluster_away": "no route"},
    Check.UNREACHABLE_CLOUD: {"cloud_away": "refused"},
    Check.IMAGE_ACTIVE: {"image": "gone"},
    Check.MACHINES_HEALTHY: {"machines": SICK},
    Check.ETCD_HEALTH: {"etcd": (False, "NOSPACE")},
    Check.QUOTA_FOR_SURGE: {"cloud": replace(CLOUD, free={"instances": 0})},
    Check.WEBHOOKS: {"hooks": tuple(replace(HOOK_DOWN, name=f"h{n}") for n in range(70))},
    Check.DISRUPTION_BUDGETS: {"budgets": (replace(BUDGET, nodes=Unknown("many")),)},
}
"""Facts each of which blocks by itself, whatever the others are; a cloud that is away says nothing of its quota."""
SEVERITIES = st.dictionaries(st.sampled_from([c for c in Check if c not in ALWAYS]), st.sampled_from([BLOCK, WARN]))
REASONS = st.dictionaries(st.sampled_from([c for c in Check if c not in ALWAYS]), st.just("since I say so"))


@settings(max_examples=200)
@given(
    wrong=st.sets(st.sampled_from(sorted(WRONG))),
    severities=SEVERITIES,
    of_site=SEVERITIES,
    reasons=REASONS,
)
def test_a_report_never_forgets_what_blocks(
    wrong: set[Check], severities: dict[Check, Severity], of_site: dict[Check, Severity], reasons: dict[Check, str]
) -> None:
    policy = {
        "severities": [severity(c, s) for c, s in severities.items()],
        "overrides": [{"check": c, "reason": r} for c, r in reasons.items()],
    }
    changed = {key: value for check in wrong for key, value in WRONG[check].items()}
    found = said(policy, [severity(c, s) for c, s in of_site.items()], **changed)
    report = review(found)
    must_block = {
        row.name
        for row in CHECKS
        for each in row.check(found)
        if row.name not in reasons
        and severities.get(row.name, of_site.get(row.name, WARN if each.warns else row.severity)) is BLOCK
    }
    assert {f.check for f in report.blocking} - {MORE} <= {str(c) for c in must_block}
    assert bool(report.blocking) == bool(must_block)
    hidden = {str(c) for c in must_block} - {f.check for f in report.blocking}
    assert not hidden or MORE in {f.check for f in report.blocking}
    assert len(report.findings) <= MOST
    plain = {*ALWAYS, *(set(Check) - {*reasons, *severities, *of_site})}
    silent = {Check.QUOTA_FOR_SURGE} if Check.UNREACHABLE_CLOUD in wrong else set()
    assert (wrong - silent) & plain <= must_block


def test_every_check_is_documented() -> None:
    text = (Path(__file__).parents[4] / "docs" / "updates-preflight.md").read_text()
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert rows == [str(check) for check in Check]
