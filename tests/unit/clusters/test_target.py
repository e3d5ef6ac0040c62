"""Which version, which images, which class."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.clusters.classes import class_revision
from kaas.clusters.snapshot import Live
from kaas.clusters.target import ReleaseMissingError, choose_version, class_of, images, target
from kaas.kube.resources import DEFER_UPGRADE
from tests.unit.clusters.builders import RELEASES, capi_object, cluster, release, site, snapshot

PATCHES = st.lists(st.integers(0, 30), min_size=1, max_size=8, unique=True)


@pytest.mark.parametrize(
    ("wanted", "current", "chosen"),
    [
        ("1.36", None, "v1.36.3"),
        ("1.36", "v1.36.1", "v1.36.1"),
        ("1.36", "v1.35.6", "v1.36.3"),
        ("v1.36.1", None, "v1.36.1"),
        ("v1.36.3", "v1.36.1", "v1.36.3"),
        ("v1.36.7", "v1.36.7", "v1.36.7"),
        ("1.36", "v1.36.1-rc.0", "v1.36.3"),
    ],
)
def test_version(wanted: str, current: str | None, chosen: str) -> None:
    assert choose_version(cluster(version=wanted), RELEASES, current) == chosen


@given(PATCHES)
def test_newest_is_by_number_and_not_by_text(patches: list[int]) -> None:
    releases = [release(f"v1.36.{p}") for p in patches]
    assert choose_version(cluster(version="1.36"), releases, None) == f"v1.36.{max(patches)}"


def test_missing_release_lists_those_that_there_are() -> None:
    with pytest.raises(ReleaseMissingError, match=r"no Release for 1\.37; .*\(v1\.35\.6, v1\.36\.1, v1\.36\.3\)"):
        choose_version(cluster(version="1.37"), RELEASES, None)
    with pytest.raises(ReleaseMissingError, match=r"\(none\)"):
        choose_version(cluster(version="1.37"), [], None)


def test_image_of_the_site_counts_before_that_of_the_release() -> None:
    place = site(images=[{"version": "v1.36.1", "name": "special"}])
    assert images("v1.36.1", RELEASES, place, Live()) == {"v1.36.1": "special"}
    assert images("v1.36.3", RELEASES, place, Live()) == {"v1.36.3": "node-v1.36.3"}


def test_order_of_releases_does_not_count() -> None:
    several = [release("v1.36.1", "old", "v1.36.1"), release("v1.36.1", "new", "v1.36.1-2")]
    found = [images("v1.36.1", order, site(), Live()) for order in itertools.permutations(several)]
    assert found == [{"v1.36.1": "new"}] * 2


def test_class_is_the_one_in_use_then_the_one_that_was_then_the_newest() -> None:
    newest = class_revision("openstack")
    on = Live(cluster={"spec": {"topology": {"classRef": {"name": "in-use"}}}})
    known = cluster(status={"classRevision": "was"})
    assert class_of(known, on, newest) == "in-use"
    assert class_of(known, Live(), newest) == "was"
    assert class_of(cluster(), Live(), newest) == newest.name
    assert class_of(cluster(), Live(), None) is None


@pytest.mark.parametrize(
    ("strategy", "annotations", "version"),
    [
        ("OnDelete", {}, "v1.36.1"),
        ("RollingUpdate", {DEFER_UPGRADE: ""}, "v1.36.1"),
        ("RollingUpdate", {}, "v1.36.3"),
    ],
)
def test_pools_that_are_held_are_let_go_before_another_version_is_wanted(
    strategy: str, annotations: dict[str, str], version: str
) -> None:
    """Cluster API takes no other version before all pools have the last, and changes nothing of one that waits."""
    deployment = capi_object("MachineDeployment", "cpu", spec={"rollout": {"strategy": {"type": strategy}}})
    workers = {"machineDeployments": [{"name": "cpu", "metadata": {"annotations": annotations}}]}
    topology = {"version": "v1.36.1", "workers": workers}
    live = Live({"spec": {"topology": topology}}, None, [deployment])
    found = replace(snapshot(cluster(version="v1.36.3")), live=live)
    assert found.site is not None
    assert found.revision is not None
    aim = target(found, found.site, found.revision)
    assert (aim.version, aim.releases) == (version, version == "v1.36.1")
