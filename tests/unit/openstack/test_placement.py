"""Placement: what is asked for a flavor, as Nova's scheduler would, and what is made of the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kaas.openstack.clouds import CloudDirectory, Limits
from kaas.openstack.errors import CloudError, Kind
from kaas.openstack.placement import request
from tests.unit.openstack.fake_cloud import Clock, FakeCloud, Query

CANDIDATES = "/placement/allocation_candidates"
FLAVORS = "/compute/v2.1/flavors/detail"
AGGREGATES = "/compute/v2.1/os-aggregates"
ENABLED = ("required", "!COMPUTE_STATUS_DISABLED")


def flavor(**changed: Any) -> dict[str, Any]:
    return {"id": "f", "name": "f", "vcpus": 4, "ram": 8192, "disk": 40, "swap": "", "extra_specs": {}, **changed}


@pytest.mark.parametrize(
    ("changed", "query"),
    [
        ({}, [("resources", "DISK_GB:40,MEMORY_MB:8192,VCPU:4"), ENABLED]),
        (
            {"swap": 1500, "OS-FLV-EXT-DATA:ephemeral": 10, "disk": 0},
            [("resources", "DISK_GB:12,MEMORY_MB:8192,VCPU:4"), ENABLED],
        ),
        ({"disk": 0}, [("resources", "MEMORY_MB:8192,VCPU:4"), ENABLED]),
        (
            {"extra_specs": {"hw:cpu_policy": "dedicated"}},
            [("resources", "DISK_GB:40,MEMORY_MB:8192,PCPU:4"), ENABLED],
        ),
        (
            {
                "extra_specs": {
                    "resources:CUSTOM_DGX": "1",
                    "resources:VCPU": "0",
                    "resources:MEMORY_MB": "0",
                    "resources:DISK_GB": "0",
                    "trait:CUSTOM_DGX_A100": "required",
                    "trait:CUSTOM_OLD": "forbidden",
                    "pci_passthrough:alias": "a100:8",
                }
            },
            [("resources", "CUSTOM_DGX:1"), ("required", "!COMPUTE_STATUS_DISABLED,CUSTOM_DGX_A100,!CUSTOM_OLD")],
        ),
        (
            {"extra_specs": {"resources1:VGPU": "2", "trait1:CUSTOM_A": "required", "group_policy": "none"}},
            [
                ("resources", "DISK_GB:40,MEMORY_MB:8192,VCPU:4"),
                ("resources1", "VGPU:2"),
                ENABLED,
                ("required1", "CUSTOM_A"),
                ("group_policy", "none"),
            ],
        ),
    ],
)
def test_what_a_flavor_asks_for(changed: dict[str, Any], query: list[tuple[str, str]]) -> None:
    assert request(flavor(**changed)) == query


@pytest.fixture
async def clouds(clock: Clock) -> AsyncIterator[CloudDirectory]:
    directory = CloudDirectory(Limits(fresh=10, fresh_failure=5), clock=clock)
    yield directory
    directory.close()


@pytest.fixture
def asked(cloud: FakeCloud) -> list[Query]:
    """What Placement is asked; it knows a host with a provider below it, and another."""
    queries: list[Query] = []

    def candidates(query: Query) -> tuple[int, Any]:
        queries.append(query)
        roots = {"h1": "h1", "gpu-of-h1": "h1", "h2": "h2"}
        requests: list[Any] = [{"allocations": {"h1": {}, "gpu-of-h1": {}}}, {"allocations": {"h2": {}}}]
        summaries = {name: {"root_provider_uuid": root} for name, root in roots.items()}
        return 200, {"allocation_requests": requests, "provider_summaries": summaries}

    aggregates = [
        {"uuid": "u1", "availability_zone": "az-1"},
        {"uuid": "u2", "availability_zone": "az-1"},
        {"uuid": "u3", "availability_zone": None},
    ]
    cloud.answers[CANDIDATES] = candidates
    cloud.answers[FLAVORS] = 200, {"flavors": [flavor(name="g1"), flavor(name="other", vcpus=1)]}
    cloud.answers[AGGREGATES] = 200, {"aggregates": aggregates}
    return queries


async def test_hosts_are_counted(clouds: CloudDirectory, cloud: FakeCloud, asked: list[Query]) -> None:
    assert await clouds.hosts_with_room(cloud.credentials(), "g1", None, 3) == 2
    assert await clouds.hosts_with_room(cloud.credentials(), "g1", "az-1", 1) == 2
    everywhere, in_zone = asked
    assert "member_of" not in everywhere
    assert in_zone["member_of"] == ["in:u1,u2"]
    assert in_zone["limit"] == ["1"]
    assert in_zone["resources"] == ["DISK_GB:40,MEMORY_MB:8192,VCPU:4"]


@pytest.mark.parametrize(
    ("path", "answer", "zone", "kind"),
    [
        (CANDIDATES, (403, {"errors": [{"status": 403, "detail": "no"}]}), None, Kind.FORBIDDEN),
        (AGGREGATES, (403, {"forbidden": {"code": 403, "message": "no"}}), "az-1", Kind.FORBIDDEN),
        (AGGREGATES, (200, {"aggregates": []}), "az-1", Kind.REFUSED),
        (FLAVORS, (200, {"flavors": []}), None, Kind.REFUSED),
    ],
)
@pytest.mark.usefixtures("asked")
async def test_who_may_not_ask_is_told(
    clouds: CloudDirectory, cloud: FakeCloud, path: str, answer: tuple[int, Any], zone: str | None, kind: Kind
) -> None:
    cloud.answers[path] = answer
    with pytest.raises(CloudError) as refused:
        await clouds.hosts_with_room(cloud.credentials(), "g1", zone, 1)
    assert refused.value.problem.kind is kind


async def test_a_cloud_without_placement(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    cloud.services.discard("placement")
    cloud.answers[FLAVORS] = 200, {"flavors": [flavor(name="g1")]}
    with pytest.raises(CloudError) as missing:
        await clouds.hosts_with_room(cloud.credentials(), "g1", None, 1)
    assert missing.value.problem.kind is Kind.NO_SERVICE
