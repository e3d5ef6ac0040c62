"""What a Cluster lacks is a condition that names it, nothing is half made, and it heals when the missing thing appears.

All Clusters of the table wait side by side, each at a Site of its own.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from kaas_lab.openstack import connect, faults, load, seeds
from kaas_lab.openstack.site import PASSWORD, Site

from tests.e2e.platform import Object, Platform, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CAPI_CLUSTERS = "apis/cluster.x-k8s.io/v1beta2/namespaces/default/clusters"
IDENTITIES = "apis/infrastructure.cluster.x-k8s.io/v1alpha1/openstackclusteridentities"
SITES = "apis/kaas.internal/v1alpha1/sites"
IMAGE = seeds.image_name("v1.36.1")
Change = Callable[["World", "Row"], None]


@dataclass
class World:
    """The platform, and its cloud as administrator."""

    platform: Platform
    site: Site
    admin: Any  # openstacksdk leaves open which versions of the services there are

    def secret(self) -> Object:
        """The Site's Secret as the lab has written it."""
        return self.platform.get("api/v1/namespaces/kaas-system/secrets/lab-openstack")

    def apply(self, *documents: Object) -> None:
        self.platform.apply(*documents)


@dataclass(frozen=True)
class Row:
    """One thing that is missing.

    reason, words: what the condition says. site: of the Site's spec, what is other than in the example; None: no Site.
    cluster: likewise of the Cluster's spec. before: makes it missing. heal: makes it appear.
    """

    name: str
    reason: str
    words: tuple[str, ...]
    heal: Change
    site: Object | None = field(default_factory=dict)
    cluster: Object = field(default_factory=dict)
    before: Change = lambda *_: None

    @property
    def secret_name(self) -> str:
        return f"{self.name}-secret"


def site_of(row: Row, **spec: Any) -> Object:
    """The Site of a row, with credentials of its own."""
    said = {
        "provider": "openstack",
        "credentials": {"secret": {"namespace": "kaas-system", "name": row.secret_name}},
        "region": "RegionOne",
        "externalNetwork": {"name": "public"},
        "flavors": [{"name": "m1.small"}, {"name": "m1.medium"}],
        "zones": [{"name": "az-1"}],
        "loadBalancer": {"provider": "oslab"},
        **spec,
    }
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Site", "metadata": {"name": row.name}, "spec": said}


def cluster_of(row: Row, **spec: Any) -> Object:
    said = {
        "version": "v1.36.1",
        "site": row.name,
        "controlPlane": {"replicas": 1, "flavor": "m1.small"},
        "nodePools": [{"name": "cpu", "flavor": "m1.medium", "replicas": 0}],
        **row.cluster,
        **spec,
    }
    meta = {"name": row.name, "namespace": "default"}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": said}


def release(version: str, image: str) -> Object:
    spec = {"version": version, "image": image}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Release", "metadata": {"name": version}, "spec": spec}


def secret_with(world: World, row: Row, data: Object) -> None:
    meta = {"name": row.secret_name, "namespace": "kaas-system"}
    world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})


def right_secret(world: World, row: Row) -> None:
    secret_with(world, row, world.secret()["data"])


def right_site(world: World, row: Row) -> None:
    world.apply(site_of(row))


def no_secret(world: World, row: Row) -> None:
    world.platform.api.request("DELETE", f"api/v1/namespaces/kaas-system/secrets/{row.secret_name}")


def empty_secret(world: World, row: Row) -> None:
    secret_with(world, row, {"password": base64.b64encode(b"guess").decode()})


def wrong_password(world: World, row: Row) -> None:
    text = base64.b64decode(world.secret()["data"]["clouds.yaml"]).decode()
    assert PASSWORD in text
    clouds = yaml.safe_load(text)
    clouds["clouds"]["openstack"]["auth"]["password"] = "wrong"
    secret_with(world, row, {"clouds.yaml": base64.b64encode(yaml.safe_dump(clouds).encode()).decode()})


