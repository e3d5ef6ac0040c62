"""What is handed to Cluster API when an update has stopped: what is made from now on is made as before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaas.api.constants import LABEL_POOL
from kaas.clusters import render
from kaas.clusters.plan import plan
from kaas.clusters.snapshot import Live, Object, Snapshot
from kaas.clusters.target import choose_version
from kaas.kube.resources import TOPOLOGY_DEPLOYMENT_LABEL as LABEL
from tests.unit.clusters.builders import aim, capi_object, cluster, full_cloud, pool, release, settled, site, snapshot
from tests.unit.clusters.test_moving import NEWEST, READY, RUNS, image_of, told

WHEN = "2027-01-05T22:00:00Z"
STEP = {"name": "Pool/cpu", "state": "Failed", "started": WHEN}
BACK = {"what": "Image", "pool": "cpu", "from": "after", "to": "before", "since": WHEN}
STOPPED: Object = {"target": RUNS, "image": "after", "waiting": ["cpu"], "steps": [STEP]}


def surplus(**machines: int) -> Object:
    return {**BACK, "surplus": [{"name": name, "machines": count} for name, count in machines.items()]}


def whole(what: str, new: str, old: str | None) -> Object:
    return {"what": what, "from": new, "since": WHEN, **({"to": old} if old else {})}


def machines(part: str, joined: int, *, lost: int = 0, going: bool = False) -> list[Object]:
    """Machines that work, and those that never joined; these are going where a person has deleted them."""
    labels = {LABEL: part, LABEL_POOL: "cpu"}
    works = {"nodeRef": {"name": "node"}}
    meta = {"deletionTimestamp": WHEN} if going else {}
    good = [capi_object("Machine", f"{part}-{n}", labels=labels, status=works) for n in range(joined)]
    return good + [capi_object("Machine", f"{part}-x{n}", labels=labels, metadata=meta) for n in range(lost)]


def live(*parts: str, broken: int = 1, going: bool = False, kept: Object | None = None) -> Live:
    """MachineDeployments of three machines in the middle of an update to the image `after`."""
    labels = {LABEL_POOL: "cpu"}
    made_of = {"template": {"spec": {"version": RUNS}}}
    there = [
        capi_object("MachineDeployment", p, labels={**labels, LABEL: p}, spec=made_of, status={"availableReplicas": 3})
        for p in parts
    ]
    found = [m for p in parts for m in machines(p, 3, lost=broken, going=going)]
    said = [{"name": p, "metadata": {"labels": labels}, "replicas": 3, **(kept or {})} for p in parts]
    variables = [{"name": "images", "value": {RUNS: "after"}}]
    topology = {"version": RUNS, "variables": variables, "workers": {"machineDeployments": said}}
    return Live({"spec": {"topology": topology}}, None, there, found)


def parts_of(update: Object, has: Live, **spec: Any) -> dict[str, tuple[int, str | None, str | None]]:
    """Of each MachineDeployment how many machines it is to have, of which image of its own, and how it replaces."""
    subject = cluster(nodePools=[pool("cpu", **{"replicas": 3, **spec})], status={"update": update})
    found = snapshot(subject)
    assert found.site is not None
    to = replace(aim(found), images={RUNS: "after"})
    rendered = render.cluster(found.cluster, found.site, to, has)
    return {p["name"]: _seen(p) for p in rendered["spec"]["topology"]["workers"]["machineDeployments"]}


def _seen(part: Object) -> tuple[int, str | None, str | None]:
    values = {v["name"]: v["value"] for v in part["variables"]["overrides"]}
    strategy = part.get("rollout", {}).get("strategy", {}).get("type")
    return part["replicas"], values.get("images", {}).get(RUNS), strategy


def test_the_old_image_comes_back_in_the_same_change_as_on_delete() -> None:
    after_surge = {**STOPPED, "rolledBack": [surplus(cpu=1)]}
    assert parts_of(after_surge, live("cpu")) == {"cpu": (4, "before", "OnDelete")}
    without = {**STOPPED, "rolledBack": [BACK]}
    assert parts_of(without, live("cpu", broken=0)) == {"cpu": (3, "before", "OnDelete")}
    assert parts_of(STOPPED, live("cpu")) == {"cpu": (3, None, None)}


def test_none_that_works_goes_when_the_broken_one_is_deleted() -> None:
    """With fewer machines wanted Cluster API would take the oldest: the number stays until the update goes on."""
    update = {**STOPPED, "rolledBack": [surplus(cpu=1)]}
    assert parts_of(update, live("cpu", going=True)) == {"cpu": (4, "before", "OnDelete")}
    assert parts_of(update, live("cpu", broken=0)) == {"cpu": (4, "before", "OnDelete")}
    assert parts_of(update, live("cpu"), replicas=5) == {"cpu": (6, "before", "OnDelete")}


def test_only_that_zone_has_more_in_which_one_was_left() -> None:
    update = {**STOPPED, "rolledBack": [surplus(**{"cpu-az-2": 1})]}
    found = parts_of(update, live("cpu-az-1", "cpu-az-2"), replicas=6, zones=["az-1", "az-2"])
    assert found == {"cpu-az-1": (3, "before", "OnDelete"), "cpu-az-2": (4, "before", "OnDelete")}


def test_it_stays_so_while_machine_deployments_are_not_seen() -> None:
    overrides = {"overrides": [{"name": "images", "value": {RUNS: "before"}}]}
    kept = {"rollout": {"strategy": {"type": "OnDelete"}}, "variables": overrides}
    unseen = replace(live("cpu", kept=kept), deployments=())
    assert parts_of({**STOPPED, "rolledBack": [surplus(cpu=1)]}, unseen) == {"cpu": (4, "before", "OnDelete")}


def test_it_ends_when_the_update_goes_on() -> None:
    goes_on = {**STOPPED, "waiting": [], "steps": [{**STEP, "state": "Running"}]}
    assert parts_of(goes_on, live("cpu")) == {"cpu": (3, None, None)}


def test_a_pool_that_keeps_its_new_image_is_held_only_when_the_broken_machine_is_gone() -> None:
    """Its MachineSet is asked for the one that is going: as OnDelete an old one that works would go for it."""
    assert parts_of(STOPPED, live("cpu", going=True)) == {"cpu": (3, None, None)}
    assert parts_of(STOPPED, live("cpu", broken=0)) == {"cpu": (3, None, "OnDelete")}


def in_the_middle(**more: Any) -> Snapshot:
    """A Cluster that has what an update brings, whose pool is then rolled back."""
    spec: Object = {
        "metadata": {"finalizers": ["kaas.internal/cluster"]},
        "version": "1.36",
        "nodePools": [pool("cpu")],
    }
    newer = release(RUNS, "after", "v1.36.1-2")
    before = settled(cluster(**spec), releases=(newer,))
    update = {**STOPPED, "reason": "Stopped", "rolledBack": [surplus(cpu=1)]}
    made_of = {"template": {"spec": {"version": RUNS}}}
    there = capi_object("MachineDeployment", "cpu", labels={LABEL: "cpu", LABEL_POOL: "cpu"}, spec=made_of)
    has = replace(before.live, deployments=[there], machines=machines("cpu", 2, lost=1))
    known = {"live": has, "classes": before.classes, "identity": before.identity, "releases": (newer,)}
    return snapshot(cluster(**spec, status={"update": update}), site(), **{**known, **more})


def test_it_is_said_although_the_cloud_has_no_room() -> None:
    """The machine beyond those wanted is there already; what a gate lets through alone is all of it, or none."""
    steps = plan(in_the_middle(cloud=full_cloud(free={"instances": 0})))
    held = next(s for s in steps if s.id == "hold")
    (part,) = held.apply[0]["spec"]["topology"]["workers"]["machineDeployments"]
    assert _seen(part) == (3, "before", "OnDelete")
    assert "QuotaExceeded" in {g.reason for s in steps for g in s.gates}


def test_it_is_said_while_a_repair_is_in_flight() -> None:
    found = in_the_middle(cloud=full_cloud())
    flying = {
        "unhealthy": 1,
        "inFlight": 1,
        "quarantined": 0,
        "pools": [{"name": "cpu", "inFlight": 1, "unhealthy": 1}],
    }
    status = found.cluster.status.to_json() if found.cluster.status else {}
    raw = {**found.cluster.to_json(), "status": {**status, "repair": flying}}
    steps = plan(replace(found, cluster=type(found.cluster).model_validate(raw)))
    (part,) = next(s for s in steps if s.id == "hold").apply[0]["spec"]["topology"]["workers"]["machineDeployments"]
    assert _seen(part) == (3, "before", "OnDelete")


# --- what Cluster API was never handed ------------------------------------------------------------------------------


def test_a_version_is_not_handed_any_more() -> None:
    releases = [release(v) for v in ("v1.36.1", "v1.36.3")]
    update: Object = {"target": "v1.36.3", "steps": [STEP]}
    goes = cluster(version="1.36", status={"update": update})
    back = [whole("Version", "v1.36.3", "v1.36.1")]
    stays = cluster(version="1.36", status={"update": {**update, "rolledBack": back}})
    assert [choose_version(c, releases, "v1.36.1") for c in (goes, stays)] == ["v1.36.3", "v1.36.1"]
    assert choose_version(stays, releases, "v1.36.3") == "v1.36.3"  # it was on its way at that moment


def test_image_class_and_certificates_are_not_handed_any_more() -> None:
    update: Object = {"image": "newer", "classRevision": "newest", "certificates": "2027-01-04T00:00:00Z"}
    goes = told(update)
    assert (image_of(goes), aim(goes).class_name) == ("newer", NEWEST.name)
    assert aim(goes).certificates == "2027-01-04T00:00:00Z"
    entries = [("Image", "newer", f"node-{RUNS}"), ("ClassRevision", "newest", "old"), ("Certificates", "2027", None)]
    stays = told({**update, "rolledBack": [whole(*e) for e in entries]}, classes=READY)
    assert image_of(stays) == f"node-{RUNS}"
    assert aim(stays).class_name != NEWEST.name
    assert aim(stays).certificates is None
    assert [s.id for s in plan(stays)] == []
