"""Each pool's policy from what template, pool, Cluster and Site say, and the templates that are made of them."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.api.node_repair_template import NodeRepairTemplate, template_name
from kaas.api.repair import Action, Mode
from kaas.repairs.ladders import PoolKind, policy_for
from kaas.repairs.policy import missing_templates, policies
from kaas.repairs.templates import templates
from tests.unit.clusters.builders import cluster, dev_site, pool, site

FLAVORS = [{"name": "cpu-2"}, {"name": "cpu-4"}, {"name": "dgx", "gpu": {"model": "A100", "count": 8}}]
METAL = [*FLAVORS, {"name": "box", "bareMetal": True}]


def template(**spec: Any) -> NodeRepairTemplate:
    said = {"steps": [{"action": "PowerCycle"}], **spec}
    raw = {"metadata": {"name": "careful"}, "spec": {"template": {"spec": said}}}
    return NodeRepairTemplate.model_validate(raw)


@pytest.mark.parametrize(
    ("flavor", "kind"),
    [
        ("cpu-4", PoolKind.VM),
        ("dgx", PoolKind.GPU_VM),
        ("box", PoolKind.BARE_METAL),
        ("no more offered", PoolKind.BARE_METAL),
    ],
)
def test_ladder_suits_the_machines(flavor: str, kind: PoolKind) -> None:
    found = policies(cluster(nodePools=[pool(flavor=flavor)]), site(flavors=METAL), {})
    assert found["cpu"].steps == policy_for(kind).steps
    assert found[""].steps == policy_for(PoolKind.CONTROL_PLANE).steps


def test_machines_in_memory_have_no_power() -> None:
    found = policies(cluster(site="dev"), dev_site(), {})
    assert {step.action for policy in found.values() for step in policy.steps} == {Action.REPLACE}


@pytest.mark.parametrize("place", ["site", "cluster", "pool", "template"])
@pytest.mark.parametrize("mode", [Mode.DRY_RUN, Mode.OFF])
def test_the_strictest_mode_counts(place: str, mode: Mode) -> None:
    said = {name: {"mode": mode} if name == place else {} for name in ("site", "cluster", "pool", "template")}
    subject = cluster(nodePools=[pool(repair={**said["pool"], "template": "careful"})], repair=said["cluster"])
    found = policies(subject, site(repair=said["site"]), {"careful": template(**said["template"])})
    assert found["cpu"].mode == mode
    assert found[""].mode == (mode if place in ("site", "cluster") else Mode.AUTOMATIC)


def test_a_template_that_is_not_there_lets_nothing_be_done() -> None:
    subject = cluster(nodePools=[pool(), pool("other", repair={"template": "there"})], repair={"template": "gone"})
    known = {"there": template()}
    found = policies(subject, site(), known)
    assert (found["cpu"].mode, found["other"].mode, found[""].mode) == (Mode.DRY_RUN, Mode.AUTOMATIC, Mode.AUTOMATIC)
    (words,) = missing_templates(subject, known)
    assert words.startswith("pool cpu: there is no NodeRepairTemplate tenants/gone")


def test_limits_of_the_pool_come_before_those_of_its_template() -> None:
    own = {"template": "careful", "limits": {"maxInFlight": 4}}
    found = policies(cluster(nodePools=[pool(repair=own)]), site(), {"careful": template(limits={"maxUnhealthy": 2})})
    limits = found["cpu"].limits
    assert (limits.max_in_flight, limits.max_unhealthy) == (4, 2)


def test_ticket_of_the_site_unless_the_template_has_one() -> None:
    subject = cluster(nodePools=[pool(), pool("own", repair={"template": "careful"})])
    where = site(repair={"ticket": {"url": "https://site.example"}})
    found = policies(subject, where, {"careful": template(ticket={"url": "https://own.example"})})
    urls = {name: policy.ticket.url for name, policy in found.items() if policy.ticket}
    assert urls == {"": "https://site.example", "cpu": "https://site.example", "own": "https://own.example"}


def test_nothing_is_done_to_machines_of_a_pool_that_left() -> None:
    assert policies(cluster(), site(), {})["gone"].mode is Mode.OFF


def test_templates_belong_to_the_cluster() -> None:
    subject = cluster()
    found = templates(subject, policies(subject, site(), {}))
    assert [t["metadata"]["name"] for t in found] == ["team.control-plane", "team.pool.cpu"]
    for one in found:
        NodeRepairTemplate.model_validate(one)
        assert [(o["kind"], o["uid"]) for o in one["metadata"]["ownerReferences"]] == [
            ("Cluster", subject.metadata.uid)
        ]
        assert one["metadata"]["labels"]["kaas.internal/cluster"] == "team"


def test_names_of_templates_never_clash() -> None:
    every = [("a", ""), ("a", "control-plane"), ("a", "b-c"), ("a-b", "c"), ("a-b", ""), ("a", "pool")]
    assert len({template_name(*one) for one in every}) == len(every)
