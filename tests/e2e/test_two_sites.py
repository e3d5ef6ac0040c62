"""Two OpenStack sites in one lab: what happens to one cloud does not disturb the Clusters on the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import yaml
from kaas_lab import lab
from kaas_lab.openstack import faults
from kaas_lab.openstack.faults import How
from kaas_lab.openstack.site import REGIONS, SERVICES

from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.credentials import from_secret
from tests.e2e.platform import CRDS, Object, Platform, platform, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CAPI_CLUSTERS = "apis/cluster.x-k8s.io/v1beta2/namespaces/default/clusters"
ONE, TWO = lab.SITES


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("sites"), lab.Options(sites=2, crds=CRDS)) as found:
        found.kaas("apply", "-f", found.examples / "releases.yaml", "-f", found.examples / "site-lab.yaml")
        found.apply(second_site(found))
        yield found


def second_site(found: Platform) -> Object:
    site: Object = yaml.safe_load((found.examples / "site-lab.yaml").read_text())
    credentials = {"secret": {"namespace": "kaas-system", "name": f"{TWO}-openstack"}}
    return {
        **site,
        "metadata": {"name": TWO},
        "spec": {**site["spec"], "region": REGIONS[1], "credentials": credentials},
    }


def cluster(name: str, site: str, replicas: int = 1) -> Object:
    spec = {
        "version": "v1.36.1",
        "site": site,
        "controlPlane": {"replicas": 1, "flavor": "m1.small"},
        "nodePools": [{"name": "cpu", "flavor": "m1.small", "replicas": replicas}],
    }
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec}


def settle(found: Platform, name: str) -> Object:
    def settled() -> bool:
        now = found.cluster(name)
        status = now.get("status", {})
        return bool(status.get("phase") == "Ready" and status["observedGeneration"] == now["metadata"]["generation"])

    until(f"{name} is Ready", settled)
    status: Object = found.cluster(name)["status"]
    return status


def leftovers(found: Platform, site: str) -> str:
    secret = found.get(f"api/v1/namespaces/kaas-system/secrets/{site}-openstack")

    async def ask() -> str:
        directory = CloudDirectory()
        try:
            return str(await directory.leftovers(from_secret(secret["data"], "openstack")))
        finally:
            directory.close()

    return asyncio.run(ask())


def test_a_cloud_that_goes_away_takes_nobody_along(both: Platform) -> None:
    both.apply(cluster("north", ONE), cluster("south", TWO))
    hosts = [settle(both, name)["endpoint"]["host"] for name in ("north", "south")]
    networks = [both.layout.floating_network(site) for site in (0, 1)]
    assert [host.rpartition(".")[0].rpartition(".")[0] for host in hosts] == networks
    for service in SERVICES:
        faults.break_service(both.layout, TWO, service.name, How.HANG)
    both.apply(*(cluster(f"waits-{number}", TWO) for number in range(10)))
    both.apply(cluster("north", ONE, replicas=2))
    assert [p["ready"] for p in settle(both, "north")["nodePools"]] == [2]
    assert both.phase("south") == "Ready", "unknown is not unhealthy"
    until("the others say why", lambda: both.condition("waits-0", "Accepted").get("reason") == "CloudTimeout", 120)
    assert not both.get(f"{CAPI_CLUSTERS}/waits-0")
    both.kaas("delete", *(f"waits-{n}" for n in range(10)), "north", "--wait", "--yes", "--timeout", "30m")
    assert leftovers(both, ONE) == "nothing"
    faults.heal(both.layout, TWO)
    both.kaas("delete", "south", "--wait", "--yes", "--timeout", "30m")
    assert leftovers(both, TWO) == "nothing"
    assert not both.items("apis/infrastructure.cluster.x-k8s.io/v1alpha1/openstackclusteridentities")
