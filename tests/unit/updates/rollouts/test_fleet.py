"""Random fleets in virtual time: what holds at every moment whatever happens, and that all comes to an end."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kaas.api.rollout import (
    ANNOTATION_ROLLOUT_APPROVED,
    ANNOTATION_ROLLOUT_RETRY,
    ANNOTATION_ROLLOUT_SKIP,
)
from kaas.api.rollout_status import ENDED, RolloutMember, RolloutStatus, State
from kaas.api.shares import rounded_down, rounded_up
from kaas.api.updates import Updates
from kaas.updates.rollouts.goal import Goal, target_of
from kaas.updates.rollouts.member import NO_TARGET
from kaas.updates.rollouts.progress import is_busy
from kaas.updates.standing import Obstacle
from tests.unit.updates.rollouts.carrying import CLASS, NEWER, RELEASES
from tests.unit.updates.rollouts.fleet import NEW, OLD, FakeCluster, Fleet, rollout, spread, stage

STAGES = ("canary", "early", "late")
SOAKS = {"canary": 3600, "early": 0, "late": 7200}
PARALLEL: dict[str, int | str] = {"canary": 1, "early": "40%", "late": 3}
OVER_ALL, PER_SITE, PER_ZONE = 2, 2, 2
CARRIED: tuple[dict[str, str], ...] = (
    {"version": str(NEW)},
    {"image": NEWER},
    {"classRevision": CLASS},
    {"image": NEWER, "classRevision": CLASS},
    {"version": str(NEW), "image": f"ubuntu-{NEW}", "classRevision": CLASS},
)
APPROVAL = {"name": "seen", "type": "Approval"}
HEALTHY = {"name": "well", "type": "Healthy", "sustainedSeconds": 1800}

PICK = st.integers(0, 10_000)
MINUTES = st.sampled_from((1, 10, 30, 60, 240, 1440))


def make(index: int, hours: int, takes: int, *, fails: bool) -> FakeCluster:
    return FakeCluster(
        f"c-{index}",
        {"stage": STAGES[index % 3]},
        site=("north", "south")[index // 3 % 2],
        zones=(f"az-{index % 2}",),
        opens=(index * 5) % 24,
        open_for=hours,
        takes=timedelta(minutes=takes),
        fails=fails,
        asked="v1.36.1" if index % 7 == 3 else "1.36",
        updates=Updates.model_validate({"nodeImages": {"channel": "None"} if index % 5 == 4 else {}}),
        image=NEWER if index % 4 == 2 else f"ubuntu-{OLD}",
        newest_revision="kaas-other-1" if index % 6 == 5 else CLASS,
    )


class FleetMachine(RuleBasedStateMachine):
    """People, failures and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, list[tuple[str, str]]] = {}
        self.begun: dict[str, datetime] = {}
        self.made = 0
        self.was_halted = False
        self.acted = False

    @initialize(
        hours=st.lists(st.sampled_from((1, 4, 12, 24)), min_size=3, max_size=14),
        takes=st.sampled_from((20, 90, 400)),
        bad=st.sets(st.integers(0, 13), max_size=3),
        most=st.sampled_from((0, 1, "50%")),
        carries=st.sampled_from(CARRIED),
    )
    def begin(self, hours: list[int], takes: int, bad: set[int], most: int | str, carries: dict[str, str]) -> None:
        stages = [
            stage(name, maxConcurrency=PARALLEL[name], soakSeconds=SOAKS[name], maxFailures=most) for name in STAGES
        ]
        stages[1]["beforeGates"], stages[1]["afterGates"] = [APPROVAL], [HEALTHY]
        self.most = most
        spec = rollout(*stages, maxConcurrency=OVER_ALL, perSite=PER_SITE, perZone=PER_ZONE, **carries)
        some = [make(i, h, takes, fails=i in bad) for i, h in enumerate(hours)]
        self.fleet = Fleet(spec, some, releases=RELEASES)
        self.fleet.settle()

    def pick(self, number: int) -> FakeCluster:
        return self.fleet.clusters[number % len(self.fleet.clusters)]

    @property
    def is_over(self) -> bool:
        return self.fleet.status.state is State.COMPLETED

    # --- what happens ----------------------------------------------------------------------------------------------

    @rule(minutes=MINUTES, times=st.integers(1, 6))
    def time_passes(self, minutes: int, times: int) -> None:
        for _ in range(times):
            self.fleet.go(timedelta(minutes=minutes))
            self.check()

    @rule(some=st.lists(PICK, max_size=5), minutes=MINUTES)
    def some_are_seen_late(self, some: list[int], minutes: int) -> None:
        """Clusters begin or end before the Rollout looks again."""
        self.fleet.now += timedelta(minutes=minutes)
        self.fleet.look()
        self.fleet.live([self.pick(n) for n in some])
        self.fleet.look()

    @rule(number=PICK, ready=st.sampled_from((True, True, False, None)))
    def health(self, number: int, ready: bool | None) -> None:
        self.pick(number).ready = ready

    @rule(number=PICK)
    def obstacle(self, number: int) -> None:
        cluster = self.pick(number)
        cluster.obstacle = None if cluster.obstacle else Obstacle("Paused", "updates are paused (a launch)")

    @rule(number=PICK)
    def asleep(self, number: int) -> None:
        self.pick(number).asleep = not self.pick(number).asleep

    @rule(number=PICK)
    def recovers(self, number: int) -> None:
        """Its owner repairs it, and has its update tried again."""
        cluster = self.pick(number)
        cluster.fails, cluster.stopped = False, None

    @rule(number=PICK)
    def changed_by_hand(self, number: int) -> None:
        self.pick(number).asked = "1.37"

    @precondition(lambda self: len(self.fleet.clusters) > 2)
    @rule(number=PICK)
    def deleted(self, number: int) -> None:
        self.fleet.clusters.remove(self.pick(number))
        self.fleet.look()

    @rule(number=PICK)
    def made_anew(self, number: int) -> None:
        """Another Cluster of the same name."""
        cluster = self.pick(number)
        self.made += 1
        cluster.uid = f"uid-{cluster.name}-{self.made}"
        cluster.running, cluster.target, cluster.begun, cluster.stopped = OLD, None, None, None
        cluster.coming, cluster.image, cluster.class_revision = NO_TARGET, f"ubuntu-{OLD}", "kaas-dev-1"
        self.fleet.look()

    @rule(number=st.integers(100, 999))
    def new(self, number: int) -> None:
        if all(c.name != f"c-{number}" for c in self.fleet.clusters):
            self.fleet.clusters.append(make(number, 24, 20, fails=False))

    @rule()
    def pause(self) -> None:
        self.acted = True
        self.fleet.change(paused=not self.fleet.rollout.spec.paused)

    @rule(annotation=st.sampled_from((ANNOTATION_ROLLOUT_SKIP, ANNOTATION_ROLLOUT_RETRY)), number=PICK)
    def act(self, annotation: str, number: int) -> None:
        self.acted = True
        self.fleet.say(annotation, "/".join(self.pick(number).key))

    @rule()
    def approve(self) -> None:
        self.fleet.say(ANNOTATION_ROLLOUT_APPROVED, "early")

    # --- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def check(self) -> None:
        if not hasattr(self, "fleet"):
            return
        self.within_all_limits()
        self.in_order()
        self.lists_stay()
        self.failures_stop_it()
        self.turns_are_for_open_windows()
        self.all_say_why()
        self.who_is_through_has_all_that_it_takes()
        self.is_written_and_read_alike()
        for cluster in self.fleet.clusters:
            if cluster.begun is not None and self.begun.get(cluster.name) != cluster.begun:
                self.begun[cluster.name] = cluster.begun
                assert cluster.is_open(cluster.begun)

    def within_all_limits(self) -> None:
        busy = self.fleet.busy()
        assert len(busy) <= OVER_ALL
        assert max(Counter(r.site for r in busy).values(), default=0) <= PER_SITE
        assert max(Counter(spread(busy)).values(), default=0) <= PER_ZONE
        for one in self.fleet.status.stages:
            of_it = sum(map(is_busy, one.members))
            assert of_it <= rounded_down(PARALLEL[one.name], len(one.members))
        under_way = {c.name for c in self.fleet.clusters if c.is_under_way}
        assert {r.name for r in busy if r.state is State.RUNNING} <= under_way | {r.name for r in busy}

    def in_order(self) -> None:
        stages = self.fleet.status.stages
        for one, other in pairwise(stages):
            if other.started is None:
                continue
            assert one.state is State.COMPLETED
            assert one.settled is not None
            assert one.finished is not None
            assert one.finished <= other.started
            if any(r.state is not State.SKIPPED for r in one.members):
                assert one.finished >= one.settled + timedelta(seconds=SOAKS[one.name]) or self.was_tried_again(
                    one.members
                )
        for each in stages:
            if each.name == "early" and each.started is not None:
                assert all(g.open for g in each.before_gates)
                assert each.before_gates

    @staticmethod
    def was_tried_again(members: tuple[RolloutMember, ...]) -> bool:
        return any(r.retried is not None for r in members)

    def failures_stop_it(self) -> None:
        """Too many stop it, and it stays so until a person acts."""
        status = self.fleet.status
        for one in status.stages:
            if sum(r.state is State.FAILED for r in one.members) > rounded_up(self.most, len(one.members)):
                assert status.halt is not None
                assert status.state in (State.STOPPING, State.STOPPED)
        if self.was_halted and status.halt is None:
            assert self.acted
        if status.halt is not None and not self.was_halted:
            self.acted = False
        self.was_halted = status.halt is not None

    def turns_are_for_open_windows(self) -> None:
        clusters = {c.key: c for c in self.fleet.clusters}
        for record in self.fleet.members:
            if record.state not in ENDED:
                assert clusters[record.key].uid == record.uid
            if record.state is State.PENDING and record.released is not None:
                assert clusters[record.key].is_open(self.fleet.now)

    def lists_stay(self) -> None:
        for one in self.fleet.status.stages:
            if one.started is not None:
                keys = sorted(r.key for r in one.members)
                assert self.lists.setdefault(one.name, keys) == keys

    def all_say_why(self) -> None:
        status = self.fleet.status
        assert status.reason
        assert status.message
        for record in self.fleet.members:
            if record.state in (State.FAILED, State.SKIPPED):
                assert record.reason
                assert record.message
                assert record.finished is not None
            elif record.state is State.PENDING:
                assert record.message
            elif record.state is State.NOT_STARTED:
                assert record.reason

    def who_is_through_has_all_that_it_takes(self) -> None:
        """At the moment at which it is said: later its owner does with it what they like."""
        clusters = {c.key: c for c in self.fleet.clusters}
        goal = Goal.of(self.fleet.rollout.spec, self.fleet.status)
        for record in self.fleet.members:
            it = clusters.get(record.key)
            if record.state is State.COMPLETED and record.finished == self.fleet.now and it and it.uid == record.uid:
                member = it.member(self.fleet.now)
                target = target_of(goal, member, [entry.kind for entry in record.left_out])
                assert target
                assert member.has(target), f"{record} has not {target.words}"

    def is_written_and_read_alike(self) -> None:
        assert RolloutStatus.model_validate(self.fleet.status.to_json()) == self.fleet.status

    def teardown(self) -> None:
        """Once all is well and people have said what there was to say, all comes to an end."""
        if not hasattr(self, "fleet"):
            return
        for cluster in self.fleet.clusters:
            cluster.ready, cluster.obstacle, cluster.asleep = True, None, False
            cluster.fails, cluster.stopped = False, None
        self.acted = True
        self.fleet.change(paused=False)
        self.fleet.look()
        for _ in range(600):
            if self.is_over:
                break
            self.fleet.go(timedelta(minutes=40))  # the shortest window is long enough for 45
            self.check()
            if self.fleet.status.reason == "WaitsForGate":
                self.approve()
            for record in self.fleet.members:
                if record.state is State.FAILED and not self.is_over:
                    self.acted = True
                    self.fleet.say(ANNOTATION_ROLLOUT_SKIP, f"{record.namespace}/{record.name}")
        status = self.fleet.status
        assert self.is_over, f"{status.state} {status.reason}: {status.message}"
        assert all(r.state in ENDED for r in self.fleet.members)
        before = self.fleet.status
        assert not self.fleet.look().events
        assert self.fleet.status == before


FleetMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestFleet = FleetMachine.TestCase
