"""GPUs of a machine that are laid out: what its Node shows from boot to boot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kaas_lab.machines import gpus as played
from kaas_lab.machines import mig, migmanager
from kaas_lab.machines.faults import MigFault
from kaas_lab.machines.gpus import Gpus, Laid
from kaas_lab.machines.migmanager import MigManager
from kaas_lab.machines.nodeobject import GPU

from tests.unit.lab.machines.api_stub import Stub, serving, until

SMALL = "nvidia.com/mig-1g.5gb"
WELL = MigFault()


class Box:
    """A DGX whose time stands still between looks. It boots when it is made, and with `boot`."""

    def __init__(self, **labels: str) -> None:
        self.labels: dict[str, str] = {f"nvidia.com/mig.{k}": v for k, v in labels.items()}
        self.fault = WELL
        self.said: list[str] = []
        self.reboots = 0
        self._now, self._boots = 0.0, 0
        self.gpus = self._taken_up(Laid())

    def _taken_up(self, laid: Laid) -> Gpus:
        return Gpus(8, f"boot-{self._boots}", laid, lambda: self._now)

    def boot(self) -> None:
        self._boots += 1
        self.take_up()

    def take_up(self) -> None:
        """Another agent looks after it; it runs on."""
        self.gpus = self._taken_up(self.gpus.laid)

    def after(self, seconds: float) -> Box:
        """Look every half second meanwhile."""
        for _ in range(int(seconds * 2) + 1):
            step = self.gpus.look(self.labels, self.fault)
            self.labels |= {k: v for k, v in step.labels.items() if v is not None}
            self.labels = {k: v for k, v in self.labels.items() if step.labels.get(k, "") is not None}
            self.said += [step.said] if step.said else []
            self.reboots += step.reboots
            self._now += 0.5
        self._now -= 0.5
        return self

    @property
    def state(self) -> str | None:
        return self.labels.get(mig.STATE)

    @property
    def devices(self) -> dict[str, tuple[int, int]]:
        return dict(self.gpus.devices() or {})


def test_without_a_layout_gpus_are_whole_at_once() -> None:
    box = Box().after(0)
    assert (box.devices, box.state) == ({GPU: (8, 8)}, None)
    assert box.labels["nvidia.com/gpu.product"] == mig.MODEL
    assert box.after(60).devices == {GPU: (8, 8)}


def test_nothing_is_known_before_the_first_look() -> None:
    assert Box().gpus.devices() is None


@pytest.mark.parametrize("strategy", ["mixed", "single"])
def test_slices_come_late(strategy: str) -> None:
    box = Box(config="all-1g.5gb", strategy=strategy)
    assert box.after(0).devices == {GPU: (8, 8)}
    assert box.after(played.NOTICE_SECONDS).state == "pending"
    assert box.devices == {GPU: (8, 0)}
    assert box.after(played.LAYOUT_SECONDS).state == "success"
    assert box.devices == {GPU: (8, 0)}, "the device plugin is not back yet"
    box.after(played.PLUGIN_SECONDS)
    if strategy == "single":
        assert box.devices == {GPU: (56, 56)}
        assert box.labels["nvidia.com/gpu.product"] == f"{mig.MODEL}-MIG-1g.5gb"
        return
    assert box.devices == {GPU: (8, 0), SMALL: (56, 56)}
    assert box.labels[f"{SMALL}.count"] == "56"
    assert box.after(played.GRACE_SECONDS).devices == {GPU: (0, 0), SMALL: (56, 56)}


def laid_out(strategy: str = "mixed") -> Box:
    box = Box(config="all-1g.5gb", strategy=strategy).after(played.GRACE_SECONDS)
    assert box.state == "success"
    return box


def test_slices_do_not_outlive_a_boot_though_the_label_does() -> None:
    box = laid_out()
    box.boot()
    box.after(0)
    assert (box.state, box.devices) == ("success", {})
    assert box.after(played.NOTICE_SECONDS).state == "pending"
    assert box.after(played.LAYOUT_SECONDS + played.PLUGIN_SECONDS).devices == {SMALL: (56, 56)}
    assert box.state == "success"


def test_they_outlive_the_agent() -> None:
    box = laid_out()
    box.take_up()
    assert box.after(0).devices == {SMALL: (56, 56)}
    assert len(box.said) == 2


def test_a_layout_that_fails_leaves_gpus_as_they_were_until_it_is_asked_for_anew() -> None:
    box = Box(config="all-1g.5gb")
    box.fault = MigFault("fails")
    assert box.after(30).state == "failed"
    assert box.devices == {GPU: (8, 8)}
    assert "cannot lay out the GPUs as all-1g.5gb" in box.said[-1]
    box.fault = WELL
    assert box.after(600).state == "failed"
    box.boot()
    assert box.after(30).state == "success"
    assert box.devices == {GPU: (56, 56)}


def test_nobody_knows_the_layout() -> None:
    box = Box(config="all-9g.90gb").after(30)
    assert box.state == "failed"
    assert "there is no such layout" in box.said[-1]
    box.labels[mig.CONFIG] = "all-disabled"
    assert box.after(30).state == "success"


def test_a_layout_that_hangs_stays_pending_until_it_is_healed() -> None:
    box = Box(config="all-1g.5gb")
    box.fault = MigFault("hangs")
    assert box.after(3600).state == "pending"
    assert box.devices == {GPU: (0, 0)}
    box.fault = WELL
    assert box.after(3).devices == {GPU: (56, 56)}


def test_it_takes_as_long_as_is_said() -> None:
    box = Box(config="all-1g.5gb")
    box.fault = MigFault("slow", 100)
    assert box.after(101).state == "pending"
    assert box.after(2).state == "success"


def test_the_mode_may_need_a_reboot_slices_do_not() -> None:
    box = Box(config="all-1g.5gb")
    box.fault = MigFault("reboots")
    box.after(played.NOTICE_SECONDS + played.LAYOUT_SECONDS)
    assert (box.state, box.reboots) == ("rebooting", 1)
    box.boot()
    assert box.after(played.NOTICE_SECONDS).state == "rebooting"
    assert box.after(30).state == "success"
    box.labels[mig.CONFIG] = "all-2g.10gb"
    assert box.after(30).devices == {GPU: (24, 24)}
    assert box.reboots == 1


def test_another_layout_takes_labels_of_slices_away() -> None:
    box = laid_out()
    box.labels[mig.CONFIG] = "all-balanced"
    box.after(30)
    assert {k: both[1] for k, both in box.devices.items() if both[1]} == {
        SMALL: 16,
        "nvidia.com/mig-2g.10gb": 8,
        "nvidia.com/mig-3g.20gb": 8,
    }
    box.labels[mig.CONFIG] = "all-disabled"
    box.after(30)
    assert not [k for k in box.labels if k.startswith("nvidia.com/mig-")]
    assert box.devices[GPU] == (8, 8)


@pytest.mark.parametrize("layout", mig.LAYOUTS)
def test_no_layout_is_more_than_a_gpu(layout: str) -> None:
    """Compute slices are seven. Source: NVIDIA MIG user guide."""
    slices = mig.LAYOUTS[layout] or {}
    assert sum(int(profile[0]) * number for profile, number in slices.items()) <= 7
    assert slices.keys() <= mig.MEMORY.keys()


def test_the_strategies() -> None:
    balanced = mig.LAYOUTS["all-balanced"]
    assert mig.offered(balanced, "single", 8) == {}
    assert mig.labels(balanced, "single", 8)["nvidia.com/gpu.product"].endswith("-MIG-INVALID")
    assert mig.offered(balanced, "none", 8) == {GPU: 8}
    assert mig.offered(mig.LAYOUTS["all-1g.5gb.me"], "mixed", 8) == {"nvidia.com/mig-1g.5gb.me": 8}


# --- the manager on a Node -----------------------------------------------------------------------------------------

NODE = "/api/v1/nodes/a"


async def managed(
    stub: Stub, path: Path, fault: MigFault, clock: Callable[[], float], check: Callable[[], object]
) -> Gpus:
    """Have a manager run until the check holds, or it has ended."""
    gpus = Gpus(8, "boot-1", migmanager.kept(path), clock)
    async with serving(stub) as api:
        manager = MigManager(api, "a", gpus, path, lambda: fault, lambda _: None)
        task = asyncio.create_task(manager.run())
        await until(lambda: task.done() or check())
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return gpus


def _quick() -> Callable[[], float]:
    """Time that goes on by five seconds whenever somebody asks for it."""
    now = [0.0]

    def clock() -> float:
        now[0] += 5
        return now[0]

    return clock


async def test_the_manager_writes_labels_and_remembers_what_it_did(tmp_path: Path) -> None:
    stub = Stub()
    labels: dict[str, Any] = {mig.CONFIG: "all-1g.5gb"}
    stub.objects[NODE] = {"metadata": {"name": "a", "labels": labels}}
    path = tmp_path / "mig" / "layout.json"
    await managed(stub, path, WELL, _quick(), lambda: labels.get(mig.STATE) == "success")
    assert migmanager.kept(path) == Laid("all-1g.5gb", "boot-1")
    again = await managed(stub, path, WELL, _quick(), lambda: len(stub.calls) > 20)
    assert again.devices() == {GPU: (56, 56)}


async def test_the_manager_ends_when_the_machine_is_to_boot_again(tmp_path: Path) -> None:
    stub = Stub()
    stub.refuse["PATCH", NODE] = (500, "etcd has no leader")
    labels: dict[str, Any] = {mig.CONFIG: "all-1g.5gb"}
    stub.objects[NODE] = {"metadata": {"name": "a", "labels": labels}}
    task = asyncio.create_task(managed(stub, tmp_path / "x", MigFault("reboots"), _quick(), lambda: False))
    await until(lambda: stub.calls)
    stub.refuse.clear()
    await task
    assert labels[mig.STATE] == "rebooting"
