"""`kaas next`: what is shown of what will happen, as a table, as data and as a calendar."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar
from rich.console import Console

from kaas.api.cluster import Cluster
from kaas.api.constants import ANNOTATION_MAINTENANCE, ANNOTATION_UPDATES_PAUSED, API_VERSION
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.cli.next import _look
from kaas.cli.next_calendar import calendar
from kaas.cli.next_view import Fleet, Row, rows, table
from kaas.cli.session import Session
from kaas.cli.settings import Settings
from kaas.kube import resources
from kaas.kube.objects import Object, Ref
from kaas.kube.resources import Resource
from tests.unit.cli.running import kaas
from tests.unit.updates.subjects import NOW, at, cluster, raw_cluster, raw_release, raw_site, release, site

OPEN, SHUT = at("2027-01-05 22:00"), at("2027-01-06 02:00")


def fleet(*clusters: Cluster, **namespaces: Object) -> Fleet:
    releases = [release("v1.36.1"), release("v1.36.3"), release("v1.36.4", "2027-02-02")]
    return Fleet(clusters or [cluster()], {"north": site()}, releases, namespaces)


def namespace(said: str) -> Object:
    meta = {"name": "tenants", "annotations": {ANNOTATION_MAINTENANCE: said}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}


def text(shown: list[Row], *, namespaces: bool = False) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=300, no_color=True).print(table(shown, namespaces=namespaces))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_what_will_happen_in_order_of_time() -> None:
    shown = rows(fleet(cluster(name="one"), cluster("v1.36.1", name="two")), NOW, 90)
    assert [(r.cluster, r.kind, r.version, r.at) for r in shown] == [
        ("one", "Update", "v1.36.3", OPEN),
        ("one", "Update", "v1.36.4", at("2027-02-02 22:00")),
        ("two", "Nothing", "v1.36.1", None),
    ]
    lines = text(shown)
    assert lines[1].startswith("2027-01-05 22:00 UTC 2027-01-06 02:00 one Patch v1.36.3 v1.36.3 is begun")
    assert lines[3].startswith("two Nothing v1.36.1 Pinned: spec.version v1.36.1 pins the Cluster; for updates by")
    assert text(shown, namespaces=True)[1].split()[5] == "tenants/one"


def test_only_so_many_days_ahead() -> None:
    assert [r.version for r in rows(fleet(), NOW, 20)] == ["v1.36.3"]


def test_what_holds_an_update_back_is_said() -> None:
    (first, *_) = rows(fleet(cluster(status={"conditions": []})), OPEN, 90)
    assert (first.at, first.reason) == (OPEN, "not yet begun: the Cluster is not Ready")


def test_what_the_checks_have_found_is_said_before_its_time() -> None:
    found = {
        "checked": NOW.isoformat(),
        "findings": [{"check": "Webhooks", "severity": "Block", "message": "w is away"}],
    }
    said = {"version": "v1.36.3", "change": "Patch", "preflight": found}
    first, *others = rows(fleet(cluster(status={"update": said})), NOW, 90)
    assert first.reason.endswith("; as it stands it will not begin: w is away")
    assert not any("w is away" in row.reason for row in others)


def test_an_update_under_way_says_how_far_it_is() -> None:
    steps = [
        {"name": "ControlPlane", "state": "Running", "message": "1 of 3"},
        {"name": "Finished", "state": "Pending"},
    ]
    said = {"version": "v1.36.4", "target": "v1.36.4", "change": "Patch", "steps": steps}
    (row,) = rows(fleet(cluster(status={"update": said})), at("2027-02-03 00:00"), 5)
    assert (row.kind, row.reason) == ("Nothing", "Updating")
    assert row.message == "it is being updated to v1.36.4: step ControlPlane: 1 of 3"


def half_way(pool: Object, *, annotations: dict[str, str] | None = None, manual: bool = False, **more: Any) -> Fleet:
    """An update to v1.36.3 of which the control plane is done; v1.36.4 comes later. pool: what its step says."""
    steps = [
        {"name": "ControlPlane", "state": "Done"},
        {"name": "Pool/cpu", **pool},
        {"name": "Finished", "state": "Pending"},
    ]
    said = {"target": "v1.36.3", "changes": ["Patch"], "began": "2026-12-29T22:00:00Z", "steps": steps, **more}
    raw = raw_cluster(status={"version": "v1.36.3", "update": said}, annotations=annotations)
    if manual:
        raw["spec"]["nodePools"][0]["update"] = {"strategy": "Manual"}
    return fleet(Cluster.model_validate(raw))


def stand(found: Fleet) -> list[tuple[str, datetime | None, str, str]]:
    return [(r.kind, r.at, r.version, r.reason) for r in rows(found, NOW, 90)]


HELD: Object = {"state": "Held", "reason": "OutsideMaintenance"}
HOLD: Object = {"since": "2026-12-30T02:00:00Z", "until": "2027-01-05T22:00:00Z", "message": "pool cpu waits"}
NEXT = ("Update", at("2027-02-02 22:00"), "v1.36.4")


def test_what_is_held_goes_on_in_the_next_window() -> None:
    found = half_way(HELD, hold=HOLD)
    assert [line[:3] for line in stand(found)] == [("Update", OPEN, "v1.36.3"), NEXT]
    (first, *_) = shown = rows(found, NOW, 90)
    assert (first.message, first.reason) == ("the update to v1.36.3 goes on: pool cpu", "pool cpu waits")
    assert (first.until, first.changes) == (SHUT, ("Patch",))
    assert str(read(calendar(shown, NOW))[0]["summary"]) == "tenants/team: update to v1.36.3"


def test_what_does_not_go_on_by_itself_promises_nothing_and_says_so() -> None:
    waits: Object = {"state": "Held", "reason": "WaitsForPerson"}
    assert stand(half_way(waits, manual=True)) == [("Nothing", None, "v1.36.3", "WaitsForPerson")]
    paused = half_way({"state": "Held", "reason": "Paused"}, annotations={ANNOTATION_UPDATES_PAUSED: "launch"})
    assert stand(paused) == [("Nothing", None, "v1.36.3", "Paused")]
    stopped = {"since": "2027-01-01T00:00:00Z", "step": "Pool/cpu", "reason": "NoProgress", "message": "none came"}
    assert stand(half_way({"state": "Failed"}, stopped=stopped)) == [("Nothing", None, "v1.36.3", "Stopped")]
    no_window = half_way(HELD, hold={k: v for k, v in HOLD.items() if k != "until"})
    assert stand(no_window) == [("Nothing", None, "v1.36.3", "WindowClosed")]


def test_that_it_has_stopped_is_said_beside_what_ends_meanwhile() -> None:
    stopped = {"since": "2027-01-01T00:00:00Z", "step": "Pool/cpu", "reason": "NoProgress", "message": "none came"}
    of = replace(half_way({"state": "Failed"}, stopped=stopped), releases=[release("v1.36.3", expires="2027-02-20")])
    assert [line[0] for line in stand(of)] == ["Warning"] * 3 + ["Expiry", "Nothing"]
    assert rows(of, NOW, 90)[-1].message.startswith("the update to v1.36.3 stopped at step Pool/cpu 2027-01-01")


def test_a_pool_that_will_wait_for_a_person_is_told_before_its_turn_comes() -> None:
    of = half_way({"state": "Pending"}, manual=True)
    ((_, _, _, reason),) = stand(of)
    assert reason == "WaitsForPerson"
    assert "pool cpu has the strategy Manual" in rows(of, NOW, 90)[0].message


def test_a_pool_that_is_held_by_a_repair_is_told_beside_what_follows() -> None:
    of = half_way({"state": "Held", "reason": "RepairInFlight", "message": "1 of its machines"})
    assert [line[:3] for line in stand(of)] == [NEXT, ("Nothing", None, "v1.36.3")]
    assert rows(of, NOW, 90)[-1].reason == "RepairInFlight"


def test_maintenance_that_cannot_be_read() -> None:
    (row,) = rows(fleet(tenants=namespace("windows: [")), NOW, 90)
    assert (row.kind, row.reason) == ("Nothing", "MaintenanceInvalid")


def test_what_waits_for_no_window_is_foretold_also_when_maintenance_cannot_be_read() -> None:
    ending = [release("v1.36.1", expires="2027-03-01"), release("v1.36.3")]
    shown = rows(Fleet([cluster()], {"north": site()}, ending, {"tenants": namespace("windows: [")}), NOW, 90)
    assert [r.kind for r in shown] == ["Warning"] * 3 + ["Expiry", "Update", "Nothing"]
    assert (shown[-2].at, shown[-2].version) == (at("2027-03-08 00:00"), "v1.36.3")
    assert shown[-1].reason == "MaintenanceInvalid"
    assert "annotation kaas.internal/maintenance" in shown[-1].message


class Stored:
    """A session with an API server that has these objects."""

    namespace = "tenants"

    def __init__(self, *clusters: Object) -> None:
        self._clusters, self.client = clusters, self

    async def clusters(self, *, everywhere: bool) -> list[Object]:
        return [*self._clusters]

    async def get(self, ref: Ref) -> Object | None:
        return next((c for c in self._clusters if c["metadata"]["name"] == ref.name), None)

    async def list(self, kind: Resource) -> list[Object]:
        return {resources.SITE: [raw_site()], resources.RELEASE: [raw_release("v1.36.3")]}.get(kind, [])


async def test_a_cluster_that_cannot_be_read_hides_no_other() -> None:
    newer = raw_cluster(name="newer")
    newer["spec"]["power"] = "Low"
    for name, names in ((None, ["team", "newer"]), ("newer", ["newer"])):
        looked = await _look(Settings(), cast(Session, Stored(raw_cluster(), newer)), name, everywhere=True)
        shown = rows(looked, NOW, 90)
        assert [r.cluster for r in shown] == names
        assert (shown[-1].kind, shown[-1].namespace, shown[-1].reason) == ("Nothing", "tenants", "Unreadable")
        assert shown[-1].message.startswith("Cluster newer cannot be read: spec.power: is not a field")
        assert text(shown)[-1].startswith("newer Nothing 1.36 Unreadable: Cluster newer cannot be read: spec.power")
        assert len(read(calendar(shown, NOW))) == len(names) - 1


def test_a_site_that_is_missing() -> None:
    (row,) = rows(Fleet([cluster()], {}, [], {}), NOW, 90)
    assert (row.kind, row.reason, row.version) == ("Nothing", "SiteMissing", "1.36")


def test_for_programs() -> None:
    (first, *_) = rows(fleet(), NOW, 90)
    assert first.to_json() == {
        "namespace": "tenants",
        "cluster": "team",
        "kind": "Update",
        "at": "2027-01-05T22:00:00Z",
        "until": "2027-01-06T02:00:00Z",
        "version": "v1.36.3",
        "message": "v1.36.3 is in Regular since 2026-12-01, v1.36.1 runs",
        "reason": first.reason,
        "what": "v1.36.3",
        "changes": ["Patch"],
    }


def test_two_formats_at_once_are_refused() -> None:
    result = kaas("next", "--ical", "-o", "json")
    assert result.exit_code == 2
    assert "--ical and --output exclude each other" in result.stderr


# --- what is not a version ----------------------------------------------------------------------------------------


def made_of(**status: Any) -> Fleet:
    """A Cluster with a newer image to come, a class revision and certificates that end."""
    newest = {"name": "kaas-dev-2", "since": "2026-12-01T00:00:00Z"}
    control_plane = {"replicas": 1, "ready": 1, "upToDate": 1, "certificatesEnd": "2027-03-18T00:00:00Z"}
    said = {"image": "ubuntu-v1.36.3", "classRevision": "kaas-dev-1", "newestClassRevision": newest}
    raw = raw_release("v1.36.3", "2027-01-19")
    newer = {**raw, "metadata": {"name": "v1.36.3-2"}, "spec": {**raw["spec"], "image": "newer"}}
    releases = [release("v1.36.3"), Release.model_validate(newer)]
    of = cluster(status={"version": "v1.36.3", "controlPlane": control_plane, **said, **status})
    return Fleet([of], {"north": site()}, releases, {})


def test_every_kind_of_update_in_words() -> None:
    shown = rows(made_of(), NOW, 90)
    assert [(r.what, r.changes, r.at) for r in shown] == [
        ("ClusterClass kaas-dev-2", ("ClassRevision",), OPEN),
        ("node image newer", ("Image", "Certificates"), at("2027-01-19 22:00")),
    ]
    lines = text(shown)
    assert "team Class revision v1.36.3 ClusterClass kaas-dev-2 is begun 2027-01-05 22:00 UTC" in lines[1]
    assert "team Node image, certificates v1.36.3" in lines[2]
    assert shown[1].to_json()["changes"] == ["Image", "Certificates"]


def test_every_kind_of_update_has_its_place_in_a_calendar() -> None:
    events = read(calendar(rows(made_of(), NOW, 90), NOW))
    assert [str(e["summary"]) for e in events] == [
        "tenants/team: update: ClusterClass kaas-dev-2",
        "tenants/team: update: node image newer",
    ]
    assert len({str(e["uid"]) for e in events}) == 2


def test_a_turn_that_has_not_come_is_told() -> None:
    stages = [{"name": "all", "selector": {"namespaces": ["tenants"]}}]
    meta = {"name": "spring", "creationTimestamp": "2027-01-01T00:00:00Z"}
    rollout = Rollout.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "Rollout",
            "metadata": meta,
            "spec": {"version": "v1.36.3", "stages": stages},
        }
    )
    (row,) = rows(replace(fleet(), rollouts=[rollout]), NOW, 90)
    assert (row.kind, row.reason) == ("Nothing", "RolloutPending")
    assert row.message.startswith("Rollout spring, stage all: ")


# --- iCalendar ----------------------------------------------------------------------------------------------------


def read(written: bytes) -> list[Any]:
    return Calendar.from_ical(written).events


def test_a_calendar() -> None:
    ending = [r for r in fleet().releases if str(r.spec.version) != "v1.36.1"]
    old = type(ending[0]).model_validate(raw_release("v1.36.1", expires="2027-03-01"))
    shown = rows(Fleet([cluster("v1.36.1")], {"north": site()}, [old, *ending], {}), NOW, 90)
    events = read(calendar(shown, NOW))
    assert [str(e["summary"]) for e in events] == [
        *["tenants/team: v1.36.1 expires soon"] * 3,
        "tenants/team: v1.36.1 expires",
        "tenants/team: update to v1.36.4",
    ]
    assert events[0].start == at("2027-01-30 00:00")
    assert (events[-1].start, events[-1].end) == (at("2027-03-02 22:00"), at("2027-03-03 02:00"))
    assert len({str(e["uid"]) for e in events}) == 5


def test_what_is_moved_keeps_its_uid() -> None:
    (first, *_) = rows(fleet(), NOW, 90)
    later = rows(fleet(), NOW + timedelta(days=2), 90)[0]
    assert first.at != later.at
    assert read(calendar([first], NOW))[0]["uid"] == read(calendar([later], NOW))[0]["uid"]


# icalendar takes a backslash before an N for a line feed that was escaped already.
WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=400)


@given(words=WORDS.filter(lambda words: "\\n" not in words.lower()))
def test_whatever_is_said_is_read_again(words: str) -> None:
    """Lines are folded at 75 octets, commas, semicolons, backslashes and line feeds are escaped."""
    said = datetime(2027, 1, 5, 22, tzinfo=UTC)
    end, more = said + timedelta(hours=4), "two\nlines; or, more\\"
    row = Row("tenants", "team", "1", "Update", said, end, "v1.36.3", words, more)
    written = calendar([row], NOW)
    assert all(len(line) <= 75 for line in written.split(b"\r\n"))
    (event,) = read(written)
    assert str(event["description"]) == f"{words}\n{more}"
