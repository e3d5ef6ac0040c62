"""A simulated node: its machine, its faults, and what its repair has come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kaas.api.repair import Action
from kaas.repairs.actions import RANK
from kaas.repairs.facts import Finding, MachineView, Patient, PoolKey, Progress, Try
from tests.unit.repairs.simulation.faults import SILENT, Fault, Kind

_LATE = timedelta(seconds=300)


@dataclass
class Node:
    """One machine. down_until: while it boots. gone_at: when it is deleted. handled: the try its server works on."""

    name: str
    pool: PoolKey
    site: str
    zone: str
    host: str
    created: datetime
    faults: list[Fault] = field(default_factory=list)
    boots: int = 1
    down_until: datetime | None = None
    joined: bool = True
    gone_at: datetime | None = None
    progress: Progress | None = None
    history: tuple[Try, ...] = ()
    well_since: datetime | None = None
    skip: bool = False
    handled: datetime | None = None
    since: dict[str, datetime] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """The Machine's key."""
        return self.pool[0], self.name

    @property
    def master(self) -> bool:
        """Whether it belongs to the control plane."""
        return not self.pool[2]

    @property
    def works(self) -> bool:
        """Whether its kubelet does, and on a master etcd."""
        return self.down_until is None and self.joined and not any(f.kind.quiet for f in self.faults)

    def kinds(self) -> list[Kind]:
        """What is wrong."""
        return [f.kind for f in self.faults]

    def cure(self, action: Action, now: datetime) -> None:
        """An action takes away whatever it can, and what was asked for when it was that."""
        self.faults = [f for f in self.faults if RANK[f.kind.cure] > RANK[action]]
        self.refresh(now)

    def refresh(self, now: datetime) -> None:
        """What goes by itself, and since when what is shown."""
        self.faults = [f for f in self.faults if f.until is None or now < f.until]
        if self.down_until is not None and now >= self.down_until:
            self.down_until, self.joined = None, True
        shown = {k.signal for k in self.kinds()} | ({SILENT} if self._mute else set())
        self.since = {s: self.since.get(s, now) for s in shown}
        self.well_since = None if shown else self.well_since or now

    @property
    def _mute(self) -> bool:
        return self.joined and not self.works

    def findings(self) -> tuple[Finding, ...]:
        """What evaluation would say."""
        found = {k.signal: self._finding(k) for k in self.kinds()}
        if self._mute and SILENT not in found:
            since = self.since[SILENT]
            found[SILENT] = Finding(SILENT, since, since + _LATE, Action.SOFT_REBOOT, "silent", silent=True)
        return tuple(found.values())

    def _finding(self, kind: Kind) -> Finding:
        since = self.since[kind.signal]
        due, silent = since + timedelta(seconds=kind.tolerance), kind.quiet and not kind.cloud
        said = "a person asks" if kind.asked else f"{kind.signal} is seen"
        return Finding(kind.signal, since, due, kind.entry, said, silent=silent, cloud=kind.cloud, asked=kind.asked)

    def patient(self) -> Patient | None:
        """As a plan sees it; None when it is well and nothing has begun."""
        findings = () if self.gone_at else self.findings()
        if not findings and self.progress is None:
            return None
        return Patient(
            machine=self._machine(),
            findings=findings,
            progress=self.progress,
            history=self.history,
            well_since=self.well_since,
            host=self.host,
            boot_id=f"boot-{self.boots}" if self.joined else "",
            ready=self.works,
        )

    def _machine(self) -> MachineView:
        return MachineView(
            key=self.key,
            uid=self.name,
            cluster=self.pool[:2],
            pool=self.pool,
            site=self.site,
            zone=self.zone,
            created=self.created,
            node=self.name if self.joined else None,
            server=f"server-{self.name}",
            control_plane=self.master,
            deleting=self.gone_at is not None,
            skip=self.skip,
            etcd_healthy=self.works if self.master else None,
        )
