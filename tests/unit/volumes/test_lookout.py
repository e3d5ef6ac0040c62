"""What is told of a load by its loaders' logs, as time passes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kaas.kube.objects import Object, Objects
from kaas.kube.resources import Resource
from kaas.loader.meter import Meter
from kaas.loader.report import Exit, Phase, Progress, Reason, Result
from kaas.volumes.attempts import Attempt, Job, attempt_of
from kaas.volumes.claim import Claim
from kaas.volumes.lookout import Lookout
from kaas.volumes.plan import Binding, Scene, plan
from kaas.volumes.pods import lean
from tests.unit.volumes.builders import NOW, attempt, claim, job

GIB = 1 << 30


class Logs:
    """An API server that has logs, and counts who reads them."""

    def __init__(self, **lines: Progress | str) -> None:
        self.lines: dict[str, Progress | str] = lines
        self.asked: list[str] = []

    async def text(self, path: str, *, silence: float) -> Any:
        pod = path.split("/pods/")[1].partition("/")[0]
        self.asked.append(pod)
        line = self.lines.get(pod, "")
        return _Text(line.line() if isinstance(line, Progress) else line)

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        *,
        field_selector: str | None = None,
    ) -> Objects:
        return []


class _Text:
    def __init__(self, text: str) -> None:
        self.content, self._text = self, text

    async def read(self, limit: int) -> bytes:
        return self._text.encode()

    async def __aenter__(self) -> _Text:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Watcher:
    """Looks at one claim again and again."""

    def __init__(self, logs: Logs, found: Claim | None = None) -> None:
        self.logs, self.claim = logs, found or claim()
        self.lookout = Lookout(logs)
        load = self.claim.load
        assert load is not None
        self.mark = load.mark

    async def told(self, seconds: float, *attempts: Attempt, **more: Any) -> tuple[str, str]:
        """What is told so many seconds after the beginning."""
        running: Job = job(self.mark, *attempts, **more)
        now = NOW + timedelta(seconds=seconds)
        scene = await self.lookout.look(Scene(self.claim, Binding.IMMEDIATE, False, [running], now))
        found = plan(scene).told
        assert found is not None
        return str(found.reason), found.message


def part(done: int, total: int | None, **more: Any) -> Progress:
    """So many GiB, each a file."""
    size = None if total is None else total * GIB
    usual: dict[str, Any] = {"rate": float(GIB), "remaining": None, "still": 0.1}
    return Progress(Phase.LOADING, done * GIB, done, size, total, **{**usual, **more})


def older(progress: Progress) -> str:
    """The line of a loader that does not say yet for how long nothing has gone on."""
    found = json.loads(progress.line())
    del found["progress"]["still"], found["progress"]["listed"]
    return json.dumps(found)


RUNS = attempt(name="p", began=NOW, node="n1")


async def test_a_long_listing_is_told_and_is_no_stall() -> None:
    watcher = Watcher(Logs(p=""))
    for minute in range(6):
        watcher.logs.lines["p"] = Progress(Phase.LISTING, listed=200_000 * minute, still=0.2 * minute)
        reason, message = await watcher.told(60 * minute, RUNS)
        assert reason == "Listing"
        assert message == (f"{200_000 * minute} objects listed so far" if minute else "the source is being listed")


@pytest.mark.parametrize("phase", list(Phase))
async def test_work_without_a_byte_is_no_stall_and_no_silence(phase: Phase) -> None:
    """A large file that is read back, or compared; directories that are made; a volume that is looked through."""
    meter = Meter(0.0, 0.0, phase, bytes_total=GIB, files_total=1, listed=1)
    watcher = Watcher(Logs())
    for second in range(10, 400, 10):
        meter.moved = second - 0.004
        watcher.logs.lines["p"] = meter.progress(float(second))
        reason, message = await watcher.told(second, RUNS)
        assert reason == str(phase)
        assert "nothing is heard" not in message


async def test_a_stall_is_what_the_loader_takes_for_one() -> None:
    watcher = Watcher(Logs())
    for second in range(0, 119, 7):
        watcher.logs.lines["p"] = part(43, 100, still=float(second) + 1)
        assert (await watcher.told(second, RUNS))[0] == "Loading"
    watcher.logs.lines["p"] = part(43, 100, still=121.3)
    reason, message = await watcher.told(120, RUNS)
    assert reason == "Stalled"
    assert message.endswith("nothing has come since 2026-01-01T12:00:00Z, it begins again by itself")
    watcher.logs.lines["p"] = part(43, 100, still=129.2)
    assert (await watcher.told(127, RUNS))[1] == message, "it is the same however old the line is"
    watcher.logs.lines["p"] = part(44, 100, still=0.1)
    assert (await watcher.told(134, RUNS))[0] == "Loading"


async def test_older_loaders_are_judged_by_what_they_count() -> None:
    watcher = Watcher(Logs(p=older(part(43, 100))))
    assert [(await watcher.told(s, RUNS))[0] for s in (0, 60, 119, 130)] == ["Loading", "Loading", "Loading", "Stalled"]
    watcher.logs.lines["p"] = older(part(44, 100))
    assert (await watcher.told(140, RUNS))[0] == "Loading"


async def test_another_attempt_has_time_of_its_own() -> None:
    watcher = Watcher(Logs(p=older(Progress(Phase.LISTING)), q=older(Progress(Phase.LISTING))))
    await watcher.told(0, RUNS)
    assert (await watcher.told(130, RUNS))[0] == "Stalled"
    ended = replace(RUNS, exit=75, ended=NOW)
    assert (await watcher.told(132, ended, replace(RUNS, name="q"), failures=1))[0] == "Listing"


async def test_a_node_that_does_not_answer_is_no_stall_and_nothing_is_promised() -> None:
    watcher = Watcher(Logs(p=part(43, 100)))
    await watcher.told(0, RUNS)
    watcher.logs.lines["p"] = ""
    assert (await watcher.told(100, RUNS))[0] == "Loading"
    reason, message = await watcher.told(130, RUNS)
    assert reason == "Loading"
    assert message.startswith("nothing is heard of its loader on node n1 since 2026-01-01T12:00:00Z; the last: 43.0%")
    assert "by itself" not in message
    watcher.logs.lines["p"] = part(60, 100)
    assert (await watcher.told(140, RUNS))[1].startswith("60.0%")


async def test_a_loader_that_hangs_says_nothing_new() -> None:
    watcher = Watcher(Logs(p=part(43, 100)))
    told = [await watcher.told(s, RUNS) for s in (0, 60, 130)]
    assert [message.startswith("nothing is heard of its loader") for _, message in told] == [False, False, True]


def pod_of_a_lost_node(**meta: Any) -> Object:
    """As it is when its node has not answered for more than five minutes. Source: Kubernetes, node lifecycle."""
    evicted = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    running = {"name": "loader", "state": {"running": {"startedAt": "2026-01-01T12:00:00Z"}}}
    found = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "creationTimestamp": "2026-01-01T12:00:00Z", **meta},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "conditions": [evicted], "containerStatuses": [running]},
    }
    return lean(found)


async def test_a_pod_that_its_node_does_not_end_is_told_with_the_way_out() -> None:
    lost = attempt_of(pod_of_a_lost_node(deletionTimestamp="2026-01-01T12:06:10Z"))
    watcher = Watcher(Logs(p=part(43, 100)))
    await watcher.told(0, lost)
    watcher.logs.lines["p"] = ""
    assert (await watcher.told(400, lost))[0] == "Loading", "a kubelet may take its time"
    reason, message = await watcher.told(5 * 3600, lost)
    assert reason == "Stalled"
    assert "node n1 has not ended the loader's Pod, as it was to by 2026-01-01T12:06:10Z" in message
    assert "when its Node object is deleted or tainted node.kubernetes.io/out-of-service" in message
    assert message.endswith("it is given up at 2026-01-02T12:00:00Z")
    assert "by itself" not in message


async def test_one_of_several_pods_on_a_lost_node() -> None:
    lost = attempt_of(pod_of_a_lost_node(deletionTimestamp="2026-01-01T12:06:10Z"))
    watcher = Watcher(Logs(p=part(10, 100), q=part(30, 100)))
    other = replace(RUNS, name="q", index=1, node="n2")
    await watcher.told(0, lost, other, pods=2)
    watcher.logs.lines |= {"p": "", "q": part(40, 100)}
    reason, message = await watcher.told(600, lost, other, pods=2)
    assert (reason, message[:12]) == ("Loading", "node n1 has ")
    assert "; 25.0% 50.0/200.0GiB 50/200 files" in message


@pytest.mark.parametrize("begun", [True, False])
def test_a_load_that_is_no_longer_asked_for_waits_for_the_node(begun: bool) -> None:
    lost = attempt_of(pod_of_a_lost_node(deletionTimestamp="2026-01-01T12:06:10Z"))
    asked = claim()
    assert asked.load is not None
    found = job(asked.load.mark if begun else "other/load", lost, deleting=True)
    planned = plan(Scene(asked, Binding.IMMEDIATE, False, [found], NOW + timedelta(hours=5)))
    assert planned.told is not None
    assert "node n1 has not ended the loader's Pod" in planned.told.message
    assert planned.again == 30


# -- several Pods -----------------------------------------------------------------------------------------------------


def shard(index: int, **more: Any) -> Attempt:
    return attempt(**{"name": f"s{index}", "index": index, "began": NOW, **more})


DONE: dict[str, Any] = {"exit": Exit.DONE, "ended": NOW, "result": Result(Reason.LOADED, "", 100 * GIB, 100)}


async def test_a_part_that_is_done_counts_whole() -> None:
    watcher = Watcher(Logs(s0=part(90, 100, remaining=10.0), s1=part(10, 100, remaining=90.0)))
    told = await watcher.told(0, shard(0), shard(1), pods=2)
    assert told == ("Loading", "50.0% 100.0/200.0GiB 100/200 files 2.0GiB/s ETA 1m30s")
    watcher.logs.lines["s1"] = part(20, 100, remaining=80.0)
    told = await watcher.told(10, shard(0, **DONE), shard(1), pods=2)
    assert told == ("Loading", "60.0% 120.0/200.0GiB 120/200 files 1.0GiB/s ETA 1m20s")


async def test_a_part_that_is_tried_again_counts_as_it_was() -> None:
    """Neither per cent go back, nor is the time told that the others alone need, nor tries of all parts summed up."""
    watcher = Watcher(Logs(s0=part(90, 100, remaining=10.0), s1=part(10, 100, remaining=90.0)))
    await watcher.told(0, shard(0), shard(1), pods=2)
    failed = shard(0, exit=75, ended=NOW, result=Result(Reason.UNREACHABLE, "503"))
    told = await watcher.told(10, failed, shard(1), pods=2, failures=8)
    assert told == ("Loading", "50.0% 100.0/200.0GiB 100/200 files 1.0GiB/s")
    again = shard(0, name="s0-again", created=NOW + timedelta(seconds=15))
    watcher.logs.lines["s0-again"] = Progress(Phase.LISTING, listed=100, still=0.0)
    told = await watcher.told(20, failed, shard(1), again, pods=2, failures=8)
    assert told == ("Loading", "50.0% 100.0/200.0GiB 100/200 files 1.0GiB/s")
    watcher.logs.lines["s0-again"] = part(91, 100, remaining=9.0)
    told = await watcher.told(30, failed, shard(1), again, pods=2, failures=8)
    assert told == ("Loading", "50.5% 101.0/200.0GiB 101/200 files 2.0GiB/s ETA 1m30s")


async def test_a_new_controller_reads_what_parts_that_ended_said() -> None:
    watcher = Watcher(Logs(s0=part(100, 100), s1=part(10, 100)))
    for second in (0, 10, 20):
        told = await watcher.told(second, shard(0, **DONE), shard(1), pods=2)
        assert told == ("Loading", "55.0% 110.0/200.0GiB 110/200 files 1.0GiB/s")
    assert watcher.logs.asked.count("s0") == 1


async def test_what_nobody_knows_is_told_as_that() -> None:
    """No per cent of some parts are told as those of all, and a log that cannot be read is not asked for for ever."""
    watcher = Watcher(Logs(s1=part(10, 100)))
    for second in range(0, 100, 10):
        told = await watcher.told(second, shard(0, **DONE), shard(1), shard(2, began=None), pods=3)
        assert told == ("Loading", "10 files and 10.0GiB so far, of 1 of its 3 Pods")
    assert watcher.logs.asked.count("s0") == 3


async def test_a_part_that_was_done_by_another_attempt_is_not_taken_for_what_the_first_said() -> None:
    watcher = Watcher(Logs(s0=part(90, 100), s1=part(10, 100)))
    await watcher.told(0, shard(0), shard(1), pods=2)
    failed = shard(0, exit=75, ended=NOW)
    again = shard(0, name="s0-again", created=NOW + timedelta(seconds=5), **DONE)
    told = await watcher.told(10, failed, again, shard(1), pods=2)
    assert told == ("Loading", "10 files and 10.0GiB so far, of 1 of its 2 Pods")
    watcher.logs.lines["s0-again"] = part(95, 95)
    told = await watcher.told(20, failed, again, shard(1), pods=2)
    assert told == ("Loading", "53.8% 105.0/195.0GiB 105/195 files 1.0GiB/s")


async def test_another_job_begins_with_nothing_known() -> None:
    watcher = Watcher(Logs(s0=part(90, 100), s1=part(10, 100)))
    await watcher.told(0, shard(0), shard(1), pods=2)
    watcher.logs.lines = {"t1": part(1, 50)}
    told = await watcher.told(10, shard(1, name="t1"), pods=2, uid="j2")
    assert told == ("Loading", "1 file and 1.0GiB so far, of 1 of its 2 Pods")


async def test_an_attempt_of_all_parts_is_not_counted() -> None:
    failed = shard(0, exit=75, ended=NOW, result=Result(Reason.UNREACHABLE, "503"))
    watcher = Watcher(Logs())
    told = await watcher.told(0, failed, pods=2, failures=8)
    assert told == ("RetryBackoff", "another attempt begins soon; the last: SourceUnreachable: 503")
