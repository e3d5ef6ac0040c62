"""From conditions of a Node to what its GPUs need: XIDs in reasons and messages, reasons of known monitors. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from kaas.api.repair import Action, RepairPolicy
from kaas.repairs.facts import NodeCondition
from kaas.repairs.xids import RECOVERY_ACTION_CHANGED, UNKNOWN, Bucket, bucket_of, entry, hardest, name_of

# As the driver logs it: NVRM: Xid (PCI:0000:07:00): 79, pid=1234, name=python, GPU has fallen off the bus.
# Not SXid, which are NVSwitch's and numbered otherwise.
_LOGGED: Final = re.compile(r"(?<![A-Za-z])Xid \((?:PCI:)?([0-9A-Fa-f:.]+)\): (\d{1,3})(?!\d)")
# As monitors name it: NvidiaXID79Error (EKS), Xid79, "XID 79", "XID errors: 79, 48".
_NAMED: Final = re.compile(r"(?<!S)(?i:xid(?:s|[\s_-]?errors?)?[\s:=_#-]*)(\d{1,3}(?!\d)(?:,\s*\d{1,3}(?!\d))*)")
# As NVSentinel's syslog monitor does, in a condition of which the type says that it is about XIDs.
_CODED: Final = re.compile(r"ErrorCode:\s*(\d{1,3})(?!\d)")
_ABOUT_XIDS: Final = re.compile(r"(?<!S)(?i:xid)")
# GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)
_RECOVERY: Final = re.compile(r"recovery action changed from [^()]*\([^)]*\) to [^()]*\(([^)]*)\)", re.IGNORECASE)

RECOVERY: Final = MappingProxyType(
    {
        "none": Bucket.IGNORE,
        "gpu reset required": Bucket.RESET,
        "drain p2p": Bucket.RESET,
        "drain and reset": Bucket.RESET,
        "node reboot required": Bucket.REBOOT,
    }
)
"""What XID 154 says that the driver needs. Source: NVIDIA, nvmlDeviceGpuRecoveryAction_t."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the reasons without an XID. words: part of the condition's type or reason, in any case."""

    words: str
    bucket: Bucket | None
    source: str
    action: Action | None = None


