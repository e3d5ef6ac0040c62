"""What is done about one add-on of one Cluster, and what is said of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kaas.addons import progress, told
from kaas.addons.course import Course
from kaas.addons.hand import Hand, Works
from kaas.addons.library import Library, Packed
from kaas.addons.manifests import Problem
from kaas.addons.putting import put
from kaas.addons.taking import remove
from kaas.addons.told import Gone
from kaas.addons.visit import Key, Visit
from kaas.addons.wanted import Act, Wish
from kaas.addons.work import NotNow, Refused, Work, meaning, missing_of
from kaas.api.addon_status import AddOnState, InstalledAddOn
from kaas.kube.errors import KubeError

_SETTLED: Final = frozenset({"Ready", "Starting"})
_UNDER_WAY: Final = frozenset({"Applying", "Failed", "Waiting"})
_REMOVAL: Final = "removal"


@dataclass(slots=True)
class Task:
    """What is to be done, how far it is, what was said, and what is to be said: nothing any more when it is gone.

    gone: what is told of it then. is_recalled: whether it was there and nothing was said of it.
    """

    wish: Wish
    course: Course | None
    before: InstalledAddOn | None
    entry: InstalledAddOn | None
    now: datetime
    gone: Gone | None = None
    is_recalled: bool = False

    @property
    def name(self) -> str:
        """Name of the add-on."""
        return self.wish.name

    @property
    def is_news(self) -> bool:
        """Whether it is said before it is done: something begins."""
        begins = self.entry is not None and self.entry.state in ("Applying", "Removing")
        return begins and (self.before is None or self.entry != self.before)

    @property
    def is_change(self) -> bool:
        """Whether the Cluster has not what it is to have."""
        return self.wish.has != self.wish.version

    @property
    def next_time(self) -> float | None:
        """When something is to be done again, by a clock that never goes back; None: on events."""
        if self.course is None:
            return None
        asked = self.course.look if self.is_settled else None
        times = (asked, None if self.course.rests else self.course.due)
        return min((time for time in times if time is not None), default=None)

    @property
    def is_settled(self) -> bool:
        """Whether its objects are there, and it is asked whether it works until it does."""
        return self.entry is not None and self.entry.state in _SETTLED

    def recalled(self, tick: float) -> None:
        """It is there, which was only found out: all of it is applied now."""
        self.is_recalled = True
        if self.course is not None:
            self.course.due = tick

    def say(self, state: AddOnState, message: str = "", **versions: Any) -> None:
        """What is to be said of it. Of what is being taken out no version is there any more."""
        has = None if self.wish.act is Act.REMOVE else self.wish.has
        known = {"version": has, "wanted": self.wish.version}
        if has and self.before and self.before.version == self.wish.has:
            known["digest"] = self.before.digest
        self.entry = told.entry(self.before, self.now, self.name, state, message, **{**known, **versions})
        self.say_moved()

    def say_moved(self) -> None:
        """When it came further is said as far as it is news."""
        if self.entry is not None:
            moved = progress.said(self.before, self.entry, self.course.progress.moved if self.course else None)
            self.entry = self.entry.model_copy(update={"moved": moved})

    def keep_on(self, message: str) -> None:
        """It goes on after a while. What has failed has failed until it succeeds."""
        if self.entry is None or self.entry.state != "Failed":
            self.say(self.entry.state if self.entry else "Applying", message)


class Attendant:
    """Does what is due, and remembers how far it is: what it forgets is begun anew, and ends with the same."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._courses: dict[Key, dict[str, Course]] = {}

    def keep(self, key: Key, names: Collection[str]) -> None:
        """Forget all other add-ons of a Cluster."""
        kept = {n: c for n, c in self._courses.pop(key, {}).items() if n in names}
        if kept:
            self._courses[key] = kept

    def task(self, key: Key, wish: Wish, before: InstalledAddOn | None, now: datetime, tick: float) -> Task:
        """What is to be done about an add-on, and what is said before it is done. tick: time that never goes back."""
        task = Task(wish, None, before, before, now)
        if wish.act is Act.WAIT:
            self._courses.get(key, {}).pop(wish.name, None)
            task.say("Waiting", wish.words, wanted=None)
        elif wish.act is Act.KEEP:
            task.course = None if wish.blind else self._course(key, wish.name, before, tick, rests=True)
            stays = before is not None and before.state not in ("Applying", "Removing") and not wish.fails
            task.say(before.state if before and (stays or wish.holds) else "Failed", wish.words)
        else:
            task.course = self._course(key, wish.name, before, tick)
            task.course.progress.aim(_REMOVAL if wish.act is Act.REMOVE else _goal(wish))
            _aim(task, task.course, tick)
        return task

    def is_under_way(self, key: Key, name: str) -> bool:
        """Whether an add-on is being put into a Cluster, so that it is known what was there before."""
        course = self._courses.get(key, {}).get(name)
        return course is not None and course.is_under_way and course.goal != _REMOVAL

    def _course(
        self, key: Key, name: str, before: InstalledAddOn | None, tick: float, *, rests: bool = False
    ) -> Course:
        courses = self._courses.setdefault(key, {})
        if name not in courses or courses[name].rests != rests:
            courses[name] = Course(tick, "/".join((*key, name)), rests=rests)
            if before and before.state == "Starting":
                courses[name].look = tick
        return courses[name]

    async def attend(self, visit: Visit, task: Task, others: Collection[str]) -> None:
        """Do what is due. others: all add-ons of the Cluster."""
        course, removal = task.course, task.wish.act is Act.REMOVE
        if course is None or course.rests or course.due > visit.now:
            return
        if removal and task.wish.blind:
            task.entry, task.course = None, None
            return
        course.aim(_REMOVAL if removal else _goal(task.wish), visit.now)
        if visit.is_over and not visit.away:
            return
        hand = await visit.hand()
        if hand is None:
            _is_away(task, visit.away)
        else:
            await self._try(visit, task, course, hand, others)

    async def _try(self, visit: Visit, task: Task, course: Course, hand: Hand, others: Collection[str]) -> None:
        try:
            await self._go_on(visit, task, course, hand, others)
        except NotNow as failure:
            if course.delayed(visit.now):
                task.keep_on(str(failure))
            else:
                _fails(task, course, visit, str(failure))
        except Refused as refusal:
            _fails(task, course, visit, str(refusal))

    async def _go_on(self, visit: Visit, task: Task, course: Course, hand: Hand, others: Collection[str]) -> None:
        """Until all is done, it has to wait, or the visit is over."""
        work = course.begun(visit.server)
        if work is None:
            work = course.begin(await self._work(task, course, hand, others), visit.server)
        try:
            is_through = await _advance(visit, task, course, work)
        except BaseException as failure:  # cancelled, too: a generator that was broken looks like one at its end
            course.broken()
            if not isinstance(failure, KubeError):
                raise
            if not visit.is_lost(failure):
                raise meaning(failure) from failure
            _is_away(task, visit.away)
            return
        if is_through:
            _finish(visit, task, course)

    async def _work(self, task: Task, course: Course, hand: Hand, others: Collection[str]) -> Work:
        wish = task.wish
        if wish.act is Act.REMOVE:
            course.gone = Gone()
            return remove(hand, wish.name, course.gone)
        packed = await self._packed(wish)
        return put(hand, wish.name, wish.version or "", packed.bundle(), self._rivals(task, others))

    def _rivals(self, task: Task, others: Collection[str]) -> Collection[str] | None:
        """Add-ons whose objects it may not take: looked at when it comes, or comes to another version."""
        settled = task.before is not None and task.before.state in _SETTLED and not task.is_change
        return None if settled else frozenset(others) - {task.name}

    async def _packed(self, wish: Wish) -> Packed:
        """The objects that its Addon says it has. Raises NotNow: what its Addon says will be another thing soon."""
        try:
            packed = await self._library.packed(wish.config_map)
        except Problem as problem:
            raise NotNow(str(problem)) from problem
        if packed.digest != wish.digest:
            raise NotNow(f"ConfigMap {wish.config_map} has other data than status.versions of its Addon says")
        return packed

    async def check(self, visit: Visit, tasks: Sequence[Task]) -> None:
        """See whether what was put there works, where that is due."""
        due = [task for task in tasks if _is_looked_at(task, visit)]
        hand = await visit.hand() if due and not visit.is_over else None
        if hand is None:
            return
        try:
            found = await hand.working([task.name for task in due])
            missing = {task.name: await missing_of(hand, task.name) for task in due}
        except KubeError as failure:
            visit.lost(failure)
            return
        for task in due:
            _count(task, found[task.name])
            if missing[task.name] and task.course:
                task.course.missed(visit.now)
            _judge(task, missing[task.name] or found[task.name].problem, visit.now)


