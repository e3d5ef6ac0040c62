"""What Clusters and Sites say of the checks before an update: read, and refused where it would be unsafe."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.load import ManifestError, parse
from kaas.api.preflight import ALWAYS, Check
from kaas.api.site import Site


def cluster(**preflight: Any) -> dict[str, Any]:
    spec = {"version": "1.36", "site": "lab", "controlPlane": {"flavor": "f"}, "updates": {"preflight": preflight}}
    return {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": {"name": "team"}, "spec": spec}


def site(**preflight: Any) -> dict[str, Any]:
    spec = {"provider": "dev", "flavors": [{"name": "f"}], "updates": {"preflight": preflight}}
    return {"apiVersion": API_VERSION, "kind": "Site", "metadata": {"name": "lab"}, "spec": spec}


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(ManifestError) as refused:
        parse(document)
    return "\n".join(refused.value.faults)


def override(check: str, **more: str) -> dict[str, str]:
    return {"check": check, "reason": "we know", **more}


def test_overrides_and_severities_are_read() -> None:
    found = parse(
        cluster(
            overrides=[override("Webhooks"), override("RemovedApis", until="2027-02-01T00:00:00Z")],
            severities=[{"check": "CapacityForSurge", "severity": "Block"}],
        )
    )
    assert isinstance(found, Cluster)
    policy = found.spec.updates.preflight
    assert [o.check for o in policy.overrides] == [Check.WEBHOOKS, Check.REMOVED_APIS]
    assert policy.severities[0].severity == "Block"
    of_site = parse(site(severities=[{"check": "EtcdHealth", "severity": "Warn"}]))
    assert isinstance(of_site, Site)
    assert of_site.spec.updates.preflight.severities[0].check is Check.ETCD_HEALTH


@pytest.mark.parametrize("check", ALWAYS)
def test_some_checks_nobody_does_without(check: Check) -> None:
    assert "cannot be overridden" in refusal(cluster(overrides=[override(check)]))
    for document in (cluster, site):
        assert "always block" in refusal(document(severities=[{"check": check, "severity": "Warn"}]))
        parse(document(severities=[{"check": check, "severity": "Block"}]))


def test_all_others_may_be_overridden() -> None:
    parse(cluster(overrides=[override(check) for check in Check if check not in ALWAYS]))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"check": "Webhook", "reason": "typo"}, "'Webhooks'"),
        ({"check": "Webhooks"}, "reason"),
        ({"check": "Webhooks", "reason": ""}, "reason"),
        (override("Webhooks", until="2027-02-01"), "until"),
    ],
)
def test_what_is_wrong_with_an_override(wrong: dict[str, str], words: str) -> None:
    assert words in refusal(cluster(overrides=[wrong]))


def test_a_check_is_named_once() -> None:
    assert "Webhooks is there twice" in refusal(cluster(overrides=[override("Webhooks"), override("Webhooks")]))
    assert "overrides" in refusal(site(overrides=[override("Webhooks")])), "a Site has no overrides"
