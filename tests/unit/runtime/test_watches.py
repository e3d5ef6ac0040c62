"""The feed: events and lists in, index and keys out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import pytest

from kaas.kube.resources import CLUSTER_NAME_LABEL, MACHINE, SITE
from kaas.runtime.index import Index
from kaas.runtime.watches import Feed, Subscription, Watch


def machine(name: str, version: int, cluster: str = "one", namespace: str = "t", **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": {**meta, "labels": {CLUSTER_NAME_LABEL: cluster}}, **more}


def cluster_of(obj: dict[str, Any]) -> Iterable[Hashable]:
    return [obj["metadata"]["labels"][CLUSTER_NAME_LABEL]]


class Fed:
    """A feed of Machines with its index, and the keys and syncs it gave."""

    def __init__(self, *scopes: str, **watch: Any) -> None:
        self.index, self.keys, self.syncs = Index(), list[Hashable](), 0
        watches = [Watch(MACHINE, watch.pop("keys", cluster_of), **watch)]
        self.feed = Feed(self.index, [Subscription(w, self.keys.append) for w in watches])
        self.feed.expect([(MACHINE, scope) for scope in scopes or ("",)], self.synced)

    def synced(self) -> None:
        self.syncs += 1

    def taken(self) -> list[Hashable]:
        keys, self.keys[:] = list(self.keys), []
        return keys

    def names(self) -> list[str]:
        return [o["metadata"]["name"] for o in self.index.list(MACHINE)]


def test_synced_when_everything_listed_has_arrived() -> None:
    fed = Fed()
    fed.feed.listed(MACHINE, "", {("t", "a"), ("t", "b")}, "5")
    assert fed.feed.unsynced() == ["Machine.cluster.x-k8s.io"]
    fed.feed.event(MACHINE, None, machine("a", 1))
    assert not fed.feed.synced
    fed.feed.event(MACHINE, None, machine("b", 2))
    assert fed.feed.synced
    assert fed.syncs == 1
    assert fed.index.get(MACHINE, "t", "a")["kind"] == "Machine"


def test_an_empty_list_is_synced_and_a_deletion_counts_as_arrival() -> None:
    fed = Fed()
    assert not fed.feed.synced
    fed.feed.listed(MACHINE, "", set(), "5")
    assert fed.syncs == 1
    fed.feed.listed(MACHINE, "", {("t", "a")}, "6")
    fed.feed.event(MACHINE, "DELETED", machine("a", 7))
    assert fed.feed.synced


def test_nothing_to_watch_is_synced() -> None:
    feed = Feed(Index(), [])
    called: list[bool] = []
    feed.expect([], lambda: called.append(True))
    assert called == [True]


def test_keys_of_before_and_after() -> None:
    fed = Fed()
    fed.feed.event(MACHINE, "ADDED", machine("a", 1))
    assert fed.taken() == ["one"]
    fed.feed.event(MACHINE, "MODIFIED", machine("a", 2, cluster="two"))
    assert fed.taken() == ["one", "two"]
    fed.feed.event(MACHINE, "DELETED", machine("a", 3, cluster="two"))
    assert fed.taken() == ["two"]
    fed.feed.event(MACHINE, "DELETED", machine("a", 3))
    assert fed.taken() == []


def test_what_a_new_list_repeats_wakes_nobody() -> None:
    fed = Fed()
    fed.feed.event(MACHINE, None, machine("a", 1))
    fed.taken()
    fed.feed.event(MACHINE, None, machine("a", 1))
    assert fed.taken() == []


def test_what_a_new_list_has_not_is_gone() -> None:
    fed = Fed()
    for name in "abc":
        fed.feed.event(MACHINE, None, machine(name, 1))
    fed.taken()
    fed.feed.listed(MACHINE, "", {("t", "b")}, "9")
    assert fed.names() == ["b"]
    assert fed.taken() == ["one", "one"]


def test_a_namespace_has_its_own_list() -> None:
    fed = Fed("t", "u")
    fed.feed.event(MACHINE, None, machine("a", 1))
    fed.feed.event(MACHINE, None, machine("b", 1, namespace="u"))
    fed.feed.listed(MACHINE, "u", set(), "9")
    assert fed.names() == ["a"]
    assert not fed.feed.synced
    fed.feed.listed(MACHINE, "t", {("t", "a")}, "9")
    assert fed.feed.synced


def test_an_event_that_its_list_overtook_does_not_bring_the_dead_back() -> None:
    fed = Fed()
    fed.feed.listed(MACHINE, "", set(), "100")
    fed.feed.event(MACHINE, "ADDED", machine("a", 99))
    assert fed.names() == []
    fed.feed.event(MACHINE, "ADDED", machine("a", 101))
    assert fed.names() == ["a"]


def test_versions_may_go_back_with_a_restored_backup() -> None:
    fed = Fed()
    fed.feed.listed(MACHINE, "", set(), "100")
    fed.feed.listing(MACHINE, "")
    fed.feed.event(MACHINE, None, machine("a", 50))  # a page's objects arrive before the last page is read
    fed.feed.listed(MACHINE, "", {("t", "a")}, "60")
    assert fed.names() == ["a"]
    assert fed.feed.synced


def test_a_change_of_what_is_not_kept_wakes_nobody() -> None:
    fed = Fed(transform=lambda o: {k: v for k, v in o.items() if k != "status"})
    fed.feed.event(MACHINE, "ADDED", machine("a", 1, status={"beat": 1}))
    fed.taken()
    fed.feed.event(MACHINE, "MODIFIED", machine("a", 2, status={"beat": 2}))
    assert fed.taken() == []
    fed.feed.event(MACHINE, "MODIFIED", machine("a", 3, spec={"x": 1}))
    assert fed.taken() == ["one", "one"]
    kept = fed.index.get(MACHINE, "t", "a")
    assert kept is not None
    assert kept["metadata"]["resourceVersion"] == "3"


def test_a_kind_that_is_no_longer_served() -> None:
    fed = Fed()
    fed.feed.event(MACHINE, "ADDED", machine("a", 1))
    fed.feed.not_served(MACHINE)
    assert fed.names() == []
    assert fed.taken() == ["one", "one"]


def test_keys_that_fail_stop_nobody(caplog: pytest.LogCaptureFixture) -> None:
    fed = Fed(keys=lambda o: [o["missing"]])
    fed.feed.event(MACHINE, "ADDED", machine("a", 1))
    assert fed.names() == ["a"]
    assert "no keys for Machine t/a" in caplog.text


def test_several_features_may_watch_a_kind_with_one_selector() -> None:
    first, second = list[Hashable](), list[Hashable]()
    watch = Watch(MACHINE, cluster_of, "a=b")
    feed = Feed(Index(), [Subscription(watch, first.append), Subscription(watch, second.append)])
    feed.event(MACHINE, "ADDED", machine("a", 1))
    assert first == second == ["one"]
    assert feed.resources == [MACHINE]
    assert feed.selector(MACHINE) == "a=b"
    with pytest.raises(ValueError, match="two label selectors"):
        Feed(Index(), [Subscription(watch, first.append), Subscription(Watch(MACHINE, cluster_of), first.append)])


def test_cluster_wide_kinds() -> None:
    keys: list[Hashable] = []
    index = Index()
    feed = Feed(index, [Subscription(Watch(SITE, lambda o: [o["metadata"]["name"]]), keys.append)])
    feed.expect([(SITE, "")], lambda: None)
    feed.listed(SITE, "", {("", "s")}, "1")
    feed.event(SITE, None, {"metadata": {"name": "s", "resourceVersion": "1"}})
    assert feed.synced
    assert keys == ["s"]


def test_a_change_of_what_a_feature_does_not_read_means_no_keys() -> None:
    fed = Fed(concern=lambda o: o.get("spec"))
    fed.feed.listed(MACHINE, "", set(), "0")
    fed.feed.event(MACHINE, "ADDED", machine("a", 1, spec={"x": 1}, status={"y": 1}))
    assert fed.taken() == ["one"]
    fed.feed.event(MACHINE, "MODIFIED", machine("a", 2, spec={"x": 1}, status={"y": 2}))
    assert fed.taken() == []
    known = fed.index.get(MACHINE, "t", "a")
    assert known is not None
    assert known["status"] == {"y": 2}
    fed.feed.event(MACHINE, "MODIFIED", machine("a", 3, spec={"x": 2}, status={"y": 2}))
    assert set(fed.taken()) == {"one"}
    fed.feed.event(MACHINE, "DELETED", machine("a", 4, spec={"x": 2}, status={"y": 2}))
    assert fed.taken() == ["one"]


def both() -> tuple[Index, Feed, list[Hashable], list[Hashable]]:
    """Two features: one puts what it writes into the index, the other reads `spec` of that."""
    index, writer, reader = Index(), list[Hashable](), list[Hashable]()
    watches = (Watch(MACHINE, cluster_of, puts=True), Watch(MACHINE, cluster_of, concern=lambda o: o.get("spec")))
    subscriptions = [Subscription(w, t.append) for w, t in zip(watches, (writer, reader), strict=True)]
    feed = Feed(index, subscriptions)
    feed.event(MACHINE, None, machine("a", 1, spec={"x": 1}))
    writer.clear()
    reader.clear()
    return index, feed, writer, reader


def written(version: int, x: int) -> dict[str, Any]:
    return {"apiVersion": MACHINE.api_version, "kind": "Machine", **machine("a", version, spec={"x": x})}


def test_what_one_feature_has_written_is_told_to_the_others() -> None:
    index, feed, writer, reader = both()
    index.put(written(2, 2))
    index.put(written(3, 3))
    assert reader == []
    feed.event(MACHINE, None, written(3, 3))
    assert (writer, reader) == ([], ["one", "one"])
    feed.event(MACHINE, None, written(3, 3))  # as a new list would
    assert (writer, reader) == ([], ["one", "one"])


def test_a_write_of_what_others_do_not_read_is_not_told_to_them() -> None:
    index, feed, writer, reader = both()
    index.put(written(2, 1))
    feed.event(MACHINE, None, written(2, 1))
    assert (writer, reader) == ([], [])


def test_a_write_that_the_watch_has_shown_already_is_told_once() -> None:
    index, feed, _, reader = both()
    feed.event(MACHINE, None, written(2, 2))
    index.put(written(2, 2))
    feed.event(MACHINE, None, written(2, 2))
    assert reader == ["one", "one"]


def test_what_was_made_and_put_is_told_to_others() -> None:
    index, feed, writer, reader = both()
    made = {"apiVersion": MACHINE.api_version, "kind": "Machine", **machine("b", 5, spec={"x": 1})}
    index.put(made)
    feed.event(MACHINE, None, made)
    assert (writer, reader) == ([], ["one"])


def test_urgent_states_are_told_to_who_hurries() -> None:
    told, hurried = list[Hashable](), list[Hashable]()
    watch = Watch(MACHINE, cluster_of, urgent=lambda o: "status" in o)
    feed = Feed(Index(), [Subscription(watch, told.append, hurried.append), Subscription(watch, told.append)])
    feed.event(MACHINE, None, machine("a", 1, spec={"x": 1}))
    assert (told, hurried) == (["one", "one"], [])
    feed.event(MACHINE, None, machine("a", 2, spec={"x": 1}, status={"y": 1}))
    assert (told, hurried) == (["one"] * 5, ["one"]), "of the state before nothing is urgent"
