"""Stories of updates in virtual time: what is done, what is not, and why, line by line in golden files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from kaas.api.rollout import ANNOTATION_ROLLOUT_RETRY
from tests.golden_files import check_text
from tests.unit.updates.simulation.invariants import leftovers
from tests.unit.updates.stories.plot import Plot, excluded, v
from tests.unit.updates.subjects import TUESDAYS

NEWER = (v("v1.36.1"), v("v1.36.2", "2027-01-04"))


def a_patch_in_its_window() -> Plot:
    """The window opens: control plane, then the pool, machine by machine, looked at after each."""
    plot = Plot()
    team = plot.cluster()
    plot.until("2027-01-06 12:00")
    assert team.machines.control_plane.oldest(plot.world.clock.time).patch == 2
    return plot


def the_window_closes_in_the_middle() -> Plot:
    """A window of 45 minutes: no machine is begun in its last minutes or after it; the rest goes in the next one."""
    plot = Plot()
    plot.cluster(pools={"cpu": 6}, minutes=45)
    plot.until("2027-01-13 12:00")
    return plot


def a_minor_after_the_patch() -> Plot:
    """Both are in the channel: the patch first, the minor a window later, one minor at a time."""
    plot = Plot(*NEWER, v("v1.37.0", "2027-01-04"), v("v1.38.0", "2027-01-04"))
    plot.cluster(updates={"kubernetes": "Minor"}, pools={"cpu": 1})
    plot.until("2027-01-20 12:00")
    return plot


def a_bad_image() -> Plot:
    """A new machine of a pool never joins: the update stops and holds the rest, until a person has mended it."""
    plot = Plot()
    team = plot.cluster(pools={"cpu": 2, "more": 1})
    plot.bad_image(team, "cpu")
    plot.at("2027-01-07 09:00", lambda: plot.good_image(team, "cpu"))
    plot.at("2027-01-12 22:00", lambda: plot.retry(team, "the image is mended"))
    plot.until("2027-01-14 12:00")
    return plot


def an_image_is_taken_back() -> Plot:
    """One of three machines has a newer image when the next never joins: what is made meanwhile has the old one."""
    plot = Plot(v("v1.36.1"), v("v1.36.1", "2027-01-04", image="ubuntu-v1.36.1-b"))
    team = plot.cluster(pools={"cpu": 3, "more": 1})
    plot.at("2027-01-05 22:10", lambda: plot.bad_image(team, "cpu"))
    plot.at("2027-01-07 09:00", lambda: plot.good_image(team, "cpu"))
    plot.at("2027-01-08 09:00", lambda: plot.lost(team, "cpu"))
    plot.at("2027-01-12 22:00", lambda: plot.retry(team, "the network is mended"))
    plot.until("2027-01-14 12:00")
    return plot


def a_step_is_not_well() -> Plot:
    """After the control plane the Cluster is not well: no pool begins; a person mends it, and the update goes on."""
    plot = Plot()
    team = plot.cluster(pools={"cpu": 1})
    plot.fails(team, "ControlPlane")
    plot.at("2027-01-12 22:30", lambda: plot.well(team, "ControlPlane"))
    plot.at("2027-01-12 22:40", lambda: plot.retry(team, "the webhook is gone"))
    plot.until("2027-01-13 12:00")
    return plot


def an_expired_version() -> Plot:
    """It is pinned, and what runs expires: announced 30, 7 and 1 days before, moved in the next window."""
    plot = Plot(v("v1.36.1", expires="2027-03-01"), NEWER[1])
    plot.cluster(asked="v1.36.1", pools={"cpu": 1})
    plot.until("2027-03-10 12:00")
    return plot


def killed_at_every_write() -> Plot:
    """The controller dies before and after everything that it writes: the update is the same, once."""
    plot = Plot()
    plot.cluster(pools={"cpu": 2})
    seen: set[str] = set()
    count = 0

    def dies(write: str) -> bool:
        nonlocal count
        count += 1
        name = f"{write}: {plot.world.writes}"
        dead = name not in seen
        seen.add(name)
        return dead

    plot.world.kills = dies
    plot.until("2027-01-06 12:00")
    assert plot.world.killed > 10
    return plot


def an_exclusion_over_new_year() -> Plot:
    """What is due waits until the exclusion ends, and the status says so."""
    plot = Plot(v("v1.36.1"), v("v1.36.2", "2027-01-05"))
    exclusion = excluded("2026-12-20", "2027-01-15", "New Year")
    plot.cluster(maintenance={"windows": [TUESDAYS], "exclusions": [exclusion]}, pools={"cpu": 1})
    plot.until("2027-01-20 12:00")
    return plot


def an_image_and_a_class_go_with_a_patch() -> Plot:
    """All three are due in the same window: machines are replaced once. A newer image alone comes later."""
    plot = Plot(*NEWER, v("v1.36.2", "2027-01-10", image="ubuntu-v1.36.2-b"))
    plot.cluster(updates={"channel": "Rapid"}, pools={"cpu": 1})
    plot.world.revise("class-2")
    plot.until("2027-01-20 12:00")
    return plot


def a_rollout_of_six_in_three_stages() -> Plot:
    """One of the last stage fails: the Rollout stops, a person mends the Cluster, retries, and it goes on."""
    plot = Plot(*NEWER)
    stages = {"canary": 1, "test": 2, "rest": 3}
    daily = {"windows": [{**TUESDAYS, "recurrence": "FREQ=DAILY"}]}
    names = [(stage, f"{stage}-{n}") for stage, many in stages.items() for n in range(1, many + 1)]
    members = {n: plot.cluster(n, labels={"stage": s}, maintenance=daily, pools={"cpu": 1}) for s, n in names}
    selected = [{"name": s, "selector": {"matchLabels": {"stage": s}}, "maxConcurrency": 1} for s in stages]
    selected[0] |= {"soakSeconds": 86400}
    plot.world.roll_out("v1-36-2", {"version": "v1.36.2", "stages": selected})
    failing = members["rest-2"]
    plot.fails(failing, "Pool/cpu")
    act = {"by": "ann", "at": "2027-01-09T09:05:00Z", "reason": "kube-proxy is mended"}
    told = json.dumps({"tenants/rest-2": act})
    plot.at("2027-01-09 09:00", lambda: plot.well(failing, "Pool/cpu"))
    plot.at("2027-01-09 09:01", lambda: plot.retry(failing, "kube-proxy is mended"))
    plot.at("2027-01-09 09:05", lambda: plot.world.tell_rollout("v1-36-2", ANNOTATION_ROLLOUT_RETRY, told))
    plot.until("2027-01-14 12:00")
    status = plot.world.waves.model("v1-36-2").status
    assert status is not None
    assert status.state == "Completed"
    return plot


def a_rollout_of_an_image_and_a_class() -> Plot:
    """Both are one replacement, of who is pinned too. One stops in its pool, which has its old image back meanwhile."""
    image = "ubuntu-v1.36.1-b"
    plot = Plot(v("v1.36.1"), v("v1.36.1", "2027-01-04", image=image))
    plot.world.revise("class-2")
    rapid: dict[str, Any] = {
        "updates": {"channel": "Rapid"},
        "maintenance": {"windows": [{**TUESDAYS, "recurrence": "FREQ=DAILY"}]},
    }
    asked = {"canary-1": "1.36", "rest-1": "v1.36.1", "rest-2": "1.36"}
    members = {
        n: plot.cluster(n, labels={"stage": n[:-2]}, asked=a, pools={"cpu": 2}, **rapid) for n, a in asked.items()
    }
    soaks = {"canary": 86400, "rest": 0}
    stages = [{"name": n, "selector": {"matchLabels": {"stage": n}}, "soakSeconds": s} for n, s in soaks.items()]
    plot.world.roll_out("cve-2027-1", {"image": image, "classRevision": "class-2", "stages": stages})
    bad = members["rest-2"]
    plot.at("2027-01-05 22:47", lambda: plot.bad_image(bad, "cpu"))
    plot.at("2027-01-07 09:00", lambda: plot.good_image(bad, "cpu"))
    plot.at("2027-01-07 09:01", lambda: plot.retry(bad, "the registry answers again"))
    told = json.dumps({"tenants/rest-2": {"by": "ann", "at": "2027-01-07T09:05:00Z"}})
    plot.at("2027-01-07 09:05", lambda: plot.world.tell_rollout("cve-2027-1", ANNOTATION_ROLLOUT_RETRY, told))
    plot.until("2027-01-12 12:00")
    status = plot.world.waves.model("cve-2027-1").status
    assert status is not None
    assert status.state == "Completed"
    made_of = {
        (m.made_of.image, m.made_of.revision) for c in members.values() for g in c.machines.groups() for m in g.machines
    }
    assert made_of == {(image, "class-2")}
    return plot


STORIES: dict[str, Callable[[], Plot]] = {
    s.__name__: s
    for s in (
        a_patch_in_its_window,
        the_window_closes_in_the_middle,
        a_minor_after_the_patch,
        a_bad_image,
        an_image_is_taken_back,
        a_step_is_not_well,
        an_expired_version,
        killed_at_every_write,
        an_exclusion_over_new_year,
        an_image_and_a_class_go_with_a_patch,
        a_rollout_of_six_in_three_stages,
        a_rollout_of_an_image_and_a_class,
    )
}


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str) -> None:
    story = STORIES[name]
    plot = story()
    told = [f"# {story.__doc__}", *(plot.of_fleet() if plot.world.waves.raw else plot.told())]
    for member in plot.world.members.values():
        assert not leftovers(member)
    check_text(f"updates/{name}.txt", "\n".join(told) + "\n")
