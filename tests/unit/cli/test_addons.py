"""`kaas addons` and its `status`: which add-ons Clusters have, what comes by an update, and why not the newest."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from kaas.api.addon import Addon
from kaas.api.cluster import Cluster
from kaas.api.load import parse
from kaas.cli import addons_show, addons_status
from kaas.cli.addons_view import lines
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.settings import Settings
from kaas.cli.view import NOT_LOOKED_AT
from kaas.kube.errors import Forbidden
from kaas.kube.objects import Object, Objects
from kaas.kube.resources import Resource
from tests.unit.cli.addons import MISSING, NOW, addon, has, line, raw_addon, raw_cluster, shown, text, version
from tests.unit.cli.running import EXAMPLES, kaas

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
