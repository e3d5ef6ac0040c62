"""What is rendered, against files that were reviewed; and what must not change under a Cluster that exists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.api.cluster import Cluster
from kaas.api.load import load_file
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.clusters import render
from kaas.clusters.classes import class_revision
from kaas.clusters.snapshot import Live, Snapshot
from kaas.kube.resources import DEFER_UPGRADE
from tests import golden_files
from tests.unit.clusters.builders import Object, aim, capi_object, cluster, dev_site, pool, settled, site, snapshot

EXAMPLES = Path(__file__).parents[3] / "examples"


def example(cluster_file: str, site_file: str) -> Snapshot:
    (subject,) = load_file(EXAMPLES / f"{cluster_file}.yaml")
    (place,) = load_file(EXAMPLES / f"{site_file}.yaml")
    releases = [r for r in load_file(EXAMPLES / "releases.yaml") if isinstance(r, Release)]
    assert isinstance(subject, Cluster)
    assert isinstance(place, Site)
    return Snapshot(subject, place, releases, class_revision(place.spec.provider))


def of_cluster(found: Snapshot) -> list[dict[str, Any]]:
    """What is rendered for a Cluster, its class aside (that has a file of its own)."""
    assert found.site is not None
    assert found.revision is not None
    everything = render.everything(found.cluster, found.site, aim(found), found.revision)
    return [o for o in everything if o not in found.revision.objects]


def without_class_name(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A changed class shows in its own file, not in every one."""
    *others, last = objects
    topology = {**last["spec"]["topology"]}
    topology["classRef"] = {**topology["classRef"], "name": "class-revision"}
    return [*others, {**last, "spec": {**last["spec"], "topology": topology}}]


LARGE: dict[str, Any] = {
    "version": "1.36",
    "controlPlane": {"flavor": "cpu-2", "replicas": 3, "zones": ["az-1", "az-3"]},
    "nodePools": [
        pool(
            replicas=5,
            zones=["az-1", "az-2"],
            labels={"example.com/tier": "web", "node.kubernetes.io/team": "a"},
            taints=[{"key": "example.com/only", "value": "web", "effect": "NoExecute"}],
        ),
        pool("train", flavor="dgx", replicas=0, gpu={"taint": "PreferNoSchedule", "drainTimeoutSeconds": 0}),
    ],
    "network": {"pods": "10.64.0.0/16", "services": "10.96.0.0/16", "nodes": "10.7.0.0/24"},
}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("team-a", example("team-a", "site-lab")),
        ("team-dev", example("team-dev", "site-dev")),
        ("large", snapshot(cluster(**LARGE), site(dnsNameservers=["10.0.0.53"], loadBalancer={"provider": "ovn"}))),
    ],
)
def test_rendered_as_reviewed(name: str, found: Snapshot) -> None:
    golden_files.check(name, *without_class_name(of_cluster(found)))


def test_without_pools_there_are_no_workers() -> None:
    rendered = of_cluster(snapshot(cluster(nodePools=[])))[-1]
    assert "workers" not in rendered["spec"]["topology"]


def test_cluster_that_is_not_stored_yet_has_no_owner_and_no_tag() -> None:
    rendered = of_cluster(snapshot(cluster(metadata={"uid": None})))[-1]
    assert "ownerReferences" not in rendered["metadata"]
    assert "ownerTag" not in variables(rendered)


def test_dev_has_no_identity() -> None:
    assert render.identity(dev_site()) is None


def variables(obj: dict[str, Any]) -> dict[str, Any]:
    return {v["name"]: v["value"] for v in obj["spec"]["topology"]["variables"]}


NASTY = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Z")), min_size=1, max_size=20)


@given(NASTY)
def test_text_stays_text(flavor: str) -> None:
    """Whatever a name holds, it cannot become another field of the manifest."""
    place = site(flavors=[{"name": flavor}])
    found = snapshot(cluster(controlPlane={"flavor": flavor}, nodePools=[pool(flavor=flavor)]), place)
    rendered = of_cluster(found)[-1]
    plain = of_cluster(snapshot(cluster(nodePools=[pool(flavor="cpu-2")])))[-1]
    assert variables(rendered)["controlPlaneFlavor"] == flavor
    (deployment,) = rendered["spec"]["topology"]["workers"]["machineDeployments"]
    assert {v["name"]: v["value"] for v in deployment["variables"]["overrides"]}["workerFlavor"] == flavor
    assert rendered["metadata"] == plain["metadata"]
    assert rendered["spec"]["topology"].keys() == plain["spec"]["topology"].keys()


