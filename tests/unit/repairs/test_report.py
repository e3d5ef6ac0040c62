"""What a Cluster's status says, and that at rest it costs nothing to know that it says it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kaas.api.repair import Action
from kaas.api.repair_status import MAX_NODES
from kaas.kube.objects import Object
from kaas.repairs import report
from kaas.repairs.decisions import Hold
from kaas.repairs.facts import Sight
from kaas.repairs.reasons import Reason
from kaas.repairs.report import Report, summary, without_times
from tests.unit.repairs.fake_fleet import KEY, Fleet


async def test_of_a_well_cluster_only_that_it_would_be_repaired() -> None:
    fleet = Fleet()
    await fleet.run(60)
    said = summary(fleet.ward, KEY, {}, fleet.clock.now())
    assert [(c["type"], c["status"], c["reason"]) for c in said["conditions"]] == [
        ("RepairsAllowed", "True", "Allowed")
    ]
    assert "repair" not in said


async def test_counts_are_of_all_and_the_list_is_short() -> None:
    fleet = Fleet(helps="nothing")
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(400)
    said = fleet.cluster()["status"]["repair"]
    assert (said["unhealthy"], said["inFlight"], said["quarantined"]) == (1, 1, 0)
    assert [n["machine"] for n in said["nodes"]] == ["m-1"]
    assert said["pools"] == [{"name": "cpu", "inFlight": 1, "unhealthy": 1}]
    assert len(said["nodes"]) <= MAX_NODES


@pytest.mark.parametrize(
    ("reason", "in_flight"), [(Reason.UPDATE_UNDER_WAY, 0), (Reason.MACHINE_OUTDATED, 0), (Reason.PAUSED, 1)]
)
async def test_an_update_does_not_wait_for_a_repair_that_waits_for_it(reason: Reason, in_flight: int) -> None:
    fleet = Fleet(helps="nothing")
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(400)
    (patient,) = fleet.ward.patients_of(KEY)
    key, now = patient.machine.key, fleet.clock.now()
    fleet.ward.decisions[key] = Hold(key, reason, "it waits", now, 3, Action.REPLACE)
    said = summary(fleet.ward, KEY, {}, now)["repair"]
    assert (said["unhealthy"], said["inFlight"]) == (1, in_flight)
    assert said["pools"] == [{"name": "cpu", "inFlight": in_flight, "unhealthy": 1}]


async def test_a_well_cluster_that_was_told_is_not_summed_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet()
    await fleet.run(60)
    teller = Report(fleet.index, fleet.api, fleet.ward, fleet.clock)
    assert teller.outdated([KEY], fleet.clock.now()) == [KEY]
    await teller.write(KEY)
    monkeypatch.setattr(report, "summary", None)
    assert teller.outdated([KEY], fleet.clock.now()) == []


async def test_what_was_said_last_counts_before_what_the_watch_has_shown() -> None:
    fleet = Fleet()
    await fleet.run(60)
    well = fleet.cluster()
    teller = Report(fleet.index, fleet.api, fleet.ward, fleet.clock)
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(30)
    await teller.write(KEY)
    assert "repair" in fleet.cluster()["status"]
    fleet.index.put(well)  # the watch is behind
    fleet.kubelet("m-1", "True")
    fleet.ward.forget(KEY)
    fleet._add(("cluster", *KEY))
    await fleet.run(1)
    await teller.write(KEY)
    assert "repair" not in fleet.cluster()["status"]


class Slow:
    """A server during whose answer something happens."""

    def __init__(self, fleet: Fleet, meanwhile: Callable[[], None]) -> None:
        self.fleet, self.meanwhile = fleet, meanwhile

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        self.meanwhile()
        return await self.fleet.api.apply_status(obj, manager=manager)


async def test_what_changes_while_it_is_written_is_news() -> None:
    fleet = Fleet()
    await fleet.run(60)
    news: list[object] = []
    well = fleet.ward.observed(KEY)
    assert well is not None

    def gets_well() -> None:
        fleet.ward.put(well)
        news.extend(teller.outdated([KEY], fleet.clock.now()))

    teller = Report(fleet.index, Slow(fleet, gets_well), fleet.ward, fleet.clock)
    await teller.write(KEY)
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(30)
    await teller.write(KEY)
    assert news == [KEY]


async def test_what_could_not_be_written_is_still_to_be_said() -> None:
    fleet = Fleet()
    await fleet.run(60)

    def fails() -> None:
        raise ConnectionError

    teller = Report(fleet.index, Slow(fleet, fails), fleet.ward, fleet.clock)
    await teller.write(KEY)
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(30)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await teller.write(KEY)


def test_times_alone_are_no_news() -> None:
    told = {"nodes": [{"nextTime": 1, "message": "x"}], "conditions": [{"lastTransitionTime": 2, "status": "True"}]}
    assert without_times(told) == {"nodes": [{"message": "x"}], "conditions": [{"status": "True"}]}


async def test_after_a_start_nothing_is_said_before_the_nodes_were_looked_at() -> None:
    fleet = Fleet()
    await fleet.run(60)
    before = fleet.cluster()
    nodes, fleet.workload.objects, fleet.nodes.known = fleet.workload.objects, {}, None
    fleet.start()
    await fleet.run(60)
    assert (fleet.cluster(), fleet.ward.patients) == (before, {})
    fleet.workload.objects, fleet.nodes.known = nodes, Sight(False, fleet.clock.now(), "it does not answer")
    fleet._add(("cluster", *KEY))
    await fleet.run(60)
    assert [c["reason"] for c in fleet.cluster()["status"]["conditions"]] == ["BlindToCluster"]
