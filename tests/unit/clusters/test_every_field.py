"""Every field of our API changes what is rendered, how nodes are repaired, or when: a walk along the CRDs.

A field that is new and has no entry here fails the test, and so does one that nothing reads.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kaas.api.cluster import Cluster
from kaas.api.constants import LABEL_POOL
from kaas.api.crd import crds
from kaas.api.load import parse
from kaas.api.node_repair_template import NodeRepairTemplate
from kaas.api.pool_update import Strategy
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.updates import Channel
from kaas.api.versions import KubernetesVersion
from kaas.clusters import render
from kaas.clusters.classes import class_revision
from kaas.clusters.snapshot import Snapshot
from kaas.clusters.target import target
from kaas.repairs.policy import policies
from kaas.repairs.settings import limits_of_cluster, limits_of_site, zone_limits_of_site
from kaas.repairs.templates import templates
from kaas.updates import facts as updates
from kaas.updates.addons import Known
from kaas.updates.catalogue import catalogue
from kaas.updates.drains.seen import rules_of
from kaas.updates.kinds import add_ons_due, pending
from kaas.updates.places import Places, rank
from kaas.updates.preflight.review import review
from kaas.updates.seeing import pools_in_order
from kaas.updates.standing import Present
from kaas.updates.targets import choose
from kaas.updates.verify.asked import asked
from kaas.updates.windows import Calendar
from tests.unit.clusters.builders import NAMESPACE, Object, pool, raw_cluster, raw_release, raw_site
from tests.unit.schema_walk import leaves
from tests.unit.updates.addons import addon
from tests.unit.updates.preflight.cases import BUDGET, HOOK, case, facts, worker

LIMITS = {"maxInFlight": 1, "maxUnhealthy": "40%"}
REPAIR = {"mode": "Automatic", "limits": LIMITS, "template": "careful"}
MAINTENANCE = {
    "windows": [
        {
            "recurrence": "FREQ=WEEKLY;BYDAY=TU",
            "start": "22:00",
            "durationMinutes": 240,
            "timeZone": "Asia/Tokyo",
            "from": "2027-01-05",
        }
    ],
    "exclusions": [
        {"from": "2027-12-01T00:00:00Z", "until": "2028-01-05T00:00:00Z", "scope": "All", "reason": "end of the year"}
    ],
}
VERIFICATION = {
    "settleSeconds": 600,
    "ignored": [{"check": "AddOns", "reason": "none"}],
    "checks": [
        {"name": "rate", "promQL": {"query": "sum(x)", "atLeast": 0.5, "atMost": 1}, "timeoutSeconds": 600},
        {"name": "smoke", "job": {"namespace": "tests", "cronJob": "smoke"}},
    ],
}
PREFLIGHT = {
    "severities": [{"check": "DisruptionBudgets", "severity": "Warn"}],
    "overrides": [{"check": "MachinesHealthy", "reason": "by hand", "until": "2028-01-01T00:00:00Z"}],
}
METRICS = {"url": "https://north.example", "secret": {"namespace": "kaas-system", "name": "metrics"}}
UPDATE = {
    "strategy": "Surge",
    "order": 0,
    "maxSurge": 1,
    "maxUnavailable": 0,
    "drainTimeoutSeconds": 600,
    "notice": False,
}
CLUSTER = raw_cluster(
    version="v1.36.1",
    controlPlane={"flavor": "cpu-2", "replicas": 3, "zones": ["az-1"]},
    nodePools=[
        pool(
            labels={"a": "b"},
            taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}],
            zones=["az-1"],
            repair=REPAIR,
            update=UPDATE,
        ),
        pool("train", flavor="dgx", gpu={"taint": "NoSchedule", "drainTimeoutSeconds": 60}),
    ],
    network={"pods": "10.64.0.0/16", "services": "10.96.0.0/16", "nodes": "10.7.0.0/24"},
    repair=REPAIR,
    maintenance=MAINTENANCE,
    updates={"channel": "Regular", "kubernetes": "Patch", "preflight": PREFLIGHT, "verification": VERIFICATION},
)
KINDS = {"nodeImages": {"channel": "Regular"}, "classRevision": {"channel": "Regular"}, "certificates": "Auto"}
CLUSTER["spec"]["updates"] |= {**KINDS, "addOns": "Auto"}
FOLLOWING = {**CLUSTER, "spec": {**CLUSTER["spec"], "version": "1.36"}}
SOAKING = raw_cluster(nodePools=[pool(update={"strategy": "BlueGreen", "soakSeconds": 60})])
# A second Cluster with the defaults shows what the Site alone decides.
PLAIN = raw_cluster("plain", version="1.36", nodePools=[pool("train", flavor="dgx")])
SITE = raw_site(
    zones=[{"name": "az-1", "controlPlane": True}],
    images=[{"version": "v1.36.1", "name": "special"}],
    dnsNameservers=["10.0.0.53"],
    loadBalancer={"provider": "amphora"},
    repair={"mode": "Automatic", "limits": LIMITS, "zoneLimits": LIMITS, "ticket": {"url": "https://north.example"}},
    maintenance=MAINTENANCE,
    updates={
        "maxVersion": "1.36",
        "maxConcurrent": "25%",
        "preflight": {"severities": [{"check": "Webhooks", "severity": "Warn"}]},
    },
    metrics=METRICS,
)
SITE["spec"]["credentials"] = {"secret": {"namespace": "kaas-system", "name": "s"}, "cloud": "openstack"}
SITE["spec"]["flavors"][2]["gpu"]["resource"] = "nvidia.com/gpu"
SITE["spec"]["flavors"][2] |= {"bareMetal": False, "maxVersion": "1.36", "startupTimeoutSeconds": 1200}
SITE_BY_ID = {**SITE, "spec": {**SITE["spec"], "externalNetwork": {"id": "0001"}}}
RELEASE = raw_release("v1.36.3")
RELEASE["spec"] |= {
    "channels": {
        "rapid": "2027-01-01T00:00:00Z",
        "regular": "2027-02-01T00:00:00Z",
        "stable": "2027-03-01T00:00:00Z",
    },
    "deprecated": "2027-04-01T00:00:00Z",
    "expires": "2027-05-01T00:00:00Z",
}
TEMPLATE: Object = {
    "apiVersion": RELEASE["apiVersion"],
    "kind": "NodeRepairTemplate",
    "metadata": {"name": "careful", "namespace": NAMESPACE},
    "spec": {
        "template": {
            "spec": {
                "mode": "Automatic",
                "steps": [{"action": "SoftReboot", "timeoutSeconds": 60, "retries": 1, "backoffSeconds": 60}],
                "limits": LIMITS,
                "signals": [{"name": "DiskPressure", "enabled": True, "toleranceSeconds": 60, "entry": "Drain"}],
                "xids": [{"number": 109, "action": "Reboot"}],
                "memory": {"climbWithinSeconds": 3600, "maxRepairs": 3, "maxReplacements": 3},
                "settleSeconds": 30,
                "ticket": {"url": "https://careful.example"},
            }
        }
    },
}


@dataclass(frozen=True)
class Change:
    """Another valid value for one field of one of the objects above."""

    place: str
    value: Any
    base: Object | None = None


OTHERWISE: dict[str, Any] = {
    "mode": "DryRun",
    "steps[].action": "HardReboot",
    "steps[].timeoutSeconds": 61,
    "steps[].retries": 2,
    "steps[].backoffSeconds": 61,
    "limits.maxInFlight": 2,
    "limits.maxUnhealthy": "41%",
    "signals[].name": "MemoryPressure",
    "signals[].enabled": False,
    "signals[].toleranceSeconds": 61,
    "signals[].entry": "Replace",
    "xids[].number": 110,
    "xids[].action": "Ignore",
    "memory.climbWithinSeconds": 3601,
    "memory.maxRepairs": 4,
    "memory.maxReplacements": 4,
    "settleSeconds": 31,
    "ticket.url": "https://other.example",
}
"""Other values for what is said of repairs, by path below the place where it is said."""


OF_ALL = ("mode", "limits.maxInFlight", "limits.maxUnhealthy")


def repair_fields(place: str, names: tuple[str, ...]) -> dict[str, Change]:
    """Changes of these fields below a place."""
    values = OTHERWISE | {"template": "other", "zoneLimits.maxInFlight": 2, "zoneLimits.maxUnhealthy": "41%"}
    below = place.partition(".spec.")[2].replace("[]", ".0")
    return {f"{place}.{name}": Change(f"{below}.{name.replace('[]', '.0')}", values[name]) for name in names}


MAINTAINED = {
    "windows[].recurrence": "FREQ=WEEKLY;BYDAY=WE",
    "windows[].start": "23:00",
    "windows[].durationMinutes": 241,
    "windows[].timeZone": "Europe/Berlin",
    "windows[].from": "2027-01-19",
    "exclusions[].from": "2027-12-15T00:00:00Z",
    "exclusions[].until": "2028-01-20T00:00:00Z",
    "exclusions[].scope": "Minor",
    "exclusions[].reason": "another",
}
"""Other values for what is said of maintenance."""


def maintenance_fields(kind: str) -> dict[str, Change]:
    """Changes of these fields of a Cluster or Site."""
    return {
        f"{kind}.spec.maintenance.{name}": Change(f"maintenance.{name.replace('[]', '.0')}", value)
        for name, value in MAINTAINED.items()
    }


VERIFIED: dict[str, Any] = {
    "settleSeconds": 601,
    "ignored[].check": "SystemPods",
    "ignored[].reason": "another",
    "checks[].name": "share",
    "checks[].promQL.query": "sum(y)",
    "checks[].promQL.atLeast": 0.6,
    "checks[].promQL.atMost": 2,
    "checks[].timeoutSeconds": 601,
}
"""Other values for what is said of the checks after a step."""
SMOKE = {"job.namespace": "others", "job.cronJob": "other"}
"""The same of a check that is a Job."""


def verification_fields() -> dict[str, Change]:
    """Changes of these fields of a Cluster, and of where its Site's metrics are."""
    place = "Cluster.spec.updates.verification"
    first = {f"{place}.{n}": Change(f"updates.verification.{n.replace('[]', '.0')}", v) for n, v in VERIFIED.items()}
    second = {f"{place}.checks[].{n}": Change(f"updates.verification.checks.1.{n}", v) for n, v in SMOKE.items()}
    said = {"url": "https://other.example", "secret.namespace": "elsewhere", "secret.name": "other"}
    return first | second | {f"Site.spec.metrics.{n}": Change(f"metrics.{n}", v) for n, v in said.items()}