FAULTS: Final = (
    Fault("DevicePlugin", None, "AKS UnhealthyNvidiaDevicePlugin", Action.RESTART_DEVICE_PLUGIN),
    Fault("FallenOff", Bucket.POWER_CYCLE, "NVSentinel SysLogsGPUFallenOff; as XID 79"),
    Fault("DoubleBit", Bucket.RESET, "EKS NvidiaDoubleBitError; as XID 48"),
    Fault("FabricManager", Bucket.REBOOT, "EKS FabricManagerNotRunning; it starts with the node"),
    Fault("FabricError", Bucket.REPLACE, "EKS NvidiaFabricError: persists across reboots"),
    Fault("DeviceCount", Bucket.REBOOT, "EKS NvidiaDeviceCountMismatch: GPUs are found at boot"),
    Fault("GPUMissing", Bucket.REBOOT, "AKS GPUMissing: GPUs are found at boot"),
    Fault("LogsSXID", Bucket.REBOOT, "NVSentinel SysLogsSXIDError: a reboot resets the NVSwitches too"),
    Fault("NVLink", Bucket.RESET, "EKS NvidiaNVLinkError, AKS NVLinkStatusInactive; as XID 74"),
    Fault("DCGM", Bucket.RESET, "EKS DCGMError, DCGMDiagnosticFailure, DCGMHealthCode"),
)
"""Reasons of known monitors, the first that fits counts. Sources: AWS's EKS node monitoring agent, AKS's node problem
detector, NVIDIA's NVSentinel. What no row fits is a fault that no table knows, see `xids.UNKNOWN`."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One XID that a condition tells of. device: PCI address, "" when it is not told. says: what XID 154 asks for."""

    number: int
    device: str = ""
    says: Bucket | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What GPU conditions come to. since: when the first of them began. entry: the mildest step that can help.

    gpus: how many are concerned, at least one. xids: those that count.
    """

    since: datetime
    entry: Action
    message: str
    gpus: int
    xids: tuple[int, ...] = ()


def xids_in(condition: NodeCondition) -> tuple[Hit, ...]:
    """Every XID that a condition tells of, each once a device. What is only named counts if no log line tells of it."""
    text = f"{condition.reason}\n{condition.message}"
    logged = {_hit(int(m[2]), m[1], text[m.end() :].partition("\n")[0]): None for m in _LOGGED.finditer(text)}
    numbers = {hit.number for hit in logged}
    named = [int(n) for found in _NAMED.findall(f"{condition.type}\n{text}") for n in found.split(",")]
    if not logged and not named and _ABOUT_XIDS.search(condition.type):
        named = [int(number) for number in _CODED.findall(text)]
    said = {_hit(number, "", text): None for number in named if number not in numbers}
    return (*logged, *said)


def _hit(number: int, device: str, text: str) -> Hit:
    if number != RECOVERY_ACTION_CHANGED:
        return Hit(number, device)
    found = _RECOVERY.search(text)
    return Hit(number, device, RECOVERY.get(found[1].strip().lower()) if found else None)


def judge(
    conditions: Iterable[NodeCondition], policy: RepairPolicy, recurred: Mapping[int | None, int] = MappingProxyType({})
) -> Verdict | None:
    """What the GPU conditions that are bad ask for together: the hardest counts. None when all of it is harmless.

    recurred: repairs in the last day by the XID that they were for; under None of those whose XID is not known.
    """
    ladder = {step.action for step in policy.steps}
    found = [f for c in conditions for f in _judged(c, policy, recurred)]
    steps = [(f, entry(f.bucket, ladder) if f.action is None else f.action) for f in found]
    counting = [(f, step) for f, step in steps if step is not None]
    if not counting:
        return None
    order = list(Action)
    told = dict.fromkeys(f.message for f, _ in counting)
    return Verdict(
        since=min(f.since for f, _ in counting),
        entry=max((step for _, step in counting), key=order.index),
        message="; ".join(told),
        gpus=max(1, len({f.device for f, _ in counting if f.device})),
        xids=tuple(dict.fromkeys(f.number for f, _ in counting if f.number is not None)),
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    since: datetime
    message: str
    bucket: Bucket
    action: Action | None = None
    number: int | None = None
    device: str = ""


def _judged(condition: NodeCondition, policy: RepairPolicy, recurred: Mapping[int | None, int]) -> Sequence[_Judged]:
    hits = xids_in(condition)
    if not hits:
        return (_without_xid(condition),)
    found = []
    for hit in hits:
        times = recurred.get(hit.number, 0) + recurred.get(None, 0)
        bucket = bucket_of(hit.number, policy.xids, times)
        if hit.says is not None and not any(o.number == hit.number for o in policy.xids):
            bucket = hardest(bucket, hit.says)
        found.append(_Judged(condition.since, _told(hit, times), bucket, number=hit.number, device=hit.device))
    return found


def _told(hit: Hit, times: int) -> str:
    where = f" on {hit.device}" if hit.device else ""
    again = f", after {times} repair{'s' if times > 1 else ''} within a day" if times else ""
    return f"{name_of(hit.number)}{where}{again}"


def _without_xid(condition: NodeCondition) -> _Judged:
    name = f"{condition.type} {condition.reason}".lower()
    row = next((f for f in FAULTS if f.words.lower() in name), None)
    message = quoted(condition)
    if row is None:
        return _Judged(condition.since, message, UNKNOWN)
    return _Judged(condition.since, message, row.bucket or UNKNOWN, row.action)


LONGEST_QUOTE: Final = 200


def quoted(condition: NodeCondition) -> str:
    """A condition for a person, its message cut to a line."""
    text = " ".join(condition.message.split())
    cut = text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 1]}…"
    what = f"{condition.type} is {condition.status}"
    why = ": ".join(part for part in (condition.reason, cut) if part)
    return f"{what} ({why})" if why else what