def image(world: World, name: str) -> Any:
    return world.admin.image.create_image(
        name=name, disk_format="raw", container_format="bare", visibility="public", data=b"image", wait=True
    )


def release_without_image(world: World, _: Row) -> None:
    world.apply(release("v1.36.7", "not-there-yet"))


def inactive_image(world: World, _: Row) -> None:
    world.apply(release("v1.36.8", "withdrawn"))
    world.admin.image.deactivate_image(image(world, "withdrawn"))


def activate_image(world: World, _: Row) -> None:
    world.admin.image.reactivate_image(world.admin.image.find_image("withdrawn", ignore_missing=False))


def new_flavor(world: World, _: Row) -> None:
    world.admin.compute.create_flavor(name="m1.new", ram=2048, vcpus=2, disk=10)


def new_network(world: World, _: Row) -> None:
    """Nothing of it is used: the Cluster goes as soon as it is handed to Cluster API."""
    world.admin.network.create_network(name="second", is_router_external=True)


OTHER_ZONES = [{"name": "az-1"}, {"name": "az-2"}]
IN_OTHER_ZONE = {"nodePools": [{"name": "cpu", "flavor": "m1.medium", "replicas": 1, "zones": ["az-2"]}]}
IN_NO_ZONE = {"nodePools": [{"name": "cpu", "flavor": "m1.medium", "replicas": 1, "zones": ["az-9"]}]}
CHOOSES = {"controlPlane": {"replicas": 1, "flavor": "m1.large"}}
NEW_FLAVOR = {"controlPlane": {"replicas": 1, "flavor": "m1.new"}}

ROWS = (
    Row("no-site", "SiteNotFound", ("spec.site", "'no-site'", "create it"), right_site, site=None),
    Row(
        "no-secret",
        "SecretNotFound",
        ("Site no-secret spec.credentials.secret kaas-system/no-secret-secret", "create it"),
        right_secret,
        before=no_secret,
    ),
    Row("empty-secret", "SecretInvalid", ("no key clouds.yaml", "add it"), right_secret, before=empty_secret),
    Row(
        "wrong-password",
        "CloudUnauthorized",
        ("Site wrong-password", "refuses the credentials", "renew them in the Site's Secret"),
        right_secret,
        before=wrong_password,
    ),
    Row(
        "wrong-region",
        "CloudNoSuchService",
        ("Site wrong-region", "Nowhere", "check the Site's region"),
        right_site,
        site={"region": "Nowhere"},
    ),
    Row(
        "no-release",
        "ReleaseNotFound",
        ("spec.version", "v1.36.9", "v1.36.3", "add a Release"),
        lambda world, _: world.apply(release("v1.36.9", IMAGE)),
        cluster={"version": "v1.36.9"},
    ),
    Row(
        "no-image",
        "ImageNotFound",
        ("Site no-image", "'not-there-yet'", "upload it"),
        lambda world, _: image(world, "not-there-yet"),
        cluster={"version": "v1.36.7"},
        before=release_without_image,
    ),
    Row(
        "inactive-image",
        "ImageNotActive",
        ("Site inactive-image", "'withdrawn' is 'deactivated'", "choose another spec.version"),
        activate_image,
        cluster={"version": "v1.36.8"},
        before=inactive_image,
    ),
    Row(
        "not-offered",
        "FlavorNotOffered",
        ("spec.controlPlane.flavor", "'m1.large'", "choose m1.medium, m1.small"),
        lambda world, row: world.apply(site_of(row, flavors=[{"name": "m1.large"}, {"name": "m1.medium"}])),
        cluster=CHOOSES,
    ),
    Row(
        "no-flavor",
        "FlavorNotFound",
        ("Site no-flavor", "'m1.new'", "create it there"),
        new_flavor,
        site={"flavors": [{"name": "m1.new"}, {"name": "m1.medium"}]},
        cluster=NEW_FLAVOR,
    ),
    Row(
        "zone-not-offered",
        "ZoneNotOffered",
        ("spec.nodePools[cpu].zones", "'az-2'", "choose az-1"),
        lambda world, row: world.apply(site_of(row, zones=OTHER_ZONES)),
        cluster=IN_OTHER_ZONE,
    ),
    Row(
        "no-zone",
        "ZoneNotFound",
        ("'az-9'", "correct Site no-zone"),
        lambda world, row: world.apply(cluster_of(row, nodePools=[]), site_of(row)),
        site={"zones": [{"name": "az-1"}, {"name": "az-9", "controlPlane": False}]},
        cluster=IN_NO_ZONE,
    ),
    Row(
        "no-network",
        "NetworkNotFound",
        ("Site no-network spec.externalNetwork", "'second'", "mark it external"),
        new_network,
        site={"externalNetwork": {"name": "second"}},
    ),
)