async def _advance(visit: Visit, task: Task, course: Course, work: Work) -> bool:
    """Go on until it has to wait or the visit is over; whether all is done."""
    async for pause in work:
        if pause is not None:
            course.paused(pause, visit.now)
            task.keep_on(pause.words)
            return False
        if task.is_change and task.wish.act is Act.PUT:
            course.progress.called(task.now)
        if visit.is_over:
            task.say_moved()
            return False
    return True


def _goal(wish: Wish) -> str:
    return f"{wish.version} {wish.digest}"


def _aim(task: Task, course: Course, tick: float) -> None:
    """Begin with what is new; what was begun goes on, and what is settled waits until all is applied again."""
    wish, before = task.wish, task.before
    if wish.act is Act.REMOVE:
        if course.aim(_REMOVAL, tick) and (before is None or before.state != "Removing"):
            task.say("Removing", wanted=None)
        return
    if before is not None and before.state in _SETTLED and before.wanted is None and not task.is_change:
        return
    course.aim(_goal(wish), tick)
    wanted = wish.version if task.is_change else None
    if before is None or before.wanted != wanted or before.state not in _UNDER_WAY:
        task.say("Applying")


def _is_away(task: Task, words: str) -> None:
    """The Cluster does not answer: nothing is known, and all stays as it is."""
    if task.wish.act is Act.PUT and task.wish.has is None:
        task.say("Waiting", words)
    else:
        task.say(task.entry.state if task.entry else "Applying", words)


