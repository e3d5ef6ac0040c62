"""Dates of Releases, and what Clusters and Sites say of updates: read, and refused where they make no sense."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.load import ManifestError, parse
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.updates import Channel, KubernetesUpdates

START = datetime(2027, 1, 1, tzinfo=UTC)
NAMES = ("rapid", "regular", "stable", "deprecated", "expires")


def release(dates: dict[str, str]) -> Release:
    """Read as from a file."""
    spec: dict[str, Any] = {"version": "v1.36.1", "image": "node"}
    channels = {name: dates[name] for name in NAMES[:3] if name in dates}
    spec |= {"channels": channels, **{name: dates[name] for name in NAMES[3:] if name in dates}}
    found = parse({"apiVersion": API_VERSION, "kind": "Release", "metadata": {"name": "v1.36.1"}, "spec": spec})
    assert isinstance(found, Release)
    return found


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(ManifestError) as refused:
        parse(document)
    return "\n".join(refused.value.faults)


@given(st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(-3, 3), st.integers(-12, 12))))
def test_dates_are_in_order_in_whatever_zone_they_are_written(drawn: dict[str, tuple[int, int]]) -> None:
    dates = {}
    for name, (day, zone) in drawn.items():
        local = START + timedelta(days=day, hours=zone)
        dates[name] = f"{local:%Y-%m-%dT%H:%M:%S}{'-' if zone < 0 else '+'}{abs(zone):02}:00"
    there = [drawn[name][0] for name in NAMES if name in drawn]
    in_order = all(one <= other for one, other in itertools.pairwise(there))
    if in_order:
        release(dates)
        return
    with pytest.raises(ManifestError, match="set a later date"):
        release(dates)


@pytest.mark.parametrize("wrong", ["2027-01-01", "2027-01-01T00:00:00", "soon"])
def test_a_date_says_its_time_and_zone(wrong: str) -> None:
    with pytest.raises(ManifestError, match=r"spec\.expires"):
        release({"expires": wrong})


def cluster(version: str, updates: dict[str, Any] | None) -> dict[str, Any]:
    spec = {"version": version, "site": "lab", "controlPlane": {"flavor": "f"}}
    spec |= {"updates": updates} if updates is not None else {}
    return {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": {"name": "team"}, "spec": spec}


def test_a_cluster_follows_patches_of_regular_unless_it_says_otherwise() -> None:
    for manifest in (cluster("1.36", None), cluster("1.36", {})):
        found = parse(manifest)
        assert isinstance(found, Cluster)
        assert found.spec.updates.channel is Channel.REGULAR
        assert found.spec.updates.kubernetes is KubernetesUpdates.PATCH


def test_minors_are_followed_from_a_minor_on() -> None:
    assert parse(cluster("1.36", {"kubernetes": "Minor"}))
    assert parse(cluster("v1.36.1", {"kubernetes": "None", "channel": "None"}))
    assert "spec.updates.kubernetes: " in refusal(cluster("v1.36.1", {"kubernetes": "Minor"}))


def test_a_site_names_a_minor() -> None:
    def site(most: str) -> dict[str, Any]:
        spec = {"provider": "dev", "flavors": [{"name": "f"}], "updates": {"maxVersion": most}}
        return {"apiVersion": API_VERSION, "kind": "Site", "metadata": {"name": "lab"}, "spec": spec}

    found = parse(site("1.37"))
    assert isinstance(found, Site)
    assert found.spec.updates.max_version == "1.37"
    for wrong in ("v1.37.1", "37", "1.x"):
        assert "spec.updates.maxVersion" in refusal(site(wrong))
