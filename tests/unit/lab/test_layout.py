"""Where a lab's files are, and that labs side by side share nothing."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import pytest
from kaas_lab.layout import LABS, Layout, cache, default_state


def layouts() -> list[Layout]:
    return [Layout(Path("/state"), 12000 + 1000 * number) for number in range(LABS)]


def addresses(layout: Layout) -> set[str]:
    return {network(site) for network in (layout.floating_network, layout.machine_network) for site in (0, 1)}


def ports(layout: Layout) -> list[int]:
    first, last = layout.dev_ports
    management = [layout.management_port(offset) for offset in range(100)]
    sites = [layout.site_port(site, offset) for site in (0, 1) for offset in range(100)]
    return [*management, *sites, *range(first, last + 1)]


def test_no_two_labs_share_a_network() -> None:
    for one, other in combinations(layouts(), 2):
        assert not addresses(one) & addresses(other)


def test_the_default_one_is_the_first() -> None:
    assert Layout(Path("/state")).index == 0
    assert sorted(layout.index for layout in layouts()) == list(range(LABS))


def test_every_network_is_loopback() -> None:
    octets = [network.split(".") for layout in layouts() for network in addresses(layout)]
    assert all(first == "127" and 0 < int(second) < 256 for first, second in octets)


def test_ports_of_a_lab_are_distinct_and_inside_its_thousand() -> None:
    """Below what the kernel gives to outgoing connections."""
    for layout in layouts():
        taken = ports(layout)
        assert len(taken) == len(set(taken))
        assert layout.base_port <= min(taken)
        assert max(taken) < layout.base_port + 1000 <= 32768


def test_ranges_of_labs_do_not_overlap() -> None:
    for one, following in pairwise(layouts()):
        assert max(ports(one)) < min(ports(following))


@pytest.mark.parametrize("port", [0, 11000, 17001, 32000, -17000])
def test_wrong_base_ports_are_refused(port: int) -> None:
    with pytest.raises(ValueError, match="--base-port"):
        Layout(Path("/state"), port)


def test_directories_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAAS_LAB_STATE", "/s")
    monkeypatch.setenv("KAAS_LAB_CACHE", "/c")
    assert (default_state(), cache()) == (Path("/s"), Path("/c"))


def test_directories_follow_the_desktop_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAAS_LAB_STATE", "KAAS_LAB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/x/state")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x/cache")
    assert (default_state(), cache()) == (Path("/x/state/kaas/lab"), Path("/x/cache/kaas-lab"))


def test_directories_without_any_setting_are_below_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAAS_LAB_STATE", "KAAS_LAB_CACHE", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_state() == Path("/home/somebody/.local/state/kaas/lab")
    assert cache() == Path("/home/somebody/.cache/kaas-lab")
