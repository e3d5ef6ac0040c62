"""Watching until something is reached, and the lines on the way."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console

from kaas.cli import progress
from kaas.cli.apply import are_ready, interrupted, not_ready
from kaas.cli.delete import are_gone, question, still_there
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.progress import Lines, Screen, changes, display, facts, follow
from kaas.cli.session import Session
from kaas.cli.view import ClusterView, view
from kaas.clusters.snapshot import Live, Object
from kaas.kube.errors import Unavailable
from kaas.kube.objects import Ref
from kaas.kube.resources import Resource
from kaas.runtime.clock import FakeClock
from tests.unit.cli.test_view import status, worker
from tests.unit.clusters.builders import NAME, NAMESPACE, cluster, condition, raw_cluster, raw_site, snapshot

KEY = (NAMESPACE, NAME)


@dataclass
class ApiServer:
    """Answers each look with the next of the Clusters; an exception stands for no answer, None for a deleted one."""

    clusters: list[Object | Exception | None]
    looks: int = field(default=0)

    async def get(self, ref: Ref) -> Object | None:
        if ref.api_version.startswith("cluster.x-k8s.io"):
            return None
        found = self.clusters[min(self.looks, len(self.clusters) - 1)]
        self.looks += 1
        if isinstance(found, Exception):
            raise found
        return found

    async def list(self, resource: Resource, *_: Any) -> list[Object]:
        return [raw_site()] if resource.kind == "Site" else []


class Recorder:
    def __init__(self) -> None:
        self.phases: list[str | None] = []

    def show(self, views: progress.Views, elapsed: float) -> None:
        self.phases += [v.phase if v else None for v in views.values()]


async def watched(clusters: list[Any], reached: Any, limit: float = 60.0) -> tuple[bool, list[str | None]]:
    clock, recorder = FakeClock(), Recorder()
    client: Any = ApiServer(clusters)
    task = asyncio.create_task(follow(Session(client, NAMESPACE), [KEY], reached, recorder, clock, limit))
    while not task.done():
        await clock.advance(1.0)
    return await task, recorder.phases


def seen(phase: str = "Ready", generation: int = 1, *conditions: Object, **more: Any) -> ClusterView:
    found = cluster(metadata={"generation": generation}, status=status(phase, *conditions))
    return view(snapshot(found, **more))


async def test_until_ready_in_the_generation_that_is_there() -> None:
    stale = raw_cluster(metadata={"generation": 2}, status=status("Ready"))
    updating = raw_cluster(status=status("Updating", condition("Ready", "False")))
    found, phases = await watched([stale, updating, raw_cluster(status=status("Ready"))], are_ready)
    assert found
    assert phases == ["Ready", "Updating", "Ready"]


async def test_time_runs_out() -> None:
    found, phases = await watched([raw_cluster()], are_ready, limit=4.0)
    assert not found
    assert set(phases) == {"Pending"}


async def test_an_api_server_that_is_away_is_waited_for() -> None:
    found, phases = await watched([Unavailable("get x", "away"), raw_cluster(status=status("Ready"))], are_ready)
    assert found
    assert phases[-1] == "Ready"


async def test_an_api_server_that_stays_away() -> None:
    with pytest.raises(CliError, match="away"):
        await watched([Unavailable("get x", "away")], are_ready, limit=4.0)


async def test_until_gone() -> None:
    found, phases = await watched([raw_cluster(status=status("Deleting")), None], are_gone)
    assert found
    assert phases == ["Deleting", None]


async def test_deleted_while_waited_for() -> None:
    with pytest.raises(CliError, match=f"Cluster {NAMESPACE}/{NAME} was deleted meanwhile") as error:
        await watched([None], are_ready)
    assert error.value.code is ExitCode.NOT_FOUND


def test_lines_say_what_changed() -> None:
    live = Live(machines=[worker("cpu-1", "cpu", condition("Ready"), status={"phase": "Running"})])
    before = facts(seen("Provisioning", 1, condition("Ready", "False", "Waiting", "no machines")))
    now = facts(seen("Ready", live=live))
    assert changes({}, before) == ["Cluster: Provisioning - no machines"]
    assert changes(before, now) == ["Cluster: Ready", "cpu cpu-1: Running, ready"]
    assert changes(now, before) == ["Cluster: Provisioning - no machines", "cpu cpu-1: gone"]
    assert changes(now, now) == []
    assert changes(now, facts(None)) == ["Cluster: gone"]


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def test_a_pipe_gets_lines(out: io.StringIO) -> None:
    with display(Console(file=out, width=200), "waiting") as found:
        assert isinstance(found, Lines)
        found.show({KEY: seen()}, 3.0)
        found.show({KEY: seen()}, 4.0)
    assert out.getvalue() == f"    3 s  {NAMESPACE}/{NAME}  Cluster: Ready\n"


def test_a_terminal_gets_trees(out: io.StringIO) -> None:
    with display(Console(file=out, width=100, force_terminal=True, no_color=True), "waiting") as found:
        assert isinstance(found, Screen)
        found.show({KEY: seen(), ("x", "gone"): None}, 3.0)
    assert "waiting  3 s" in out.getvalue()
    assert f"{NAMESPACE}/{NAME}" in out.getvalue()


def test_messages_when_time_ran_out() -> None:
    why = condition("Ready", "False", "Waiting", "no valid host")
    views = {KEY: seen("Provisioning", 1, why), ("x", "well"): seen()}
    text = not_ready(views, 90.0)
    assert "not Ready after 90 s" in text
    assert f"Cluster {NAMESPACE}/{NAME}: Provisioning: no valid host" in text
    assert "x/well" not in text
    assert "no valid host" in still_there(views, 90.0)


def test_interrupted_says_what_stays() -> None:
    assert interrupted([]) == "interrupted; nothing is applied"
    assert f"Cluster.kaas.internal {NAMESPACE}/{NAME}" in interrupted([raw_cluster()])


def test_the_question_names_every_cluster() -> None:
    assert question([KEY, ("x", "y")]) == f"Delete {NAMESPACE}/{NAME}, x/y with all servers, volumes and data?"
