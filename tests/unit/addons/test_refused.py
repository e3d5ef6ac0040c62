"""What a Cluster does not take of an add-on, and what is said and done then."""

from __future__ import annotations

from kaas.kube.errors import Forbidden, Invalid, Unavailable
from tests.unit.addons.reconciled import CRD, LIGHT, WEBHOOK, reasons, world
from tests.unit.addons.world import raw_addon, raw_cluster, thing, update_to


async def test_an_object_that_is_refused_fails_with_its_words_and_the_others_are_there() -> None:
    found = world(thing("settings"), thing("other"))
    refusal = Invalid("apply ConfigMap monitoring/settings", "unknown field spec.colour", code=422)
    found.server.faults["settings"] = refusal
    await found.examine()
    again = await found.look()
    entry = found.entries["exporter"]
    assert (entry["state"], entry["wanted"]) == ("Failed", "1.0.0")
    assert "version" not in entry
    assert "apply ConfigMap monitoring/settings: unknown field spec.colour" in entry["message"]
    assert "ConfigMap/other" in found.server.names
    assert again == 30.0
    pauses = []
    for _ in range(5):
        found.clock.step(again or 0)
        again = await found.look()
        pauses.append(again)
    assert pauses == [60.0, 120.0, 240.0, 300.0, 300.0]
    assert reasons(found) == ["AddOnFailed"]
    assert found.registry.get_sample_value("kaas_addon_failures_total", {"addon": "exporter"}) == 1
    del found.server.faults["settings"]
    found.clock.step(300.0)
    await found.look()
    assert found.entries["exporter"]["state"] == "Ready"


async def test_what_was_begun_is_dropped_for_what_is_wanted_now() -> None:
    found = world(LIGHT)
    await found.examine()
    assert await found.look() == 2.0
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("settings")])
    found.server.put(CRD)
    await found.settle()
    assert found.entries["exporter"]["version"] == "2.0.0"
    assert "Light/red" not in found.server.names


async def test_what_was_begun_is_begun_anew_at_another_api_server() -> None:
    """Its kubeconfig has changed."""
    found = world(thing("settings"), LIGHT)
    await found.examine()
    assert await found.look() == 2.0
    found.server = type(found.server)(found.writes)
    found.server.put(CRD)
    found.clock.step(2.0)
    await found.look()
    assert {"ConfigMap/settings", "ConfigMap/kaas-add-on-exporter", "Light/red"} <= found.server.names


async def test_what_it_said_counts_more_than_what_the_watch_has_shown() -> None:
    found = world()
    await found.examine()
    found.blind = True
    again = await found.look()
    applied = len(found.server.log)
    assert await found.look() == again
    assert len(found.server.log) == applied
    assert reasons(found) == ["AddOnInstalled"]


async def test_a_cluster_of_the_same_name_is_another_one() -> None:
    found = world()
    await found.settle()
    found.server = type(found.server)(found.writes)
    again = raw_cluster()
    again["metadata"]["uid"] = "another"
    found.put(again)
    await found.settle()
    assert "ConfigMap/settings" in found.server.names
    assert reasons(found) == ["AddOnInstalled", "AddOnInstalled"]


async def test_one_that_falls_silent_between_two_objects_is_asked_no_more_and_goes_on_later() -> None:
    found = world(*(thing(f"a{number}") for number in range(9)))
    await found.examine()
    found.server.faults["a4"] = Unavailable("apply ConfigMap monitoring/a4", "no answer in 8 s")
    again = await found.look()
    assert again is not None
    assert 30 <= again <= 60
    assert found.server.log[-1] == "apply ConfigMap/a3"
    assert (found.entries["exporter"]["state"], found.entries["exporter"]["wanted"]) == ("Waiting", "1.0.0")
    found.server.faults.clear()
    found.clock.step(again)
    await found.look()
    assert found.entries["exporter"]["state"] == "Ready"


