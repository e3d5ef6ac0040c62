"""`kaas addons` and its `status`: which add-ons Clusters have, what comes by an update, and why not the newest."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from kaas.api.addon import Addon
from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.load import parse
from kaas.cli import addons_show, addons_status
from kaas.cli.addons_view import NOT_LOOKED_AT, Line, lines
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.settings import Settings
from kaas.kube.errors import Forbidden
from kaas.kube.objects import Object, Objects
from kaas.kube.resources import Resource
from tests.unit.cli.running import EXAMPLES, kaas

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
OPENS = "2027-01-05T22:00:00Z"
WINDOW = "the maintenance window opens 2027-01-05 22:00 UTC (spec.maintenance of the Cluster)"
MISSING = "there is no ConfigMap kaas-system/exporter-1.8.3: create it, with `immutable: true`"


def version(name: str, least: str | None = None, most: str | None = None) -> Object:
    said = {key: value for key, value in (("minVersion", least), ("maxVersion", most)) if value}
    return {"version": name, "kubernetes": said, "manifests": {"configMap": f"exporter-{name}"}}


def raw_addon(
    *versions: Object,
    name: str = "exporter",
    wrong: dict[str, str] | None = None,
    status: Object | None = None,
    **spec: Any,
) -> Object:
    """wrong: why a version cannot be used, "" for one that was not looked at; all others can."""
    listed = list(versions) or [version("1.8.1"), version("1.8.2")]
    looks = {v["version"]: {"digest": "d", "objects": 4} for v in listed}
    looks |= {name: {"message": words} for name, words in (wrong or {}).items()}
    found = [{"version": name, **look} for name, look in looks.items() if look != {"message": ""}]
    usable = {"type": "Usable", "status": "False" if wrong else "True", "reason": "Looked", "message": ""}
    said = {
        "conditions": [{**usable, "lastTransitionTime": NOW.isoformat()}],
        "observedGeneration": 1,
        "versions": found,
        "clusters": {"selected": 3, "current": 2, "failing": 1},
        **(status or {}),
    }
    meta = {"name": name, "generation": 1}
    return {
        "apiVersion": API_VERSION,
        "kind": "Addon",
        "metadata": meta,
        "spec": {"versions": listed, **spec},
        "status": said,
    }


def addon(*versions: Object, **more: Any) -> Addon:
    return Addon.model_validate(raw_addon(*versions, **more))


def raw_cluster(
    *add_ons: Object, name: str = "one", updates: Object | None = None, runs: str | None = "v1.36.1", **update: Any
) -> Object:
    spec = {"version": "1.36", "site": "lab", "controlPlane": {"flavor": "small"}, "updates": updates or {}}
    status = {"addOns": list(add_ons), "update": update, **({"version": runs} if runs else {})}
    meta = {"name": name, "namespace": "team-a"}
    return {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "spec": spec, "status": status}


def has(name: str = "exporter", running: str | None = "1.8.1", **more: Any) -> Object:
    said = {"version": running} if running else {}
    since = (NOW - timedelta(hours=3)).isoformat()
    return {"name": name, "state": "Ready", "since": since, **said, **more}


def line(cluster: Object, *addons: Addon) -> Line:
    (found,) = lines([Cluster.model_validate(cluster)], list(addons) or [addon()])
    return found


def text(what: RenderableType) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=500, no_color=True).print(what)
    return [" ".join(each.split()) for each in out.getvalue().splitlines()]


def shown(*found: Line, namespaces: bool = False) -> list[str]:
    return text(addons_show.of_clusters(found, NOW, namespaces=namespaces))


# --- which add-ons ------------------------------------------------------------------------------------------------


def test_what_is_selected_comes_in_its_order_and_then_what_goes() -> None:
    cluster = Cluster.model_validate(raw_cluster(has("gone", state="Removing"), has("late"), has("early")))
    every = [addon(name="late", order=5), addon(name="early"), addon(name="new", order=9)]
    every += [addon(name="elsewhere", clusters={"sites": ["north"]})]
    found = list(lines([cluster], every))
    assert [each.name for each in found] == ["early", "late", "new", "gone"]
    assert [each.name for each in lines([cluster], every, "late")] == ["late"]
    assert (found[2].state, found[2].message) == ("", NOT_LOOKED_AT)


def test_what_goes_is_not_asked_for_its_newest_version() -> None:
    found = line(
        raw_cluster(has(state="Removing", message="2 objects are still there")), addon(clusters={"sites": ["x"]})
    )
    assert (found.state, found.message, found.why) == ("Removing", "2 objects are still there", "")


def test_a_table_of_clusters() -> None:
    first = line(raw_cluster(has(running="1.8.2")))
    second = line(
        raw_cluster(has(running=None, wanted="1.8.2", state="Failed", message="webhook x refuses it"), name="two")
    )
    table = shown(first, second)
    assert table[0] == "CLUSTER ADD-ON VERSION STATE SINCE WHY"
    assert table[1:] == ["one exporter 1.8.2 Ready 3h", "two exporter → 1.8.2 Failed 3h webhook x refuses it"]
    assert shown(first, namespaces=True)[1] == "team-a one exporter 1.8.2 Ready 3h"


# --- what comes, and why not the newest ---------------------------------------------------------------------------

CHANGE = {"name": "exporter", "from": "1.8.1", "to": "1.8.2"}
STEPS = [{"name": "AddOns", "state": "Running"}, {"name": "Finished", "state": "Pending"}]
STOPPED = {
    "since": NOW.isoformat(),
    "step": "AddOns",
    "reason": "AddOnNotReady",
    "message": "exporter 1.8.2 does not work",
}


def test_an_update_that_waits_for_its_window_is_shown_with_when_and_why() -> None:
    found = line(raw_cluster(has(), addOns=[CHANGE], nextTime=OPENS, message=WINDOW))
    assert shown(found)[1] == (f"one exporter 1.8.1 Ready 3h 1.8.2 comes by an update 2027-01-05 22:00 UTC: {WINDOW}")


def test_an_update_that_is_under_way_is_now() -> None:
    cluster = raw_cluster(has(wanted="1.8.2", state="Applying"), addOns=[CHANGE], steps=STEPS, nextTime=OPENS)
    assert shown(line(cluster))[1] == (
        "one exporter 1.8.1 → 1.8.2 Applying 3h 1.8.2 comes by an update that is under way"
    )


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
        (raw_cluster(has(), message=WINDOW), [], f"1.8.2 comes by an update: {WINDOW}"),
        (raw_cluster(has()), [], "1.8.2 comes by an update"),
        (
            raw_cluster(has(), steps=[{"name": "ControlPlane", "state": "Running"}]),
            [],
            "1.8.2 comes by an update when the one under way is through",
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
            "1.8.2 comes by an update, and that has stopped: exporter 1.8.2 does not work",
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
    found = line(raw_cluster(has(), message=WINDOW), addon(*every, wrong={"1.8.3": MISSING}))
    assert found.newest == "1.8.2"
    assert found.why == f"1.8.3 cannot be used: {MISSING}; 1.8.2 comes by an update: {WINDOW}"
    unseen = line(raw_cluster(has(running="1.8.2")), addon(*every, wrong={"1.8.3": ""}))
    assert unseen.why == f"1.8.3 cannot be used: {NOT_LOOKED_AT}"


def test_without_the_addons_what_the_status_says_is_shown() -> None:
    (found,) = lines([Cluster.model_validate(raw_cluster(has(), addOns=[CHANGE], nextTime=OPENS))], [])
    assert (found.version, found.newest, found.why) == (
        "1.8.1",
        None,
        "1.8.2 comes by an update 2027-01-05 22:00 UTC",
    )
    assert found.coming is not None
    assert found.coming.new == "1.8.2"


def test_programs_get_what_is_known() -> None:
    found = line(raw_cluster(has(), addOns=[CHANGE], nextTime=OPENS, message=WINDOW))
    assert found.to_json() == {
        "namespace": "team-a",
        "cluster": "one",
        "addOn": "exporter",
        "version": "1.8.1",
        "state": "Ready",
        "since": "2027-01-04T09:00:00Z",
        "newest": "1.8.2",
        "update": {"from": "1.8.1", "to": "1.8.2", "at": OPENS},
        "why": f"1.8.2 comes by an update 2027-01-05 22:00 UTC: {WINDOW}",
    }


# --- all Addons ---------------------------------------------------------------------------------------------------


def test_a_table_of_all() -> None:
    every = (version("1.8.2"), version("1.8.10"), version("1.8.3"))
    table = text(addons_show.table([addon(*every), addon(*every, name="other", wrong={"1.8.3": MISSING})]))
    assert table[0] == "NAME NEWEST CLUSTERS CURRENT FAILING USABLE WHY"
    assert table[1:] == ["exporter 1.8.10 3 2 1 True", f"other 1.8.10 3 2 1 False 1.8.3: {MISSING}"]


def test_what_nobody_looked_at_and_what_goes_is_told() -> None:
    new = raw_addon(name="new")
    del new["status"]
    changed, going = raw_addon(name="changed", status={"observedGeneration": 0}), raw_addon(name="going")
    going["metadata"]["deletionTimestamp"] = NOW.isoformat()
    table = text(addons_show.table([Addon.model_validate(raw) for raw in (new, changed, going)]))
    assert table[1] == f"new 1.8.2 {NOT_LOOKED_AT}"
    assert table[2].endswith("True a change has not been looked at yet")
    assert table[3].endswith("True it is being deleted: its objects are taken out of the Clusters first")


# --- the commands -------------------------------------------------------------------------------------------------


class Stored:
    """A session with an API server that has these objects. forbidden: Addons may not be read."""

    namespace = "team-a"

    def __init__(self, addons: Sequence[Object], clusters: Sequence[Object], *, forbidden: bool = False) -> None:
        self._addons, self._clusters, self._forbidden = addons, clusters, forbidden

    async def list(self, _kind: Resource) -> Objects:
        if self._forbidden:
            raise Forbidden("list addons", "no")
        return [*self._addons]

    async def clusters(self, *, everywhere: bool) -> Objects:
        return [c for c in self._clusters if everywhere or c["metadata"]["namespace"] == self.namespace]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def serve(monkeypatch: pytest.MonkeyPatch, stored: Stored) -> None:
    @asynccontextmanager
    async def session(_: Settings) -> AsyncIterator[Stored]:
        yield stored

    monkeypatch.setattr(addons_status, "session", session)


@pytest.mark.parametrize("words", [(), ("list",), ("--no-color",), ("--no-color", "list"), ("-n", "list", "list")])
def test_without_a_word_all_are_listed(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    serve(monkeypatch, Stored([raw_addon()], []))
    result = kaas("addons", *words)
    assert result.exit_code == 0, result.stderr
    assert [each.split()[0] for each in result.stdout.splitlines()] == ["NAME", "exporter"]


def test_an_addon_that_cannot_be_read_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = raw_addon(name="newer", pace="Slow")
    serve(monkeypatch, Stored([newer, raw_addon()], [raw_cluster(has(running="1.8.2"))]))
    listed = kaas("addons").stdout.splitlines()
    assert [each.split()[0] for each in listed] == ["NAME", "exporter", "newer"]
    assert "Addon newer cannot be read: spec.pace: is not a field" in listed[2]
    result = kaas("addons", "status")
    assert "one" in result.stdout
    assert "Addon newer cannot be read" in result.stderr


def test_lists_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = raw_addon()
    raw["metadata"]["managedFields"] = [{}]
    serve(monkeypatch, Stored([raw], [raw_cluster(has(running="1.8.2"))]))
    (item,) = json.loads(kaas("addons", "-o", "json").stdout)["items"]
    assert (item["kind"], "managedFields" in item["metadata"]) == ("Addon", False)
    (found,) = json.loads(kaas("addons", "status", "-o", "json").stdout)
    assert (found["cluster"], found["addOn"], found["version"]) == ("one", "exporter", "1.8.2")


def test_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, Stored([], [raw_cluster()]))
    assert kaas("addons").stdout == "no Addon: nothing is put into Clusters\n"
    words = "no Cluster with an add-on in namespace team-a (`-A` looks into all)\n"
    assert kaas("addons", "status").stdout == words
    assert kaas("addons", "status", "-A").stdout == "no Cluster with an add-on in any namespace\n"
    assert json.loads(kaas("addons", "status", "-o", "json").stdout) == []


def test_clusters_of_all_namespaces_come_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = raw_cluster(has())
    elsewhere["metadata"]["namespace"] = "other"
    serve(monkeypatch, Stored([raw_addon()], [raw_cluster(has(), name="two"), raw_cluster(has()), elsewhere]))
    found = [each.split()[:2] for each in kaas("addons", "status", "-A").stdout.splitlines()]
    assert found == [["NAMESPACE", "CLUSTER"], ["other", "one"], ["team-a", "one"], ["team-a", "two"]]
    assert len(kaas("addons", "status").stdout.splitlines()) == 3


def test_of_one_addon_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = [raw_cluster(has(), has("gone", state="Removing"))]
    serve(monkeypatch, Stored([raw_addon(), raw_addon(name="north", clusters={"sites": ["north"]})], clusters))
    assert "gone" not in kaas("addons", "status", "exporter").stdout
    assert "Removing" in kaas("addons", "status", "gone").stdout
    assert kaas("addons", "status", "north").stdout.startswith("no Cluster with add-on north in namespace team-a")
    result = kaas("addons", "status", "none")
    assert (result.exit_code, result.stderr) == (3, "kaas: there is no Addon 'none': see `kaas addons`\n")


def test_who_may_not_read_addons_is_told_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, Stored([], [raw_cluster(has())], forbidden=True))
    result = kaas("addons", "status", "exporter")
    assert result.exit_code == 0
    assert "one" in result.stdout
    assert "Addons cannot be read" in result.stderr
    assert kaas("addons").exit_code == 4


async def test_watched_it_is_drawn_anew(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Twice(Stored):
        async def clusters(self, *, everywhere: bool) -> Objects:
            if not self._clusters:
                raise CliError("enough", ExitCode.FAILED)
            first, *self._clusters = self._clusters
            return [first]

    monkeypatch.setattr("kaas.cli.rollout_status.WATCH_SECONDS", 0.0)
    serve(monkeypatch, Twice([raw_addon()], [raw_cluster(has()), raw_cluster(has(running="1.8.2", state="Starting"))]))
    with pytest.raises(CliError, match="enough"):
        await addons_status._show(Settings(no_color=True), None, everywhere=False, watch=True)
    assert "Starting" in capsys.readouterr().out


def test_the_example_is_shown() -> None:
    """What examples/addon.yaml says is what the command can show."""
    import yaml  # noqa: PLC0415 - for this alone

    found = parse(yaml.safe_load((EXAMPLES / "addon.yaml").read_text()))
    assert isinstance(found, Addon)
    assert text(addons_show.table([found]))[1] == f"node-exporter 1.8.2 {NOT_LOOKED_AT}"
