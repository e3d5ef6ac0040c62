"""A controller that is killed at every step of an update while the test goes on, and what must hold in the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from kaas.api.constants import LABEL_POOL
from kaas.kube.lean import ON_DELETE, strategy_of
from kaas.kube.objects import labels
from kaas.kube.resources import CLUSTER_NAME_LABEL
from tests.e2e.platform import Object, Platform, until
from tests.e2e.updating import CAPI, Updated, later
from tests.e2e.watching import watched

CLUSTERS = "apis/kaas.internal/v1alpha1/namespaces/default/clusters"
EVENTS = "api/v1/namespaces/default/events"
LEASE = "apis/coordination.k8s.io/v1/namespaces/kaas-system/leases/kaas-controller"
ONCE = ("UpdateBegun", "UpdateHeld", "Updated")
"""Events of one update; one whose moment was that of a kill is never sent."""

Transition = tuple[str, str, str]
"""Name of a step, its state and its reason."""
LOOKED_AT: Transition = ("", "", "Preflight")
"""The Cluster is looked at before an update begins; there is no step yet. In memory that is over at once."""
FINISHED: Transition = ("Finished", "Done", "Finished")


def closed(pool: str) -> Transition:
    """The maintenance window has closed in the middle of a pool."""
    return f"Pool/{pool}", "Held", "OutsideMaintenance"


def transitions(pools: Iterable[str]) -> set[Transition]:
    """All transitions of an update for which nothing ever waits."""
    replaced = ["ControlPlane", *(f"Pool/{p}" for p in pools)]
    return {
        ("Announced", "Done", "Announced"),
        ("Preflight", "Done", "Checked"),
        *((name, "Running", "Replacing") for name in replaced),
        *((name, "Running", "Verifying") for name in (*replaced, "Verification")),
        *((name, "Done", "Verified") for name in (*replaced, "Verification")),
        ("AddOns", "Skipped", "NothingToDo"),
        FINISHED,
    }


@dataclass
class Killed:
    """What was seen meanwhile.

    kills: at which transitions, in order. updates: `status.update` after each write. machines: the Cluster's Machines
    that were ever there, by UID.
    """

    platform: Platform
    name: str
    kills: list[set[Transition]] = field(default_factory=list)
    updates: list[Object] = field(default_factory=list)
    machines: dict[str, Object] = field(default_factory=dict)
    _known: set[tuple[str, ...]] = field(default_factory=set)
    _one: threading.Lock = field(default_factory=threading.Lock)

    def at(self, transition: Transition) -> bool:
        """Whether the controller was killed at a transition."""
        return any(transition in kill for kill in self.kills)

    def kill(self) -> None:
        """Kill it and start it again; each second time its Lease has to run out first.

        So Cluster API either is still at what it was told last, or has gone on for long, when the controller leads.
        """
        with self._one:
            self.kills.append(set())
            self._kill()

    def saw_machine(self, machine: Object) -> None:
        """Count a Machine."""
        self.machines[machine["metadata"]["uid"]] = machine

    def saw_cluster(self, cluster: Object) -> None:
        """Kill the controller when the ledger has moved."""
        update = (cluster.get("status") or {}).get("update") or {}
        self.updates.append(update)
        new = _marks(update) - self._known
        if not new:
            return
        self._known |= new
        with self._one:
            self._kill()
            self.kills.append({(name, state, reason) for name, state, reason, _ in new})

    def _kill(self) -> None:
        """Kill it; the next one waits for the Lease to run out, or finds none."""
        self.platform.stop_controller(hard=True)
        if len(self.kills) % 2:
            self.platform.api.request("DELETE", LEASE)
        self.platform.start_controller()

    # --- what must hold ---------------------------------------------------------------------------------------------

    def is_one_update(self, pools: Iterable[str]) -> None:
        """Killed at all transitions; every step was begun once, after the one before it, and what was through stayed.

        Raises AssertionError otherwise.
        """
        until("the controller was killed at the end too", lambda: self.at(FINISHED))
        missed = {t for t in transitions(pools) if not self.at(t)}
        assert not missed
        updates = [update for update in self.updates if update.get("steps")]
        assert len({update["began"] for update in updates}) == 1
        ledgers = [{s["name"]: s for s in update["steps"]} for update in updates]
        for name in ledgers[0]:
            _happened_once(name, [ledger[name] for ledger in ledgers])
        last = list(ledgers[-1].values())
        assert {s["name"]: s["state"] for s in last if s["state"] != "Done"} == {"AddOns": "Skipped"}
        times = [datetime.fromisoformat(s[t]) for s in last for t in ("started", "finished") if t in s]
        assert times == sorted(times)
        told = Counter(
            e["reason"] for e in self.platform.items(f"{EVENTS}?fieldSelector=involvedObject.name={self.name}")
        )
        assert all(told[reason] <= 1 for reason in ONCE), told

    def replaced_each_once(self, sizes: Mapping[str, int], *versions: str) -> None:
        """There was never another machine than those of before and one for each.

        sizes: machines by pool, "" for the control plane. versions: of before, and the new one.
        """
        found = Counter((labels(m).get(LABEL_POOL, ""), m["spec"]["version"]) for m in self.machines.values())
        assert found == {(pool, version): size for pool, size in sizes.items() for version in versions}


def _happened_once(name: str, told: list[Object]) -> None:
    """One step as every ledger had it, the oldest first."""
    assert len({s["started"] for s in told if "started" in s}) <= 1, f"{name} was begun again"
    assert len({(s["state"], s["finished"]) for s in told if "finished" in s}) == 1, f"{name} ended again"
    ended = [s["state"] in ("Done", "Skipped") for s in told]
    assert ended == sorted(ended), f"{name} was through, and then was not"


def _marks(update: Object) -> set[tuple[str, str, str, str]]:
    """What has been reached, and when: a step that comes to the same state a second time is reached anew."""
    steps = update.get("steps") or ()
    found = {(s["name"], s["state"], s["reason"], s["since"]) for s in steps if s["state"] != "Pending"}
    return found | ({(*LOOKED_AT, "")} if update.get("reason") == LOOKED_AT[2] else set())


@contextmanager
def killed_at_every_step(platform: Platform, name: str) -> Iterator[Killed]:
    """Kill the controller with SIGKILL at every transition of a step of one Cluster's update, and start it again."""
    killed = Killed(platform, name)
    machines = f"{CAPI}/machines?labelSelector={CLUSTER_NAME_LABEL}={name}"
    cluster = f"{CLUSTERS}?fieldSelector=metadata.name={name}"
    with (
        watched(platform.api, machines, killed.saw_machine),
        watched(platform.api, cluster, killed.saw_cluster),
    ):
        yield killed