@pytest.fixture(scope="module")
def world(openstack: Platform) -> World:
    site = load(openstack.layout, "lab")
    return World(openstack, site, connect(site))


@pytest.fixture(scope="module")
def blocked(world: World) -> Iterator[World]:
    """Every Cluster of the table, applied at once."""
    for row in ROWS:
        right_secret(world, row)
        if row.site is not None:
            world.apply(site_of(row, **row.site))
        row.before(world, row)
    world.apply(*(cluster_of(row) for row in ROWS))
    yield world
    names = [row.name for row in ROWS if world.platform.cluster(row.name)]
    if names:
        world.platform.kaas("delete", *names, "--wait", "--yes", "--timeout", "30m")
    for row in ROWS:
        world.platform.api.request("DELETE", f"{SITES}/{row.name}")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_missing_is_a_condition_and_nothing_is_half_made(blocked: World, row: Row) -> None:
    platform = blocked.platform
    until(f"{row.name} says why", lambda: platform.condition(row.name, "Accepted").get("reason") == row.reason, 120)
    accepted = platform.condition(row.name, "Accepted")
    assert accepted["status"] == "False"
    for word in row.words:
        assert word in accepted["message"]
    found = platform.cluster(row.name)
    assert found["status"]["phase"] == "Pending"
    assert platform.condition(row.name, "Ready")["message"] == f"Accepted: {accepted['message']}"
    assert "finalizers" not in found["metadata"]
    assert not platform.get(f"{CAPI_CLUSTERS}/{row.name}")
    assert not platform.get(f"{IDENTITIES}/kaas-{row.name}")


def test_it_heals_by_itself(blocked: World) -> None:
    """The cloud is asked every 15 seconds."""
    platform = blocked.platform
    for row in ROWS:
        row.heal(blocked, row)
    waiting = {row.name for row in ROWS}

    def healed() -> bool:
        for name in sorted(waiting):
            if platform.get(f"{CAPI_CLUSTERS}/{name}"):
                waiting.remove(name)
                platform.kaas("delete", name, "--yes")
        return not waiting

    until(f"all are made: {waiting}", healed, 600)


@pytest.mark.parametrize("resource", ["instances", "load_balancers"])
def test_a_quota_that_is_used_up(world: World, resource: str) -> None:
    row = Row(f"no-{resource.replace('_', '-')}", "QuotaExceeded", (), right_site)
    right_secret(world, row)
    faults.exhaust_quota(world.site.layout, world.site.name, resource)
    world.apply(site_of(row), cluster_of(row))
    platform = world.platform
    try:
        until("it says why", lambda: platform.condition(row.name, "Accepted").get("reason") == "QuotaExceeded", 120)
        words = f"quota of Site {row.name}: {resource} has 0 left and 1 more are wanted; raise the project's quota"
        assert words in platform.condition(row.name, "Accepted")["message"]
        assert not platform.get(f"{CAPI_CLUSTERS}/{row.name}")
    finally:
        faults.heal(world.site.layout, world.site.name)
    until("it is made", lambda: platform.get(f"{CAPI_CLUSTERS}/{row.name}"), 300)
    platform.kaas("delete", row.name, "--wait", "--yes", "--timeout", "30m")
    platform.api.request("DELETE", f"{SITES}/{row.name}")
