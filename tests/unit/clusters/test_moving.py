"""A Cluster follows its updates to another image, class revision or newer certificates; nothing else moves it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kaas.api.constants import API_VERSION, FINALIZER, LABEL_REVISION
from kaas.clusters.classes import PROVIDER_LABEL, ClassRevision, class_revision
from kaas.clusters.makings import replaced_pools
from kaas.clusters.plan import plan
from kaas.clusters.snapshot import Live, Object, Snapshot
from kaas.clusters.status import status
from kaas.kube.errors import Forbidden
from kaas.kube.objects import Ref
from tests.unit.clusters.builders import (
    aim,
    applied,
    cluster,
    ids,
    raw_cluster,
    raw_release,
    raw_site,
    ready_class,
    release,
    settled,
    site,
    snapshot,
)
from tests.unit.clusters.fake_api import FakeApi
from tests.unit.clusters.fake_world import World

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
META = {"finalizers": [FINALIZER]}
RUNS = "v1.36.1"
NEWER = release(RUNS, "newer", "v1.36.1-2")
OLD = class_revision("openstack")
STEPS = [{"name": "ControlPlane", "state": "Running"}, {"name": "Finished", "state": "Pending"}]


def revision(name: str) -> ClassRevision:
    """A revision with one variable more."""
    found = OLD.cluster_class
    spec = {**found["spec"], "variables": [*found["spec"]["variables"], {"name": name}]}
    meta = {**found["metadata"], "name": name, "labels": {PROVIDER_LABEL: "openstack", LABEL_REVISION: name}}
    return ClassRevision(name, "openstack", ({**found, "metadata": meta, "spec": spec},))


NEWEST = revision("newest")
READY = ready_class(OLD) | ready_class(NEWEST)


def told(update: Object | None, *, updates: Object | None = None, asked: str = "1.36", **more: Any) -> Snapshot:
    """A Cluster that runs, of which updates say something. update: None for nothing."""
    before = settled(cluster(metadata=META, version=RUNS))
    said = {"update": {"target": RUNS, "reason": "Updating", **update}} if update is not None else {}
    after = cluster(metadata=META, version=asked, updates=updates or {}, status=said)
    known: dict[str, Any] = {
        "live": before.live,
        "classes": READY,
        "identity": before.identity,
        "revision": NEWEST,
        "releases": (*before.releases, NEWER),
        **more,
    }
    return snapshot(after, site(), **known)


def image_of(found: Snapshot) -> str:
    return aim(found).images[RUNS]


@pytest.mark.parametrize(
    ("update", "updates", "goes"),
    [
        (None, {}, False),
        ({}, {}, False),
        ({"image": "newer"}, {}, True),
        ({"image": "unheard-of"}, {}, False),
        ({"image": "newer", "target": "v1.36.3"}, {"kubernetes": "None"}, False),
        ({"image": "newer"}, {"channel": "None"}, False),
        ({"image": "newer"}, {"channel": "None", "nodeImages": {"channel": "Stable"}}, True),
        ({"image": "newer"}, {"nodeImages": {"channel": "None"}}, False),
        ({"image": "newer", "steps": STEPS}, {"nodeImages": {"channel": "None"}}, True),
        ({"image": "newer", "reason": "Expired"}, {"channel": "None"}, True),
    ],
)
def test_image(update: Object | None, updates: Object, *, goes: bool) -> None:
    assert image_of(told(update, updates=updates)) == ("newer" if goes else f"node-{RUNS}")


def test_an_exact_version_keeps_no_image() -> None:
    assert image_of(told({"image": "newer"}, asked=RUNS)) == "newer"


def test_the_image_of_a_new_version_is_the_one_that_was_planned() -> None:
    later = release("v1.36.3", "later", "v1.36.3-2")
    known = (*told(None).releases, later)
    chosen = aim(told({"target": "v1.36.3", "image": "node-v1.36.3"}, releases=known))
    assert (chosen.version, chosen.images["v1.36.3"]) == ("v1.36.3", "node-v1.36.3")
    assert aim(told({"target": "v1.36.3", "image": "later"}, releases=known)).images["v1.36.3"] == "later"


@pytest.mark.parametrize(
    ("update", "updates", "name"),
    [
        (None, {}, OLD.name),
        ({}, {}, OLD.name),
        ({"classRevision": "newest"}, {}, "newest"),
        ({"classRevision": "unheard-of"}, {}, OLD.name),
        ({"classRevision": "newest", "target": "v1.36.3"}, {}, "newest"),
        ({"classRevision": "newest", "target": "v1.36.3"}, {"kubernetes": "None"}, OLD.name),
        ({"classRevision": "newest"}, {"classRevision": {"channel": "None"}}, OLD.name),
        ({"classRevision": "newest", "steps": STEPS}, {"classRevision": {"channel": "None"}}, "newest"),
    ],
)
def test_class_revision(update: Object | None, updates: Object, name: str) -> None:
    found = aim(told(update, updates=updates))
    assert found.class_name == name
    assert ("newest" in found.class_variables) is (name == "newest")


def test_a_class_revision_is_made_and_waited_for() -> None:
    missing = told({"classRevision": "newest"}, classes=ready_class(OLD))
    assert ids(plan(missing)) == ["class", "class-ready", "cluster"]
    unready = told({"classRevision": "newest"}, classes=ready_class(OLD) | {"newest": NEWEST.cluster_class})
    (gate, _) = plan(unready)
    assert [g.reason for g in gate.gates] == ["ClassNotReady"]
    assert ids(plan(told({"classRevision": "newest"}))) == ["cluster"]


def test_certificates() -> None:
    before = told(None)
    assert aim(before).certificates is None
    renewing = told({"certificates": "2027-01-05T22:00:00Z"})
    written = applied(renewing)
    assert written["spec"]["topology"]["controlPlane"]["rollout"] == {"after": "2027-01-05T22:00:00Z"}
    assert replaced_pools(before.live.cluster or {}, written) == {""}
    later = told({}, live=Live(cluster=written))
    assert aim(later).certificates == "2027-01-05T22:00:00Z"
    assert ids(plan(later)) == []


def test_everything_is_one_change() -> None:
    written = applied(told({"target": "v1.36.3", "classRevision": "newest", "certificates": "2027-01-05T22:00:00Z"}))
    topology = written["spec"]["topology"]
    assert (topology["version"], topology["classRef"]["name"]) == ("v1.36.3", "newest")
    assert topology["controlPlane"]["rollout"]["after"] == "2027-01-05T22:00:00Z"


# --- revisions that nobody is on any more -------------------------------------------------------------------------


class Keeping(FakeApi):
    """Cluster API knows of a Cluster in a namespace that is not watched."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def delete(self, ref: Ref) -> bool:
        self.asked.append(ref.name)
        raise Forbidden("delete", "it is used by Cluster(s): [elsewhere/team]")