def _fails(task: Task, course: Course, visit: Visit, words: str) -> None:
    course.refused(visit.now)
    task.say("Failed", words)


def _finish(visit: Visit, task: Task, course: Course) -> None:
    """All is done."""
    course.finished(visit.now)
    if task.wish.act is Act.REMOVE:
        task.entry, task.course, task.gone = None, None, course.gone
        return
    visit.changed |= task.is_change
    was = task.before.state if task.before and not task.is_change else None
    state: AddOnState = was if was in _SETTLED and was else "Starting"
    task.say(state, version=task.wish.version, digest=task.wish.digest)


def _is_looked_at(task: Task, visit: Visit) -> bool:
    if task.course is None or not task.is_settled:
        return False
    if visit.changed and task.course.look is None:
        task.course.look = visit.now
    return task.course.look is not None and task.course.look <= visit.now


def _count(task: Task, found: Works) -> None:
    """What has not worked yet may have come further."""
    if task.course and task.entry and task.entry.state == "Starting":
        task.course.progress.works(found.progress, task.now)


def _judge(task: Task, problem: str, tick: float) -> None:
    if task.course is None or task.entry is None:
        return
    state: AddOnState = "Starting" if problem else "Ready"
    if problem:
        task.course.starting(tick)
    else:
        task.course.works()
    said = task.entry
    words = "; ".join(filter(None, (problem, task.wish.words)))
    task.say(state, words, version=said.version, digest=said.digest, wanted=said.wanted)