@pytest.mark.parametrize(
    "changed",
    [
        {"externalNetwork": {"name": "other"}},
        {"externalNetwork": {"id": "0000"}},
        {"loadBalancer": {"provider": "ovn"}},
        {"images": [{"version": "v1.36.1", "name": "another-image"}]},
        {"region": "RegionTwo"},
        {"credentials": {"secret": {"name": "rotated"}}},
    ],
)
def test_what_a_cluster_was_made_with_stays(changed: dict[str, Any]) -> None:
    before = settled()
    assert before.live.cluster is not None
    after = snapshot(before.cluster, site(**changed), live=before.live, classes=before.classes)
    assert after.site is not None
    again = render.cluster(after.cluster, after.site, aim(after), after.live)
    assert variables(again) == variables(before.live.cluster)
    new = snapshot(before.cluster, site(**changed))
    assert new.site is not None
    if "credentials" not in changed:
        fresh = render.cluster(new.cluster, new.site, aim(new), Live())
        assert variables(fresh) != variables(again)
    else:
        assert render.identity(after.site) != render.identity(site())


def test_variables_that_the_class_does_not_know_are_left_out() -> None:
    """A Cluster on an older revision is not given what only a newer one takes."""
    before = settled()
    assert before.live.cluster is not None
    (name, known), *_ = before.classes.items()
    taken = [v for v in known["spec"]["variables"] if v["name"] not in ("dnsNameservers", "nodeTaints")]
    old = {**known, "spec": {**known["spec"], "variables": taken}}
    found = snapshot(before.cluster, classes={name: old}, live=before.live)
    assert found.site is not None
    rendered = render.cluster(found.cluster, found.site, aim(found), found.live)
    assert "dnsNameservers" not in variables(rendered)
    (deployment,) = rendered["spec"]["topology"]["workers"]["machineDeployments"]
    assert [v["name"] for v in deployment["variables"]["overrides"]] == ["workerFlavor", "nodeLabels"]


def health_checks(**more: Any) -> list[Object]:
    """Of the control plane and of two pools."""
    said = {"nodePools": [pool(), pool("box", flavor="dgx")], **more.pop("cluster", {})}
    found, place = snapshot(cluster(**said), site(**more)), site(**more)
    topology = render.cluster(found.cluster, place, aim(found), found.live)["spec"]["topology"]
    return [part["healthCheck"] for part in (topology["controlPlane"], *topology["workers"]["machineDeployments"])]


def test_sick_machines_become_requests_and_nothing_more() -> None:
    """Cluster API replaces none by itself: it holds none back either, for that is decided elsewhere."""
    found = [check["remediation"] for check in health_checks()]
    assert [r["templateRef"]["name"] for r in found] == ["team.control-plane", "team.pool.cpu", "team.pool.box"]
    assert {r["triggerIf"]["unhealthyLessThanOrEqualTo"] for r in found} == {"100%"}
    assert ["maxInFlight" in r for r in found] == [False, True, True]


@pytest.mark.parametrize(
    ("said", "watched"),
    [
        ({"repair": {"mode": "Off"}}, [False, False, False]),
        ({"cluster": {"repair": {"mode": "Off"}}}, [False, False, False]),
        ({"cluster": {"nodePools": [pool(repair={"mode": "Off"}), pool("box")]}}, [True, False, True]),
        ({"repair": {"mode": "DryRun"}}, [True, True, True]),
    ],
)
def test_without_repairs_there_is_no_health_check(said: dict[str, Any], watched: list[bool]) -> None:
    """With checks and no template, Cluster API would replace machines by itself."""
    found = health_checks(**said)
    assert [check["enabled"] for check in found] == watched
    assert all(check == {"enabled": False} for check in found if not check["enabled"])