async def test_what_would_be_refused_again_is_said_before_what_may_be_better_soon() -> None:
    found = world(thing("settings"), thing("other"), thing("third"))
    found.server.faults["settings"] = WEBHOOK
    found.server.faults["third"] = Invalid("apply ConfigMap monitoring/third", "unknown field", code=422)
    await found.examine()
    await found.look()
    assert found.entries["exporter"]["state"] == "Failed"
    message = found.entries["exporter"]["message"]
    assert message.startswith("apply ConfigMap monitoring/third: unknown field")
    assert message.endswith("; and 1 other objects")


async def test_what_goes_back_before_it_was_through_is_said_to_be_applied() -> None:
    found = world(thing("old"))
    await found.settle()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("new"), thing("settings")])
    found.server.faults["settings"] = Invalid("apply ConfigMap monitoring/settings", "unknown field", code=422)
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    await found.examine()
    await found.look()
    found.update(None)
    await found.look()
    (before,), (after,) = (said["addOns"] for said in found.said[-2:])
    assert (before["state"], before["version"], "wanted" in before) == ("Applying", "1.0.0", False)
    assert (after["state"], after["version"], "wanted" in after) == ("Ready", "1.0.0", False)
    assert found.server.names == {"ConfigMap/old", "ConfigMap/kaas-add-on-exporter"}


async def test_what_stays_of_the_old_stays_until_all_of_the_new_is_there() -> None:
    found = world(thing("old"))
    await found.settle()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("new"), thing("settings")])
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    found.server.faults["settings"] = Forbidden("apply ConfigMap monitoring/settings", "denied by policy", code=403)
    await found.examine()
    await found.look()
    assert (found.entries["exporter"]["state"], found.entries["exporter"]["version"]) == ("Failed", "1.0.0")
    assert {"ConfigMap/old", "ConfigMap/new"} <= found.server.names
    del found.server.faults["settings"]
    await found.settle()
    assert "ConfigMap/old" not in found.server.names


async def test_what_may_be_better_soon_is_no_failure_for_two_minutes() -> None:
    found = world()
    found.server.faults["settings"] = WEBHOOK
    await found.examine()
    for _ in range(24):
        assert await found.look() == 5.0
        assert found.entries["exporter"]["state"] == "Applying"
        found.clock.step(5.0)
    assert await found.look() == 30.0
    assert found.entries["exporter"]["state"] == "Failed"
    assert "failed calling webhook" in found.entries["exporter"]["message"]


async def test_a_kind_that_comes_later_is_waited_for() -> None:
    found = world(LIGHT)
    await found.examine()
    assert await found.look() == 2.0
    assert found.entries["exporter"]["state"] == "Applying"
    assert "has no kind Light" in found.entries["exporter"]["message"]
    found.server.put(CRD)
    found.clock.step(2.0)
    await found.look()
    assert found.entries["exporter"]["state"] == "Ready"


async def test_a_kind_that_never_comes_is_a_failure_and_stays_one_while_it_is_tried_again() -> None:
    found = world(LIGHT)
    await found.examine()
    states = []
    for _ in range(300):
        found.clock.step(await found.look() or 0.0)
        states.append(found.entries["exporter"]["state"])
    first = states.index("Failed")
    assert set(states[first:]) == {"Failed"}
    assert reasons(found) == ["AddOnFailed"]


async def test_an_object_without_the_namespace_that_it_needs_is_refused() -> None:
    found = world({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lost"}})
    await found.settle(30.0)
    assert found.entries["exporter"]["state"] == "Failed"
    assert "ConfigMap lost says no namespace" in found.entries["exporter"]["message"]


async def test_a_namespace_that_a_kind_has_none_of_is_left_out() -> None:
    found = world(thing("monitoring", "Namespace", metadata={"name": "monitoring", "namespace": "nonsense"}))
    await found.settle()
    assert "namespace" not in found.server.found("Namespace", "monitoring")["metadata"]
