"""The XIDs of NVIDIA's driver as data: what each means, what NVIDIA says to do, and what that is here. Pure.

Source: NVIDIA, "Analyzing Xid Errors with the Xid Catalog", column "Immediate Action", for GPUs from Ampere on:
https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html
Where something else is done here than follows from that column, `note` says why. The examples that are named:
AWS: aws/eks-node-monitoring-agent `monitors/nvidia/dcgm/dcgm_policies.go`. Device plugin: NVIDIA/k8s-device-plugin
`internal/rm/health.go`. gpud: leptonai/gpud `components/accelerator/nvidia/xid/threshold.go`. NVIDIA/NVSentinel.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from kaas.api.repair import Action, XidPolicy


class Bucket(StrEnum):
    """What a GPU fault asks for, from the mildest to the hardest. The values are those of `XidPolicy.action`."""

    IGNORE = "Ignore"
    RESET = "Reset"
    REBOOT = "Reboot"
    POWER_CYCLE = "PowerCycle"
    REPLACE = "Replace"
    SUPPORT = "Support"


HARDNESS: Final = MappingProxyType({bucket: place for place, bucket in enumerate(Bucket)})

RECURRING_SECONDS: Final = 86400
"""The same XID within so long after a repair is recurring: then the repair has not reached the cause."""

MOST_REPAIRS: Final = 2
"""Repairs of the same XID within `RECURRING_SECONDS` after which it needs a person: gpud's DefaultRebootThreshold."""

UNKNOWN: Final = Bucket.RESET
"""For a GPU fault that no table knows: its monitor calls it one, and a reboot is the mildest that resets a GPU."""

RECOVERY_ACTION_CHANGED: Final = 154
"""The XID by which the driver itself says what it needs, in words in its message."""

BUCKETS: Final = MappingProxyType(
    {
        "IGNORE": Bucket.IGNORE,
        "RESTART_APP": Bucket.IGNORE,  # the workload's fault, or over when the workload is
        "WORKFLOW_XID_45": Bucket.IGNORE,  # follows another XID, which counts
        "XID_154": Bucket.IGNORE,  # unless its message says more, see `gpu_faults`
        "RESET_GPU": Bucket.RESET,
        "WORKFLOW_XID_48": Bucket.RESET,
        "WORKFLOW_NVLINK_ERR": Bucket.RESET,
        "WORKFLOW_NVLINK5_ERR": Bucket.RESET,
        "RESTART_VM": Bucket.REBOOT,
        "RESTART_BM": Bucket.POWER_CYCLE,
        "CHECK_MECHANICALS": Bucket.SUPPORT,
        "CHECK_UVM": Bucket.SUPPORT,  # NVSentinel: resolves to CONTACT_SUPPORT by intent
        "UPDATE_SWFW": Bucket.SUPPORT,
        "CONTACT_SUPPORT": Bucket.SUPPORT,
    }
)
"""NVIDIA's resolution buckets. RESET_GPU: "reset, if it persists reboot, if it persists RMA"."""


@dataclass(frozen=True, slots=True)
class Xid:
    """One row. name: NVIDIA's description. nvidia: its resolution bucket, "" when it publishes none.

    bucket: what it asks for here. again: what it asks for when it recurs once; after that it is Support.
    """

    number: int
    name: str
    nvidia: str
    bucket: Bucket
    again: Bucket
    note: str = ""


_AGAIN: Final = MappingProxyType(
    {
        Bucket.IGNORE: Bucket.IGNORE,
        Bucket.RESET: Bucket.POWER_CYCLE,  # a reboot from the operating system did not last: from cold, then
        Bucket.REBOOT: Bucket.POWER_CYCLE,
        Bucket.POWER_CYCLE: Bucket.REPLACE,
        Bucket.REPLACE: Bucket.SUPPORT,
        Bucket.SUPPORT: Bucket.SUPPORT,
    }
)


def _row(
    number: int, name: str, nvidia: str, bucket: Bucket | None = None, *, again: Bucket | None = None, note: str = ""
) -> Xid:
    found = bucket or BUCKETS[nvidia]
    return Xid(number, name, nvidia, found, again or _AGAIN[found], note)


_NVLINK5: Final = "a link, as XID 74"
_PLUGIN: Final = "in the device plugin's list of application errors"
_LIKE: Final = "NVIDIA publishes no action; treated like XID "