def test_whole_computers_are_given_more_time() -> None:
    flavors: list[Object] = [{"name": "cpu-2"}, {"name": "cpu-4", "bareMetal": True}, {"name": "dgx"}]
    seconds = [check["checks"]["nodeStartupTimeoutSeconds"] for check in health_checks(flavors=flavors)]
    assert seconds == [1800, 3600, 1800]
    flavors = [{"name": "cpu-2", "startupTimeoutSeconds": 600}, *flavors[1:]]
    flavors[1] |= {"startupTimeoutSeconds": 900}
    seconds = [check["checks"]["nodeStartupTimeoutSeconds"] for check in health_checks(flavors=flavors)]
    assert seconds == [600, 900, 1800]


def deferred(target: str | None, **hold: Any) -> list[str]:
    """Pools whose update Cluster API leaves for later, of one that has begun and one that has not."""
    update = {"target": target} | ({"hold": hold} if hold else {})
    subject = cluster(nodePools=[pool("old"), pool("new")], status={"update": update})
    label = "topology.cluster.x-k8s.io/deployment-name"
    live = [
        capi_object("MachineDeployment", name, labels={label: name}, spec={"template": {"spec": {"version": version}}})
        for name, version in (("old", "v1.35.6"), ("new", "v1.36.1"))
    ]
    found = snapshot(subject)
    assert found.site is not None
    rendered = render.cluster(found.cluster, found.site, aim(found), Live(deployments=live))
    parts = rendered["spec"]["topology"]["workers"]["machineDeployments"]
    return [p["name"] for p in parts if DEFER_UPGRADE in p["metadata"].get("annotations", {})]


def test_a_pool_that_has_not_begun_waits_while_updates_are_held() -> None:
    hold = {"since": "2027-01-06T01:46:00Z", "message": "the window closed"}
    assert deferred("v1.36.1", **hold) == ["old"]
    assert deferred("v1.36.1") == []
    assert deferred("v1.35.6", **hold) == []  # a person has asked for something newer meanwhile


LABEL = "topology.cluster.x-k8s.io/deployment-name"


def _pool_of(version: str, available: int, machines: int, *, on_delete: bool = False) -> Live:
    """One pool of three machines as Cluster API has it."""
    meta = {"labels": {LABEL: "cpu"}}
    deployment = capi_object(
        "MachineDeployment",
        "cpu",
        labels={LABEL: "cpu"},
        spec={"template": {"spec": {"version": version}}},
        status={"availableReplicas": available},
    )
    found = [capi_object("Machine", f"cpu-{n}", labels={LABEL: "cpu"}) for n in range(machines)]
    part = {"name": "cpu", "metadata": meta, "rollout": {"strategy": {"type": "OnDelete"}}} if on_delete else {}
    workers = {"machineDeployments": [part]} if part else {}
    return Live({"spec": {"topology": {"workers": workers}}}, None, [deployment], found)


def _held(live: Live, *, waiting: bool = True, releases: bool = False) -> tuple[bool, str | None]:
    """Whether the pool is left at its version, and how it replaces its machines, of which the first have begun."""
    step = {"name": "Pool/cpu", "state": "Held", "started": "2027-01-05T22:00:00Z"}
    update = {"target": "v1.36.1", "steps": [step]} | ({"waiting": ["cpu"]} if waiting else {})
    found = snapshot(cluster(nodePools=[pool("cpu", replicas=3)], status={"update": update}))
    assert found.site is not None
    rendered = render.cluster(found.cluster, found.site, replace(aim(found), releases=releases), live)
    (part,) = rendered["spec"]["topology"]["workers"]["machineDeployments"]
    kind = part.get("rollout", {}).get("strategy", {}).get("type")
    return DEFER_UPGRADE in part["metadata"].get("annotations", {}), kind


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (_pool_of("v1.35.6", 3, 3), (True, None)),  # it has not begun
        (_pool_of("v1.36.1", 2, 3), (False, "OnDelete")),  # its new machine comes yet, and none goes after it
        (_pool_of("v1.36.1", 3, 4), (False, None)),  # an old one would go before the new one works
        (_pool_of("v1.36.1", 4, 4), (False, "OnDelete")),
        (_pool_of("v1.36.1", 3, 4, on_delete=True), (False, "OnDelete")),  # it stays so
    ],
)
def test_a_pool_that_waits_begins_no_machine(live: Live, expected: tuple[bool, str | None]) -> None:
    assert _held(live) == expected
    assert _held(live, waiting=False) == (False, None)
    assert _held(live, releases=True) == (False, None)


