"""XIDs: each is what the table says, the hardest of several counts, and one that comes back asks for more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.api.repair import Action, RepairPolicy, XidPolicy
from kaas.repairs.facts import NodeCondition, Try
from kaas.repairs.gpu_faults import FAULTS, RECOVERY, Hit, judge, xids_in
from kaas.repairs.subject import Past
from kaas.repairs.traces import Trace
from kaas.repairs.xids import BUCKETS, HARDNESS, UNKNOWN, XIDS, Bucket, bucket_of, entry, hardest, name_of
from tests.unit.repairs.sick import METAL, NOW, VM, condition, look, node, pool, seconds

MINUTE = timedelta(minutes=1)

# What AWS's node monitoring agent calls fatal, and what NVIDIA's device plugin calls an application's error.
FATAL_FOR_AWS = {46, 48, 54, 62, 63, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 142, 143, 151, 155, 156, 158}
OF_APPLICATIONS = {13, 31, 43, 45, 68, 109}


def logged(number: int, device: str = "0000:07:00") -> str:
    return f"NVRM: Xid (PCI:{device}): {number}, pid=1234, name=python, said the driver."


def fault(message: str, reason: str = "GpuXid", kind: str = "GpuXidError", since: Any = NOW) -> NodeCondition:
    status = "False" if kind.endswith("Ready") else "True"
    return condition(kind, status, reason, message, since)


def told(*messages: str, policy: RepairPolicy = METAL, **recurred: int) -> Action | None:
    verdict = judge([fault(m) for m in messages], policy, {int(k[1:]): v for k, v in recurred.items()})
    return verdict.entry if verdict else None


@pytest.mark.parametrize("row", XIDS.values(), ids=lambda r: str(r.number))
def test_each_xid_is_what_its_row_says(row: Any) -> None:
    assert bucket_of(row.number) is row.bucket
    assert told(logged(row.number)) == entry(row.bucket)
    assert row.bucket is BUCKETS.get(row.nvidia, row.bucket) or row.note, "what differs from NVIDIA has a reason"
    assert HARDNESS[row.again] >= HARDNESS[row.bucket]
    assert name_of(row.number) == f"XID {row.number} ({row.name})"


def test_what_others_say_is_followed_but_for_what_is_explained() -> None:
    harmless = {n for n, row in XIDS.items() if row.bucket is Bucket.IGNORE}
    assert harmless >= OF_APPLICATIONS
    assert FATAL_FOR_AWS & harmless == {63, 109}
    assert all(XIDS[n].note for n in (63, 109))


@pytest.mark.parametrize(
    ("bucket", "vm", "metal"),
    [
        (Bucket.IGNORE, None, None),
        (Bucket.RESET, Action.SOFT_REBOOT, Action.SOFT_REBOOT),
        (Bucket.REBOOT, Action.SOFT_REBOOT, Action.SOFT_REBOOT),
        (Bucket.POWER_CYCLE, Action.HARD_REBOOT, Action.POWER_CYCLE),
        (Bucket.REPLACE, Action.REPLACE, Action.REPLACE),
        (Bucket.SUPPORT, Action.QUARANTINE, Action.QUARANTINE),
    ],
)
def test_where_each_bucket_enters(bucket: Bucket, vm: Action | None, metal: Action | None) -> None:
    assert entry(bucket, {s.action for s in VM.steps}) == vm
    assert entry(bucket, {s.action for s in METAL.steps}) == metal


def test_an_unknown_xid_counts() -> None:
    assert bucket_of(998) is UNKNOWN
    assert told(logged(998)) is Action.SOFT_REBOOT
    assert name_of(998) == "XID 998 (not in the table)"


@pytest.mark.parametrize(
    ("kind", "reason", "message", "hits"),
    [
        ("GpuXidError", "Xid", logged(79), [Hit(79, "0000:07:00")]),
        ("GPUUnhealthy", "XidError", "Xid (PCI:0000:07:00.0): 48, DBE", [Hit(48, "0000:07:00.0")]),
        ("GPUUnhealthy", "", "NVRM: Xid (0000:01:00): 62, 0096", [Hit(62, "0000:01:00")]),
        ("AcceleratedHardwareReady", "NvidiaXID79Error", "", [Hit(79)]),
        ("GpuXidError", "Xid79", "", [Hit(79)]),
        ("GpuXidError", "XID_74", "see the log", [Hit(74)]),
        ("GpuXid79", "Broken", "", [Hit(79)]),
        ("GPUUnhealthy", "Bad", "XID errors: 119, 48", [Hit(119), Hit(48)]),
        ("GpuXidError", "Xid79", logged(79), [Hit(79, "0000:07:00")]),
        (
            "GpuXidError",
            "Xid",
            f"{logged(13)}\n{logged(79, '0000:0a:00')}",
            [Hit(13, "0000:07:00"), Hit(79, "0000:0a:00")],
        ),
        ("SysLogsXIDError", "SysLogsXIDErrorIsNotHealthy", "ErrorCode:79 PCI:0000:07:00", [Hit(79)]),
        ("SysLogsSXIDError", "X", "ErrorCode:122 SXid (PCI:0000:c1:00.0): 12028", []),
        ("GPUUnhealthy", "Bad", "SXid (PCI:0000:c1:00.0): 122, Fatal", []),
        ("GPUUnhealthy", "Bad", "Xid 20019 is none", []),
        ("GpuXidError", "Xid", "something", []),
    ],
)
def test_xids_are_found_in_conditions(kind: str, reason: str, message: str, hits: list[Hit]) -> None:
    assert list(xids_in(condition(kind, "True", reason, message))) == hits


@pytest.mark.parametrize(("says", "bucket"), RECOVERY.items())
def test_xid_154_is_what_it_says(says: str, bucket: Bucket) -> None:
    line = f"NVRM: Xid (PCI:0000:07:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 ({says.title()})"
    assert xids_in(fault(line)) == (Hit(154, "0000:07:00", bucket),)
    assert told(line) == entry(bucket)


def test_xid_154_that_says_nothing_is_harmless() -> None:
    assert told(logged(154)) is None


def test_the_hardest_counts_wherever_it_stands() -> None:
    assert told(f"{logged(31)} {logged(79)} {logged(46)}") is Action.POWER_CYCLE
    assert told(logged(46), logged(54)) is Action.QUARANTINE
    assert told(logged(13), logged(31)) is None
    assert told() is None


@given(st.lists(st.sampled_from(sorted(XIDS)), min_size=1, max_size=6))
def test_several_xids_ask_for_what_the_hardest_asks_for(numbers: list[int]) -> None:
    buckets = [XIDS[n].bucket for n in numbers]
    assert told("\n".join(map(logged, numbers))) == entry(hardest(*buckets))
    assert told(*map(logged, numbers)) == entry(hardest(*buckets))


@given(st.text(), st.text())
def test_whatever_a_monitor_says_is_judged(reason: str, message: str) -> None:
    verdict = judge([fault(message, reason)], METAL)
    assert verdict is None or (verdict.entry in Action and verdict.gpus >= 1)


def test_what_is_found_is_told() -> None:
    verdict = judge([fault(f"{logged(31)}\n{logged(79)}\n{logged(79, '0000:0a:00')}")], METAL)
    assert verdict is not None
    assert verdict.message == (
        "XID 79 (GPU has fallen off the bus) on 0000:07:00; XID 79 (GPU has fallen off the bus) on 0000:0a:00"
    )
    assert (verdict.gpus, verdict.xids) == (2, (79,))


def test_conditions_count_since_the_first_that_counts() -> None:
    early, late = NOW - 9 * MINUTE, NOW - 3 * MINUTE
    verdict = judge([fault(logged(13), since=early), fault(logged(79), since=late)], METAL)
    assert verdict is not None
    assert verdict.since == late


@pytest.mark.parametrize("row", FAULTS, ids=lambda f: f.words)
def test_each_reason_without_an_xid(row: Any) -> None:
    verdict = judge([fault("it is so", f"Nvidia{row.words}Failed", "AcceleratedHardwareReady")], METAL)
    assert verdict is not None
    assert verdict.entry == (row.action or entry(row.bucket))
    assert "it is so" in verdict.message


@pytest.mark.parametrize(
    ("kind", "reason", "action"),
    [
        ("AcceleratedHardwareReady", "NvidiaDoubleBitError", Action.SOFT_REBOOT),
        ("AcceleratedHardwareReady", "FabricManagerNotRunning", Action.SOFT_REBOOT),
        ("AcceleratedHardwareReady", "NvidiaFabricError", Action.REPLACE),
        ("UnhealthyNvidiaDevicePlugin", "PluginDown", Action.RESTART_DEVICE_PLUGIN),
        ("SysLogsGPUFallenOff", "IsNotHealthy", Action.POWER_CYCLE),
        ("SysLogsSXIDError", "IsNotHealthy", Action.SOFT_REBOOT),
        ("GPUUnhealthy", "WhoKnows", Action.SOFT_REBOOT),
    ],
)
def test_what_known_monitors_say(kind: str, reason: str, action: Action) -> None:
    verdict = judge([fault("", reason, kind)], METAL)
    assert verdict is not None
    assert verdict.entry is action


def test_long_messages_are_cut() -> None:
    verdict = judge([fault("long " * 200, "Bad", "GPUUnhealthy")], METAL)
    assert verdict is not None
    assert len(verdict.message) < 260
    assert verdict.message.endswith("…)")


@pytest.mark.parametrize("action", ["Ignore", "Reset", "Reboot", "PowerCycle", "Replace", "Support"])
def test_a_pool_can_have_an_xid_otherwise(action: Any) -> None:
    policy = METAL.model_copy(update={"xids": (XidPolicy(number=79, action=action),)})
    assert told(logged(79), policy=policy) == entry(Bucket(action))
    assert told(logged(48), policy=policy) is Action.SOFT_REBOOT


def test_xid_109_can_be_taken_for_a_fault() -> None:
    policy = METAL.model_copy(update={"xids": (XidPolicy(number=109, action="Reset"),)})
    assert told(logged(109)) is None
    assert told(logged(109), policy=policy) is Action.SOFT_REBOOT
    assert bucket_of(109, policy.xids, recurred=1) is Bucket.POWER_CYCLE


@pytest.mark.parametrize(
    ("number", "once", "twice"),
    [
        (74, Bucket.REPLACE, Bucket.SUPPORT),
        (119, Bucket.POWER_CYCLE, Bucket.SUPPORT),
        (79, Bucket.REPLACE, Bucket.SUPPORT),
        (54, Bucket.SUPPORT, Bucket.SUPPORT),
        (13, Bucket.IGNORE, Bucket.IGNORE),
        (998, Bucket.POWER_CYCLE, Bucket.SUPPORT),
    ],
)
def test_what_recurs_asks_for_more(number: int, once: Bucket, twice: Bucket) -> None:
    assert bucket_of(number, recurred=1) is once
    assert bucket_of(number, recurred=2) is bucket_of(number, recurred=3) is twice


@given(st.integers(1, 999), st.integers(0, 5))
def test_recurring_never_asks_for_less(number: int, times: int) -> None:
    assert HARDNESS[bucket_of(number, recurred=times + 1)] >= HARDNESS[bucket_of(number, recurred=times)]


def repaired(
    ended: Any, cause: str = "GpuFault", action: Action = Action.SOFT_REBOOT, outcome: str = "Succeeded"
) -> Try:
    return Try(action, cause, ended - 5 * MINUTE, ended, outcome)


def entered(trace: Trace, *history: Try, number: int = 74, since: Any = NOW) -> Action:
    found = look(
        a_node=node(fault(logged(number), since=since)), trace=trace, past=Past(history=history), pool=pool(METAL)
    )
    (only,) = [f for f in found if f.signal == "GpuFault"]
    return only.entry


def test_the_same_xid_within_a_day_after_a_repair_climbs_and_stays_climbed() -> None:
    trace = Trace()
    trace.remember_xids([74], NOW - 60 * MINUTE)
    history = (repaired(NOW - 30 * MINUTE),)
    assert entered(trace, *history) is Action.REPLACE
    assert entered(trace, *history) is Action.REPLACE
    assert entered(trace, repaired(NOW - 50 * MINUTE), *history) is Action.QUARANTINE


def test_another_xid_does_not_climb() -> None:
    trace = Trace()
    trace.remember_xids([48], NOW - 60 * MINUTE)
    assert entered(trace, repaired(NOW - 30 * MINUTE)) is Action.SOFT_REBOOT


def test_after_a_restart_every_repair_of_a_gpu_fault_counts() -> None:
    assert entered(Trace(), repaired(NOW - 30 * MINUTE)) is Action.REPLACE


@pytest.mark.parametrize(
    "other",
    [
        repaired(NOW - timedelta(hours=25)),
        repaired(NOW - MINUTE, cause="NodeNotReady"),
        repaired(NOW - MINUTE, action=Action.DRAIN),
        repaired(NOW - MINUTE, action=Action.RESTART_DEVICE_PLUGIN),
        repaired(NOW - MINUTE, outcome="TimedOut"),
    ],
    ids=["long ago", "of something else", "a drain", "the plugin", "that failed"],
)
def test_what_is_no_repair_of_it_does_not_count(other: Try) -> None:
    assert entered(Trace(), other) is Action.SOFT_REBOOT


def test_the_message_says_that_it_recurs() -> None:
    (found,) = look(a_node=node(fault(logged(74))), past=Past(history=(repaired(NOW - seconds(60)),)))
    assert found.message == "XID 74 (NVLINK Error) on 0000:07:00, after 1 repair within a day"
