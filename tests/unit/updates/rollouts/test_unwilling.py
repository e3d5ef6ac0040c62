"""Clusters whose owners take no version by itself, in a Rollout or not: the reason is theirs, and no turn's."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.rollout import Rollout
from kaas.api.site import Site
from kaas.cli.explain_view import Asked, explained
from kaas.updates.explain.facts import State
from kaas.updates.rollouts.turns import ruling_of
from tests.unit.updates.subjects import NOW, raw_cluster, release, site

WISHES = {
    "Pinned": ("v1.36.1", {}),
    "ChannelNone": ("1.36", {"channel": "None"}),
    "KubernetesNone": ("1.36", {"kubernetes": "None"}),
}
RUNS, NEXT, MINOR = release("v1.36.1"), release("v1.36.3"), release("v1.37.0")
SPECS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "brings a patch": {"version": "v1.36.3"},
    "brings a minor": {"version": "v1.37.0"},
    "brings what runs": {"version": "v1.36.1"},
    "brings what is older": {"version": "v1.35.9"},
    "has no Release": {"version": "v1.36.9"},
    "has no version yet": {"channel": "Stable"},
}


def rollout(spec: dict[str, Any], status: dict[str, Any] | None) -> Rollout:
    stages = [{"name": "all", "selector": {}}]
    meta = {"name": "fleet", "creationTimestamp": "2027-01-02T00:00:00Z"}
    found = {"apiVersion": API_VERSION, "kind": "Rollout", "metadata": meta, "spec": {"stages": stages, **spec}}
    return Rollout.model_validate(found | ({"status": status} if status else {}))


def asked(reason: str, spec: dict[str, Any] | None, *, looked_at: bool, known: bool) -> Asked:
    version, updates = WISHES[reason]
    raw = raw_cluster(version, updates=updates, status={"update": {"reason": reason, "message": "as its owner wants"}})
    said = {"state": "Running", "version": (spec or {}).get("version"), "message": "it goes on"} if looked_at else None
    rollouts = [rollout(spec, said)] if spec else []
    where: Site = site()
    return Asked(Cluster.model_validate(raw), where, None, [*([RUNS] if known else []), NEXT, MINOR], rollouts)


@pytest.mark.parametrize("reason", WISHES)
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
@pytest.mark.parametrize("looked_at", [True, False], ids=["looked at", "new"])
@pytest.mark.parametrize("known", [True, False], ids=["", "what runs has no Release"])
def test_the_reason_is_what_the_owner_wants(
    reason: str, spec: dict[str, Any] | None, *, looked_at: bool, known: bool
) -> None:
    found = explained(asked(reason, spec, looked_at=looked_at, known=known), NOW)
    assert (found.state, found.reason, found.decided) == (State.BLOCKED, reason, reason)
    assert "Rollout" not in found.answer
    assert not any("kaas rollout" in way.command for way in found.ways)


@pytest.mark.parametrize("reason", WISHES)
def test_a_rollout_without_a_version_has_no_say(reason: str) -> None:
    about = asked(reason, SPECS["has no version yet"], looked_at=True, known=True)
    assert not ruling_of(about.rollouts, about.cluster, NOW)


def test_who_takes_updates_is_told_that_a_rollout_brings_none_yet() -> None:
    raw = raw_cluster(status={"update": {"reason": "RolloutPending", "message": "it waits"}})
    waits = rollout({"channel": "Stable"}, {"state": "Pending", "message": "nothing is in Stable"})
    found = explained(Asked(Cluster.model_validate(raw), site(), None, [RUNS, NEXT], [waits]), NOW)
    assert (found.state, found.reason) == (State.WAITS, "RolloutPending")
    assert "brings no version yet" in " ".join(b.message for b in found.because)
