"""Faults of machines on demand: one small file a fault below the site's state, which the agent watches.

A fault stays until it is healed, or until its machine is restarted in the way that heals it; the agent may be restarted
in between. Nothing here needs the agent to run, which alone ends faults by restarts.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from . import xids
from .nova import Restart

Kind = Literal["kubelet", "join", "condition", "gpu", "xid", "mig", "api"]
Until = Literal["heal", "plugin", "reboot", "hard-reboot", "power-cycle", "rebuild"]
ApiMode = Literal["hang", "refuse"]
MigMode = Literal["fails", "hangs", "reboots", "slow"]
KINDS: tuple[Kind, ...] = ("kubelet", "join", "condition", "gpu", "xid", "mig", "api")
# The mildest restart that heals. One of the device plugin is no restart of the machine, and each of those includes it.
HEALED_BY: dict[Until, Restart] = {
    "plugin": Restart.SOFT,
    "reboot": Restart.SOFT,
    "hard-reboot": Restart.HARD,
    "power-cycle": Restart.POWER_CYCLE,
    "rebuild": Restart.REBUILD,
}
STATUSES = ("True", "False", "Unknown")
KUBELET_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class UnknownFault(Exception):
    """Nothing of that kind is broken."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    kind: `kubelet` (dies), `join` (a machine that boots never joins), `condition` (of the Node), `gpu` (devices missing
      from allocatable), `xid` (both, as the NVIDIA driver and a problem detector have it), `mig` (of laying out GPUs),
      `api` (the end point of a cluster).
    target: a Node or server by name or id; for `join` and `mig` the start of server names or a pattern with `*`; for
      `api` the name of the Cluster API cluster.
    healed: a condition whose problem has gone. A detector keeps reporting it, with the opposite status, and so do we.
    condition, status, reason, message: of a `condition` or `xid`. missing: devices of `gpu` or `xid`. mode: of `api`.
    layout, seconds: of `mig`, as in `MigFault`.
    until: what ends it; `heal` is the command, which ends any. began: when it was put in force, in seconds (UTC).
    """

    kind: Kind
    target: str
    condition: str = ""
    status: str = "True"
    reason: str = "Broken"
    message: str = "broken on demand"
    missing: int = 0
    mode: ApiMode = "hang"
    layout: MigMode | Literal[""] = ""
    seconds: float | None = None
    healed: bool = False
    until: Until = "heal"
    began: float = field(default=0.0, compare=False)


def xid(target: str, number: int, missing: int | None = None, until: Until = "heal") -> Fault:
    """An XID on the first GPU of a machine. missing: by default 1, and 0 for what an application did."""
    lost = missing if missing is not None else int(number not in xids.APPLICATIONS)
    reason, message = xids.reason(number), xids.message(number)
    return Fault("xid", target, xids.CONDITION, "True", reason, message, missing=lost, until=until)


@dataclass(frozen=True)
class MigFault:
    """What is wrong when GPUs are laid out. mode: "" for nothing. seconds: how long it takes, None for as usual."""

    mode: MigMode | Literal[""] = ""
    seconds: float | None = None


@dataclass(frozen=True)
class NodeFaults:
    """What is wrong with one machine now.

    plugin: since when (UTC, in seconds) something is wrong that a restart of the device plugin ends; None: nothing is.
    """

    kubelet_dead: bool = False
    conditions: tuple[Fault, ...] = ()
    missing_gpus: int = 0
    plugin: float | None = field(default=None, compare=False)


def directory(site_state: Path) -> Path:
    """Where the faults of a site are kept."""
    return site_state / "faults"


def break_machine(site_state: Path, fault: Fault) -> None:
    """Put a fault in force within about a second. The same kind on the same target replaces the earlier one."""
    _write(site_state, replace(fault, began=time.time()))


def _write(site_state: Path, fault: Fault) -> None:
    where = directory(site_state)
    where.mkdir(parents=True, exist_ok=True)
    fresh = where / f"{_name(fault)}.new"
    fresh.write_text(json.dumps(asdict(fault), indent=1))
    fresh.replace(where / f"{_name(fault)}.json")


def heal_machine(site_state: Path, kind: Kind, target: str, condition: str = "") -> list[Fault]:
    """End the faults of a kind on a target, all of its conditions if none is named. Raises UnknownFault."""
    ended = [
        f for f in in_force(site_state) if f.kind == kind and f.target == target and condition in ("", f.condition)
    ]
    if not ended:
        raise UnknownFault(f"no fault of kind {kind} on {target!r} is in force below {directory(site_state)}")
    for fault in ended:
        _end(site_state, fault)
    return ended


def end_by(site_state: Path, restart: Restart, *names: str) -> list[Fault]:
    """End what a restart of the machine that goes by any of these names heals, and return it."""
    mine = (f for f in in_force(site_state) if f.target in names)
    ended = [f for f in mine if f.until in HEALED_BY and HEALED_BY[f.until] <= restart]
    for fault in ended:
        _end(site_state, fault)
    return ended


def end_by_plugin(site_state: Path, *names: str) -> None:
    """End what a restart of the device plugin on that machine heals."""
    for fault in in_force(site_state):
        if fault.target in names and fault.until == "plugin":
            _end(site_state, fault)


def heal_all(site_state: Path) -> list[Fault]:
    """End every fault of a site."""
    ended = in_force(site_state)
    for fault in ended:
        _end(site_state, fault)
    return ended


def _end(site_state: Path, fault: Fault) -> None:
    if fault.condition and fault.condition not in KUBELET_CONDITIONS:
        opposite = "True" if fault.status == "False" else "False"
        well = replace(fault, status=opposite, reason="Healed", message="no problem", missing=0, healed=True)
        _write(site_state, well)
        return
    (directory(site_state) / f"{_name(fault)}.json").unlink(missing_ok=True)


def in_force(site_state: Path) -> list[Fault]:
    """What is broken now, without conditions that were healed."""
    return [f for f in load(site_state) if not f.healed]


def load(site_state: Path) -> list[Fault]:
    """Everything the agent heeds, healed conditions too, in a stable order."""
    found = []
    for path in sorted(directory(site_state).glob("*.json")):
        try:
            found.append(Fault(**json.loads(path.read_text())))
        except (FileNotFoundError, ValueError, TypeError):
            continue  # healed meanwhile, or written by hand and not finished
    return found


def of_node(faults: Iterable[Fault], *names: str) -> NodeFaults:
    """Faults of the machine that goes by any of these names. Pure."""
    mine = [f for f in faults if f.target in names]
    return NodeFaults(
        kubelet_dead=any(f.kind == "kubelet" for f in mine),
        conditions=tuple(f for f in mine if f.condition),
        missing_gpus=sum(f.missing for f in mine),
        plugin=max((f.began for f in mine if f.until == "plugin" and not f.healed), default=None),
    )


def blocks_join(faults: Iterable[Fault], server: str) -> bool:
    """Whether a server of this name must not join. Pure."""
    return any(f.kind == "join" and _begins(f, server) for f in faults)


def of_mig(faults: Iterable[Fault], *names: str) -> MigFault:
    """What is wrong when GPUs of the machine that goes by any of these names are laid out. Pure."""
    mine = [f for f in faults if f.kind == "mig" and any(f.target == name or _begins(f, name) for name in names)]
    return MigFault(mine[-1].layout, mine[-1].seconds) if mine else MigFault()


def _begins(fault: Fault, server: str) -> bool:
    return fnmatch.fnmatchcase(server, fault.target) or server.startswith(f"{fault.target}-")


def broken_clusters(faults: Iterable[Fault], mode: ApiMode) -> set[str]:
    """Clusters whose end point is broken that way. Pure."""
    return {f.target for f in faults if f.kind == "api" and f.mode == mode}


def _name(fault: Fault) -> str:
    digest = hashlib.sha256(f"{fault.target}/{fault.condition}".encode()).hexdigest()
    return f"{fault.kind}-{digest[:16]}"
