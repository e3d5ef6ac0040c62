"""From the index to a snapshot, and whose key an event means."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.api.parsed import Parsed
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
    ],
)
def test_whose_key_an_event_means(obj: Object, known: tuple[Object, ...], meant: list[tuple[str, str]]) -> None:
    assert keys(obj["kind"], obj, *known) == meant
