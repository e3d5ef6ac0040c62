"""Which snapshots of the cache go, and in which order: a pure function of what is there and the time.

A snapshot that is to go is retired first, so that the webhook gives it to nobody, and removed when those who were given
it before have been born of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Final

from kaas.volumes.cache.limits import Limits

HALF_MADE: Final = timedelta(minutes=5)
"""Before a copy's content without its snapshot is taken for a left-over: the webhook makes one after the other."""
SELDOM: Final = timedelta(hours=1)
"""Between two notes of when a snapshot was used."""

Name = tuple[str, str]
"""Namespace and name of a snapshot."""


class Reason(StrEnum):
    """Why a snapshot goes; label of a metric."""

    NOT_SEALED = "NotSealed"
    """Nobody waits for it any more, and it may hold what a consumer wrote."""
    SUPERSEDED = "Superseded"
    UNUSED = "Unused"
    TOO_MANY = "TooMany"
    TOO_LARGE = "TooLarge"
    ORIGIN_GONE = "OriginGone"
    LEFT_OVER = "LeftOver"


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot of the cache. origin: uid of what it is a copy of, "" for what is none; size: 0 while it is not known.

    public: whether other namespaces are given it. maker: uid of the claim of which it was made. retired, why: since
    when and why nobody is born of it any more.
    """

    name: Name
    uid: str
    key: str
    digest: str
    storage_class: str
    created: datetime
    used: datetime
    size: int = 0
    sealed: bool = True
    ready: bool = True
    retired: datetime | None = None
    why: str = ""
    deleting: bool = False
    origin: str = ""
    maker: str = ""
    public: bool = True

    @property
    def lives(self) -> bool:
        """Whether claims are born of it."""
        return self.sealed and self.retired is None and not self.deleting


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a copy. snapshot: to which it belongs, snapshot_uid: "" before it is bound."""

    name: str
    uid: str
    origin: str
    snapshot: Name
    snapshot_uid: str
    created: datetime
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class Birth:
    """A claim that names a snapshot. pending: its volume is not there yet."""

    snapshot: Name
    created: datetime
    pending: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is seen. loading: uids of claims whose data is not there yet. namespaces: that are seen, none: all."""

    now: datetime
    snapshots: Sequence[Kept] = ()
    contents: Sequence[Content] = ()
    births: Sequence[Birth] = ()
    loading: frozenset[str] = frozenset()
    namespaces: Sequence[str] = ()


class Act(Enum):
    """What is done."""

    USED = "used"
    RETIRE = "retire"
    REMOVE = "remove"
    REMOVE_CONTENT = "remove content"


@dataclass(frozen=True, slots=True)
class Step:
    """One write. at: when it was used, for USED. uid: of what it is about, and of nothing else with its name."""

    act: Act
    name: Name
    uid: str
    reason: str = ""
    at: datetime | None = None


def plan(facts: Facts, limits: Limits) -> list[Step]:
    """What is to be done, in this order; any of it can be left undone and is planned again."""
    book = _Book(facts)
    doomed = dict(_retiring(book, limits))
    retiring = [Step(Act.RETIRE, k.name, k.uid, doomed[k.uid]) for k in facts.snapshots if k.uid in doomed]
    return [*_used(book), *retiring, *_removing(book, limits.grace), *_contents(book)]


@dataclass(slots=True)
class _Book:
    """Facts, looked up."""

    facts: Facts
    pending: set[Name] = field(default_factory=set)
    latest: dict[Name, datetime] = field(default_factory=dict)
    copies: dict[str, list[Kept]] = field(default_factory=lambda: defaultdict(list))
    shared: set[str] = field(default_factory=set)
    newest: dict[tuple[str, str], Kept] = field(default_factory=dict)
    origins: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for birth in self.facts.births:
            self.latest[birth.snapshot] = max(birth.created, self.latest.get(birth.snapshot, birth.created))
            if birth.pending:
                self.pending.add(birth.snapshot)
        for snapshot in self.facts.snapshots:
            if snapshot.origin:
                self.copies[snapshot.origin].append(snapshot)
            elif snapshot.lives:
                self._note(snapshot)
        self.shared = {content.origin for content in self.facts.contents}

    def _note(self, origin: Kept) -> None:
        self.origins.add(origin.uid)
        known = self.newest.get(_shelf(origin))
        if origin.ready and (known is None or _age(known) < _age(origin)):
            self.newest[_shelf(origin)] = origin

    def family(self, one: Kept) -> list[Kept]:
        """It and its copies."""
        return [one, *self.copies.get(one.uid, ())]

    def is_held(self, one: Kept) -> bool:
        """Whether a volume is being made of it, or of a copy of it."""
        return any(k.name in self.pending for k in self.family(one))

    def used(self, one: Kept) -> datetime:
        """When a claim was last born of it, or of a copy of it."""
        return max(max(k.used, self.latest.get(k.name, k.used)) for k in self.family(one))

    @property
    def living(self) -> list[Kept]:
        """Snapshots that claims are born of."""
        return [k for k in self.facts.snapshots if k.lives]


def _used(book: _Book) -> Iterator[Step]:
    for one in book.living:
        latest = book.latest.get(one.name)
        if latest is not None and latest - one.used >= SELDOM:
            yield Step(Act.USED, one.name, one.uid, at=latest)


def _retiring(book: _Book, limits: Limits) -> Iterator[tuple[str, Reason]]:
    """Whom no claim is to be born of from now on, by uid."""
    doomed = {k.uid: reason for k in book.living if (reason := _spent(book, k, limits))}
    yield from doomed.items()
    for one, reason in _over(book, [k for k in book.living if k.uid not in doomed], limits):
        yield one.uid, reason


def _spent(book: _Book, one: Kept, limits: Limits) -> Reason | None:
    """Why one is of no use any more, whatever else there is."""
    if one.origin and not book.facts.namespaces and one.origin not in book.origins:
        return Reason.ORIGIN_GONE
    newest = book.newest.get(_shelf(one))
    if newest is not None and newest.digest != one.digest and _age(newest) > _age(one):
        return Reason.SUPERSEDED
    return Reason.UNUSED if book.facts.now - book.used(one) > limits.unused else None


def _shelf(one: Kept) -> tuple[str, str]:
    """Among which snapshots the newest is the one that claims are born of."""
    return one.key, "" if one.public or one.origin else one.name[0]


def _age(one: Kept) -> tuple[datetime, str]:
    return one.created, one.uid


def _over(book: _Book, living: Sequence[Kept], limits: Limits) -> Iterator[tuple[Kept, Reason]]:
    """What has to go so that the rest fits: copies first, then what was not used for longest."""
    gone: set[str] = set()
    by_namespace, by_class = defaultdict(list), defaultdict(list)
    for one in living:
        by_namespace[one.name[0]].append(one)
        if not one.origin:  # a copy takes no room
            by_class[one.storage_class].append(one)
    for found in by_namespace.values():
        surplus = len(found) - limits.per_namespace
        for one in _cheapest(book, found)[: max(0, surplus)]:
            gone.add(one.uid)
            yield one, Reason.TOO_MANY
    for storage_class, found in by_class.items():
        room = limits.room(storage_class)
        kept = [k for k in found if k.uid not in gone]
        for one in _surplus(book, kept, room) if room is not None else ():
            yield one, Reason.TOO_LARGE


def _surplus(book: _Book, kept: Sequence[Kept], room: int) -> Iterator[Kept]:
    total = sum(k.size for k in kept)
    for one in _cheapest(book, kept):
        if total <= room:
            return
        total -= one.size
        yield one


def _cheapest(book: _Book, found: Iterable[Kept]) -> list[Kept]:
    """Those that may go, in the order in which they do."""
    free = [k for k in found if not book.is_held(k)]
    return sorted(free, key=lambda k: (not k.origin, book.used(k), k.uid))


def _removing(book: _Book, grace: timedelta) -> Iterator[Step]:
    for one in book.facts.snapshots:
        if one.deleting or one.name in book.pending:
            continue
        if not one.sealed and one.maker not in book.facts.loading:
            yield Step(Act.REMOVE, one.name, one.uid, Reason.NOT_SEALED)
        elif one.retired is not None and book.facts.now - one.retired >= grace and _is_alone(book, one):
            yield Step(Act.REMOVE, one.name, one.uid, one.why)


def _is_alone(book: _Book, one: Kept) -> bool:
    """Whether nothing shares its content, not even what is left of a copy."""
    return not book.copies.get(one.uid) and one.uid not in book.shared


def _contents(book: _Book) -> Iterator[Step]:
    """Contents of copies that are gone: they are kept by their policy, so that nobody else removes them."""
    there = {k.name: k.uid for k in book.facts.snapshots}
    for content in book.facts.contents:
        found = there.get(content.snapshot)
        if content.deleting or (found is not None and content.snapshot_uid in {"", found}):
            continue
        if book.facts.namespaces and content.snapshot[0] not in book.facts.namespaces:
            continue
        if content.snapshot_uid or book.facts.now - content.created >= HALF_MADE:
            yield Step(Act.REMOVE_CONTENT, ("", content.name), content.uid, Reason.LEFT_OVER)
