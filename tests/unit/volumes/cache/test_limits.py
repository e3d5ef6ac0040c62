"""The plan of the cache, rule by rule, and a cache that is lived with at random."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kaas.volumes.cache.limits import ANY, Limits
from kaas.volumes.cache.plan import HALF_MADE, Act, Birth, Content, Facts, Kept, Reason, Step, plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRACE = Limits().grace
OLD = NOW - 2 * GRACE


def kept(name: str, namespace: str = "team", **given: Any) -> Kept:
    base = Kept((namespace, name), f"uid-{namespace}-{name}", "key", "digest", "fast", NOW - HOUR, NOW - HOUR, 10)
    return replace(base, **given)


def copy_of(origin: Kept, namespace: str, **given: Any) -> Kept:
    return kept(origin.name[1], namespace, origin=origin.uid, key=origin.key, digest=origin.digest, **given)


def planned(
    *snapshots: Kept, limits: Limits | None = None, births: tuple[Birth, ...] = (), **more: Any
) -> list[tuple[Act, str, str]]:
    steps = plan(Facts(NOW, snapshots, births=births, **more), limits or Limits())
    return [(s.act, s.name[1], s.reason) for s in steps]


def birth(snapshot: Kept, *, pending: bool = True, created: datetime = NOW) -> Birth:
    return Birth(snapshot.name, created, pending)


def test_nothing_happens_to_what_is_in_order() -> None:
    assert planned(kept("a"), kept("b", key="other", digest="other")) == []


def test_what_nobody_sealed_goes_at_once_unless_its_load_goes_on() -> None:
    one = kept("a", sealed=False, maker="claim")
    assert planned(one) == [(Act.REMOVE, "a", Reason.NOT_SEALED)]
    assert planned(one, loading=frozenset({"claim"})) == []


def test_an_older_digest_of_a_key_is_superseded_by_one_that_is_ready() -> None:
    old, new = kept("old", created=NOW - 2 * HOUR), kept("new", digest="new")
    assert planned(old, new) == [(Act.RETIRE, "old", Reason.SUPERSEDED)]
    assert planned(old, replace(new, ready=False)) == []
    assert planned(old, replace(new, digest="digest")) == []


def test_what_is_not_shared_is_superseded_in_its_own_namespace_only() -> None:
    old, new = kept("old", created=NOW - 2 * HOUR, public=False), kept("new", digest="new", public=False)
    assert planned(old, new) == [(Act.RETIRE, "old", Reason.SUPERSEDED)]
    assert planned(old, replace(new, name=("others", "new"))) == []


def test_what_is_retired_goes_when_nothing_is_born_of_it_any_more() -> None:
    one = kept("a", retired=OLD, why="Unused")
    assert planned(one) == [(Act.REMOVE, "a", "Unused")]
    assert planned(one, births=(birth(one),)) == []
    assert planned(one, births=(birth(one, pending=False),)) == [(Act.REMOVE, "a", "Unused")]
    assert planned(replace(one, retired=NOW - GRACE / 2)) == []


def test_what_nobody_was_born_of_for_long_is_retired() -> None:
    one = kept("a", used=NOW - timedelta(days=31))
    assert planned(one) == [(Act.RETIRE, "a", Reason.UNUSED)]
    assert [s[0] for s in planned(one, births=(birth(one, pending=False),))] == [Act.USED]


def test_an_origin_is_used_when_its_copy_is() -> None:
    origin = kept("a", used=NOW - timedelta(days=31))
    copy = copy_of(origin, "others")
    assert planned(origin, copy, births=(birth(copy, pending=False, created=NOW - HOUR),)) == []


def test_the_use_of_a_snapshot_is_noted_once_an_hour() -> None:
    one = kept("a", used=NOW - HOUR / 2)
    assert planned(one, births=(birth(one),)) == []
    assert planned(replace(one, used=NOW - HOUR), births=(birth(one),)) == [(Act.USED, "a", "")]


def test_the_least_recently_used_goes_when_there_are_too_many() -> None:
    found = [kept(str(n), key=str(n), used=NOW - n * HOUR) for n in range(4)]
    assert planned(*found, limits=Limits(per_namespace=3)) == [(Act.RETIRE, "3", Reason.TOO_MANY)]
    births = (birth(found[3], created=NOW - 4 * HOUR),)
    assert planned(*found, limits=Limits(per_namespace=3), births=births) == [(Act.RETIRE, "2", Reason.TOO_MANY)]


def test_a_copy_goes_before_what_is_none() -> None:
    origin = kept("theirs", "others")
    copy, own = copy_of(origin, "team", used=NOW), kept("own", key="other", used=NOW - 5 * HOUR)
    assert planned(origin, copy, own, limits=Limits(per_namespace=1)) == [(Act.RETIRE, "theirs", Reason.TOO_MANY)]


@pytest.mark.parametrize("name", ["fast", ANY])
def test_a_class_has_so_much_room(name: str) -> None:
    found = [kept(str(n), key=str(n), used=NOW - n * HOUR) for n in range(3)]
    other = kept("other", key="k", storage_class="slow", size=10)
    steps = planned(*found, other, limits=Limits({name: 20}))
    assert steps == [(Act.RETIRE, "2", Reason.TOO_LARGE)]


def test_copies_take_no_room() -> None:
    origin = kept("a")
    assert planned(origin, copy_of(origin, "x"), copy_of(origin, "y"), limits=Limits({ANY: 10})) == []


def test_an_origin_stays_while_a_copy_of_it_is_being_used() -> None:
    origin = kept("a")
    copy = copy_of(origin, "x")
    assert planned(origin, copy, limits=Limits({ANY: 5}), births=(birth(copy, created=NOW - HOUR),)) == []


def test_copies_go_before_their_origin_and_with_their_content() -> None:
    origin = kept("a", retired=OLD, why="TooLarge")
    copy = copy_of(origin, "x")
    content = Content("a-x", "c", origin.uid, copy.name, copy.uid, OLD)
    assert planned(origin, copy, contents=(content,)) == [(Act.RETIRE, "a", Reason.ORIGIN_GONE)]
    retired = replace(copy, retired=OLD, why="OriginGone")
    assert planned(origin, retired, contents=(content,)) == [(Act.REMOVE, "a", "OriginGone")]
    assert planned(origin, contents=(content,)) == [(Act.REMOVE_CONTENT, "a-x", Reason.LEFT_OVER)]
    assert planned(origin) == [(Act.REMOVE, "a", "TooLarge")]


def test_a_copy_whose_origin_is_gone_goes_if_all_namespaces_are_seen() -> None:
    copy = copy_of(kept("a"), "x")
    assert planned(copy) == [(Act.RETIRE, "a", Reason.ORIGIN_GONE)]
    assert planned(copy, namespaces=("x",)) == []


def test_a_content_without_its_snapshot_is_waited_for_a_while() -> None:
    content = Content("a-x", "c", "o", ("x", "a"), "", NOW)
    assert planned(contents=(content,)) == []
    assert planned(contents=(replace(content, created=NOW - HALF_MADE),))[0][0] is Act.REMOVE_CONTENT
    assert planned(contents=(replace(content, created=NOW - HALF_MADE, deleting=True),)) == []


def test_a_content_is_a_left_over_only_where_its_snapshot_would_be_seen() -> None:
    content = Content("a-x", "c", "o", ("x", "a"), "gone", NOW)
    assert planned(contents=(content,), namespaces=("x",)) == [(Act.REMOVE_CONTENT, "a-x", Reason.LEFT_OVER)]
    assert planned(contents=(content,), namespaces=("y",)) == []


LIMITS = Limits({ANY: 35}, per_namespace=3)
SPACES = ("x", "y", "z")


class Lived(RuleBasedStateMachine):
    """A cache that is loaded into, born of, looked at, and whose controller ends after any write."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.count = 0
        self.snapshots: dict[str, Kept] = {}
        self.contents: dict[str, Content] = {}
        self.claims: dict[int, Birth] = {}
        self.loading: set[str] = set()

    def facts(self) -> Facts:
        return Facts(
            self.now,
            list(self.snapshots.values()),
            list(self.contents.values()),
            list(self.claims.values()),
            frozenset(self.loading),
        )

    def _next(self) -> int:
        self.count += 1
        return self.count

    # -- loads --------------------------------------------------------------------------------------------------------

    @rule(
        space=st.sampled_from(SPACES), key=st.sampled_from("kl"), digest=st.sampled_from("ab"), size=st.integers(1, 20)
    )
    def cut(self, space: str, key: str, digest: str, size: int) -> None:
        number = self._next()
        maker = f"claim{number}"
        self.loading.add(maker)
        made = Kept((space, f"s{number}"), f"u{number}", key, digest, "fast", self.now, self.now, size)
        self.snapshots[made.uid] = replace(made, sealed=False, maker=maker)

    @rule(space=st.sampled_from(SPACES), key=st.sampled_from("kl"), digest=st.sampled_from("abc"))
    def loaded(self, space: str, key: str, digest: str) -> None:
        number = self._next()
        made = Kept((space, f"s{number}"), f"u{number}", key, digest, "fast", self.now, self.now, 10)
        self.snapshots[made.uid] = made

    @rule(seals=st.booleans())
    def a_load_ends(self, seals: bool) -> None:
        """With its snapshot sealed, or not."""
        for uid, one in list(self.snapshots.items()):
            if one.maker in self.loading:
                self.loading.discard(one.maker)
                self.snapshots[uid] = replace(one, sealed=seals)
                return

    # -- the webhook --------------------------------------------------------------------------------------------------

    @rule(space=st.sampled_from(SPACES), key=st.sampled_from("kl"))
    def born(self, space: str, key: str) -> None:
        living = [k for k in self.snapshots.values() if k.lives and k.key == key]
        if not living:
            return
        own = [k for k in living if k.name[0] == space]
        one = own[0] if own else self._copied(next((k for k in living if not k.origin), None), space)
        if one is not None:
            self.claims[self._next()] = Birth(one.name, self.now, pending=True)

    def _copied(self, origin: Kept | None, space: str) -> Kept | None:
        if origin is None or any(k.name == (space, origin.name[1]) for k in self.snapshots.values()):
            return None
        if f"{origin.name[1]}-{space}" in self.contents:
            return None
        number = self._next()
        copy = replace(origin, name=(space, origin.name[1]), uid=f"u{number}", origin=origin.uid, used=self.now)
        self.snapshots[copy.uid] = copy
        content = Content(f"{origin.name[1]}-{space}", f"c{number}", origin.uid, copy.name, copy.uid, self.now)
        self.contents[content.name] = content
        return copy

    @rule()
    def volumes_are_there(self) -> None:
        self.claims = {n: replace(c, pending=False) for n, c in self.claims.items()}

    @precondition(lambda self: self.claims)
    @rule()
    def a_claim_goes(self) -> None:
        del self.claims[min(self.claims)]

    @rule(uid=st.integers(0, 50))
    def somebody_deletes_one(self, uid: int) -> None:
        pending = {c.snapshot for c in self.claims.values() if c.pending}
        one = self.snapshots.get(f"u{uid}")
        if one is not None and one.name not in pending:
            del self.snapshots[f"u{uid}"]

    @rule(minutes=st.sampled_from([1, 10, 60, 60 * 24 * 31]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    # -- the controller -----------------------------------------------------------------------------------------------

    @rule()
    def looked_at_and_a_minute_passes(self) -> None:
        for step in plan(self.facts(), LIMITS):
            self._do(step)
        self.now += GRACE

    @rule(writes=st.integers(0, 4))
    def looked_at_until_it_ends(self, writes: int) -> None:
        for step in plan(self.facts(), LIMITS)[:writes]:
            self._do(step)

    def _do(self, step: Step) -> None:
        if step.act is Act.REMOVE_CONTENT:
            content = self.contents.pop(step.name[1])
            assert not any(k.uid == content.snapshot_uid for k in self.snapshots.values())
            return
        one = self.snapshots[step.uid]
        if step.act is Act.USED:
            self.snapshots[step.uid] = replace(one, used=step.at or one.used)
        elif step.act is Act.RETIRE:
            self.snapshots[step.uid] = replace(one, retired=self.now, why=step.reason)
        else:
            self._check_removed(one)
            del self.snapshots[step.uid]

    def _check_removed(self, one: Kept) -> None:
        assert one.name not in {c.snapshot for c in self.claims.values() if c.pending}, "a volume is made of it"
        assert not any(k.origin == one.uid for k in self.snapshots.values()), "a copy shares its content"
        assert not any(c.origin == one.uid for c in self.contents.values()), "a content shares its handle"
        assert not one.lives, "a claim may be given it at this moment"

    @invariant()
    def nobody_is_born_of_what_is_not_sealed(self) -> None:
        assert all(k.sealed for k in self.snapshots.values() if k.lives)

    def teardown(self) -> None:
        """All comes to rest: then it is within its limits, and nothing is left over."""
        self.loading.clear()
        self.volumes_are_there()
        for _ in range(40):
            for step in plan(self.facts(), LIMITS):
                self._do(step)
            self.now += GRACE
        assert all(k.lives for k in self.snapshots.values())
        assert sum(k.size for k in self.snapshots.values() if not k.origin) <= 35
        for space in SPACES:
            assert len([k for k in self.snapshots.values() if k.name[0] == space]) <= 3
        assert {c.snapshot_uid for c in self.contents.values()} == {k.uid for k in self.snapshots.values() if k.origin}
        assert not plan(self.facts(), LIMITS) or all(s.act is Act.USED for s in plan(self.facts(), LIMITS))


Lived.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestLived = Lived.TestCase
