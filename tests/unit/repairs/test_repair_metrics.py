"""Figures of a whole repair."""

from __future__ import annotations

from tests.unit.repairs.fake_fleet import Fleet


async def test_a_repair_in_figures() -> None:
    fleet = Fleet()
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(1200)
    assert fleet.metrics_of("kaas_repairs_total") == 1
    assert fleet.metrics_of("kaas_repair_steps_total") == 2
    assert fleet.metrics_of("kaas_repair_time_to_detect_seconds_count") == 1
    assert fleet.metrics_of("kaas_repair_time_to_repair_seconds_count") == 1
    assert fleet.metrics_of("kaas_repair_nodes") == 0


async def test_what_is_held_back_is_counted() -> None:
    fleet = Fleet()
    fleet.annotate(fleet.cluster(), repair_paused="moving")
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(900)
    assert fleet.metrics_of("kaas_repair_held") == 1
    assert fleet.metrics_of("kaas_repair_nodes") == 1
