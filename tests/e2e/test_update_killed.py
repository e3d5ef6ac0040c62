"""An update of a control plane and two pools, its controller killed with SIGKILL at every step: it is one update."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kaas.api.constants import LABEL_POOL
from kaas.api.maintenance import WEEKDAYS
from kaas.kube.lean import ON_DELETE, strategy_of
from kaas.kube.objects import annotation, labels
from kaas.kube.resources import CLUSTER_NAME_LABEL, DEFER_UPGRADE
from tests.e2e.killing import closed, killed_at_every_step
from tests.e2e.platform import Object, Platform, until
from tests.e2e.updating import CAPI, OPEN, Updated, release

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OLD, NEW = "v1.36.1", "v1.36.3"
NAME = "killed"
FLAVORS = {"cpu": "m1.medium", "dgx": "g1.a100x8"}
SIZES = {"cpu": 5, "dgx": 2}


def test_an_update_whose_controller_is_killed_at_every_step_is_one_update(dev: Platform) -> None:
    pools = [{"name": name, "flavor": FLAVORS[name], "replicas": size} for name, size in SIZES.items()]
    subject = Updated.of(dev, NAME, pools, site="dev", controlPlane={"replicas": 1, "flavor": "m1.medium"})
    waiting = replace(subject, spec={**subject.spec, "maintenance": {"windows": [_later()]}})
    dev.apply(release(NEW, f"ubuntu-2404-kube-{NEW}"))
    subject.apply(OLD)
    until("Ready", subject.is_ready)
    with killed_at_every_step(dev, NAME) as killed:
        subject.apply("1.36")
        until("the first pool is in the middle", lambda: subject.versions("cpu") == {OLD, NEW})
        waiting.apply("1.36")
        until("it is held, and the controller was killed", lambda: killed.at(closed("cpu")))
        before = _held(subject)
        killed.kill()
        assert _held(subject) == before
        subject.apply("1.36")
        until("it is through", subject.is_through)
        killed.is_one_update(SIZES)
    killed.replaced_each_once({"": 1, **SIZES}, OLD, NEW)
    until("Ready", subject.is_ready)
    _holds_nothing(subject)
    subject.delete()


def _later() -> Object:
    """A window that does not open today."""
    day = datetime.now(UTC) + timedelta(days=3)
    return {**OPEN, "recurrence": f"FREQ=WEEKLY;BYDAY={WEEKDAYS[day.weekday()]}"}


def _held(subject: Updated) -> set[str]:
    """Wait until the first pool is held in its middle with all its machines; their names."""
    until("Cluster API holds it", lambda: strategy_of(_deployments(subject)["cpu"]) == ON_DELETE)
    until("its machines are all there", lambda: len(subject.machines("cpu")) == _ready(subject) == SIZES["cpu"])
    assert subject.versions("cpu") == {OLD, NEW}
    assert subject.versions("dgx") == {OLD}
    assert subject.update["waiting"] == list(SIZES)
    return set(subject.machines("cpu"))


def _holds_nothing(subject: Updated) -> None:
    """Neither the status nor the topology nor a MachineDeployment says that anything is held."""
    assert not {"hold", "waiting", "stopped"} & subject.update.keys()
    pools = subject.platform.get(f"{CAPI}/clusters/{NAME}")["spec"]["topology"]["workers"]["machineDeployments"]
    assert len(pools) == len(SIZES)
    for pool in pools:
        assert strategy_of(pool) != ON_DELETE
        assert annotation(pool, DEFER_UPGRADE) is None
        assert "images" not in {v["name"] for v in pool.get("variables", {}).get("overrides", ())}
    assert ON_DELETE not in {strategy_of(d) for d in _deployments(subject).values()}


def _ready(subject: Updated) -> int:
    found: int = _deployments(subject)["cpu"]["status"].get("readyReplicas", 0)
    return found


def _deployments(subject: Updated) -> dict[str, Object]:
    """The MachineDeployments by pool."""
    found = subject.platform.items(f"{CAPI}/machinedeployments?labelSelector={CLUSTER_NAME_LABEL}={NAME}")
    return {labels(d)[LABEL_POOL]: d for d in found}
