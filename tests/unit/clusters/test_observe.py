"""From the index to a snapshot, and whose key an event means."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.api.constants import LABEL_CLUSTER, LABEL_REVISION, SYSTEM_NAMESPACE
from kaas.api.parsed import Parsed
from kaas.clusters.classes import PROVIDER_LABEL, class_revision
from kaas.clusters.observe import observe
from kaas.clusters.snapshot import Snapshot
from kaas.clusters.watched import interests
from kaas.kube.resources import Resource
from kaas.runtime.index import Index
from tests.unit.clusters.builders import NAME, NAMESPACE, Object, raw_cluster, raw_release, raw_site
from tests.unit.clusters.fake_world import KEY, World

INPUTS = [raw_site(), raw_release("v1.36.1"), raw_cluster()]


def seen(*objects: Object) -> Snapshot | None:
    index = Index()
    for obj in objects:
        index.put(obj)
    return observe(index, KEY, Parsed())


def test_nothing_is_none() -> None:
    assert seen() is None
    assert seen(raw_site()) is None


def test_cluster_without_its_site() -> None:
    found = seen(raw_cluster())
    assert found is not None
    assert (found.site, found.revision, found.live.cluster) == (None, None, None)


async def test_parts_belong_to_their_cluster() -> None:
    world = World(*INPUTS)
    await world.settle()
    world.watch()
    found = observe(world.index, KEY, Parsed())
    assert found is not None
    assert found.live.cluster is not None
    assert found.live.control_plane is not None
    assert found.live.infrastructure is not None
    assert [d["kind"] for d in found.live.deployments] == ["MachineDeployment"]
    assert len(found.live.leftovers) == 3
    assert observe(world.index, (NAMESPACE, "other"), Parsed()) is None


def test_models_are_parsed_once_for_a_resource_version() -> None:
    calls: list[Object] = []

    def model(obj: Object) -> Any:
        calls.append(obj)
        return len(calls)

    parsed = Parsed()
    one = raw_cluster(metadata={"resourceVersion": "1"})
    assert [parsed(model, one), parsed(model, one)] == [1, 1]
    assert parsed(model, raw_cluster(metadata={"resourceVersion": "2"})) == 2
    parsed.forget("Cluster", NAMESPACE, NAME)
    assert parsed(model, one) == 3


def keys(resource_kind: str, obj: Object, *known: Object) -> list[tuple[str, str]]:
    index = Index()
    for other in known:
        index.put(other)

    def meant(resource: Resource) -> bool:
        return resource.kind == resource_kind and resource.group == obj["apiVersion"].partition("/")[0]

    (interest,) = (i for i in interests(index) if meant(i.resource))
    return list(interest.keys(obj))


OTHER = raw_cluster("other", site="south")
CAPI: Object = {
    "apiVersion": "cluster.x-k8s.io/v1beta2",
    "kind": "Cluster",
    "metadata": {"name": NAME, "namespace": NAMESPACE},
}
PART: Object = {
    "apiVersion": "cluster.x-k8s.io/v1beta2",
    "kind": "Machine",
    "metadata": {"name": "m", "namespace": NAMESPACE, "labels": {"cluster.x-k8s.io/cluster-name": NAME}},
}
CLASS: Object = {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "ClusterClass", "metadata": {"name": "c"}}


@pytest.mark.parametrize(
    ("obj", "known", "meant"),
    [
        (raw_cluster(), (), [KEY]),
        (raw_site(), (raw_cluster(), OTHER), [KEY]),
        (raw_release("v1.36.1"), (raw_cluster(), OTHER), [(NAMESPACE, "other"), KEY]),
        (CAPI, (), [KEY]),
        (PART, (), [KEY]),
        ({**PART, "metadata": {"name": "m", "namespace": NAMESPACE}}, (), []),
        (CLASS, (raw_cluster(), OTHER, CAPI), [(NAMESPACE, "other")]),
        (CLASS, (raw_cluster(status={"update": {"classRevision": "c"}}), CAPI), [KEY]),
        (CLASS, (raw_cluster(status={"update": {"classRevision": "d"}}), CAPI), []),
    ],
)
def test_whose_key_an_event_means(obj: Object, known: tuple[Object, ...], meant: list[tuple[str, str]]) -> None:
    assert keys(obj["kind"], obj, *known) == meant


def old_class(name: str, provider: str = "openstack") -> Object:
    """A class revision of another time."""
    labels = {PROVIDER_LABEL: provider, LABEL_REVISION: name}
    return {**CLASS, "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": labels}}


def on(name: str, revision: str) -> Object:
    """A Cluster API Cluster of ours on a class revision."""
    labels = {LABEL_CLUSTER: name}
    meta = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {**CAPI, "metadata": meta, "spec": {"topology": {"classRef": {"name": revision}}}}


NEWEST = class_revision("openstack").name


@pytest.mark.parametrize(
    ("objects", "unused"),
    [
        ((), ("old",)),
        ((raw_cluster("other"), on("other", "old")), ()),
        ((raw_cluster("other", status={"classRevision": "old"}),), ()),
        ((raw_cluster("other", status={"update": {"classRevision": "old"}}),), ()),
        ((old_class("older"), old_class("devs", "dev")), ("old", "older")),
    ],
)
def test_class_revisions_that_no_cluster_is_on(objects: tuple[Object, ...], unused: tuple[str, ...]) -> None:
    theirs = {**CLASS, "metadata": {"name": "theirs", "namespace": SYSTEM_NAMESPACE}}
    known = (raw_site(), raw_cluster(), on(NAME, NEWEST), old_class(NEWEST), old_class("old"), theirs, *objects)
    found = seen(*known)
    assert found is not None
    assert found.unused_classes == unused


def test_a_cluster_keeps_its_own_class_revision() -> None:
    found = seen(raw_site(), raw_cluster(), on(NAME, "old"), old_class(NEWEST), old_class("old"))
    assert found is not None
    assert found.unused_classes == ()
