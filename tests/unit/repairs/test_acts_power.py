"""Reboots, power cycles and rebuilds: one thing a pass, nothing begun twice, Nova's words when it says no."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from kaas.api.repair import Action, Step
from kaas.kube.client import KubeClient
from kaas.kube.errors import Conflict, NotFound
from kaas.kube.objects import Object, Ref
from kaas.kube.resources import Resource
from kaas.openstack.errors import CloudError, Kind, Problem
from kaas.openstack.facts import ServerAction, ServerFacts
from kaas.repairs.acts.power import OFF_SECONDS, PowerCycle, Reboot
from kaas.repairs.acts.rebuild import Rebuild
from kaas.repairs.acts.server_state import revive
from kaas.repairs.acts.task import Act, ActFailed, Result, Task
from kaas.repairs.facts import ClusterKey, Patient, ServerView
from tests.unit.repairs.sick import machine

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@dataclass
class FakeNova:
    """A server that does what it is asked when `settle` is called; its clock is `behind` ours."""

    server_: ServerFacts | None = field(default_factory=lambda: ServerFacts("s-1", "m-1", "ACTIVE", "running"))
    actions: list[ServerAction] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refuses: CloudError | None = None
    now: datetime = NOW
    behind: timedelta = timedelta(0)

    __hash__ = object.__hash__

    async def server(self, _site: str, _server: str) -> ServerFacts | None:
        return self.server_

    async def server_actions(self, _site: str, _server: str) -> tuple[ServerAction, ...]:
        return tuple(self.actions)

    async def reboot(self, _site: str, _server: str, *, hard: bool) -> str:
        return self._begin("reboot", "rebooting", "hard" if hard else "soft")

    async def stop(self, _site: str, _server: str) -> str:
        return self._begin("stop", "powering-off")

    async def start(self, _site: str, _server: str) -> str:
        return self._begin("start", "powering-on")

    async def rebuild(self, _site: str, _server: str) -> str:
        return self._begin("rebuild", "rebuilding")

    def _begin(self, action: str, task: str, kind: str = "") -> str:
        if self.refuses:
            raise self.refuses
        self.asked.append(f"{kind} {action}".strip())
        request = f"req-{len(self.actions)}"
        self.actions.append(ServerAction(action, request, self.now - self.behind))
        self.becomes(task=task)
        return request

    def becomes(self, **changes: Any) -> None:
        assert self.server_ is not None
        self.server_ = replace(self.server_, **changes)

    def settle(self, status: str = "ACTIVE", fault: str = "") -> None:
        self.becomes(status=status, task="", fault=fault)


@pytest.fixture
def nova() -> FakeNova:
    return FakeNova()


def task(action: Action, started: datetime = NOW) -> Task:
    return Task(Patient(machine()), None, Step(action=action), started, "GPU lost")


async def run(act: Act, a_task: Task, nova: FakeNova) -> Result:
    return await act(a_task, nova.now)


SOFT, HARD, CYCLE, REBUILD = (
    task(Action.SOFT_REBOOT),
    task(Action.HARD_REBOOT),
    task(Action.POWER_CYCLE),
    task(Action.REBUILD),
)


@pytest.mark.parametrize("hard", [False, True])
async def test_a_reboot_is_asked_for_once_and_followed(nova: FakeNova, *, hard: bool) -> None:
    act, one = Reboot(nova, hard=hard), HARD if hard else SOFT
    assert not (await run(act, one, nova)).done
    said = await run(act, one, nova)
    assert (said.done, "rebooting" in said.message) == (False, True)
    nova.settle()
    assert (await run(act, one, nova)).done
    assert nova.asked == ["hard reboot" if hard else "soft reboot"]


async def test_another_process_asks_for_nothing_again(nova: FakeNova) -> None:
    nova.behind = timedelta(seconds=4)
    await run(Reboot(nova, hard=True), HARD, nova)
    nova.settle()
    after = FakeNova(nova.server_, list(nova.actions))
    assert (await run(Reboot(after, hard=True), HARD, after)).done
    assert after.asked == []


async def test_the_same_process_asks_for_nothing_again_whatever_the_clouds_clock_says(nova: FakeNova) -> None:
    nova.behind = timedelta(hours=1)
    act = Reboot(nova, hard=True)
    await run(act, HARD, nova)
    nova.settle()
    assert (await run(act, HARD, nova)).done
    assert len(nova.asked) == 1


async def test_a_hard_reboot_right_after_a_soft_one_is_another(nova: FakeNova) -> None:
    """Nova calls both `reboot`."""
    await run(Reboot(nova, hard=False), SOFT, nova)
    nova.settle("ERROR", "no power")
    with pytest.raises(ActFailed, match="the reboot failed: no power"):
        await run(Reboot(nova, hard=False), SOFT, nova)
    nova.now += SECOND
    assert not (await run(Reboot(nova, hard=True), task(Action.HARD_REBOOT, nova.now), nova)).done
    assert nova.asked == ["soft reboot", "hard reboot"]


async def test_a_reboot_of_before_is_not_this_trys(nova: FakeNova) -> None:
    nova.actions.append(ServerAction("reboot", "req-of-a-person", NOW - timedelta(minutes=1)))
    await run(Reboot(nova, hard=True), HARD, nova)
    assert nova.asked == ["hard reboot"]


@pytest.mark.parametrize("status", ["ERROR", "SHUTOFF"])
async def test_only_a_hard_reboot_starts_what_does_not_run(nova: FakeNova, status: str) -> None:
    nova.settle(status)
    with pytest.raises(ActFailed, match=f"the server is {status}"):
        await run(Reboot(nova, hard=False), SOFT, nova)
    await run(Reboot(nova, hard=True), HARD, nova)
    assert nova.asked == ["hard reboot"]


async def test_a_busy_server_is_waited_for(nova: FakeNova) -> None:
    nova.becomes(task="migrating")
    said = await run(Reboot(nova, hard=True), HARD, nova)
    assert (said.done, "migrating" in said.message, nova.asked) == (False, True, [])


async def test_a_server_that_has_become_busy_since_is_asked_again(nova: FakeNova) -> None:
    nova.refuses = CloudError(Problem(Kind.CONFLICT, "Nova: Cannot 'reboot' instance s-1 while it is in task_state x"))
    with pytest.raises(CloudError):
        await run(Reboot(nova, hard=True), HARD, nova)
    nova.refuses = None
    await run(Reboot(nova, hard=True), HARD, nova)
    assert nova.asked == ["hard reboot"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind.CONFLICT, "Nova: Instance s-1 is locked"),
        (Kind.FORBIDDEN, "Nova: Policy doesn't allow os_compute_api:servers:reboot to be performed."),
        (Kind.REFUSED, "Nova: Instance s-1 could not be found."),
    ],
)
async def test_what_nova_says_no_to_is_over(nova: FakeNova, kind: Kind, words: str) -> None:
    nova.refuses = CloudError(Problem(kind, words))
    with pytest.raises(ActFailed) as failed:
        await run(Reboot(nova, hard=True), HARD, nova)
    assert str(failed.value) == words


async def test_a_reboot_that_nova_took_and_could_not_do_is_over(nova: FakeNova) -> None:
    """The server is ACTIVE as before: only the list of what was begun with it says so."""
    act = Reboot(nova, hard=False)
    assert not (await act(task(Action.SOFT_REBOOT), NOW)).done
    nova.settle()
    nova.actions[-1] = replace(nova.actions[-1], message="Error")
    with pytest.raises(ActFailed, match="could not do it"):
        await act(task(Action.SOFT_REBOOT), NOW)


@pytest.mark.parametrize("kind", [Kind.TIMEOUT, Kind.UNREACHABLE, Kind.FAILED, Kind.UNAUTHORIZED])
async def test_a_cloud_that_does_not_answer_is_asked_again(nova: FakeNova, kind: Kind) -> None:
    nova.refuses = CloudError(Problem(kind, "away"))
    with pytest.raises(CloudError):
        await run(PowerCycle(nova), CYCLE, nova)


async def test_a_server_that_is_gone(nova: FakeNova) -> None:
    nova.server_ = None
    with pytest.raises(ActFailed, match="Nova has no server s-1"):
        await run(PowerCycle(nova), CYCLE, nova)


async def test_a_machine_without_a_server(nova: FakeNova) -> None:
    nobody = replace(SOFT, patient=Patient(machine(server=None)))
    with pytest.raises(ActFailed, match="has no server"):
        await run(Reboot(nova, hard=False), nobody, nova)


async def test_a_power_cycle_is_off_for_a_while(nova: FakeNova) -> None:
    """Another process goes on at each pass."""

    async def go_on() -> Result:
        return await run(PowerCycle(nova), CYCLE, nova)

    await go_on()
    assert nova.asked == ["stop"]
    await go_on()
    nova.settle("SHUTOFF")
    nova.now = NOW + OFF_SECONDS - SECOND
    await go_on()
    assert nova.asked == ["stop"]
    nova.now = NOW + OFF_SECONDS
    assert not (await go_on()).done
    nova.settle()
    assert (await go_on()).done
    assert nova.asked == ["stop", "start"]


async def test_a_server_that_is_off_is_only_switched_on(nova: FakeNova) -> None:
    nova.settle("SHUTOFF")
    await run(PowerCycle(nova), CYCLE, nova)
    assert nova.asked == ["start"]


async def test_a_server_that_does_not_come_back(nova: FakeNova) -> None:
    nova.settle("SHUTOFF")
    await run(PowerCycle(nova), CYCLE, nova)
    nova.settle("ERROR", "host is on fire")
    with pytest.raises(ActFailed, match="switching it on failed: host is on fire"):
        await run(PowerCycle(nova), CYCLE, nova)


# --- rebuild ------------------------------------------------------------------------------------------------------

USER_DATA = """## template: jinja
#cloud-config
write_files:
-   path: /run/kubeadm/kubeadm-join-config.yaml
    content: |
      discovery:
        bootstrapToken:
          apiServerEndpoint: 127.64.1.2:6443
          token: abcdef.0123456789abcdef
