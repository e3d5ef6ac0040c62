"""The tables of docs/repairs-signals.md, made from those in the code. Pure, but for the command that writes them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Final

from kaas.api.repair import RepairPolicy, Step
from kaas.repairs.conditions import CONDITIONS
from kaas.repairs.gpu_faults import FAULTS, RECOVERY
from kaas.repairs.ladders import LADDERS
from kaas.repairs.signals import SIGNALS, Signal
from kaas.repairs.xids import UNKNOWN, XIDS, Bucket, Xid, entry

_MARK: Final = "<!-- {0}: made by python -m kaas.repairs.tables -->"


def signals_table() -> str:
    """Every signal with tolerance and entry; where bare metal differs, that after a slash."""
    rows = [
        (s.name, s.what, _either(s, _tolerance), _either(s, lambda x, m: x.entered(metal=m).value), s.why)
        for s in SIGNALS
    ]
    return _table(("signal", "what is seen", "tolerated", "entry", "why"), rows)


def _either(signal: Signal, value: Callable[[Signal, bool], str]) -> str:
    return " / ".join(dict.fromkeys((value(signal, False), value(signal, True))))


def _tolerance(signal: Signal, metal: bool) -> str:
    return duration(signal.tolerated(metal=metal))


def _entry(signal: Signal, metal: bool) -> str:
    return signal.entered(metal=metal)


def duration(seconds: int) -> str:
    """Seconds for a person, as 90 s, 5 min or 1 h."""
    if seconds and seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds and seconds % 60 == 0 else f"{seconds} s"


def conditions_table() -> str:
    """Which condition of a Node is which signal."""
    by_signal: dict[str, list[str]] = {}
    for (kind, status), signal in CONDITIONS.items():
        by_signal.setdefault(signal, []).append(f"`{kind}={status}`")
    return _table(("signal", "conditions"), [(name, ", ".join(found)) for name, found in by_signal.items()])


def xids_table() -> str:
    """Every XID that asks for something."""
    rows = [_xid_row(row) for row in XIDS.values() if row.bucket is not Bucket.IGNORE]
    return _table(("XID", "name", "NVIDIA says", "here", "again within a day", "note"), rows)


def _xid_row(row: Xid) -> Sequence[str]:
    return str(row.number), row.name, _code(row.nvidia), row.bucket, row.again, row.note


def harmless_table() -> str:
    """XIDs for which nothing is done; numbers in a row with the same words are told together."""
    rows = [row for row in XIDS.values() if row.bucket is Bucket.IGNORE]
    told = []
    for (nvidia, note), group in groupby(sorted(rows, key=_sameness), key=_sameness):
        told.append((_code(nvidia), ", ".join(f"{r.number} ({r.name})" for r in group), note))
    return _table(("NVIDIA says", "XIDs", "note"), told)


def _sameness(row: Xid) -> tuple[str, str]:
    return row.nvidia, row.note


def faults_table() -> str:
    """Reasons of monitors without an XID, and what XID 154 says."""
    rows = [(f"`{f.words}`", f.action or f.bucket or UNKNOWN, f.source) for f in FAULTS]
    rows += [("anything else", UNKNOWN, "its monitor calls it a fault")]
    rows += [(f"XID 154: {said}", bucket, "NVIDIA, nvmlDeviceGpuRecoveryAction_t") for said, bucket in RECOVERY.items()]
    return _table(("reason or type has", "here", "source"), rows)


def buckets_table() -> str:
    """Where each bucket enters the ladder of virtual machines and of bare metal."""
    vms = frozenset(s.action for s in next(iter(LADDERS.values())).steps)
    rows = [(b.value, str(entry(b, vms) or "nothing"), str(entry(b) or "nothing")) for b in Bucket]
    return _table(("asks for", "virtual machines", "bare metal"), rows)


def ladders_table() -> str:
    """The shipped ladders, step by step."""
    rows = [(kind.value, " → ".join(map(_step, p.steps)), _limits(p)) for kind, p in LADDERS.items()]
    return _table(("pool", "steps (time-out, tries)", "limits and memory"), rows)


def _step(step: Step) -> str:
    tries = f", {step.retries + 1} times with a pause of {duration(step.backoff_seconds)}" if step.retries else ""
    return f"{step.action} ({duration(step.timeout_seconds)}{tries})"


def _limits(policy: RepairPolicy) -> str:
    limits, memory = policy.limits, policy.memory
    return (
        f"{limits.max_in_flight} in flight, {limits.max_unhealthy} sick; settles {duration(policy.settle_seconds)}; "
        f"{memory.max_repairs} repairs in {duration(memory.climb_within_seconds)}"
    )


def _code(text: str) -> str:
    return f"`{text}`" if text else "nothing"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


TABLES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "signals": signals_table,
        "conditions": conditions_table,
        "buckets": buckets_table,
        "xids": xids_table,
        "harmless": harmless_table,
        "faults": faults_table,
        "ladders": ladders_table,
    }
)


def renewed(text: str) -> str:
    """A page with its tables as they are now. Raises ValueError when it lacks the marks of one."""
    for name, table in TABLES.items():
        mark = _MARK.format(name)
        pattern = re.compile(re.escape(mark) + r"\n.*?<!-- end -->", re.DOTALL)
        said = f"{mark}\n\n{table()}\n\n<!-- end -->"
        text, number = pattern.subn(said.replace("\\", r"\\"), text)
        if number != 1:
            raise ValueError(f"{number} tables {name} instead of one: put {mark!r} and '<!-- end -->' around it")
    return text


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(renewed(page.read_text()))