CHECKED = {
    "severities[].check": "EtcdHealth",
    "severities[].severity": "Block",
    "overrides[].check": "EtcdHealth",
    "overrides[].reason": "another",
    "overrides[].until": "2026-01-01T00:00:00Z",
}
"""Other values for what is said of the checks before an update."""


def preflight_fields() -> dict[str, Change]:
    """Changes of these fields of a Cluster, and of those that a Site has too."""
    every = [("Cluster", name) for name in CHECKED] + [("Site", n) for n in CHECKED if n.startswith("severities")]
    return {
        f"{kind}.spec.updates.preflight.{name}": Change(f"updates.preflight.{name.replace('[]', '.0')}", CHECKED[name])
        for kind, name in every
    }


# Path as in the CRD, with [] for the items of a list and {} for the values of a map.
CHANGES: dict[str, Change] = {
    "Cluster.spec.version": Change("version", "v1.36.3"),
    "Cluster.spec.site": Change("site", "south"),
    "Cluster.spec.controlPlane.replicas": Change("controlPlane.replicas", 5),
    "Cluster.spec.controlPlane.flavor": Change("controlPlane.flavor", "cpu-4"),
    "Cluster.spec.controlPlane.zones[]": Change("controlPlane.zones.0", "az-2"),
    "Cluster.spec.nodePools[].name": Change("nodePools.0.name", "other"),
    "Cluster.spec.nodePools[].flavor": Change("nodePools.0.flavor", "cpu-2"),
    "Cluster.spec.nodePools[].replicas": Change("nodePools.0.replicas", 3),
    "Cluster.spec.nodePools[].labels{}": Change("nodePools.0.labels.a", "c"),
    "Cluster.spec.nodePools[].taints[].key": Change("nodePools.0.taints.0.key", "l"),
    "Cluster.spec.nodePools[].taints[].value": Change("nodePools.0.taints.0.value", "w"),
    "Cluster.spec.nodePools[].taints[].effect": Change("nodePools.0.taints.0.effect", "NoExecute"),
    "Cluster.spec.nodePools[].zones[]": Change("nodePools.0.zones.0", "az-2"),
    "Cluster.spec.nodePools[].gpu.taint": Change("nodePools.1.gpu.taint", "None"),
    "Cluster.spec.nodePools[].gpu.drainTimeoutSeconds": Change("nodePools.1.gpu.drainTimeoutSeconds", 61),
    "Cluster.spec.nodePools[].update.strategy": Change("nodePools.0.update.strategy", "Manual"),
    "Cluster.spec.nodePools[].update.order": Change("nodePools.0.update.order", 1),
    "Cluster.spec.nodePools[].update.maxSurge": Change("nodePools.0.update.maxSurge", "20%"),
    "Cluster.spec.nodePools[].update.maxUnavailable": Change("nodePools.0.update.maxUnavailable", 1),
    "Cluster.spec.nodePools[].update.soakSeconds": Change("nodePools.0.update.soakSeconds", 61, SOAKING),
    "Cluster.spec.nodePools[].update.drainTimeoutSeconds": Change("nodePools.0.update.drainTimeoutSeconds", 601),
    "Cluster.spec.nodePools[].update.notice": Change("nodePools.0.update.notice", True),
    "Cluster.spec.network.pods": Change("network.pods", "10.65.0.0/16"),
    "Cluster.spec.network.services": Change("network.services", "10.97.0.0/16"),
    "Cluster.spec.network.nodes": Change("network.nodes", "10.8.0.0/24"),
    "Site.spec.provider": Change("provider", "dev"),
    "Site.spec.credentials.secret.namespace": Change("credentials.secret.namespace", "elsewhere"),
    "Site.spec.credentials.secret.name": Change("credentials.secret.name", "t"),
    "Site.spec.credentials.cloud": Change("credentials.cloud", "other"),
    "Site.spec.region": Change("region", "RegionTwo"),
    "Site.spec.externalNetwork.name": Change("externalNetwork.name", "private"),
    "Site.spec.externalNetwork.id": Change("externalNetwork.id", "0002", SITE_BY_ID),
    "Site.spec.images[].version": Change("images.0.version", "v1.36.3"),
    "Site.spec.images[].name": Change("images.0.name", "more-special"),
    "Site.spec.flavors[].name": Change("flavors.2.name", "dgx-2"),
    "Site.spec.flavors[].gpu.model": Change("flavors.2.gpu.model", "H100"),
    "Site.spec.flavors[].gpu.count": Change("flavors.2.gpu.count", 4),
    "Site.spec.flavors[].gpu.resource": Change("flavors.2.gpu.resource", "amd.com/gpu"),
    "Site.spec.zones[].name": Change("zones.0.name", "az-2"),
    "Site.spec.zones[].controlPlane": Change("zones.0.controlPlane", False),
    "Site.spec.loadBalancer.provider": Change("loadBalancer.provider", "ovn"),
    "Site.spec.dnsNameservers[]": Change("dnsNameservers.0", "10.0.0.54"),
    **repair_fields("Cluster.spec.repair", ("mode", "limits.maxInFlight", "limits.maxUnhealthy", "template")),
    **repair_fields(
        "Cluster.spec.nodePools[].repair", ("mode", "limits.maxInFlight", "limits.maxUnhealthy", "template")
    ),
    **repair_fields("Site.spec.repair", ("mode", "limits.maxInFlight", "limits.maxUnhealthy", "ticket.url")),
    **repair_fields("Site.spec.repair", ("zoneLimits.maxInFlight", "zoneLimits.maxUnhealthy")),
    **repair_fields("NodeRepairTemplate.spec.template.spec", tuple(OTHERWISE)),
    **preflight_fields(),
    **verification_fields(),
    **maintenance_fields("Cluster"),
    **maintenance_fields("Site"),
    "Cluster.spec.updates.channel": Change("updates.channel", "Rapid", FOLLOWING),
    "Cluster.spec.updates.kubernetes": Change("updates.kubernetes", "None", FOLLOWING),
    "Cluster.spec.updates.nodeImages.channel": Change("updates.nodeImages.channel", "None"),
    "Cluster.spec.updates.classRevision.channel": Change("updates.classRevision.channel", "Stable"),
    "Cluster.spec.updates.certificates": Change("updates.certificates", "None"),
    "Cluster.spec.updates.addOns": Change("updates.addOns", "None"),
    "Site.spec.updates.maxVersion": Change("updates.maxVersion", "1.35"),
    "Site.spec.updates.maxConcurrent": Change("updates.maxConcurrent", "50%"),
    "Site.spec.flavors[].maxVersion": Change("flavors.2.maxVersion", "1.35"),
    "Site.spec.flavors[].bareMetal": Change("flavors.2.bareMetal", True),
    "Site.spec.flavors[].startupTimeoutSeconds": Change("flavors.2.startupTimeoutSeconds", 900),
    "Release.spec.version": Change("version", "v1.36.2"),
    "Release.spec.image": Change("image", "another"),
    "Release.spec.channels.rapid": Change("channels.rapid", "2027-01-20T00:00:00Z"),
    "Release.spec.channels.regular": Change("channels.regular", "2027-02-20T00:00:00Z"),
    "Release.spec.channels.stable": Change("channels.stable", "2027-03-20T00:00:00Z"),
    "Release.spec.deprecated": Change("deprecated", "2027-04-20T00:00:00Z"),
    "Release.spec.expires": Change("expires", "2027-05-20T00:00:00Z"),
}


