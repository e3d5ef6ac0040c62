"""Which version each add-on of a Cluster is to have."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.addons.wanted import Act, Wish, target_of, wishes
from kaas.api.addon import MOST_ADDONS, Addon
from kaas.api.cluster import Cluster
from kaas.api.update_status import UpdateSummary
from tests.unit.addons.world import raw_addon, raw_cluster, update_to

NOW = "2026-01-01T00:00:00Z"
STOPPED = {"since": NOW, "step": "Verification", "reason": "x", "message": "y"}


def addon(name: str, *versions: str | dict[str, Any], usable: tuple[str, ...] | None = None, **spec: Any) -> Addon:
    """usable: versions that can be used; all unless told otherwise."""
    raw = raw_addon(name, *versions, **spec)
    names = [v["version"] for v in raw["spec"]["versions"]]
    good = names if usable is None else usable
    said = [{"version": v, **({"digest": f"of-{v}"} if v in good else {"message": "it is missing"})} for v in names]
    return Addon.model_validate({**raw, "status": {"versions": said}})


def cluster(*entries: dict[str, Any], update: dict[str, Any] | None = None, **status: Any) -> Cluster:
    return Cluster.model_validate(raw_cluster(update, addOns=[{"state": "Ready", **e} for e in entries], **status))


def has(name: str, version: str | None, **more: Any) -> dict[str, Any]:
    return {"name": name, **({"version": version} if version else {}), **more}


def only(found: tuple[Wish, ...]) -> Wish:
    (wish,) = found
    return wish


def test_a_cluster_without_it_gets_the_newest_that_can_be_used_and_supports_what_runs() -> None:
    later = {"version": "1.10.0", "kubernetes": {"minVersion": "1.37"}}
    offered = addon(
        "exporter", "1.8.2", "1.9.0", "1.9.0-1", "1.9.1", later, usable=("1.8.2", "1.9.0", "1.9.0-1", "1.10.0")
    )
    wish = only(wishes(cluster(), [offered]))
    assert (wish.act, wish.version, wish.digest, wish.config_map) == (
        Act.PUT, "1.9.0-1", "of-1.9.0-1", "exporter-1.9.0-1"
    )  # fmt: skip
    assert only(wishes(cluster(has("exporter", None, state="Failed")), [offered])).version == "1.9.0-1"


@pytest.mark.parametrize(
    ("offered", "status", "words"),
    [
        (addon("exporter", "1.8.2", usable=()), {}, "1.8.2 cannot be used: it is missing"),
        (Addon.model_validate(raw_addon("exporter", "1.8.2")), {}, "1.8.2 cannot be used: it was not looked at yet"),
        (
            addon("exporter", {"version": "1.8.2", "kubernetes": {"maxVersion": "1.35"}}),
            {},
            "no version of exporter supports Kubernetes 1.36: add one that does to its Addon",
        ),
        (addon("exporter", "1.8.2"), {"version": None}, "the Cluster has no control plane yet"),
        (addon("exporter", "1.8.2"), {"version": "v1.36.1-rc.1"}, "nobody knows Kubernetes v1.36.1-rc.1"),
    ],
)
def test_what_a_cluster_cannot_have_is_waited_for_with_words(offered: Addon, status: Any, words: str) -> None:
    assert only(wishes(cluster(**status), [offered])) == Wish("exporter", Act.WAIT, words=words)


def test_one_that_it_has_stays_whatever_is_newer() -> None:
    wish = only(wishes(cluster(has("exporter", "1.8.2", digest="of-1.8.2")), [addon("exporter", "1.8.2", "1.9.0")]))
    assert (wish.act, wish.has, wish.version) == (Act.PUT, "1.8.2", "1.8.2")


ROLLED_BACK = [{"what": "AddOn", "addOn": "exporter", "from": "1.9.0", "to": "1.8.2", "since": NOW}]
OTHER_BACK = [{"what": "AddOn", "addOn": "other", "from": "2.0.0", "to": "1.0.0", "since": NOW}]


@pytest.mark.parametrize(
    ("update", "version"),
    [
        (update_to("exporter", "1.8.2", "1.9.0", "Pending"), "1.8.2"),
        (update_to("exporter", "1.8.2", "1.9.0", "Running"), "1.9.0"),
        (update_to("exporter", "1.8.2", "1.9.0", "Done"), "1.9.0"),
        (update_to("exporter", "1.8.2", "1.9.0", "Failed"), "1.9.0"),
        (update_to("exporter", "1.8.2", "1.9.0", "Failed", stopped=STOPPED), "1.9.0"),
        (update_to("exporter", "1.8.2", "1.9.0", "Pending", stopped=STOPPED), "1.8.2"),
        (update_to("exporter", "1.8.2", "1.9.0", "Failed", stopped=STOPPED, rolledBack=ROLLED_BACK), "1.8.2"),
        (update_to("exporter", "1.8.2", "1.9.0", "Done", stopped=STOPPED, rolledBack=OTHER_BACK), "1.9.0"),
        (update_to("exporter", "1.8.2", "1.9.0", "Running", rolledBack=ROLLED_BACK), "1.9.0"),
        (update_to("other", "1.8.2", "1.9.0", "Running"), "1.8.2"),
        ({"addOns": [{"name": "exporter", "from": "1.8.2", "to": "1.9.0"}]}, "1.8.2"),
        (None, "1.8.2"),
    ],
)
def test_an_update_brings_it_to_another_when_its_step_has_come(update: Any, version: str) -> None:
    known = cluster(has("exporter", "1.8.2"), update=update)
    assert only(wishes(known, [addon("exporter", "1.8.2", "1.9.0")])).version == version


def test_a_step_that_has_begun_is_held_to_what_it_brings() -> None:
    update = update_to("exporter", "1.8.2", "1.9.0", "Held")
    update["steps"][1]["started"] = NOW
    assert target_of(UpdateSummary.model_validate(update), "exporter", "1.8.2") == "1.9.0"


def test_an_update_that_is_through_has_no_say_any_more() -> None:
    update = update_to("exporter", "1.8.2", "1.9.0", "Done")
    for step in update["steps"]:
        step["state"] = "Done"
    assert target_of(UpdateSummary.model_validate(update), "exporter", "2.0.0") == "2.0.0"


@pytest.mark.parametrize(
    ("offered", "digest", "words"),
    [
        (addon("exporter", "1.9.0"), "of-1.8.2", "does not have 1.8.2 any more: put it back"),
        (addon("exporter", "1.8.2", usable=()), "of-1.8.2", "1.8.2 cannot be used: it is missing"),
        (addon("exporter", "1.8.2"), "another", "1.8.2 has other data than when it was put into the Cluster"),
    ],
)
def test_what_cannot_be_applied_again_is_left_as_it_is(offered: Addon, digest: str, words: str) -> None:
    wish = only(wishes(cluster(has("exporter", "1.8.2", digest=digest)), [offered]))
    assert (wish.act, wish.has, wish.version, wish.fails) == (Act.KEEP, "1.8.2", "1.8.2", False)
    assert words in wish.words
    assert wish.words.endswith("what is in the Cluster is left as it is")


def test_a_version_of_an_update_that_cannot_be_used_is_a_failure() -> None:
    known = cluster(has("exporter", "1.8.2"), update=update_to("exporter", "1.8.2", "1.9.0", "Running"))
    wish = only(wishes(known, [addon("exporter", "1.8.2", "1.9.0", usable=("1.8.2",))]))
    assert (wish.act, wish.version, wish.fails) == (Act.KEEP, "1.9.0", True)


def test_a_version_of_an_update_that_was_not_looked_at_yet_is_none() -> None:
    known = cluster(has("exporter", "1.8.2"), update=update_to("exporter", "1.8.2", "1.9.0", "Running"))
    wish = only(wishes(known, [Addon.model_validate(raw_addon("exporter", "1.8.2", "1.9.0"))]))
    assert (wish.act, wish.version, wish.fails) == (Act.KEEP, "1.9.0", False)


def test_what_is_not_selected_or_gone_goes_first() -> None:
    known = cluster(has("gone", "1.0.0"), has("dying", "1.0.0"), has("exporter", "1.8.2"))
    dying = addon("dying", "1.0.0")
    dying = dying.model_copy(update={"metadata": dying.metadata.model_copy(update={"deletion_timestamp": NOW})})
    elsewhere = addon("exporter", "1.8.2", clusters={"matchLabels": {"tier": "test"}})
    found = wishes(known, [dying, elsewhere, addon("new", "1.0.0")])
    assert [(w.name, w.act) for w in found] == [
        ("gone", Act.REMOVE),
        ("dying", Act.REMOVE),
        ("exporter", Act.REMOVE),
        ("new", Act.PUT),
    ]


def test_what_cannot_be_read_is_not_gone() -> None:
    known = cluster(has("exporter", "1.8.2"))
    wish = only(wishes(known, [], unread=["exporter", "never-had"]))
    assert (wish.act, wish.version, wish.fails) == (Act.KEEP, "1.8.2", False)
    assert "Addon exporter cannot be read" in wish.words


def test_they_come_in_their_order() -> None:
    found = wishes(cluster(), [addon("b", "1.0.0"), addon("a", "1.0.0", order=5), addon("c", "1.0.0", order=-5)])
    assert [w.name for w in found] == ["c", "b", "a"]


def test_one_that_a_cluster_has_does_not_go_because_there_are_too_many_others() -> None:
    many = [addon(f"a{number:02}", "1.0.0", order=-1) for number in range(MOST_ADDONS)]
    found = wishes(cluster(has("exporter", "1.8.2")), [*many, addon("exporter", "1.8.2"), addon("other", "1.0.0")])
    assert {w.act for w in found} == {Act.PUT}
    assert {w.name for w in found} == {"exporter", *(a.metadata.name for a in many)}


def test_an_obstacle_keeps_everything_as_it_is() -> None:
    known = cluster(has("had", "1.0.0"), has("gone", "1.0.0"))
    found = wishes(known, [addon("had", "1.0.0"), addon("new", "1.0.0")], obstacle="it is simulated")
    assert {w.name: (w.act, w.words) for w in found} == {
        "gone": (Act.REMOVE, ""),
        "had": (Act.KEEP, "it is simulated"),
        "new": (Act.WAIT, "it is simulated"),
    }
