"""A fleet in virtual time: nodes that fall ill, acts that help, fail or hang, and the real planner deciding about them.

Signals, planner and records are the project's own; what is played is the world that they look at and act upon. Every
rule that must never be broken is checked at each act (`Rules`), by what the world knows and the planner does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from kaas.api.repair import Action, Limits, Mode, RepairPolicy
from kaas.repairs import records
from kaas.repairs.actions import DISRUPTIVE, RANK
from kaas.repairs.blindness import LONG_AGO, count_silent, look
from kaas.repairs.decisions import Act, Decision, Finish, Hold, Plan, Wait, Watch
from kaas.repairs.evaluate import evaluate
from kaas.repairs.facts import (
    ClusterFacts,
    Fleet,
    MachineView,
    NodeCondition,
    NodeView,
    Patient,
    PoolFacts,
    Progress,
    ServerView,
    Sight,
    SiteFacts,
    Try,
)
from kaas.repairs.incidents import incidents, remember
from kaas.repairs.planner import plan
from kaas.repairs.subject import Past
from kaas.repairs.traces import Trace

BORN = datetime(2026, 1, 1, tzinfo=UTC)
VERSION = "v1.36.1"
CLUSTER = ("team", "c")
SITE = "north"
GPUS = {"nvidia.com/gpu": 8}
REBOOTING = frozenset({Action.SOFT_REBOOT, Action.HARD_REBOOT, Action.POWER_CYCLE, Action.REBUILD})
ACT_SECONDS = {Action.DRAIN: 30, Action.POWER_CYCLE: 60, Action.REBUILD: 300, Action.REPLACE: 5}
NODE_SECONDS = 20  # from the end of a reboot to a kubelet that is Ready
NEW_MACHINE_SECONDS = 240


_WATCHED = {"Tolerated": "tolerated", "Settling": "well, and watched for a while"}


class RuleBrokenError(AssertionError):
    """Something was done that must never be."""


@dataclass
class Ill:
    """What is wrong with a node. kind: silent, deadlock, xid or new (a machine that is sick from its birth).

    cure: the mildest action that heals; None for none.
    """

    kind: str
    since: datetime
    cure: Action | None


@dataclass
class Node:
    """One machine of the world."""

    name: str
    pool: str
    zone: str
    host: str
    born: datetime
    ill: Ill | None = None
    boot: int = 1
    up_at: datetime = BORN
    progress: Progress | None = None
    history: tuple[Try, ...] = ()
    trace: Trace = field(default_factory=Trace)
    acting_until: datetime | None = None
    cordoned: bool = False
    replaced_by: str = ""


@dataclass(frozen=True)
class Pool:
    """One pool of the world. born_ill: its image makes every new node sick."""

    policy: RepairPolicy
    gpus: int = 0
    updating: str = ""
    held: bool = False
    paused: str = ""
    born_ill: bool = False


@dataclass
class World:
    """Everything, and what has happened. `advance` lets time pass; nothing else does."""

    pools: dict[str, Pool]
    nodes: dict[str, Node] = field(default_factory=dict)
    now: datetime = BORN + timedelta(days=2)
    api_up: bool = True
    cloud_up: bool = True
    failing: frozenset[Action] = frozenset()
    mode: Mode = Mode.AUTOMATIC
    confirmed: dict[str, datetime] = field(default_factory=dict)
    limits: Mapping[str, Limits] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    acted: Counter[Action] = field(default_factory=Counter)
    replaced: dict[str, list[datetime]] = field(default_factory=dict)
    sight: Sight | None = None
    cloud_sight: Sight = field(default_factory=lambda: Sight(True, LONG_AGO))
    ended: dict[str, datetime] = field(default_factory=dict)
    going_on: frozenset[str] = frozenset()
    _told: dict[str, str] = field(default_factory=dict)
    _open: frozenset[str] = frozenset()
    _born: int = 0

    def add(self, pool: str, number: int, zone: str = "az-1", host: str = "") -> list[str]:
        """Well nodes; without a host each has one of its own."""
        names = []
        for _ in range(number):
            self._born += 1
            name = f"{pool}-{self._born}"
            self.nodes[name] = Node(name, pool, zone, host or f"host-of-{name}", BORN)
            names.append(name)
        return names

    def fall_ill(self, name: str, kind: str, cure: Action | None) -> None:
        """A node that is well falls ill now."""
        node = self.nodes[name]
        if node.ill is None and not node.replaced_by:
            node.ill = Ill(kind, self.now, cure)

    def heal(self, names: Iterable[str]) -> None:
        """They get well by themselves."""
        for name in names:
            if name in self.nodes:
                self.nodes[name].ill = None

    def advance(self, seconds: float, pause: float = 10) -> None:
        """Let time pass, planning every so many seconds."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            self.now = min(end, self.now + timedelta(seconds=pause))
            self.round()

    def round(self) -> Plan:
        """The world goes on, and one round of planning."""
        self._finish_acts()
        fleet = self._fleet()
        found = plan(fleet, self.now)
        Rules(self, fleet).check(found)
        for decision in found.decisions:
            self._take(decision)
        scopes = frozenset(b.scope for b in found.breakers)
        for scope in sorted(scopes ^ self._open):
            self._say(f"breaker of {scope} {'opens' if scope in scopes else 'closes'}")
        self._open = scopes
        return found

    # -- what is seen -----------------------------------------------------------------------------------------------

    def _fleet(self) -> Fleet:
        patients = {p.machine.key: p for n in self.nodes.values() if (p := self._patient(n)) is not None}
        api = Sight(self.api_up, self.now, "" if self.api_up else "the API server does not answer")
        self.sight = look(self.sight, api, count_silent(patients.values())[CLUSTER], len(self.nodes), self.now)
        cloud = Sight(self.cloud_up, self.now, "" if self.cloud_up else "Nova does not answer")
        self.cloud_sight = look(self.cloud_sight, cloud, 0, 0, self.now)
        site = self._site()
        names = frozenset(name for _, name in incidents(patients.values(), {SITE: site}))
        self.ended, self.going_on = remember(self.ended, self.going_on, names, self.now), names
        cluster = ClusterFacts(CLUSTER, SITE, self.sight, self.limits.get("cluster", Limits()), len(self.nodes))
        pools = {(*CLUSTER, name): self._pool(name) for name in self.pools}
        limits = self.limits.get("fleet", Limits())
        return Fleet(pools, {CLUSTER: cluster}, {SITE: replace(site, ended=self.ended)}, patients, limits, self.mode)

    def _site(self) -> SiteFacts:
        return SiteFacts(
            SITE,
            self.cloud_sight,
            self.limits.get("site", Limits()),
            self.limits.get("zone", Limits()),
            len(self.nodes),
            Counter(n.zone for n in self.nodes.values()),
            Counter(n.host for n in self.nodes.values()),
            self.confirmed,
        )

    def _pool(self, name: str) -> PoolFacts:
        pool = self.pools[name]
        mine = [n for n in self.nodes.values() if n.pool == name]
        well = [n.born for n in mine if n.ill is None and n.up_at <= self.now]
        replaced = tuple((t, any(b >= t for b in well)) for t in self.replaced.get(name, ())[-10:])
        key = (*CLUSTER, name)
        return PoolFacts(key, pool.policy, len(mine), pool.updating, pool.paused, replaced, pool.gpus, pool.held)

    def _patient(self, node: Node) -> Patient | None:
        machine = MachineView(
            key=("team", node.name),
            uid=node.name,
            cluster=CLUSTER,
            pool=(*CLUSTER, node.pool),
            site=SITE,
            zone=node.zone,
            created=node.born,
            node=node.name if node.up_at <= self.now or node.boot > 1 or node.born == BORN else None,
            server=f"server-of-{node.name}",
            version=VERSION,
            infrastructure_ready=node.born,
            deleting=bool(node.replaced_by),
        )
        view, pool = self._view(node), self._pool(node.pool)
        server = ServerView(f"server-of-{node.name}", "ACTIVE", host=node.host)
        past = Past(node.progress, node.history)
        findings = evaluate(machine, view if machine.node else None, server, pool, node.trace, self.now, past)
        if not findings and node.progress is None:
            return None
        boot, ready = f"boot-{node.boot}", self._is_ready(node)
        found = Patient(machine, findings, node.progress, node.history, node.trace.well_since, node.host, boot, ready)
        return replace(found, server=server)

    def _is_ready(self, node: Node) -> bool:
        return node.up_at <= self.now and not (node.ill and node.ill.kind in ("silent", "new"))

    def _view(self, node: Node) -> NodeView:
        """As the workload cluster tells it. A fault shows 40 seconds after it began, as kubelets are missed."""
        ill = node.ill
        silent = ill is not None and ill.kind in ("silent", "new")
        lost_at = max(ill.since if ill and silent else BORN, node.up_at if not silent else BORN)
        ready = "True" if self._is_ready(node) else "Unknown"
        conditions = [NodeCondition("Ready", ready, "Because", "", lost_at)]
        if ill and ill.kind == "deadlock":
            conditions.append(NodeCondition("KernelDeadlock", "True", "Stuck", "task blocked", ill.since))
        xid = ill is not None and ill.kind == "xid"
        if ill and xid:
            words = "NVRM: Xid (PCI:0000:07:00): 79, GPU has fallen off the bus."
            conditions.append(NodeCondition("GPUUnhealthy", "True", "NvidiaXID79", words, ill.since))
        gpus = GPUS if self.pools[node.pool].gpus else {}
        left = {k: v - 1 for k, v in gpus.items()} if xid else gpus
        return NodeView(node.name, f"boot-{node.boot}", VERSION, tuple(conditions), gpus, left)

    # -- what is done -----------------------------------------------------------------------------------------------

    def _take(self, decision: Decision) -> None:
        node = self.nodes.get(decision.node[1])
        if node is None:
            return
        if isinstance(decision, Act):
            self._begin(node, decision)
        elif isinstance(decision, Finish):
            self._close(node, decision)
        elif isinstance(decision, Hold | Watch):
            self._tell(node, f"{decision.reason}")
        elif isinstance(decision, Wait):
            self._told.pop(node.name, None)

    def _begin(self, node: Node, act: Act) -> None:
        node.progress = records.begun(node.progress, act, self.now, f"boot-{node.boot}")
        node.acting_until = self.now + timedelta(seconds=ACT_SECONDS.get(act.action, 10))
        self.acted[act.action] += 1
        skipped = f" (not {', '.join(a for a, _ in act.skipped)})" if act.skipped else ""
        again = f", try {act.number}" if act.number > 1 else ""
        self._say(f"{node.name}: {act.action} for {act.cause}{again}{skipped}")
        self._told.pop(node.name, None)

    def _close(self, node: Node, end: Finish) -> None:
        if node.progress is not None:
            node.history = (*node.history, *records.over(node.progress, self.now, healed=end.healed))[-10:]
        node.progress, node.cordoned = None, False
        self._say(f"{node.name}: {end.message}")

    def _finish_acts(self) -> None:
        for node in list(self.nodes.values()):
            if node.progress is not None and node.acting_until is not None and node.acting_until <= self.now:
                node.acting_until = None
                self._finish_act(node, node.progress)
        for name in [n.name for n in self.nodes.values() if n.replaced_by and n.up_at <= self.now]:
            self._renew(self.nodes.pop(name))

    def _finish_act(self, node: Node, progress: Progress) -> None:
        action = progress.action
        if action in self.failing or (action in REBOOTING and not self.cloud_up):
            node.progress = replace(progress, failed="Nova says no", not_before=self.now)
            self._say(f"{node.name}: {action} failed")
            return
        kept = self.now if action is Action.QUARANTINE else None
        node.progress = replace(progress, acted=self.now, quarantined=kept, cordoned=True)
        if action in REBOOTING:
            node.boot, node.up_at = node.boot + 1, self.now + timedelta(seconds=NODE_SECONDS)
        if action is Action.REPLACE:
            node.replaced_by, node.up_at = "new", self.now + timedelta(seconds=NEW_MACHINE_SECONDS)
            self.replaced.setdefault(node.pool, []).append(progress.started or self.now)
        elif node.ill and node.ill.cure and action and RANK[action] >= RANK[node.ill.cure]:
            node.ill = None

    def _renew(self, old: Node) -> None:
        """The machine that comes for one that was replaced."""
        (name,) = self.add(old.pool, 1, old.zone)
        node = self.nodes[name]
        node.born = node.up_at = self.now
        self._say(f"{old.name}: gone, {name} has come")
        if self.pools[old.pool].born_ill:
            node.ill = Ill("new", self.now, None)

    # -- what is told -----------------------------------------------------------------------------------------------

    def _tell(self, node: Node, reason: str) -> None:
        """A reason is told when it is another than before."""
        if self._told.get(node.name) != reason:
            self._told[node.name] = reason
            self._say(f"{node.name}: {_WATCHED.get(reason, f'held, {reason}')}")

    def _say(self, words: str) -> None:
        since = int((self.now - BORN - timedelta(days=2)).total_seconds())
        self.log.append(f"{since // 3600:02}:{since // 60 % 60:02}:{since % 60:02} {words}")


