"""What an update brings of an add-on, and why a Cluster has not the newest version of it."""

from __future__ import annotations

import pytest

from kaas.api.cluster import Cluster
from kaas.cli.addons_view import lines
from kaas.kube.objects import Object
from tests.unit.cli.addons import MISSING, NOW, OPENS, WINDOW, addon, has, line, raw_cluster, shown, version

CHANGE = {"name": "exporter", "from": "1.8.1", "to": "1.8.2"}
STEPS = [{"name": "AddOns", "state": "Running"}, {"name": "Finished", "state": "Pending"}]
STOPPED = {
    "since": NOW.isoformat(),
    "step": "AddOns",
    "reason": "AddOnNotReady",
    "message": "exporter 1.8.2 does not work",
}


def test_an_update_that_waits_for_its_window_is_shown_with_what_it_waits_for() -> None:
    found = line(raw_cluster(has(), version="v1.36.1", nextTime=OPENS, message=WINDOW))
    assert shown(found)[1] == f"one exporter 1.8.1 Ready 3h 1.8.2 comes by an update: {WINDOW}"


def test_an_update_that_is_under_way_brings_what_it_began_with() -> None:
    cluster = raw_cluster(has(wanted="1.8.2", state="Applying"), addOns=[CHANGE], steps=STEPS, nextTime=OPENS)
    found = line(cluster)
    assert shown(found)[1] == "one exporter 1.8.1 → 1.8.2 Applying 3h 1.8.2 comes by the update that is under way"
    assert found.to_json()["update"] == {"from": "1.8.1", "to": "1.8.2"}


def test_of_an_update_that_is_through_nothing_is_left_to_say() -> None:
    done = [{"name": "AddOns", "state": "Done"}, {"name": "Finished", "state": "Done"}]
    found = line(raw_cluster(has(running="1.8.2"), addOns=[CHANGE], steps=done, nextTime=OPENS))
    assert (found.coming, found.why) == (None, "")


@pytest.mark.parametrize(
    ("cluster", "versions", "why"),
    [
        (raw_cluster(has(running="1.8.2")), [], ""),
        (raw_cluster(has(running="1.8.3")), [], ""),
        (raw_cluster(has(), updates={"addOns": "None"}), [], "1.8.2 is brought by no update, for spec.updates.addOns"),
        (raw_cluster(has(), version="v1.36.3", message=WINDOW), [], f"1.8.2 comes by an update: {WINDOW}"),
        (raw_cluster(has(), message="it is new"), [], "1.8.2 comes by an update that is not planned yet: it is new"),
        (raw_cluster(has()), [], "1.8.2 comes by an update that is not planned yet"),
        (
            raw_cluster(has(), steps=[{"name": "ControlPlane", "state": "Running"}]),
            [],
            "1.8.2 comes by an update after the one that is under way",
        ),
        (
            raw_cluster(has(), steps=[{"name": "ControlPlane", "state": "Failed"}], stopped=STOPPED),
            [],
            "1.8.2 comes by an update after the one that has stopped: exporter 1.8.2 does not work",
        ),
        (
            raw_cluster(has(), addOns=[CHANGE], steps=STEPS),
            [version("1.8.1"), version("1.8.2"), version("1.8.3")],
            "1.8.3 comes by an update after the one that is under way",
        ),
        (
            raw_cluster(has(), addOns=[CHANGE], steps=STEPS, updates={"addOns": "None"}),
            [],
            "1.8.2 comes by the update that is under way",
        ),
        (
            raw_cluster(has()),
            [version("1.8.1"), version("1.8.2", "1.37")],
            "1.8.2 supports Kubernetes 1.37 and newer, v1.36.1 runs",
        ),
        (
            raw_cluster(has()),
            [version("1.8.1"), version("1.8.2", most="1.35")],
            "1.8.2 supports Kubernetes 1.35 and older, v1.36.1 runs",
        ),
        (
            raw_cluster(has(), updates={"addOns": "None"}),
            [version("1.8.1"), version("1.9.0", "1.37", "1.38"), version("1.8.2", "1.36", "1.36")],
            "1.9.0 supports Kubernetes 1.37 to 1.38, v1.36.1 runs; 1.8.2 is brought by no update, for",
        ),
        (
            raw_cluster(has(), steps=STEPS, stopped=STOPPED, addOns=[CHANGE]),
            [],
            "1.8.2 comes by the update that has stopped: exporter 1.8.2 does not work",
        ),
        (
            raw_cluster(
                has(),
                steps=STEPS,
                stopped=STOPPED,
                addOns=[CHANGE],
                rolledBack=[
                    {"what": "AddOn", "addOn": "other", "from": "2.0.0", "to": "1.0.0", "since": NOW.isoformat()},
                    {"what": "AddOn", "addOn": "exporter", "from": "1.8.2", "to": "1.8.1", "since": NOW.isoformat()},
                ],
            ),
            [],
            "1.8.2 was taken back to 1.8.1, for the update has stopped: exporter 1.8.2 does not work",
        ),
        (raw_cluster(has(running=None, state="Waiting", message="nobody answers")), [], ""),
        (raw_cluster(has(), runs=None), [], ""),
    ],
)
def test_why_it_has_not_the_newest(cluster: Object, versions: list[Object], why: str) -> None:
    found = line(cluster, addon(*versions)).why
    assert found.startswith(why)
    assert bool(found) is bool(why)


def test_a_version_that_cannot_be_used_is_said_before_the_one_that_can() -> None:
    every = (version("1.8.1"), version("1.8.3"), version("1.8.2"))
    found = line(raw_cluster(has(), version="v1.36.1", message=WINDOW), addon(*every, wrong={"1.8.3": MISSING}))
    assert found.newest == "1.8.2"
    assert found.why == f"1.8.3 cannot be used: {MISSING}; 1.8.2 comes by an update: {WINDOW}"
    unseen = line(raw_cluster(has(running="1.8.2")), addon(*every, wrong={"1.8.3": ""}))
    assert unseen.why == "1.8.3 cannot be used: it was not looked at yet"


def test_without_the_addons_what_the_status_says_is_shown() -> None:
    (found,) = lines([Cluster.model_validate(raw_cluster(has(), addOns=[CHANGE], steps=STEPS))], [])
    assert (found.version, found.newest) == ("1.8.1", None)
    assert found.why == "1.8.2 comes by the update that is under way"
    assert found.coming is not None
    assert found.coming.new == "1.8.2"


def test_programs_get_what_is_known() -> None:
    found = line(raw_cluster(has(), version="v1.36.1", nextTime=OPENS, message=WINDOW))
    assert found.to_json() == {
        "namespace": "team-a",
        "cluster": "one",
        "addOn": "exporter",
        "version": "1.8.1",
        "state": "Ready",
        "since": "2027-01-04T09:00:00Z",
        "newest": "1.8.2",
        "update": {"from": "1.8.1", "to": "1.8.2", "at": OPENS},
        "why": f"1.8.2 comes by an update: {WINDOW}",
    }