ELSEWHERE = ("NodeRepair", "Rollout", "Addon")
"""The first is written by the controller and Cluster API, from the policy of a NodeRepairTemplate; the others are about
many Clusters, and have such tests of their own."""


def fields() -> list[str]:
    found: list[str] = []
    for crd in crds():
        if crd["spec"]["names"]["kind"] in ELSEWHERE:
            continue
        (version,) = crd["spec"]["versions"]
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        found += leaves(spec, f"{crd['spec']['names']['kind']}.spec")
    return found


def rendered(cluster: Object, site: Object, release: Object) -> list[Any]:
    """All objects for one Cluster, its Release beside one that is older."""
    subject, place = Cluster.model_validate(cluster), Site.model_validate(site)
    releases = [Release.model_validate(r) for r in (raw_release("v1.36.1"), release)]
    revision = class_revision(place.spec.provider)
    aim = target(Snapshot(subject, place, releases, revision), place, revision)
    return render.everything(subject, place, aim, revision)


def repaired(cluster: Object, site: Object, template: Object) -> list[Any]:
    """How the nodes of one Cluster are repaired."""
    subject, place = Cluster.model_validate(cluster), Site.model_validate(site)
    found = policies(subject, place, {"careful": NodeRepairTemplate.model_validate(template)})
    limits = (limits_of_cluster(subject), limits_of_site(place), zone_limits_of_site(place))
    return [*templates(subject, found), *(one.to_json() for one in limits)]


