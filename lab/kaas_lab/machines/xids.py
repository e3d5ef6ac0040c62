"""What the NVIDIA driver writes to the kernel's log, and what a problem detector makes of it on a Node."""

from __future__ import annotations

from typing import Final

CONDITION: Final = "GPUUnhealthy"
BUS: Final = "0000:07:00"
# What comes after the number. Those of applications take no GPU away.
TEXTS: Final = {
    13: "Graphics Exception: ESR 0x50df30=0x107000e",
    31: "MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0 faulted @ 0x7f2c_00000000",
    43: "Ch 00000010",
    45: "Ch 00000010",
    48: "An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at partition 6.",
    63: "Row Remapper: New row marked for remapping, reset gpu to activate.",
    64: "Row Remapper: Failed to remap a row.",
    74: "NVLink: fatal error detected on link 2",
    79: "GPU has fallen off the bus.",
    94: "Contained: SM (0x1). RST: No, D-RST: No",
    95: "Uncontained: LTC TAG (0x2,0x0). RST: Yes, D-RST: No",
    119: "Timeout after 6s of waiting for RPC response from GSP!",
}
APPLICATIONS: Final = frozenset({13, 31, 43, 45})


def reason(number: int) -> str:
    """Reason of the condition."""
    return f"NvidiaXID{number}"


def message(number: int) -> str:
    """The kernel's line."""
    return f"NVRM: Xid (PCI:{BUS}): {number}, {TEXTS.get(number, 'unknown error')}"