def is_one_update_when_killed(subject: Updated, sizes: Mapping[str, int], replicas: int, *versions: str) -> None:
    """Update a Cluster that is pinned; its controller is killed at every step, its window closes in the first pool.

    sizes: machines by pool, in order. replicas: those of the control plane. versions: of before, and the new one.
    """
    first, old = next(iter(sizes)), versions[0]
    with killed_at_every_step(subject.platform, subject.name) as killed:
        subject.apply("1.36")
        until("the first pool is in the middle", lambda: subject.versions(first) == set(versions))
        subject.within(later()).apply("1.36")
        until("it is held, and the controller was killed", lambda: killed.at(closed(first)))
        before = _held(subject, sizes)
        assert subject.versions(first) == set(versions)
        assert all(subject.versions(pool) == {old} for pool in sizes if pool != first)
        killed.kill()
        assert _held(subject, sizes) == before
        subject.apply("1.36")
        until("it is through", subject.is_through)
        killed.is_one_update(sizes)
    killed.replaced_each_once({"": replicas, **sizes}, *versions)
    until("Ready", subject.is_ready)
    subject.holds_nothing()


def _held(subject: Updated, sizes: Mapping[str, int]) -> set[str]:
    """Wait until the first pool is held in its middle with all its machines; their names."""
    first = next(iter(sizes))

    def whole() -> bool:
        ready = subject.deployments()[first]["status"].get("readyReplicas", 0)
        return bool(len(subject.machines(first)) == ready == sizes[first])

    until("Cluster API holds it", lambda: strategy_of(subject.deployments()[first]) == ON_DELETE)
    until("its machines are all there", whole)
    assert subject.update["hold"]["until"]
    assert subject.update["waiting"] == list(sizes)
    return set(subject.machines(first))
