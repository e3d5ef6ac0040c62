"""The GPUs of a machine while it runs: MIG manager lays them out as the Node's label says, the device plugin follows.

A layout comes late, as for real: a new machine first offers its GPUs whole, nothing while it is being laid out, and its
slices a moment after MIG manager has said `success`. Slices do not outlive a boot, though the label does. No input or
output here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from . import mig
from .faults import MigFault
from .nodeobject import Devices

NOTICE_SECONDS: Final = 2.0
"""From the Node's registration, or a change of its label, until MIG manager begins."""
LAYOUT_SECONDS: Final = 4.0
"""How long it works where no fault says otherwise. A DGX takes a minute or so."""
PLUGIN_SECONDS: Final = 2.0
"""From MIG manager's end until the device plugin, which it starts again, has registered."""
GRACE_SECONDS: Final = 300.0
"""How long a kubelet counts the devices of a plugin that has stopped, as none that can be had. Source: Kubernetes,
pkg/kubelet/cm/devicemanager, endpointStopGracePeriod."""
PENDING, REBOOTING, SUCCESS, FAILED = "pending", "rebooting", "success", "failed"


@dataclass(frozen=True)
class Laid:
    """What is kept on the machine's disk.

    layout: what its GPUs are made into, "" for a machine with an empty disk. boot: in which boot that was. failed: the
    layout that could not be made in it.
    """

    layout: str = ""
    boot: str = ""
    failed: str = ""


@dataclass(frozen=True)
class Step:
    """What came of a look. labels: those of the Node to change; None takes one away. said: for the console."""

    labels: Mapping[str, str | None]
    said: str = ""
    reboots: bool = False


class Gpus:
    """One machine's. count: GPUs. boot: id of this boot. kept: what was on the disk.

    clock: seconds since some moment, never going back.
    """

    def __init__(self, count: int, boot: str, kept: Laid, clock: Callable[[], float]) -> None:
        self.laid = kept
        self._count, self._boot, self._clock = count, boot, clock
        self._begins = math.inf
        self._ends = math.inf
        self._back = -math.inf
        self._told: str | None = None
        self._strategy = mig.SINGLE
        self._offer: dict[str, int] = {}
        self._stopped: dict[str, tuple[int, float]] = {}

    def look(self, labels: Mapping[str, Any], fault: MigFault) -> Step:
        """Go on, given the Node's labels and what is wrong with MIG on this machine."""
        wanted = str(labels.get(mig.CONFIG) or "")
        if wanted != self._told:
            self._told, self._begins, self._ends = wanted, self._clock() + NOTICE_SECONDS, math.inf
        self._strategy = str(labels.get(mig.STRATEGY) or mig.SINGLE)
        step = self._manage(wanted, str(labels.get(mig.STATE) or ""), fault)
        self._plug_in()
        return replace(step, labels={**self._discovered(labels), **step.labels})

    def devices(self) -> Devices | None:
        """By resource: how many the kubelet counts, and how many can be had. None before the first look."""
        if self._begins == math.inf:
            return None
        now = self._clock()
        gone = {name: (n if now - at < GRACE_SECONDS else 0, 0) for name, (n, at) in self._stopped.items()}
        return gone | {name: (n, n) for name, n in self._offer.items()}

    # -- MIG manager -----------------------------------------------------------------------------------------------

    def _manage(self, wanted: str, state: str, fault: MigFault) -> Step:
        if wanted and self._is_settled(wanted):
            return _state(state, FAILED if self.laid.failed else SUCCESS)
        if not wanted or self._clock() < self._begins:
            return Step({})
        if self._layout() == wanted:  # it is asked for what is there already
            self.laid = Laid(wanted, self._boot)
            return _state(state, SUCCESS)
        if self._ends == math.inf:
            return self._begin(wanted, state, fault)
        if fault.mode == "hangs" or self._clock() < self._ends:
            return _working(state)
        return self._finish(wanted, fault)

    def _begin(self, wanted: str, state: str, fault: MigFault) -> Step:
        self._ends = self._clock() + (LAYOUT_SECONDS if fault.seconds is None else fault.seconds)
        self._stopped |= {name: (n, self._clock()) for name, n in self._offer.items()}
        self._offer = {}
        return replace(_working(state), said=f"mig-manager: lays out the GPUs as {wanted}")

    def _finish(self, wanted: str, fault: MigFault) -> Step:
        if fault.mode == "fails" or wanted not in mig.LAYOUTS:
            why = "the GPUs are in use" if wanted in mig.LAYOUTS else "there is no such layout"
            self._end(self._layout(), failed=wanted)
            return Step({mig.STATE: FAILED}, f"mig-manager: cannot lay out the GPUs as {wanted}: {why}")
        if fault.mode == "reboots" and _has_slices(wanted) != _has_slices(self._layout()):
            self.laid = Laid("all-enabled" if _has_slices(wanted) else "all-disabled")
            return Step({mig.STATE: REBOOTING}, "mig-manager: the mode of the GPUs changes with a reboot", reboots=True)
        self._end(wanted)
        return Step({mig.STATE: SUCCESS}, f"mig-manager: the GPUs are laid out as {wanted}")

    def _end(self, layout: str, failed: str = "") -> None:
        """Have the device plugin started again."""
        self.laid = Laid(layout, self._boot, failed)
        self._back, self._ends = self._clock() + PLUGIN_SECONDS, math.inf

    def _is_settled(self, wanted: str) -> bool:
        return self.laid.boot == self._boot and wanted == (self.laid.failed or self.laid.layout)

    def _layout(self) -> str:
        """What the GPUs are now: the mode of MIG outlives a boot, its slices do not."""
        kept = self.laid.layout or "all-disabled"
        return kept if self.laid.boot == self._boot or not _has_slices(kept) else "all-enabled"

    # -- the device plugin and GPU feature discovery ---------------------------------------------------------------

    def _plug_in(self) -> None:
        """Offer what there is, unless MIG manager has stopped it."""
        if self._ends != math.inf or self._clock() < self._back:
            return
        found = mig.offered(mig.LAYOUTS[self._layout()], self._strategy, self._count)
        self._stopped |= {name: (n, self._clock()) for name, n in self._offer.items() if name not in found}
        self._offer = {name: n for name, n in found.items() if n}
        self._stopped = {name: n for name, n in self._stopped.items() if name not in self._offer}

    def _discovered(self, labels: Mapping[str, Any]) -> dict[str, str | None]:
        """Labels that differ from what there is, when there is anything; those of other slices go."""
        if not self._offer:
            return {}
        found = mig.labels(mig.LAYOUTS[self._layout()], self._strategy, self._count)
        stale: dict[str, str | None] = {k: None for k in labels if k.startswith(mig.SLICE) and k not in found}
        return stale | {k: v for k, v in found.items() if labels.get(k) != v}


def _has_slices(layout: str) -> bool:
    """Whether GPUs are in the mode of MIG for it."""
    return mig.LAYOUTS[layout] is not None


def _state(told: str, state: str) -> Step:
    """Have the Node say so, unless it does."""
    return Step({mig.STATE: state} if told != state else {})


def _working(told: str) -> Step:
    return Step({}) if told == REBOOTING else _state(told, PENDING)