def with_old_class(api: FakeApi | None = None) -> World:
    meta = {"name": "old", "namespace": "kaas-system", "labels": {PROVIDER_LABEL: "openstack", LABEL_REVISION: "old"}}
    world = World(raw_site(), raw_release(RUNS), raw_cluster())
    if api is not None:
        world.api = api
        for obj in (raw_site(), raw_release(RUNS), raw_cluster()):
            api.put(obj)
        world.start()
    world.api.put({**OLD.cluster_class, "metadata": meta, "spec": {}})
    return world


async def test_revisions_that_nobody_uses_go() -> None:
    world = with_old_class()
    await world.settle()
    assert [o["metadata"]["name"] for o in world.api.objects.values() if o["kind"] == "ClusterClass"] == [OLD.name]


async def test_one_that_is_used_elsewhere_stays_and_is_asked_for_once_an_hour() -> None:
    api = Keeping()
    world = with_old_class(api)
    await world.settle()
    assert api.asked == ["old"]
    (found,) = (o for o in api.objects.values() if o["apiVersion"] == API_VERSION and o["kind"] == "Cluster")
    assert found["status"]["phase"] == "Ready"
    await world.clock.advance(3601)
    await world.turn()
    assert api.asked == ["old", "old"]


# --- what the status says of it -----------------------------------------------------------------------------------


def said(found: Snapshot) -> Object:
    written: Object = status(found, [], NOW)["status"]
    return written


def test_what_it_is_made_of() -> None:
    assert said(told(None))["image"] == f"node-{RUNS}"
    assert "image" not in said(snapshot())


def test_since_when_there_is_a_newer_class_revision() -> None:
    assert said(told(None))["newestClassRevision"] == {"name": "newest", "since": "2027-01-04T12:00:00Z"}
    known = {"newestClassRevision": {"name": "newest", "since": "2027-01-01T00:00:00Z"}}
    remembered = replace(told(None), cluster=cluster(status=known))
    assert said(remembered)["newestClassRevision"]["since"] == "2027-01-01T00:00:00Z"
    other = {"newestClassRevision": {"name": "another", "since": "2027-01-01T00:00:00Z"}}
    assert said(replace(told(None), cluster=cluster(status=other)))["newestClassRevision"]["since"] > "2027-01-04"
    made = {**NEWEST.cluster_class["metadata"], "creationTimestamp": "2026-12-24T00:00:00Z"}
    older = replace(told(None), classes={"newest": {**NEWEST.cluster_class, "metadata": made}})
    assert said(older)["newestClassRevision"]["since"] == "2026-12-24T00:00:00Z"


def test_the_certificates_that_end_first() -> None:
    def machine(name: str, end: str | None, **labels: str) -> Object:
        ends = {"certificatesExpiryDate": end} if end else {}
        return {"kind": "Machine", "metadata": {"name": name, "labels": labels}, "spec": {}, "status": ends}

    master = {"cluster.x-k8s.io/control-plane": ""}
    machines = [
        machine("m-1", "2027-09-02T00:00:00Z", **master),
        machine("m-2", "2027-09-01T10:00:00Z", **master),
        machine("m-3", None, **master),
        machine("w-1", "2027-01-01T00:00:00Z"),
    ]
    before = told(None)
    live = replace(before.live, machines=machines, control_plane={"metadata": {"name": "cp"}, "status": {}})
    assert said(replace(before, live=live))["controlPlane"]["certificatesEnd"] == "2027-09-01T10:00:00Z"
    assert "certificatesEnd" not in said(replace(before, live=replace(live, machines=())))["controlPlane"]
