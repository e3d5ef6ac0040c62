"""Who may begin now: as many at once as all limits allow, in the order of their windows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kaas.api.rollout import RolloutSpec, Stage
from kaas.api.rollout_status import RolloutMember, State
from kaas.api.shares import rounded_down
from kaas.updates.rollouts.order import Window, rank, window_of
from kaas.updates.rollouts.progress import MAY_BEGIN, RELEASED, STALL, WAITS, become, is_busy
from kaas.updates.rollouts.scene import Scene

Places = Sequence[tuple[str, tuple[str, ...]]]
"""Site and zones of Clusters."""


@dataclass(slots=True)
class Limit:
    """One limit. most: by what it counts by, as a Site; of: what of that a member takes."""

    words: str
    most: Mapping[str, int]
    of: Callable[[str, tuple[str, ...]], Iterable[str]]
    taken: Counter[str] = field(default_factory=Counter)

    def has_room(self, record: RolloutMember) -> bool:
        """Whether one more may begin."""
        return all(self.taken[name] < self.most.get(name, 1) for name in self.of(record.site, record.zones))

    def take(self, record: RolloutMember) -> None:
        """One more has begun."""
        self.taken.update(self.of(record.site, record.zones))


def _all(_: str, __: tuple[str, ...]) -> Iterable[str]:
    return ("",)


def _site(site: str, _: tuple[str, ...]) -> Iterable[str]:
    return (site,)


def _zones(site: str, zones: tuple[str, ...]) -> Iterable[str]:
    return (f"{site}/{zone}" for zone in zones)


def limits(owner: Stage | RolloutSpec, places: Places, where: str) -> list[Limit]:
    """The limits that a stage, or the Rollout as a whole, sets. places: of all Clusters that it is about."""
    asked = (
        (owner.max_concurrency, "", _all),
        (owner.per_site, " on one Site", _site),
        (owner.per_zone, " in one zone", _zones),
    )
    return [_limit(value, of, places, f"{value} at once{what} {where}") for value, what, of in asked if value]


def _limit(value: int | str, of: Callable[[str, tuple[str, ...]], Iterable[str]], places: Places, words: str) -> Limit:
    sizes = Counter(name for site, zones in places for name in of(site, zones))
    return Limit(words, {name: rounded_down(value, size) for name, size in sizes.items()}, of)


def places_of(records: Iterable[RolloutMember]) -> Places:
    """Where members are."""
    return [(r.site, r.zones) for r in records]


def granted(records: Sequence[RolloutMember], mine: Sequence[Limit], scene: Scene) -> list[RolloutMember]:
    """The members of a stage, those whose turn it is released. mine: all limits, with what is busy taken."""
    given = {r.key: r for r in _given(records, mine, scene)}
    return [given.get(r.key, r) for r in records]


def _given(records: Sequence[RolloutMember], mine: Sequence[Limit], scene: Scene) -> Iterator[RolloutMember]:
    """Members that change."""
    eager = _eager(records, scene)
    if eager:
        for record in records:
            if _is_stalled(record, scene):
                words = f"its turn goes to another, for it has not begun in {STALL.seconds // 60} minutes"
                yield become(record, State.NOT_STARTED, "Stalled", words, released=None, tried=scene.now)
    for record in eager:
        full = next((limit for limit in mine if not limit.has_room(record)), None)
        if full is not None:
            yield become(record, State.NOT_STARTED, record.reason or WAITS, record.message or f"waits: {full.words}")
            continue
        for limit in mine:
            limit.take(record)
        yield become(record, State.PENDING, RELEASED, MAY_BEGIN, released=scene.now)


def _eager(records: Iterable[RolloutMember], scene: Scene) -> list[RolloutMember]:
    """Those that could begin now, in the order in which they are taken."""
    waiting = (r for r in records if r.state is State.NOT_STARTED)
    pairs = [(r, m) for r in waiting if (m := scene.members.get(r.key)) is not None and m.obstacle is None]
    pairs = [(r, m) for r, m in pairs if window_of(m, scene.now) is Window.OPEN]
    return [r for r, _ in sorted(pairs, key=lambda pair: rank(pair[1], pair[0].tried, scene.now))]


def _is_stalled(record: RolloutMember, scene: Scene) -> bool:
    """Whether it had its turn for long, and its Cluster is not begun."""
    if record.state is not State.PENDING or record.released is None:
        return False
    member = scene.members.get(record.key)
    if member is None:
        return True
    return scene.now >= record.released + STALL and not member.is_under_way(scene.target(record, member))


def take_busy(records: Iterable[RolloutMember], several: Iterable[Limit]) -> None:
    """Count what is busy against limits."""
    busy = [r for r in records if is_busy(r)]
    for limit in several:
        for record in busy:
            limit.take(record)
