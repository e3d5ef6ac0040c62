"""Floating IPs: found by their address, given back when they lead nowhere."""

from __future__ import annotations

import pytest

from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.errors import CloudError
from kaas.openstack.floating_ip import FloatingIP
from tests.unit.openstack.fake_cloud import Answer, FakeCloud, Query

IPS = "/network/v2.0/floatingips"
FIRST, SECOND = "192.0.2.1", "192.0.2.2"


def listed(query: Query) -> Answer:
    every = {
        FIRST: {"id": "1", "floating_ip_address": FIRST, "port_id": "p", "description": "of CAPO"},
        SECOND: {"id": "2", "floating_ip_address": SECOND, "port_id": None, "description": ""},
    }
    return 200, {"floatingips": [every[a] for a in query["floating_ip_address"] if a in every]}


async def test_found_by_address(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    cloud.answers[IPS] = listed
    assert await clouds.floating_ips(cloud.credentials(), [FIRST, SECOND, "192.0.2.3"]) == {
        FIRST: FloatingIP("1", FIRST, "p", "of CAPO"),
        SECOND: FloatingIP("2", SECOND),
    }


@pytest.mark.parametrize(("port", "gone"), [(None, True), ("p", False)])
async def test_one_that_leads_somewhere_stays(
    clouds: CloudDirectory, cloud: FakeCloud, port: str | None, gone: bool
) -> None:
    cloud.answers[f"{IPS}/2"] = 200, {"floatingip": {"id": "2", "floating_ip_address": SECOND, "port_id": port}}
    assert await clouds.release(cloud.credentials(), "2") is gone
    assert bool(cloud.asked[f"DELETE {IPS}/2"]) is gone


async def test_one_that_is_gone_is_gone(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    assert await clouds.release(cloud.credentials(), "2")


async def test_a_cloud_that_refuses(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    cloud.answers[f"{IPS}/2"] = 403, {"NeutronError": {"message": "not you", "type": "Forbidden", "detail": ""}}
    with pytest.raises(CloudError, match="forbids it"):
        await clouds.release(cloud.credentials(), "2")
