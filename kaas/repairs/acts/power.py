"""Reboot and power cycle: asked of Nova once a try, and followed until Nova has done it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from kaas.api.repair import Action
from kaas.openstack.errors import CloudError, Kind
from kaas.openstack.facts import ServerAction, ServerFacts
from kaas.repairs.acts.task import ActFailed, Result, Task

SKEW: Final = timedelta(seconds=5)
"""The cloud's clock may be behind ours by so much, and what was begun is still known as begun by this try."""

OFF_SECONDS: Final = timedelta(seconds=10)
"""How long a machine stays without power, for its GPUs to lose it too."""

REMEMBERED: Final = 10_000
"""Requests whose try is remembered."""

ACTIVE: Final = "ACTIVE"
ERROR: Final = "ERROR"
OFF: Final = frozenset({"SHUTOFF", "SHELVED", "SHELVED_OFFLOADED"})
FINAL: Final = frozenset({Kind.FORBIDDEN, Kind.CONFLICT, Kind.REFUSED})
"""What Nova says no to is not asked again in this try: the next step may be something that it does."""


class Power(Protocol):
    """One Site's Nova. All raise CloudError."""

    async def server(self, site: str, server: str) -> ServerFacts | None:
        """As it is now; None when there is none."""

    async def server_actions(self, site: str, server: str) -> tuple[ServerAction, ...]:
        """What was begun with it, oldest first."""

    async def reboot(self, site: str, server: str, *, hard: bool) -> str:
        """Begin a reboot."""

    async def stop(self, site: str, server: str) -> str:
        """Begin to switch it off."""

    async def start(self, site: str, server: str) -> str:
        """Begin to switch it on."""

    async def rebuild(self, site: str, server: str) -> str:
        """Begin to write its disk anew."""


Try = tuple[Action, datetime]


class _Asked:
    """What this process has asked of one Nova in each try.

    For clouds whose clock is behind by more than `SKEW`; and for a try that follows another by less than that, for Nova
    does not tell a hard reboot from the soft one before it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Try] = {}
        self._requests: dict[str, Try] = {}

    def note(self, action: str, task: Task, server: str, request: str) -> None:
        self._known[action, server] = _try(task)
        self._requests[request] = _try(task)
        while len(self._requests) > REMEMBERED:
            del self._requests[next(iter(self._requests))]

    def has(self, action: str, task: Task, server: str) -> bool:
        return self._known.get((action, server)) == _try(task)

    def in_another(self, request: str, task: Task) -> bool:
        """Whether it was asked in another try."""
        return self._requests.get(request, _try(task)) != _try(task)


_ASKED: WeakKeyDictionary[Power, _Asked] = WeakKeyDictionary()


def _try(task: Task) -> Try:
    return task.step.action, task.started


class PowerAct:
    """What acts on servers have in common."""

    def __init__(self, power: Power) -> None:
        self._power = power
        self._asked = _ASKED.setdefault(power, _Asked())

    async def _server(self, task: Task) -> ServerFacts:
        """The server of a task as it is now. ActFailed when there is none."""
        site, name = _place(task)
        found = await self._power.server(site, name)
        if found is None:
            raise ActFailed(f"Nova has no server {name}")
        return found

    async def _begun(self, task: Task, action: str) -> datetime | None:
        """When this try began an action, None when it has not: told by Nova, so that a crash asks nothing twice.

        ActFailed when Nova could not do it, which it says only there of a server that it left as it was.
        """
        site, name = _place(task)
        since = task.started - SKEW
        found = [a for a in await self._power.server_actions(site, name) if a.action == action and a.started >= since]
        mine = [a for a in found if not self._asked.in_another(a.request_id, task)]
        if mine and mine[-1].message:
            raise ActFailed(f"Nova took the {action} and could not do it ({mine[-1].message}): see its log")
        if mine:
            return mine[-1].started
        return task.started if self._asked.has(action, task, name) else None

    async def _ask(self, task: Task, action: str, *, hard: bool = False) -> None:
        """Begin an action. ActFailed with Nova's words when it says no; CloudError when it is only busy."""
        site, name = _place(task)
        calls = {
            "reboot": lambda: self._power.reboot(site, name, hard=hard),
            "stop": lambda: self._power.stop(site, name),
            "start": lambda: self._power.start(site, name),
            "rebuild": lambda: self._power.rebuild(site, name),
        }
        try:
            request = await calls[action]()
        except CloudError as error:
            if error.problem.kind in FINAL and not _is_busy(error):
                raise ActFailed(str(error)) from error
            raise
        self._asked.note(action, task, name, request)


class Reboot(PowerAct):
    """A reboot; done when the server is ACTIVE again. hard: without asking the operating system."""

    def __init__(self, power: Power, *, hard: bool) -> None:
        super().__init__(power)
        self._hard = hard

    async def __call__(self, task: Task, now: datetime) -> Result:
        """Ask for it, or see how far it is."""
        server = await self._server(task)
        if await self._begun(task, "reboot") is not None:
            return _how_far(server, "the reboot")
        if server.task:
            return Result(False, f"waits for Nova, which is {server.task} the server")
        if server.status != ACTIVE and not self._hard:
            raise ActFailed(f"the server is {server.status}: only one that is ACTIVE can be asked to reboot")
        await self._ask(task, "reboot", hard=self._hard)
        return Result(False, "Nova was asked for the reboot")


class PowerCycle(PowerAct):
    """Off, for long enough that the GPUs lose their power too, and on."""

    async def __call__(self, task: Task, now: datetime) -> Result:
        """Do the next of these, or see how far it is."""
        server = await self._server(task)
        if await self._begun(task, "start") is not None:
            return _how_far(server, "switching it on")
        if server.task:
            return Result(False, f"Nova is {server.task} the server")
        stopped = await self._begun(task, "stop")
        if stopped is None and server.status not in OFF:
            await self._ask(task, "stop")
            return Result(False, "Nova was asked to switch the server off")
        if server.status not in OFF:
            return _how_far(server, "switching it off", wanted="SHUTOFF")
        if stopped is not None and now < stopped + OFF_SECONDS:
            return Result(False, "the server is off")
        await self._ask(task, "start")
        return Result(False, "Nova was asked to switch the server on")


def _is_busy(error: CloudError) -> bool:
    """`Cannot 'reboot' instance … while it is in task_state powering-off`: it began since we looked."""
    return error.problem.kind is Kind.CONFLICT and "task_state" in error.problem.message


def _how_far(server: ServerFacts, what: str, wanted: str = ACTIVE) -> Result:
    """Whether Nova has done what was asked of it. ActFailed with its words when it could not."""
    if server.status == ERROR and not server.task:
        raise ActFailed(f"{what} failed: {server.fault or 'Nova gives no reason'}")
    if server.status == wanted and not server.task:
        return Result(True, f"{what} is done: the server is {server.status}")
    return Result(
        False, f"{what} is under way: the server is {server.status}{f' ({server.task})' if server.task else ''}"
    )


def _place(task: Task) -> tuple[str, str]:
    machine = task.patient.machine
    if machine.server is None:
        raise ActFailed(f"Machine {machine.key[1]} has no server")
    return machine.site, machine.server
