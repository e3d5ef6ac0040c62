"""Faults of machines on demand: one small file a fault below the site's state, which the agent watches.

A fault stays until it is healed; the agent may be restarted in between. Nothing here needs the agent to run.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

Kind = Literal["kubelet", "join", "condition", "gpu", "api"]
ApiMode = Literal["hang", "refuse"]
KINDS: tuple[Kind, ...] = ("kubelet", "join", "condition", "gpu", "api")
STATUSES = ("True", "False", "Unknown")
KUBELET_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class UnknownFault(Exception):
    """Nothing of that kind is broken."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    kind: `kubelet` (dies), `join` (a machine that boots never joins), `condition` (of the Node), `gpu` (devices missing
      from allocatable), `api` (the end point of a cluster).
    target: a Node or server by name or id; for `join` the start of server names or a pattern with `*`; for `api` the
      name of the Cluster API cluster.
    healed: a condition whose problem has gone. A detector keeps reporting it, with the opposite status, and so do we.
    condition, status, reason, message: of a `condition`. missing: devices of `gpu`. mode: of `api`.
    """

    kind: Kind
    target: str
    condition: str = ""
    status: str = "True"
    reason: str = "Broken"
    message: str = "broken on demand"
    missing: int = 0
    mode: ApiMode = "hang"
    healed: bool = False


@dataclass(frozen=True)
class NodeFaults:
    """What is wrong with one machine now."""

    kubelet_dead: bool = False
    conditions: tuple[Fault, ...] = ()
    missing_gpus: int = 0


def directory(site_state: Path) -> Path:
    """Where the faults of a site are kept."""
    return site_state / "faults"


def break_machine(site_state: Path, fault: Fault) -> None:
    """Put a fault in force within about a second. The same kind on the same target replaces the earlier one."""
    _write(site_state, fault)


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


def heal_all(site_state: Path) -> list[Fault]:
    """End every fault of a site."""
    ended = in_force(site_state)
    for fault in ended:
        _end(site_state, fault)
    return ended


def _end(site_state: Path, fault: Fault) -> None:
    if fault.kind == "condition" and fault.condition not in KUBELET_CONDITIONS:
        opposite = "True" if fault.status == "False" else "False"
        _write(site_state, replace(fault, status=opposite, reason="Healed", message="no problem", healed=True))
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
        conditions=tuple(f for f in mine if f.kind == "condition"),
        missing_gpus=sum(f.missing for f in mine if f.kind == "gpu"),
    )


def blocks_join(faults: Iterable[Fault], server: str) -> bool:
    """Whether a server of this name must not join. Pure."""
    return any(
        f.kind == "join" and (fnmatch.fnmatchcase(server, f.target) or server.startswith(f"{f.target}-"))
        for f in faults
    )


def broken_clusters(faults: Iterable[Fault], mode: ApiMode) -> set[str]:
    """Clusters whose end point is broken that way. Pure."""
    return {f.target for f in faults if f.kind == "api" and f.mode == mode}


def _name(fault: Fault) -> str:
    digest = hashlib.sha256(f"{fault.target}/{fault.condition}".encode()).hexdigest()
    return f"{fault.kind}-{digest[:16]}"
