"""Every field of a Rollout changes how it goes: a walk along its CRD, each field changed in small fleets."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

import pytest

from kaas.api.crd import schema
from kaas.api.rollout import BY_HAND, Rollout
from kaas.kube.times import stamp
from kaas.updates.rollouts.scene import Answer
from tests.unit.schema_walk import leaves
from tests.unit.updates.rollouts.fleet import NEW, NOW, FakeCluster, Fleet, Object, rollout
from tests.unit.updates.subjects import release

HOUR = timedelta(hours=1)
HOURS = 16
METRIC = {"query": "sum(x)", "atLeast": 0.2, "atMost": 1.0, "sites": ["north"]}


def gates(hours: int) -> list[Object]:
    return [
        {"name": "morning", "type": "StartAt", "startAt": {"time": stamp(NOW + hours * HOUR)}},
        {"name": "calm", "type": "PromQL", "promQL": METRIC, "sustainedSeconds": 3600},
    ]


SPEC: Object = {
    "version": str(NEW),
    "image": f"ubuntu-{NEW}",
    "classRevision": "kaas-dev-2",
    "paused": False,
    "maxConcurrency": 3,
    "perSite": 3,
    "perZone": 3,
    "notReadySeconds": 3600,
    "stages": [
        {
            "name": "canary",
            "selector": {
                "namespaces": ["team"],
                "names": ["team/canary-0", "team/canary-1"],
                "sites": ["north"],
                "matchLabels": {"stage": "canary"},
                "matchExpressions": [{"key": "stage", "operator": "In", "values": ["canary"]}],
            },
            "maxConcurrency": 2,
            "perSite": 2,
            "perZone": 2,
            "soakSeconds": 3600,
            "maxFailures": 0,
            "beforeGates": gates(2),
            "afterGates": gates(6),
        },
        {"name": "prod", "maxConcurrency": "100%"},
    ],
}
BY_CHANNEL = {k: v for k, v in SPEC.items() if k not in BY_HAND}
BY_CHANNEL |= {"channel": "Regular", "minor": "1.36", "updates": ["Kubernetes"]}

GATES: Object = {
    "[].name": "evening",
    "[].startAt.time": stamp(NOW + 8 * HOUR),
    "[].promQL.query": "sum(y)",
    "[].promQL.atLeast": 0.6,
    "[].promQL.atMost": 0.4,
    "[].promQL.sites[]": "south",
    "[].sustainedSeconds": 7200,
}
OTHERWISE: Object = {
    "version": "v1.36.2",
    "image": f"ubuntu-{NEW}-2",
    "classRevision": "kaas-dev-3",
    "paused": True,
    "maxConcurrency": 1,
    "perSite": 1,
    "perZone": 1,
    "notReadySeconds": 7200,
    "stages[].name": "first",
    "stages[].selector.namespaces[]": "other",
    "stages[].selector.names[]": "team/canary-7",
    "stages[].selector.sites[]": "south",
    "stages[].selector.matchLabels{}": "prod",
    "stages[].selector.matchExpressions[].key": "zone",
    "stages[].selector.matchExpressions[].operator": "NotIn",
    "stages[].selector.matchExpressions[].values[]": "prod",
    "stages[].maxConcurrency": 1,
    "stages[].perSite": 1,
    "stages[].perZone": 1,
    "stages[].soakSeconds": 7200,
    "stages[].maxFailures": 1,
    **{f"stages[].{when}Gates{name}": value for when in ("before", "after") for name, value in GATES.items()},
}
"""Another valid value for each field."""


FIELDS = [field.removeprefix("spec.") for field in leaves(schema(Rollout)["properties"]["spec"], "spec")]
OF_CHANNEL = {"channel": "Stable", "minor": "1.37", "updates[]": "ClassRevision"}
KINDS = {f"stages[].{when}Gates[].type" for when in ("before", "after")}
"""Another type of gate has other fields: it is a change of several."""


def changed(field: str) -> Object:
    base = BY_CHANNEL if field in OF_CHANNEL else SPEC
    spec = copy.deepcopy(base)
    if field in KINDS:
        place = "beforeGates" if "before" in field else "afterGates"
        spec["stages"][0][place][1] = {"name": "calm", "type": "Healthy", "sustainedSeconds": 3600}
        return spec
    gate = "1" if "promQL" in field or "sustained" in field else "0"
    path = field.replace("Gates[]", f"Gates.{gate}").replace("[]", ".0").replace("{}", ".stage")
    *way, last = (int(p) if p.isdigit() else p for p in path.split("."))
    place_: Any = spec
    for part in way:
        place_ = place_[part]
    assert place_[last] != (OTHERWISE | OF_CHANNEL)[field]
    place_[last] = (OTHERWISE | OF_CHANNEL)[field]
    return spec


def some_clusters() -> list[FakeCluster]:
    canary, prod = {"stage": "canary"}, {"stage": "prod"}
    at = [("north", "a"), ("north", "a"), ("north", "b"), ("south", "a")]
    some = [FakeCluster(f"canary-{n}", canary, zones=("a",)) for n in range(2)]
    some += [FakeCluster(f"prod-{n}", prod, site=site, zones=(zone,)) for n, (site, zone) in enumerate(at)]
    return [replace(c, newest_revision="kaas-dev-2", newest_since=NOW) for c in some]


RELEASES = [release("v1.36.2"), *(release(v, stable="2099-01-01") for v in ("v1.36.3", "v1.37.1"))]

FATES: tuple[Object, ...] = ({}, {"fails": True}, {"ready": False})
"""What befalls one of the first stage."""


def gone(spec: Object) -> list[str]:
    """What is told of small fleets, one after the other, and what metrics are asked."""
    found: list[str] = []
    for fate in FATES:
        one, *others = some_clusters()
        made = _made(spec)
        fleet = Fleet(made, [replace(one, **fate), *others], releases=RELEASES)
        for _ in range(HOURS):
            fleet.go(HOUR)
            asks = fleet.last.asks if fleet.last else ()
            found += [repr(ask) for ask in asks]
            fleet.answers = {ask: Answer(0.5) for ask in asks}
        found += [*fleet.log, str(fleet.status.message), *(f"{c.name}: {c.running} {c.image}" for c in fleet.clusters)]
    return found


def _made(spec: Object) -> Rollout:
    stages = spec["stages"]
    return rollout(*stages, **{k: v for k, v in spec.items() if k != "stages"})


@lru_cache(maxsize=2)
def usual(*, by_channel: bool) -> tuple[str, ...]:
    return tuple(gone(BY_CHANNEL if by_channel else SPEC))


def test_every_field_has_an_entry() -> None:
    assert sorted(FIELDS) == sorted({*OTHERWISE, *OF_CHANNEL, *KINDS})


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_changes_how_it_goes(field: str) -> None:
    assert re.fullmatch(r"[\w.\[\]{}]+", field)
    assert tuple(gone(changed(field))) != usual(by_channel=field in OF_CHANNEL)