def _image_of_the_pool(update: Object, *overrides: Object) -> tuple[str | None, str | None]:
    """Image that a pool keeps of an update to another image, and how it replaces its machines."""
    variables = [{"name": "images", "value": {"v1.36.1": "before"}}]
    part = {"name": "cpu", "variables": {"overrides": list(overrides)}}
    topology = {"variables": variables, "workers": {"machineDeployments": [part]}}
    live = replace(_pool_of("v1.36.1", 3, 3), cluster={"spec": {"topology": topology}})
    found = snapshot(cluster(nodePools=[pool("cpu", replicas=3)], status={"update": {"target": "v1.36.1", **update}}))
    assert found.site is not None
    to = replace(aim(found), images={"v1.36.1": "after"})
    rendered = render.cluster(found.cluster, found.site, to, live)
    (found_part,) = rendered["spec"]["topology"]["workers"]["machineDeployments"]
    values = {v["name"]: v["value"] for v in found_part["variables"]["overrides"]}
    strategy = found_part.get("rollout", {}).get("strategy", {}).get("type")
    return values.get("images", {}).get("v1.36.1"), strategy


def test_a_pool_keeps_its_image_until_it_is_its_turn() -> None:
    step = {"name": "Pool/cpu", "state": "Held"}
    waits: Object = {"waiting": ["cpu"], "steps": [step]}
    assert _image_of_the_pool(waits) == ("before", None)
    assert _image_of_the_pool({}) == (None, None)
    kept = {"name": "images", "value": {"v1.36.1": "long before"}}
    assert _image_of_the_pool(waits, kept) == ("long before", None)
    begun = {**waits, "steps": [{**step, "started": "2027-01-05T22:00:00Z"}]}
    assert _image_of_the_pool(begun, kept) == (None, "OnDelete")
    assert _image_of_the_pool({**waits, "classRevision": "newer"}) == ("before", "OnDelete")


def test_what_is_held_stays_so_while_its_machine_deployment_is_not_seen() -> None:
    live = replace(_pool_of("v1.36.1", 3, 3, on_delete=True), deployments=())
    assert _held(live) == (False, "OnDelete")
    assert _held(live, waiting=False) == (False, None)
    (part,) = live.topology["workers"]["machineDeployments"]
    part["metadata"]["annotations"] = {DEFER_UPGRADE: ""}
    del part["rollout"]
    assert _held(live) == (True, None)


def test_a_pool_of_which_some_may_be_missing_is_held_when_no_more_are() -> None:
    live = _pool_of("v1.36.1", 3, 4)
    step = {"name": "Pool/cpu", "state": "Held", "started": "2027-01-05T22:00:00Z"}
    update = {"target": "v1.36.1", "steps": [step], "waiting": ["cpu"]}
    leaning = pool("cpu", replicas=3, update={"strategy": "Surge", "maxUnavailable": 1})
    found = snapshot(cluster(nodePools=[leaning], status={"update": update}))
    assert found.site is not None
    rendered = render.cluster(found.cluster, found.site, aim(found), live)
    (part,) = rendered["spec"]["topology"]["workers"]["machineDeployments"]
    assert part["rollout"]["strategy"]["type"] == "OnDelete"


def test_a_pool_that_waits_is_not_replaced_for_another_class_that_comes_with_the_version() -> None:
    live = _pool_of("v1.35.6", 3, 3)
    other = {"spec": {"topology": {**live.topology, "classRef": {"name": "kaas-dev-of-before"}}}}
    moving = replace(live, cluster=other)
    assert _held(moving) == (True, "OnDelete")
    assert _held(moving, waiting=False) == (False, None)
    assert _held(_pool_of("v1.35.6", 3, 3, on_delete=True)) == (True, "OnDelete")  # when the class is there
