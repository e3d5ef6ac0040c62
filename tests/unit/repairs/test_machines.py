"""What a Machine says, as repairs take it."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.kube.objects import Object
from kaas.kube.resources import REMEDIATE_ANNOTATION
from kaas.repairs.machines import machine_view, works
from tests.unit.clusters.builders import condition, machine

BORN = "2026-01-01T00:00:00Z"
KEY = ("tenants", "team")


def made(*conditions: Object, **more: Any) -> Object:
    meta = {"creationTimestamp": BORN, **more.pop("metadata", {})}
    return machine("m-1", *conditions, metadata=meta, **more)


def test_a_machine_that_has_just_been_made() -> None:
    view = machine_view(made(), KEY, "north", "s-7")
    assert (view.node, view.server, view.infrastructure_ready) == (None, "s-7", None)


def test_a_server_is_known_by_the_last_part_of_its_provider_id() -> None:
    assert machine_view(made(spec={"providerID": "openstack://RegionOne/s-1"}), KEY, "north").server == "s-1"


def test_our_own_mark_is_no_finding_of_a_health_check() -> None:
    failed = condition("HealthCheckSucceeded", "False", "NodeStartupTimeout", "never came")
    assert machine_view(made(failed), KEY, "north").health_check == "never came"
    marked = made(failed, metadata={"annotations": {REMEDIATE_ANNOTATION: ""}})
    assert machine_view(marked, KEY, "north").health_check is None


@pytest.mark.parametrize("note", ["cluster.x-k8s.io/skip-remediation", "cluster.x-k8s.io/paused"])
def test_what_is_not_to_be_touched(note: str) -> None:
    assert machine_view(made(metadata={"annotations": {note: ""}}), KEY, "north").skip


def test_a_master_works_unless_something_says_that_it_does_not() -> None:
    assert works(made(condition("EtcdMemberHealthy", "Unknown"), control_plane=True))
    assert not works(made(condition("EtcdMemberHealthy", "False"), control_plane=True))
    assert not works(made(control_plane=True, metadata={"deletionTimestamp": BORN}))
