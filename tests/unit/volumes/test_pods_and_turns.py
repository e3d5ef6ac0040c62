"""Which Pods wait and why, how their gates go, and whose load is next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.kube.objects import Object
from kaas.kube.resources import POD
from kaas.runtime.index import Index
from kaas.volumes import terms
from kaas.volumes.claim import Claim, Key, claim_of
from kaas.volumes.conditions import Told, condition_of
from kaas.volumes.job import network_policy
from kaas.volumes.pods import claims_of, gated, hold_of, lean, ungating
from kaas.volumes.settings import LoadSettings
from kaas.volumes.turns import Bounds, Entry, Turns, admitted
from kaas.volumes.watched import interests
from tests.unit.volumes.builders import NOW, attempt, claim, job, pod, raw_claim
from tests.unit.volumes.virtual_api import patched


def told(found: Claim, reason: str, *, holds: bool = False, message: str = "words") -> Object:
    return condition_of(Told(reason, message, holds=holds, load=found.load), {}, NOW)


def held(*claims: Claim | None, notes: dict[str, str] | None = None) -> str | None:
    """Why a Pod of these claims waits."""
    names = [f"c{n}" for n in range(len(claims))]
    waiting = pod("app", *names)
    waiting["metadata"]["annotations"] = notes or {}
    known: dict[Key, Claim | None] = {("team", n): c for n, c in zip(names, claims, strict=True)}
    found = hold_of(waiting, lambda key: known[key])
    return found.message if found else None


def test_who_waits() -> None:
    loaded = claim_of(
        raw_claim(load_source="s3://models/", condition=told(claim(load_source="s3://models/"), "Loaded", holds=True))
    )
    assert held(loaded) is None
    assert held(claim_of(raw_claim())) is None
    assert held(claim(load_wait="false")) is None
    assert held(claim(), notes={terms.WAIT: "false"}) is None
    assert "is not loaded yet: it was not looked at" in str(held(claim()))
    assert "is not there yet: make it" in str(held(None))
    assert "is not loaded yet" in str(held(loaded, claim()))
    assert "cannot be loaded: kaas.internal/load-shards" in str(held(claim(load_shards="x")))


def test_a_load_that_failed_says_the_way_out() -> None:
    failed = claim(condition=told(claim(), "AccessDenied", message="s3://models: no"))
    message = str(held(claim(), failed))
    assert message.startswith("claim c1 was not loaded: AccessDenied: s3://models: no. Change what was wrong and set ")


def test_a_condition_of_another_load_frees_nobody() -> None:
    other = told(claim(load_id="1"), "Loaded", holds=True)
    assert held(claim(load_id="2", condition=other)) is not None
    assert held(claim(load_id="1", load_path="x", condition=other)) is None
    forged = {**other, "message": "all is well"}
    assert held(claim(load_id="1", condition=forged)) is not None


def test_claims_of_a_pod() -> None:
    template = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}
    volumes = [{"name": "a", "persistentVolumeClaim": {"claimName": "a"}}, template, {"name": "x", "emptyDir": {}}]
    assert claims_of(pod("app", volumes=volumes)) == [("team", "a"), ("team", "app-scratch")]


@pytest.mark.parametrize("gates", [(terms.GATE,), ("a", terms.GATE), (terms.GATE, "b"), ("a", terms.GATE, "b")])
def test_only_our_gate_is_taken_away(gates: tuple[str, ...]) -> None:
    found = pod("app", "data", gates=gates)
    patched(found, ungating(found))
    assert [g["name"] for g in found["spec"]["schedulingGates"]] == [g for g in gates if g != terms.GATE]
    assert not gated(found)
    assert terms.WAITING_LABEL not in found["metadata"]["labels"]


def test_what_is_kept_is_the_same_when_it_is_asked_twice() -> None:
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "pv"},
        "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{}]}}},
    }
    required: Object = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}
    objects: dict[str, Object] = {
        "PersistentVolumeClaim": raw_claim(load_source="x", condition=told(claim(), "Loading")),
        "PersistentVolume": volume,
        "StorageClass": {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "c"}},
        "Job": {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"completions": 1}},
        **{
            kind: {
                "apiVersion": "snapshot.storage.k8s.io/v1",
                "kind": kind,
                "metadata": {"name": "s", "annotations": {"kaas.internal/cache-used": "x", "other": "y"}},
                "spec": {"source": {"persistentVolumeClaimName": "data"}},
                "driver": "d",
            }
            for kind in ("VolumeSnapshot", "VolumeSnapshotContent", "VolumeSnapshotClass")
        },
        "NetworkPolicy": network_policy("team", LoadSettings(image="kaas")),
        "Pod": pod("app", "data", affinity={"nodeAffinity": required}, nodeName="n"),
    }
    for interest in interests(Index()):
        once = interest.keep(objects[interest.resource.kind])
        assert interest.keep(once) == once
    assert lean(objects["Pod"])["spec"]["affinity"] == {"nodeAffinity": required}


def test_a_loader_that_has_ended_is_looked_at_first() -> None:
    (interest,) = [i for i in interests(Index()) if i.resource == POD]
    loader = pod("load-data", "data", gates=())
    loader["metadata"]["labels"] = {terms.LOADER_LABEL: "c1", terms.WAITING_LABEL: "loading"}
    assert not interest.urgent(loader)
    ended = {"name": "loader", "state": {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:00:00Z"}}}
    loader["status"] = {"phase": "Succeeded", "containerStatuses": [ended]}
    assert interest.urgent(loader)
    assert list(interest.keys(loader)) == [("claim", "team", "data")]
    assert not interest.urgent(pod("app", "data"))


def lines(*entries: Entry) -> dict[str, list[Entry]]:
    """Claims by their namespaces, the oldest first."""
    return {namespace: [e for e in sorted(entries) if e[1][0] == namespace] for _, (namespace, _) in entries}


def waiting(*names: str) -> dict[str, list[Entry]]:
    """Claims in the order in which they were made, as `namespace/name`."""
    keys = [tuple(n.split("/")) for n in names]
    return lines(*((NOW + timedelta(seconds=i), (k[0], k[1])) for i, k in enumerate(keys)))


def test_the_oldest_comes_first() -> None:
    assert admitted(waiting("a/1", "a/2", "a/3"), [], Bounds(2, 5)) == [("a", "1"), ("a", "2")]


def test_nobody_keeps_others_from_being_loaded() -> None:
    many = waiting(*(f"a/{n:03d}" for n in range(500)), "b/1")
    assert ("b", "1") in admitted(many, [("a", "x")] * 3, Bounds(5, 4))
    assert admitted(many, [("a", "x")] * 4, Bounds(20, 4)) == [("b", "1")]
    assert admitted(many, [("a", "x")] * 500, Bounds(20, 4)) == [("b", "1")]


def test_loads_that_take_all_turns_leave_one_to_who_has_none() -> None:
    """Four namespaces with loads that crawl, or that never end: each other one has a load all the same."""
    crawling = {(f"t{n}", str(i)) for n in range(4) for i in range(5)}
    assert admitted(waiting("t0/x", "victim/1", "victim/2"), crawling, Bounds(20, 5)) == [("victim", "1")]
    victim = {("victim", "1")}
    assert admitted(waiting("victim/2"), crawling | victim, Bounds(20, 5)) == []
    others = {(f"o{n}", "1") for n in range(9)}
    assert admitted(waiting("z/1"), crawling | victim | others, Bounds(20, 5)) == [], "that has a bound of its own"


def test_loads_whose_pods_do_not_run_keep_no_turn_but_of_their_namespace() -> None:
    rest = {(f"t{n}", str(i)) for n in range(4) for i in range(5)}
    many = waiting("t0/x", *(f"a/{n:02d}" for n in range(30)), *(f"b/{n:02d}" for n in range(30)))
    found = Counter(n for n, _ in admitted(many, rest, Bounds(20, 5), rest))
    assert found == {"a": 5, "b": 5}
    more = rest | {(f"u{n}", str(i)) for n in range(4) for i in range(5)}
    assert admitted(waiting("a/1", "a/2"), more, Bounds(20, 5), more) == [("a", "1")], "no more than may run do so"
    forged = {("t0", str(i)) for i in range(500)}
    assert len(admitted(many, forged, Bounds(4, 2), forged)) == 4


NAMES = st.sampled_from("abcdefgh")


@given(
    st.lists(st.tuples(NAMES, st.integers(0, 30)), unique=True),
    st.lists(st.tuples(NAMES, st.integers(90, 95)), max_size=30, unique=True),
    st.integers(1, 10),
    st.integers(1, 5),
    st.integers(0, 30),
)
def test_bounds_hold_and_nothing_idles(
    claims: list[tuple[str, int]], busy: list[tuple[str, int]], total: int, each: int, resting: int
) -> None:
    running = [(n, str(i)) for n, i in busy]
    rest = running[:resting]
    asked = {(n, str(i)): NOW + timedelta(seconds=i) for n, i in claims}
    bounds = Bounds(total, each)
    found = admitted(lines(*((made, key) for key, made in asked.items())), running, bounds, rest)
    counts = Counter(n for n, _ in [*running, *found])
    assert all(counts[n] <= each for n, _ in found)
    known, idle = Counter(n for n, _ in running), Counter(n for n, _ in rest)
    active = sum(min(known[n] - idle[n], each) for n in known)  # of each namespace as many as may run in it
    taken = active + max(0, sum(min(known[n], each) for n in known) - active - total)
    assert not found or taken + len(found) <= total + bounds.firsts
    first = [n for n, _ in found if not known[n]]
    assert not found or len(set(first)) == len(first) or taken + len(found) <= total
    left = [k for k in asked if k not in found and counts[k[0]] < each]
    assert not left or taken + len(found) >= total
    assert all(counts[n] for n, _ in left) or taken + len(found) >= total + bounds.firsts


@pytest.mark.parametrize("namespaces", [1, 4, 100])
def test_five_hundred_claims_at_once_are_bounded(namespaces: int) -> None:
    """Whoever they are of, and also when all that never ran begins to at the same time."""
    chance, bounds = Random(8), Bounds(20, 5, starting=500)  # noqa: S311 - no secret
    running: set[Key] = set()
    rest: set[Key] = set()
    turns = Turns(bounds, lambda: running, lambda: rest)
    begun: list[Key] = []

    def begin(keys: Sequence[Key]) -> None:
        for key in keys:
            if turns.take(key, NOW):
                begun.append(key)
                running.add(key)
                turns.done(key)
                assert len(running - rest) <= bounds.at_once + bounds.firsts
        assert len(running) <= 2 * bounds.at_once + bounds.firsts
        assert max(Counter(n for n, _ in running).values(), default=0) <= bounds.per_namespace

    begin([(f"n{n % namespaces}", f"{n}") for n in range(500)])
    rest.update(running)
    begin(turns.next())
    rest.clear()
    while running:
        running.remove(chance.choice(sorted(running)))
        begin(turns.next())
    assert (len(begun), len(set(begun))) == (500, 500)


def test_a_job_rests_when_none_of_its_pods_has_run_for_a_while() -> None:
    late = NOW + timedelta(minutes=6)
    assert not job("m").rests(NOW + timedelta(minutes=4))
    assert job("m").rests(late)
    assert job("m", attempt(unplaced="0/3 nodes are available")).rests(late)
    assert not job("m", attempt(began=NOW)).rests(late)
    assert job("m", attempt(began=NOW, due=NOW)).rests(late), "nobody knows of a node that does not answer"
    ended = attempt(began=NOW, exit=75, ended=NOW + timedelta(minutes=5))
    assert not job("m", ended).rests(late)
    assert job("m", ended).rests(NOW + timedelta(minutes=11))
    assert not job("m", ended, attempt(name="b", index=1, began=NOW), pods=2).rests(NOW + timedelta(minutes=11))


def test_few_are_begun_at_the_same_time_and_whoever_is_next_is_known() -> None:
    turns = Turns(Bounds(20, 20, starting=2), lambda: [("a", "runs")])
    keys = [("a", f"{n}") for n in range(4)]
    made = {key: NOW + timedelta(seconds=n) for n, key in enumerate(keys)}
    assert [turns.take(key, made[key]) for key in keys] == [True, True, False, False]
    assert turns.next() == []
    turns.done(keys[0])
    assert turns.next() == [keys[2]]
    assert not turns.take(keys[3], made[keys[3]]), "an older one waits"
    assert (turns.ahead(keys[3]), len(turns)) == (1, 2)
    turns.leave(keys[2])
    turns.leave(keys[2])
    assert turns.next() == [keys[3]]
    assert turns.take(keys[3], made[keys[3]])
    assert (turns.next(), len(turns)) == ([], 0)


def test_what_could_not_begin_lines_up_anew() -> None:
    """So that claims whose Secret is missing, and which are tried again and again, keep nobody from beginning."""
    turns = Turns(Bounds(20, 20, starting=1), list)
    old, new = ("a", "old"), ("a", "new")
    assert turns.take(old, NOW)
    assert not turns.take(new, NOW + timedelta(seconds=5))
    turns.held(old, NOW + timedelta(seconds=9))
    turns.done(old)
    assert not turns.take(old, NOW)
    assert turns.next() == [new]
    turns.forget(old)
    turns.forget(new)
    assert (len(turns), turns.take(old, NOW)) == (0, True)


def test_a_job_is_done_when_its_pods_are() -> None:
    assert not job("m", attempt(exit=0, ended=NOW), pods=2).done
    assert job("m", attempt(exit=0, ended=NOW), attempt(name="b", index=1, exit=0, ended=NOW), pods=2).done