def maintained(cluster: Object, site: Object) -> list[Any]:
    """When one Cluster may be updated, and why not earlier."""
    subject, place = Cluster.model_validate(cluster), Site.model_validate(site)
    calendar = Calendar((subject.spec.maintenance, place.spec.maintenance), "uid")
    begin, end = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 4, 1, tzinfo=UTC)
    at_the_turn = calendar.excluded_by(updates.Change.MINOR, datetime(2028, 1, 1, tzinfo=UTC))
    return [*(list(calendar.openings(change, begin, end)) for change in updates.Change), at_the_turn]


def brought(cluster: Object, site: Object, release: Object) -> list[Any]:
    """What one Cluster is brought to in the middle of each month, in its own channel and in all."""
    subject, place = Cluster.model_validate(cluster), Site.model_validate(site)
    releases, running = [Release.model_validate(release)], KubernetesVersion.parse("v1.36.1")
    said = subject.spec.updates
    each = [said, *(said.model_copy(update={"channel": channel}) for channel in Channel)]
    specs = [subject.spec.model_copy(update={"updates": updates}) for updates in each]
    subjects = [subject.model_copy(update={"spec": spec}) for spec in specs]
    dates = [datetime(2027, month, 15, tzinfo=UTC) for month in range(1, 7)]
    since, end = datetime(2027, 2, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
    has = Present("old", None, "one", "two", since, end, (("agent", "1.0.0"),))
    others = [pending(subject, running, has, catalogue(releases), place, date) for date in dates]
    newer = add_ons_due(subject, running, has, (Known(addon("agent", "1.0.0", "1.1.0")),))
    return [*others, newer, *(choose(one, running, releases, place, date) for one in subjects for date in dates)]


def let_go(site: Object) -> list[bool]:
    """Which of eight Clusters of a Site may begin at once."""
    places, most, now = (
        Places(),
        Site.model_validate(site).spec.updates.max_concurrent,
        datetime(2027, 1, 15, tzinfo=UTC),
    )
    ranks = {("team", f"c-{number}"): rank(None, None, str(number)) for number in range(8)}
    for key, place in ranks.items():
        places.seen(key, "north", {}, place, now)
    return [places.ask(key, "north", most, place, now) is None for key, place in ranks.items()]


def examined(cluster: Object, site: Object) -> Any:
    """What is found before an update of one Cluster in which much is wrong."""
    subject = replace(case(), cluster=Cluster.model_validate(cluster), site=Site.model_validate(site))
    wrong = facts(
        case=subject, machines=(worker("a", ready=False),), budgets=(BUDGET,), hooks=(replace(HOOK, endpoints=0),)
    )
    return review(wrong).findings


def verified(cluster: Object, site: Object) -> Any:
    """What is asked of one Cluster after a step of an update."""
    return asked(Cluster.model_validate(cluster), Site.model_validate(site))


def replaced(cluster: Object) -> list[Any]:
    """In which order the pools of one Cluster are updated, by whose hand, and when an old machine of each may go."""
    subject = Cluster.model_validate(cluster)
    pools = subject.spec.node_pools
    machines = [{"metadata": {"labels": {LABEL_POOL: p.name}}} for p in pools]
    by_hand = [p.name for p in pools if p.update.strategy is Strategy.MANUAL]
    return [pools_in_order(subject), by_hand, [rules_of(subject, m) for m in machines]]


def everything(cluster: Object, site: Object, release: Object, template: Object) -> list[Any]:
    """What is made of the given Cluster and of a plain one: two views of the same API.

    A Site goes by the name that the Cluster gives; this makes `spec.site` a choice between two.
    """
    place = {**site, "metadata": {"name": cluster["spec"]["site"]}}
    return [
        [
            rendered(c, at, release),
            repaired(c, at, template),
            maintained(c, at),
            brought(c, at, release),
            let_go(at),
            examined(c, at),
            verified(c, at),
            replaced(c),
        ]
        for c, at in ((cluster, place), (PLAIN, site))
    ]


def changed(field: str, change: Change) -> tuple[dict[str, Object], dict[str, Object]]:
    """Objects before and after, by kind."""
    before = {"Cluster": CLUSTER, "Site": SITE, "Release": RELEASE, "NodeRepairTemplate": TEMPLATE}
    kind = field.partition(".")[0]
    if change.base:
        before[kind] = change.base
    obj = copy.deepcopy(before[kind])
    *way, last = (int(p) if p.isdigit() else p for p in change.place.split("."))
    place: Any = obj["spec"]
    for part in way:
        place = place[part]
    assert place[last] != change.value
    place[last] = change.value
    return before, {**before, kind: obj}


def test_every_field_has_an_entry() -> None:
    assert sorted(fields()) == sorted(CHANGES)


@pytest.mark.parametrize("field", CHANGES)
def test_field_changes_what_is_rendered(field: str) -> None:
    change = CHANGES[field]
    assert re.sub(r"\.\d+", "[]", change.place) == re.sub(r"\{\}", ".a", field.partition(".spec.")[2])
    before, after = changed(field, change)
    for objects in (before, after):
        for obj in objects.values():
            parse(obj)
    assert everything(*before.values()) != everything(*after.values())


REPAIRS = [field for field in CHANGES if ".repair." in field or field.endswith(".bareMetal")]


@pytest.mark.parametrize("field", [f for f in REPAIRS if not f.endswith(".mode")])
def test_what_is_said_of_repairs_changes_no_object_of_cluster_api(field: str) -> None:
    """Health checks of another pace aside, which replace nothing."""
    before, after = changed(field, CHANGES[field])
    one, two = (rendered(o["Cluster"], o["Site"], o["Release"]) for o in (before, after))
    assert without_health_checks(one) == without_health_checks(two)


@pytest.mark.parametrize("field", [f for f in CHANGES if ".maintenance." in f])
def test_what_is_said_of_maintenance_changes_nothing_but_the_calendar(field: str) -> None:
    before, after = changed(field, CHANGES[field])
    one, two = (
        [rendered(o["Cluster"], o["Site"], o["Release"]), repaired(o["Cluster"], o["Site"], o["NodeRepairTemplate"])]
        for o in (before, after)
    )
    assert one == two


@pytest.mark.parametrize(
    "field", [f for f in CHANGES if re.search(r"updates|channels|deprecated|expires|maxVersion", f)]
)
def test_what_is_said_of_updates_changes_nothing_but_the_version_to_come(field: str) -> None:
    before, after = changed(field, CHANGES[field])
    one, two = (rendered(o["Cluster"], o["Site"], o["Release"]) for o in (before, after))
    assert one == two


def without_health_checks(objects: list[Any]) -> list[Any]:
    found = copy.deepcopy(objects)
    for obj in found:
        topology = obj["spec"].get("topology", {})
        for part in (topology.get("controlPlane", {}), *topology.get("workers", {}).get("machineDeployments", ())):
            part.pop("healthCheck", None)
    return found


def test_objects_above_are_rendered_the_same_twice() -> None:
    assert everything(CLUSTER, SITE, RELEASE, TEMPLATE) == everything(CLUSTER, SITE, RELEASE, TEMPLATE)