@dataclass
class Rules:
    """What must hold of every plan, whatever happens."""

    world: World
    fleet: Fleet

    def check(self, found: Plan) -> None:
        """RuleBrokenError for the first rule that does not hold."""
        decided = [d.node for d in found.decisions]
        self._must(len(decided) == len(set(decided)), "one decision a node", found)
        for decision in found.decisions:
            self._must(self._has_future(decision), "always progress or a reason with a time to come", decision)
            if isinstance(decision, Act):
                self._may_act(decision)
        self._within_budgets(found)

    def _has_future(self, decision: Decision) -> bool:
        if isinstance(decision, Act | Finish):
            return True
        said = bool(decision.message) and (isinstance(decision, Wait) or bool(decision.reason))
        return said and decision.until >= self.world.now

    def _may_act(self, act: Act) -> None:
        node = self.world.nodes[act.node[1]]
        patient, pool = self.fleet.patients[act.node], self.world.pools[node.pool]
        self._must(bool(patient.findings), "a node with nothing wrong is not touched", act)
        self._must(node.ill is not None or node.progress is not None, "a healthy node is never touched", act)
        self._must(self.world.api_up, "nothing while the cluster cannot be seen", act)
        sight = self.fleet.clusters[CLUSTER].sight
        self._must(sight.clear, "nothing while many are silent", act)
        self._must(self.world.cloud_up or act.action not in REBOOTING, "nothing of the cloud while it is away", act)
        self._must(not pool.paused, "nothing in a pool that is paused", act)
        goes_on = pool.held and act.action is not Action.REPLACE
        self._must(
            not pool.updating or goes_on, "nothing in a pool that is updated, nor replaced while that is held", act
        )
        self._must(self.world.mode is Mode.AUTOMATIC, "nothing in a dry run", act)
        self._must(node.progress is None or node.progress.quarantined is None, "nothing in quarantine", act)
        self._climbs(act, node, pool)

    def _climbs(self, act: Act, node: Node, pool: Pool) -> None:
        """One rung after the other, and each that is passed over with its cause."""
        before = node.progress.step if node.progress and node.progress.step is not None else -1
        again = act.step == before and act.number == (node.progress.number + 1 if node.progress else 1)
        self._must(again or act.step > before, "never down the ladder", act)
        if not again:
            passed = [pool.policy.steps[i].action for i in range(before + 1, act.step)]
            self._must([a for a, _ in act.skipped] == passed, "every rung passed over is named", act)
            self._must(all(why for _, why in act.skipped), "with its cause", act)
        self._must(act.number <= pool.policy.steps[act.step].retries + 1, "no more tries than said", act)

    def _within_budgets(self, found: Plan) -> None:
        begun = {d.node for d in found.decisions if isinstance(d, Act) and d.action in DISRUPTIVE}
        if not begun:
            return
        for name, pool in self.world.pools.items():
            most = pool.policy.limits.max_in_flight
            busy = [n for n in self.world.nodes.values() if n.pool == name and (_busy(n) or ("team", n.name) in begun)]
            new = any(n.pool == name and ("team", n.name) in begun and not _busy(n) for n in busy)
            if isinstance(most, int) and new:
                self._must(len(busy) <= most, f"at most {most} of pool {name}", found)

    @staticmethod
    def _must(holds: bool, rule: str, what: object) -> None:
        if not holds:
            raise RuleBrokenError(f"{rule}: {what}")


def _busy(node: Node) -> bool:
    progress = node.progress
    return progress is not None and progress.action in DISRUPTIVE and progress.quarantined is None
