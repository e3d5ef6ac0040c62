"""An update that stops before Cluster API was handed any of it, as the reconciler writes it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kaas.api.constants import ANNOTATION_UPDATE_RETRY
from kaas.kube import resources
from kaas.kube.objects import Object
from tests.unit.updates.conducting import annotate, begun, due
from tests.unit.updates.office import KEY, World


@pytest.fixture(name="world")
def new_world() -> World:
    return due()


def capi_cluster(version: str) -> Object:
    """The Cluster API Cluster, which is handed a version or not."""
    meta = {"name": KEY[1], "namespace": KEY[0], "generation": 1}
    spec = {"topology": {"version": version, "classRef": {"name": "class-1"}, "variables": []}}
    kind = resources.CAPI_CLUSTER
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": spec, "status": {}}


async def test_what_was_never_handed_over_is_taken_back_until_a_person_has_it_tried_again(world: World) -> None:
    world.change(image="ubuntu-a", classRevision="class-1")
    world.put(capi_cluster("v1.36.1"))
    await begun(world)
    assert world.update["before"] == {"version": "v1.36.1", "image": "ubuntu-a", "classRevision": "class-1"}
    world.clock.time += timedelta(hours=3)
    world.checks.verdicts.clear()
    await world.look()
    assert world.update["stopped"]["reason"] == "NoProgress"
    said = world.update["rolledBack"]
    assert [(e["what"], e["from"], e["to"]) for e in said] == [("Version", "v1.36.3", "v1.36.1")]
    assert world.told() == ["UpdateStopped", "UpdateRolledBack"]
    assert world.registry.get_sample_value("kaas_update_rollbacks_total", {"what": "Version"}) == 1.0
    world.start()  # another controller finds it as it was said
    await world.look()
    assert (world.update["rolledBack"], world.told()) == (said, [])
    annotate(world, ANNOTATION_UPDATE_RETRY, "the class is taken up")
    await world.look()
    assert not world.update.get("rolledBack")
    assert "before" in world.update