"""


class Workload:
    """The workload cluster: one Node that is Ready."""

    def __init__(self) -> None:
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        pressure = {"type": "DiskPressure", "status": "False"}
        meta = {"name": "m-1", "resourceVersion": "7"}
        status = {"conditions": [pressure, ready]}
        self.node: Object | None = {"apiVersion": "v1", "kind": "Node", "metadata": meta, "status": status}
        self.applied: list[Object] = []
        self.patched: list[Object] = []
        self.conflict = False

    async def client(self, _cluster: ClusterKey) -> KubeClient:
        return cast("KubeClient", self)

    async def get(self, _ref: Ref) -> Object | None:
        return self.node

    async def apply(self, obj: Object) -> Object:
        self.applied.append(obj)
        return obj

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        if self.conflict:
            raise Conflict("patch", "changed")
        self.patched.append(patch)
        assert (ref.name, subresource, self.node is not None) == ("m-1", "status", True)
        return patch


class Management:
    """The management cluster: a Machine and its bootstrap data."""

    def __init__(self, text: str = USER_DATA) -> None:
        self.text: str | None = text

    def get(self, _resource: Resource, _namespace: str | None, _name: str) -> Object | None:
        return {"spec": {"bootstrap": {"dataSecretName": "m-1-boot"}}} if self.text is not None else {"spec": {}}

    @property
    def secrets(self) -> Any:
        outer = self

        class Secrets:
            async def get(self, ref: Ref) -> Object | None:
                assert (ref.namespace, ref.name) == ("team", "m-1-boot")
                return {"data": {"value": base64.b64encode((outer.text or "").encode()).decode()}}

        return Secrets()


def rebuild(nova: FakeNova, workload: Workload, management: Management | None = None) -> Rebuild:
    found = management or Management()
    return Rebuild(nova, found, found.secrets, workload)


async def test_a_rebuild_renews_the_token_first(nova: FakeNova) -> None:
    workload = Workload()
    assert not (await run(rebuild(nova, workload), REBUILD, nova)).done
    (secret,) = workload.applied
    assert (secret["metadata"]["name"], secret["type"]) == ("bootstrap-token-abcdef", "bootstrap.kubernetes.io/token")
    assert secret["stringData"]["token-secret"] == "0123456789abcdef"
    assert secret["stringData"]["expiration"] == "2026-01-01T13:00:00Z"
    assert nova.asked == ["rebuild"]
    nova.settle()
    assert (await run(rebuild(nova, workload), REBUILD, nova)).done
    assert (nova.asked, len(workload.applied)) == (["rebuild"], 1)


async def test_a_node_that_is_ready_would_keep_its_machine_out(nova: FakeNova) -> None:
    workload = Workload()
    workload.conflict = True
    assert not (await run(rebuild(nova, workload), REBUILD, nova)).done
    assert nova.asked == []
    workload.conflict = False
    await run(rebuild(nova, workload), REBUILD, nova)
    (patch,) = workload.patched
    assert patch["metadata"] == {"resourceVersion": "7"}
    assert [(c["type"], c["status"]) for c in patch["status"]["conditions"]] == [
        ("DiskPressure", "False"),
        ("Ready", "Unknown"),
    ]
    assert nova.asked == ["rebuild"]


async def test_a_node_that_is_gone_is_in_nobodys_way(nova: FakeNova) -> None:
    workload = Workload()
    workload.node = None
    await run(rebuild(nova, workload), REBUILD, nova)
    assert (workload.patched, nova.asked) == ([], ["rebuild"])


async def test_a_server_that_was_off_is_switched_on_after_the_rebuild(nova: FakeNova) -> None:
    nova.settle("SHUTOFF")
    workload = Workload()
    await run(rebuild(nova, workload), REBUILD, nova)
    nova.settle("SHUTOFF")
    await run(rebuild(nova, workload), REBUILD, nova)
    nova.settle()
    assert (await run(rebuild(nova, workload), REBUILD, nova)).done
    assert nova.asked == ["rebuild", "start"]


@pytest.mark.parametrize("text", [None, "", "#cloud-config\nruncmd: []\n"])
async def test_without_a_token_nothing_is_written_anew(nova: FakeNova, text: str | None) -> None:
    management = Management()
    management.text = text
    with pytest.raises(ActFailed, match="could not join again"):
        await run(rebuild(nova, Workload(), management), REBUILD, nova)
    assert nova.asked == []


# --- what CAPO is told --------------------------------------------------------------------------------------------


class Writer:
    def __init__(self, *, gone: bool = False) -> None:
        self.gone = gone
        self.sent: list[tuple[str, Object, str]] = []

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        if self.gone:
            raise NotFound("patch", "gone")
        self.sent.append((ref.name, patch, subresource))
        return patch


@pytest.mark.parametrize("gone", [False, True])
async def test_capo_is_told_that_a_server_is_well(*, gone: bool) -> None:
    writer = Writer(gone=gone)
    meta = {"name": "m-1", "namespace": "team"}
    await revive(writer, {"apiVersion": "x/v1", "kind": "OpenStackServer", "metadata": meta}, ServerView("s", "ACTIVE"))
    status = {"instanceState": "ACTIVE", "ready": False}
    assert writer.sent == ([] if gone else [("m-1", {"status": status}, "status")])
