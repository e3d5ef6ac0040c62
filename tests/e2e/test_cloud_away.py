"""A cloud that is away or refuses: what works stays Ready, what waits says why, what goes goes on when it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
import yaml
from kaas_lab.openstack import faults
from kaas_lab.openstack.faults import How

from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.credentials import from_secret
from tests.e2e.platform import Object, Platform, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SITE = "lab"
STEADY = "steady"
CAPI_CLUSTERS = "apis/cluster.x-k8s.io/v1beta2/namespaces/default/clusters"
OPENSTACK_CLUSTERS = "apis/infrastructure.cluster.x-k8s.io/v1beta1/namespaces/default/openstackclusters"
IDENTITIES = "apis/infrastructure.cluster.x-k8s.io/v1alpha1/openstackclusteridentities"
SITES = "apis/kaas.internal/v1alpha1/sites"
OWNER = "cluster.x-k8s.io/cluster-name"
WATCHED_FOR = 20.0  # seconds: longer than the controller waits before it looks again


def cluster(name: str, *pools: Object, site: str = SITE, flavor: str = "m1.small") -> Object:
    spec = {
        "version": "v1.36.1",
        "site": site,
        "controlPlane": {"replicas": 1, "flavor": flavor},
        "nodePools": list(pools),
    }
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec}


def pool(replicas: int = 1, flavor: str = "m1.small") -> Object:
    return {"name": "cpu" if flavor == "m1.small" else "dgx", "flavor": flavor, "replicas": replicas}


def settle(platform: Platform, name: str) -> None:
    def settled() -> bool:
        found = platform.cluster(name)
        status = found.get("status", {})
        newest = status.get("observedGeneration") == found["metadata"]["generation"]
        return bool(newest and status.get("phase") == "Ready")

    until(f"{name} is Ready", settled)


def infrastructure(platform: Platform, name: str) -> Object:
    """The OpenStackCluster of a Cluster."""
    found = [o for o in platform.items(OPENSTACK_CLUSTERS) if o["metadata"]["labels"].get(OWNER) == name]
    return found[0] if found else {}


def leftovers(platform: Platform) -> str:
    secret = platform.get("api/v1/namespaces/kaas-system/secrets/lab-openstack")

    async def ask() -> str:
        directory = CloudDirectory()
        try:
            return str(await directory.leftovers(from_secret(secret["data"], "openstack")))
        finally:
            directory.close()

    return asyncio.run(ask())


@pytest.fixture
def broken(openstack: Platform) -> Iterator[Platform]:
    """The platform, whose cloud is healed in the end."""
    yield openstack
    faults.heal(openstack.layout, SITE)


@pytest.fixture(scope="module")
def steady(openstack: Platform) -> Iterator[str]:
    """A Cluster that is Ready."""
    openstack.apply(cluster(STEADY, pool()))
    settle(openstack, STEADY)
    yield STEADY
    if openstack.cluster(STEADY):
        openstack.kaas("delete", STEADY, "--wait", "--yes", "--timeout", "30m")


@pytest.mark.parametrize(
    ("service", "how", "reason"),
    [
        ("nova", How.DOWN, "CloudUnreachable"),
        ("nova", How.HANG, "CloudTimeout"),
        ("nova", How.REFUSE, "CloudFailed"),
    ],
)
def test_a_cloud_that_is_away(broken: Platform, steady: str, service: str, how: How, reason: str) -> None:
    """What waits says why; what is there stays as it is; what has nothing to do with the cloud goes on.

    Nova, not Keystone: the services know a token for some minutes without asking it.
    """
    faults.break_service(broken.layout, SITE, service, how)
    name = f"waits-{service}-{how.value}"
    broken.apply(*(cluster(f"{name}-{number}", pool()) for number in range(10)))
    broken.apply(cluster("elsewhere", pool(), site="nowhere"))
    until("another is looked at", lambda: broken.condition("elsewhere", "Accepted").get("reason") == "SiteNotFound", 25)
    until("it says why", lambda: broken.condition(f"{name}-0", "Accepted").get("reason") == reason, 180)
    assert "the cloud of Site lab" in broken.condition(f"{name}-0", "Accepted")["message"]
    assert not broken.get(f"{CAPI_CLUSTERS}/{name}-0")
    end = time.monotonic() + WATCHED_FOR
    while time.monotonic() < end:
        assert broken.phase(steady) == "Ready"
        time.sleep(0.5)
    names = [f"{name}-{number}" for number in range(1, 10)]
    broken.kaas("delete", "elsewhere", *names, "--wait", "--yes", "--timeout", "2m")
    faults.heal(broken.layout, SITE)
    until("it is made", lambda: broken.get(f"{CAPI_CLUSTERS}/{name}-0"), 300)
    broken.kaas("delete", f"{name}-0", "--wait", "--yes", "--timeout", "30m")
    assert broken.phase(steady) == "Ready"


def test_a_slow_cloud_is_only_slow(broken: Platform, steady: str) -> None:
    faults.break_service(broken.layout, SITE, "neutron", How.SLOW, 1.0)
    broken.apply(cluster("slowly"))
    until("it is made", lambda: broken.get(f"{CAPI_CLUSTERS}/slowly"), 300)
    assert broken.phase(steady) == "Ready"
    faults.heal(broken.layout, SITE)
    broken.kaas("delete", "slowly", "--wait", "--yes", "--timeout", "30m")


def test_novas_own_words_are_the_reason(openstack: Platform, steady: str) -> None:
    """There are two DGX machines. Three at once would meet at one, and Nova would say that it has tried in vain."""
    openstack.apply(cluster(STEADY, pool(), pool(2, "g1.a100x8")))
    settle(openstack, STEADY)
    openstack.apply(cluster(STEADY, pool(), pool(3, "g1.a100x8")))

    def quoted() -> bool:
        return "No valid host was found" in openstack.condition(STEADY, "Ready").get("message", "")

    until("the reason is there", quoted, 600)
    until("the others are there", lambda: "pool dgx 2 of 3" in openstack.condition(STEADY, "Ready")["message"], 300)
    message = openstack.condition(STEADY, "Ready")["message"]
    assert f"OpenStackServer {STEADY}-dgx-" in message
    assert "Nova: No valid host was found. There are not enough hosts available." in message
    until("that is no update any more", lambda: openstack.phase(STEADY) == "Degraded")
    openstack.apply(cluster(STEADY, pool()))
    settle(openstack, STEADY)


def test_deleted_while_the_cloud_is_away(broken: Platform, steady: str) -> None:
    faults.break_service(broken.layout, SITE, "nova", How.DOWN)
    faults.break_service(broken.layout, SITE, "neutron", How.DOWN)
    broken.kaas("delete", steady, "--yes")
    until("it is being deleted", lambda: broken.phase(steady) == "Deleting")

    def says_why() -> bool:
        message = broken.condition(steady, "Ready").get("message", "")
        return "still there" in message and "OpenStack" in message

    until("it says what is left, and why", says_why, 300)
    print(broken.condition(steady, "Ready"))
    assert broken.cluster(steady)["metadata"]["finalizers"]
    faults.heal(broken.layout, SITE)
    until("it is gone", lambda: not broken.cluster(steady))
    until("nothing is left in the cloud", lambda: leftovers(broken) == "nothing", 60)


def own_site(platform: Platform, name: str) -> Object:
    found: Object = yaml.safe_load((platform.examples / "site-lab.yaml").read_text())
    return {**found, "metadata": {"name": name}}


def test_deleted_while_it_is_made_and_after_its_site(openstack: Platform) -> None:
    """The identity by which CAPO enters the cloud is kept for as long as a Cluster is there."""
    name = "homeless"
    openstack.apply(own_site(openstack, name), cluster(name, pool(), site=name))
    until("its network is there", lambda: infrastructure(openstack, name).get("status", {}).get("network"))
    openstack.api.request("DELETE", f"{SITES}/{name}")
    until("it misses its Site", lambda: openstack.condition(name, "Accepted").get("reason") == "SiteNotFound", 60)
    assert openstack.get(f"{IDENTITIES}/kaas-{name}")
    openstack.kaas("delete", name, "--wait", "--yes", "--timeout", "30m")
    assert not openstack.get(f"{IDENTITIES}/kaas-{name}")
    until("nothing is left in the cloud", lambda: leftovers(openstack) == "nothing", 60)