_FAULTS: Final = (
    _row(46, "GPU stopped processing", "RESET_GPU"),
    _row(
        48,
        "Double Bit ECC Error",
        "WORKFLOW_XID_48",
        again=Bucket.REPLACE,
        note="memory that wears out",
    ),
    _row(54, "Auxiliary power is not connected to the GPU board", "CHECK_MECHANICALS"),
    _row(62, "Internal micro-controller halt", "RESET_GPU"),
    _row(64, "GPU memory remapping failure", "RESET_GPU", again=Bucket.REPLACE, note="recurs: no spare rows left"),
    _row(74, "NVLINK Error", "WORKFLOW_NVLINK_ERR", again=Bucket.REPLACE, note="a link that stays bad"),
    _row(78, "vGPU Start Error", "UPDATE_SWFW", note="no reboot brings another driver"),
    _row(79, "GPU has fallen off the bus", "RESTART_BM"),
    _row(95, "Uncontained memory error", "RESET_GPU"),
    _row(110, "Security Fault Error", "RESET_GPU"),
    _row(119, "GSP RPC Timeout", "RESET_GPU"),
    _row(120, "GSP Error", "RESET_GPU"),
    _row(136, "Link Training Failed", "RESET_GPU", again=Bucket.REPLACE, note="a link, as XID 74"),
    _row(140, "ECC Unrecovered Error", "RESET_GPU", again=Bucket.REPLACE, note="memory, as XID 48"),
    _row(142, "NVENC3 Error", "CONTACT_SUPPORT"),
    _row(143, "GPU Initialization Error", "RESET_GPU"),
    _row(144, "NVLINK: SAW Error", "WORKFLOW_NVLINK5_ERR", again=Bucket.REPLACE, note=_NVLINK5),
    _row(145, "NVLINK: RLW Error", "WORKFLOW_NVLINK5_ERR", again=Bucket.REPLACE, note=_NVLINK5),
    _row(146, "NVLINK: TLW Error", "WORKFLOW_NVLINK5_ERR", again=Bucket.REPLACE, note=_NVLINK5),
    _row(147, "NVLINK: TREX Error", "WORKFLOW_NVLINK5_ERR", again=Bucket.REPLACE, note=_NVLINK5),
    _row(148, "NVLINK: NVLPW_CTRL Error", "WORKFLOW_NVLINK5_ERR", again=Bucket.REPLACE, note=_NVLINK5),
    _row(149, "NVLINK: NETIR Error", "WORKFLOW_NVLINK5_ERR", again=Bucket.REPLACE, note=_NVLINK5),
    _row(150, "NVLINK: MSE Error", "WORKFLOW_NVLINK5_ERR", again=Bucket.REPLACE, note=_NVLINK5),
    _row(151, "Key rotation Error", "RESTART_VM"),
    _row(155, "NVLINK: SW Defined Error", "RESET_GPU"),
    _row(156, "Resource Retirement Event", "RESET_GPU"),
    _row(158, "GPU Fatal Timeout", "RESET_GPU"),
    _row(159, "CHI Non-Data Error", "CHECK_UVM", note="NVSentinel: a person decides"),
    _row(167, "PCIe fatal timeout", "", Bucket.POWER_CYCLE, note=_LIKE + "79"),
    _row(169, "Internal micro-controller halt", "", Bucket.RESET, note=_LIKE + "62"),
    _row(
        171,
        "Uncorrectable DRAM error",
        "",
        Bucket.RESET,
        again=Bucket.REPLACE,
        note=_LIKE + "48",
    ),
    _row(
        172,
        "Uncorrectable SRAM error",
        "",
        Bucket.RESET,
        again=Bucket.REPLACE,
        note=_LIKE + "48",
    ),
)

