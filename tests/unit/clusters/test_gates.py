"""Gates: each names the object, the field and the way out."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.clusters.gates import LOOK_AGAIN_SECONDS, Gate, in_cloud, needs, offered
from kaas.clusters.plan import wanted_of_cloud
from kaas.clusters.snapshot import Cloud, Live
from tests.unit.clusters.builders import applied, cluster, full_cloud, pool, ready_class, settled, site, snapshot


def gates(cloud: Cloud, **spec: Any) -> list[Gate]:
    """What a new Cluster waits for in a cloud."""
    found = snapshot(cluster(**spec))
    wanted = wanted_of_cloud(found)
    assert wanted is not None
    assert found.site is not None
    return list(in_cloud(wanted, found.cluster, found.site, cloud))


def test_cloud_that_has_everything() -> None:
    assert gates(full_cloud()) == []


@pytest.mark.parametrize(
    ("cloud", "reason", "words"),
    [
        (full_cloud(external_networks=frozenset()), "NetworkNotFound", "Site north spec.externalNetwork"),
        (full_cloud(flavors={"cpu-4": (4, 8192)}), "FlavorNotFound", "no flavor 'cpu-2'"),
        (full_cloud(images={}), "ImageNotFound", "no image 'node-v1.36.1'; upload it, or choose another spec.version"),
        (full_cloud(images={"node-v1.36.1": "queued"}), "ImageNotActive", "is 'queued', not active"),
        (full_cloud(zones=frozenset({"az-1", "az-2"})), "ZoneNotFound", "no availability zone 'az-3'"),
        (full_cloud(free={"instances": 4}), "QuotaExceeded", "instances has 4 left and 5 more are wanted"),
        (full_cloud(free={"cores": 13}), "QuotaExceeded", "cores has 13 left and 14 more are wanted"),
        (full_cloud(free={"load_balancers": 0}), "QuotaExceeded", "load_balancers has 0 left and 1 more are wanted"),
        (full_cloud(free={"floating_ips": -2}), "QuotaExceeded", "floating_ips has 0 left"),
    ],
)
def test_what_a_cloud_lacks(cloud: Cloud, reason: str, words: str) -> None:
    (gate,) = gates(cloud)
    assert (gate.reason, gate.look_again) == (reason, LOOK_AGAIN_SECONDS)
    assert words in gate.message


def test_several_at_once() -> None:
    found = gates(full_cloud(images={}, zones=frozenset(), flavors={}))
    assert [g.reason for g in found] == ["FlavorNotFound"] * 2 + ["ImageNotFound"] + ["ZoneNotFound"] * 3


def test_cloud_that_cannot_be_asked_is_one_gate() -> None:
    (gate,) = gates(Cloud(problem=("CloudUnreachable", "Keystone does not answer")))
    assert (gate.reason, gate.message) == ("CloudUnreachable", "Keystone does not answer")


def test_enough_quota_is_no_gate() -> None:
    assert gates(full_cloud(free={"instances": 5, "ports": 6, "cores": 14, "load_balancers": 1})) == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"controlPlane": {"flavor": "x"}}, "spec.controlPlane.flavor: Site north offers no flavor 'x'; choose cpu-2,"),
        ({"nodePools": [pool(flavor="x")]}, "spec.nodePools[cpu].flavor: Site north offers no flavor 'x'"),
        ({"nodePools": [pool(zones=["q"])]}, "spec.nodePools[cpu].zones: Site north offers no zone 'q'; choose az-1,"),
        ({"controlPlane": {"flavor": "cpu-2", "zones": ["q"]}}, "spec.controlPlane.zones: Site north offers no zone"),
    ],
)
def test_what_a_site_does_not_offer(spec: dict[str, Any], words: str) -> None:
    (gate,) = offered(cluster(**spec), site(), Live())
    assert words in gate.message
    assert gate.look_again is None, "the watch tells"


def test_names_that_come_out_alike() -> None:
    pools = [pool("a", zones=["b-c"]), pool("a-b", zones=["c"])]
    (gate,) = offered(cluster(nodePools=pools), site(zones=[{"name": "b-c"}, {"name": "c"}]), Live())
    assert gate.reason == "PoolNamesClash"
    assert "'a-b-c'" in gate.message


def test_needs_of_a_changed_flavor() -> None:
    before = settled()
    after = snapshot(cluster(nodePools=[pool(flavor="dgx")]), classes=before.classes, identity=before.identity)
    assert before.live.cluster is not None
    found = needs(applied(after), before.live)
    assert (dict(found.servers), found.flavors) == ({"dgx": 2}, frozenset({"dgx"}))


def test_nothing_is_needed_for_what_is_there() -> None:
    found = snapshot(classes=ready_class(settled().revision or pytest.fail("no class")))
    desired = applied(found)
    assert not needs(desired, Live(cluster=desired))
