"""What updates are decided from, and what is decided. Plain data; times are aware, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from kaas.api.versions import KubernetesVersion

ROLLOUT_PENDING: Final = "RolloutPending"
"""Reason while a Rollout says that it is not the Cluster's turn."""
ROLLOUT_DONE: Final = "RolloutDone"
"""Reason when what a Cluster has is no older than what a Rollout brings."""


class Change(StrEnum):
    """What an update changes; exclusions and policies speak of it."""

    PATCH = "Patch"
    MINOR = "Minor"
    IMAGE = "Image"
    CLASS_REVISION = "ClassRevision"
    CERTIFICATES = "Certificates"
    ADD_ONS = "AddOns"


@dataclass(frozen=True, slots=True)
class AddOn:
    """An add-on that is brought from one version to another. most: newest minor that this supports; None for any."""

    name: str
    old: str
    new: str
    most: int | None = None


_MACHINES_STAY: Final = frozenset({Change.ADD_ONS})
_POOLS_STAY: Final = frozenset({Change.ADD_ONS, Change.CERTIFICATES})


@dataclass(frozen=True, slots=True)
class Aims:
    """What a Cluster is brought to by one update: all that is due at once is one replacement of its machines.

    changes: what of it is new, the largest first, at least one. image, class_revision: None to keep what there is.
    certificates: machines of the control plane that were made before this are replaced; None to leave them. add_ons:
    those that are brought to another version, in their order.
    """

    version: KubernetesVersion
    changes: tuple[Change, ...]
    image: str | None = None
    class_revision: str | None = None
    certificates: datetime | None = None
    add_ons: tuple[AddOn, ...] = ()

    @property
    def replaces(self) -> bool:
        """Whether machines are replaced."""
        return not _MACHINES_STAY.issuperset(self.changes)

    @property
    def replaces_pools(self) -> bool:
        """Whether machines of pools are replaced, and not only those of the control plane."""
        return not _POOLS_STAY.issuperset(self.changes)


@dataclass(frozen=True, slots=True)
class Held:
    """An update under way begins no further pool for now, since its window has closed.

    until: when it goes on; None when no window is in sight. message: for a person. pools: those that go on then.
    """

    until: datetime | None
    message: str
    pools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """An update that is under way: it has begun, and its ledger is not through.

    began: None when that is not known any more. stopped: why it has stopped by itself, for a person; "" while it goes
    on. forced: whether it was begun since what ran had expired. asked: whether since a person had asked for its
    version. forced_from: from when on such a one waits for no window, also after it has stopped; None when that was not
    said: an older kaas had it wait for none at all. held: None while it is not. by_person: why it does not come to its
    end without a person, beside having stopped; "" if not. handed: whether Cluster API may have some of it already.
    machines_left: whether there are machines that it has to replace still.
    """

    aims: Aims
    began: datetime | None = None
    stopped: str = ""
    forced: bool = False
    forced_from: datetime | None = None
    held: Held | None = None
    by_person: str = ""
    asked: bool = False
    handed: bool = True
    machines_left: bool = True


@dataclass(frozen=True, slots=True)
class Turn:
    """What a Rollout says of one of its members.

    version, image, class_revision: what the member is brought to, of that which it takes; None where the Rollout brings
    none. image: of the version if there is one, else of what runs. allowed: whether its turn has come. reason: one
    CamelCase word. message: for a person, why not yet. until: when the answer may become another one by the clock
    alone.
    """

    rollout: str
    stage: str
    version: KubernetesVersion | None
    allowed: bool
    reason: str
    message: str
    until: datetime | None = None
    image: str | None = None
    class_revision: str | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """What Rollouts say of a Cluster by kind of update; None for what no Rollout decides about."""

    kubernetes: Turn | None = None
    image: Turn | None = None
    class_revision: Turn | None = None

    def of(self, change: Change) -> Turn | None:
        """What is said of a change."""
        if change in (Change.PATCH, Change.MINOR):
            return self.kubernetes
        return {Change.IMAGE: self.image, Change.CLASS_REVISION: self.class_revision}.get(change)

    def about(self, decision: Decision) -> Turn | None:
        """What is said of what is to come; where nothing is, of the first kind that a Rollout decides about."""
        change = decision.choice.change if decision.choice is not None else decision.about
        return (self.of(change) if change is not None else None) or self.first

    @property
    def first(self) -> Turn | None:
        """What is said of the first kind that a Rollout decides about."""
        return self.kubernetes or self.image or self.class_revision

    def __bool__(self) -> bool:
        """Whether any Rollout has a say."""
        return self.first is not None


NOBODY: Final = Ruling()
"""No Rollout has a say."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One time during which a Cluster may be changed."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """The version that a Cluster is to be brought to.

    since: when it became the target: the release entered the channel, or the running one expired. forced: also against
    the owner's wish, because what runs has expired. message: for a person, why this version. wanted: it is what the
    owner's channel brings, also when it is forced. aims: all that comes with it. asked: a person has asked for exactly
    this, or for its minor, in `spec.version`.
    """

    version: KubernetesVersion
    change: Change
    since: datetime
    forced: bool
    message: str
    wanted: bool = True
    aims: Aims | None = None
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about one Cluster's version now.

    target: to be brought there now; None while nothing is to be done, or it has to wait. choice: what it will be
    brought to. reason: one CamelCase word. message: for a person, with the way out where there is one. until: when it
    is looked at again at the latest, None when only an event changes anything. begins: when the target is gone to,
    None when that is not known. aims: all that the Cluster is brought to now, the version of `target` among it. about:
    what the reason is about, where there is no choice and it is not about the version. forced_from: of what leaves that
    which has expired, or a person has asked for, from when on it waits for no window.
    """

    target: KubernetesVersion | None
    choice: Choice | None
    reason: str
    message: str
    until: datetime | None
    begins: datetime | None = None
    aims: Aims | None = None
    about: Change | None = None
    forced_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that will happen to a Cluster.

    kind: `Update`, `Warning` or `Expiry`. reason: why not earlier. what: of an update, what comes with it, in a few
    words. changes: of an update, the largest first.
    """

    at: datetime
    until: datetime
    kind: str
    version: KubernetesVersion
    message: str
    reason: str
    what: str = ""
    changes: tuple[Change, ...] = ()