_HARMLESS: Final = (
    _row(8, "GPU stopped processing", "RESTART_APP"),
    _row(11, "Invalid or corrupted push buffer stream", "RESTART_APP"),
    _row(13, "Graphics Engine Exception", "RESTART_APP", note=_PLUGIN),
    _row(25, "Invalid or illegal push buffer stream", "RESTART_APP"),
    _row(31, "GPU memory page fault", "RESTART_APP", note=_PLUGIN),
    _row(32, "Invalid or corrupted push buffer stream", "RESTART_APP"),
    _row(37, "Driver firmware error", "IGNORE"),
    _row(38, "Driver firmware error", "IGNORE"),
    *(_row(n, "Copy Engine Exception", "RESTART_APP") for n in (39, 40, 41)),
    _row(43, "GPU stopped processing", "IGNORE", note=_PLUGIN),
    _row(44, "Graphics Engine fault during context switch", "IGNORE"),
    _row(45, "Preemptive cleanup, due to previous errors", "WORKFLOW_XID_45", note=_PLUGIN),
    _row(60, "Video processor exception", "RESTART_APP"),
    _row(63, "GPU memory remapping event", "IGNORE", note="the remap worked; EC2 replaces the instance all the same"),
    _row(66, "Illegal access by driver", "IGNORE"),
    _row(67, "Illegal access by driver", "IGNORE"),
    _row(68, "NVDEC0 Exception", "RESTART_APP", note=_PLUGIN),
    _row(69, "Graphics Engine class error", "RESTART_APP"),
    *(_row(n, f"CE{n - 67}: Unknown Error", "RESTART_APP") for n in (70, 71, 72)),
    *(_row(n, f"CE{n - 69}: Unknown Error", "RESTART_APP") for n in (75, 76, 77)),
    _row(80, "Corrupted data sent to GPU", "RESTART_APP"),
    _row(82, "NVJPG0 Error", "RESTART_APP"),
    *(_row(n, f"NVDEC{n - 82} Error", "RESTART_APP") for n in (83, 84)),
    _row(85, "CE9: Unknown Error", "RESTART_APP"),
    _row(86, "OFA Exception", "RESTART_APP"),
    *(_row(n, f"NVDEC{n - 85} Error", "RESTART_APP") for n in (88, 89)),
    _row(92, "High single-bit ECC error rate", "IGNORE"),
    _row(93, "Non-fatal violation of provisioned InfoROM wear limit", "IGNORE"),
    _row(94, "Contained memory error", "RESTART_APP"),
    *(_row(n, f"NVDEC{n - 91} Error", "RESTART_APP") for n in (96, 97, 98)),
    *(_row(n, f"NVJPG{n - 98} Error", "RESTART_APP") for n in range(99, 106)),
    _row(106, "SMBPBI Test Message", "IGNORE"),
    _row(107, "SMBPBI Test Message Silent", "IGNORE"),
    _row(
        109,
        "Context Switch Timeout Error",
        "RESET_GPU",
        Bucket.IGNORE,
        note=_PLUGIN + "; fatal for AWS",
    ),
    _row(121, "C2C Error", "IGNORE"),
    *(_row(n, f"CE{n - 116}: Unknown Error", "RESTART_APP") for n in range(126, 136)),
    _row(137, "NVLink Privilege Error", "IGNORE"),
    _row(139, "OFA1 Error", "RESTART_APP"),
    _row(141, "CUDA Fast Path Error", "IGNORE"),
    _row(152, "DLA SMMU Error", "IGNORE"),
    _row(153, "DLA timeout Error", "IGNORE"),
    _row(154, "GPU Recovery Action Changed", "XID_154", note="counts as what its message says that the driver needs"),
    _row(157, "Resource Retirement Failure", "IGNORE"),
    _row(160, "Channel Retirement Event", "IGNORE"),
    _row(161, "Channel Retirement Failure", "IGNORE"),
)

XIDS: Final = MappingProxyType({row.number: row for row in sorted((*_FAULTS, *_HARMLESS), key=lambda r: r.number)})
"""Every XID that is known here, by number. What NVIDIA calls unused is left out: such a one counts as unknown."""

_ENTRIES: Final = MappingProxyType(
    {
        Bucket.IGNORE: None,
        Bucket.RESET: Action.SOFT_REBOOT,
        Bucket.REBOOT: Action.SOFT_REBOOT,
        Bucket.POWER_CYCLE: Action.POWER_CYCLE,
        Bucket.REPLACE: Action.REPLACE,
        Bucket.SUPPORT: Action.QUARANTINE,
    }
)


def entry(bucket: Bucket, ladder: Container[Action] = frozenset(Action)) -> Action | None:
    """The mildest step that can help, None when nothing is to be done. ladder: the steps that the pool has.

    A reset is a reboot: nothing may use the GPU during a reset, so the node is drained anyway, and a reboot resets all
    that hangs together by NVLink. A pool without PowerCycle is one of virtual machines: Nova's hard reboot is theirs.
    """
    action = _ENTRIES[bucket]
    if action is Action.POWER_CYCLE and action not in ladder:
        return Action.HARD_REBOOT
    return action


def bucket_of(number: int, overrides: Iterable[XidPolicy] = (), recurred: int = 0) -> Bucket:
    """What an XID asks for. overrides: what the pool says. recurred: repairs of it in the last `RECURRING_SECONDS`."""
    row = XIDS.get(number)
    base = row.bucket if row else UNKNOWN
    base = next((Bucket(o.action) for o in overrides if o.number == number), base)
    if base is Bucket.IGNORE or not recurred:
        return base
    if recurred >= MOST_REPAIRS:
        return Bucket.SUPPORT
    return hardest(base, row.again if row and row.bucket is not Bucket.IGNORE else _AGAIN[base])


def hardest(*buckets: Bucket) -> Bucket:
    """The hardest of at least one."""
    return max(buckets, key=HARDNESS.__getitem__)


def name_of(number: int) -> str:
    """An XID for a person."""
    row = XIDS.get(number)
    return f"XID {number} ({row.name})" if row else f"XID {number} (not in the table)"
