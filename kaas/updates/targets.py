"""Which version a Cluster is to be brought to. Pure: when that is done is not asked here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.release_state import ReleaseState, dates_of, none_for, version_for
from kaas.api.site import Site
from kaas.api.update_status import AHEAD, VERSION_CHANGED
from kaas.api.updates import Channel, KubernetesUpdates
from kaas.api.versions import KubernetesVersion, matches, minor_of
from kaas.updates.facts import ROLLOUT_DONE, Change, Choice, Turn
from kaas.updates.limits import Limit, limit_of
from kaas.updates.releases import Released, by_version

EXPIRED_ALONE: Final = "ExpiredWithoutNext"
"""Reason when what runs has expired and there is nothing that it could be brought to."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is nothing to bring the Cluster to.

    reason: one CamelCase word. message: for a person, with the way out where there is one. until: when the answer may
    become another one; None when only a change of an object brings that.
    """

    reason: str
    message: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked: `known` are all versions that there is a Release of."""

    cluster: Cluster
    running: KubernetesVersion
    known: Mapping[KubernetesVersion, Released]
    limit: Limit | None
    now: datetime

    @property
    def asked(self) -> str:
        return self.cluster.spec.version

    @property
    def channel(self) -> Channel:
        return self.cluster.spec.updates.channel

    @property
    def state(self) -> ReleaseState | None:
        """Of what runs; None when its Release is gone."""
        found = self.known.get(self.running)
        return found.state(self.now) if found else None

    def newer(self, ahead: int) -> list[Released]:
        """Newer patches of the minor that is so far ahead of the one that runs, newest first."""
        minor = self.running.minor + ahead
        return [r for v, r in self.known.items() if v.minor == minor and v > self.running]

    def allows(self, minor: int) -> bool:
        """Whether Site, flavors and whatever else has a limit support it."""
        return self.limit is None or minor <= self.limit.minor


def choose(
    cluster: Cluster,
    running: KubernetesVersion | None,
    releases: Sequence[Release],
    site: Site,
    now: datetime,
    *,
    turn: Turn | None = None,
    limits: Iterable[Limit] = (),
) -> Choice | Refusal:
    """The version that a Cluster is to be brought to, a patch before a minor, or why there is none.

    running: what its control plane runs, the oldest of it; None while there is none. now: aware. turn: of a Rollout,
    which takes the place of the channel as long as what runs has not expired. limits: beside those of the Site.
    """
    if running is None:
        return Refusal("NotRunning", "no control plane runs yet", None)
    question = _Question(cluster, running, by_version(releases), limit_of(cluster, site, limits), now)
    expired = question.state is ReleaseState.EXPIRED
    if _asks_for_newer(question.asked, running):
        found = _asked_for(question)
        return (_forced(question) or found) if expired and isinstance(found, Refusal) else found
    if turn is not None and not expired:
        return _brought_by(question, turn)
    wanted = None if _opted_out(question) else _wanted(question, expired=expired)
    if wanted is not None:
        return wanted
    if expired:
        return _forced(question) or _stranded(question)
    return _opted_out(question) or _nothing(question)


def _asks_for_newer(asked: str, running: KubernetesVersion) -> bool:
    """Whether a person asks for something newer than what runs."""
    return KubernetesVersion.parse(asked) > running if asked.startswith("v") else minor_of(asked) > running.minor


# --- what a person asks for ---------------------------------------------------------------------------------------


def _asked_for(question: _Question) -> Choice | Refusal:
    """What a person has written into spec.version, which is newer than what runs."""
    asked, running = question.asked, question.running
    releases = [release for released in question.known.values() for release in released.releases]
    version = version_for(asked, releases, question.channel, question.now)
    if version is None:
        return Refusal(VERSION_CHANGED, f"spec.version: {none_for(asked, releases)}", _until(question))
    ahead = version.minor - running.minor
    if ahead > 1:
        words = f"spec.version asks for {asked} and {running} runs, and it takes one minor at a time"
        return Refusal(VERSION_CHANGED, f"{words}: ask for 1.{running.minor + 1} first", None)
    released = question.known[version]
    since = released.entered(Channel.RAPID, question.now) or _made(released) or question.now
    words = f"spec.version asks for {asked}, {running} runs"
    return Choice(version, _change(ahead), since, forced=False, message=words, asked=True)


# --- what the owner wants -----------------------------------------------------------------------------------------


def _opted_out(question: _Question) -> Refusal | None:
    """Whether the owner wants no updates by themselves."""
    asked, running, updates = question.asked, question.running, question.cluster.spec.updates
    until = _until(question)
    if asked.startswith("v") and not matches(asked, running):
        words = f"{running} runs, newer than spec.version {asked}, which had expired; set spec.version to {running}"
        return Refusal(AHEAD, words, until)
    if asked.startswith("v"):
        words = f'spec.version {asked} pins the Cluster; for updates by themselves set it to "1.{running.minor}"'
        return Refusal("Pinned", words, until)
    if updates.channel is Channel.NONE:
        return Refusal("ChannelNone", "spec.updates.channel is None: for updates by themselves choose another", until)
    if updates.kubernetes is KubernetesUpdates.NONE:
        words = "spec.updates.kubernetes is None: for updates by themselves set it to Patch or Minor"
        return Refusal("KubernetesNone", words, until)
    return None


def _wanted(question: _Question, *, expired: bool) -> Choice | None:
    """The newest of its channel."""
    for ahead in (0, 1) if _follows_minors(question) else (0,):
        found = _newest(question, ahead, question.channel)
        if found is not None:
            since = found.entered(question.channel, question.now) or question.now
            words = f"{found.version} is in {question.channel} since {since:%Y-%m-%d}, {question.running} runs"
            return Choice(found.version, _change(ahead), since, expired, words)
    return None


def _newest(question: _Question, ahead: int, channel: Channel) -> Released | None:
    """The newest version of a channel: a supported one, else a deprecated one if what runs is no better."""
    if not question.allows(question.running.minor + ahead):
        return None
    there = [(r, r.state_in(channel, question.now)) for r in question.newer(ahead)]
    for state in _worth(question.state):
        found = next((r for r, its in there if its is state), None)
        if found is not None:
            return found
    return None


def _worth(state: ReleaseState | None) -> Iterable[ReleaseState]:
    """States of versions that are worth going to, best first."""
    return (
        (ReleaseState.SUPPORTED,)
        if state is ReleaseState.SUPPORTED
        else (ReleaseState.SUPPORTED, ReleaseState.DEPRECATED)
    )


def _change(ahead: int) -> Change:
    return Change.MINOR if ahead else Change.PATCH


# --- what a Rollout brings ----------------------------------------------------------------------------------------


def _brought_by(question: _Question, turn: Turn) -> Choice | Refusal:
    """Exactly the version of the Rollout, as far as the owner and the Site allow it; whether it is its turn or not."""
    running, version = question.running, turn.version
    if version is None or running >= version:
        return _opted_out(question) or _brings_nothing(question, turn)
    refused = _opted_out(question) or _out_of_reach(question, version)
    if refused is not None:
        words = f"Rollout {turn.rollout} does not bring {version}: {refused.message}"
        return Refusal(refused.reason, words, refused.until)
    released = question.known[version]
    since = released.entered(Channel.RAPID, question.now) or _made(released) or question.now
    words = f"Rollout {turn.rollout} brings {version} in its stage {turn.stage}, {running} runs"
    return Choice(version, _change(version.minor - running.minor), since, forced=False, message=words)


def _brings_nothing(question: _Question, turn: Turn) -> Refusal:
    """Its owner would take what is newer, and the Rollout brings nothing that is."""
    if turn.version is None:
        return Refusal(ROLLOUT_DONE, f"Rollout {turn.rollout} brings no version yet", _until(question))
    words = f"{question.running} runs, and Rollout {turn.rollout} brings its members to {turn.version}"
    return Refusal(ROLLOUT_DONE, f"{words}: what is newer comes by a Rollout too", _until(question))


def _out_of_reach(question: _Question, version: KubernetesVersion) -> Refusal | None:
    """Why a version that someone chose is none that the Cluster can be brought to now; None when it is."""
    ahead, found, until = version.minor - question.running.minor, question.known.get(version), _until(question)
    state = found.state(question.now) if found else None
    if state not in (ReleaseState.SUPPORTED, ReleaseState.DEPRECATED):
        words = f"its Release is {state}: choose a supported one" if state else "there is no Release of it: add one"
        return Refusal("ReleaseUnfit", words, until)
    if ahead and not _follows_minors(question):
        words = f'spec.updates.kubernetes is Patch: set it to Minor, or spec.version to "1.{version.minor}"'
        return Refusal("KubernetesPatch", words, until)
    if ahead > 1:
        words = f"{question.running} runs, and it takes one minor at a time: bring 1.{question.running.minor + 1} first"
        return Refusal("MinorSkipped", words, until)
    if question.limit is not None and not question.allows(version.minor):
        return Refusal(question.limit.reason, question.limit.message, until)
    return None


def _made(released: Released) -> datetime | None:
    """When the first Release of a version was made."""
    dates = (r.metadata.creation_timestamp for r in released.releases)
    return min((d for d in dates if d is not None), default=None)


# --- against the owner's wish -------------------------------------------------------------------------------------


def _forced(question: _Question) -> Choice | None:
    """Away from what has expired: to the newest patch of its minor in any channel, else of the next minor."""
    for ahead in (0, 1):
        found = _newest(question, ahead, Channel.RAPID)  # what is in any channel is in this one
        if found is not None:
            since = _forced_since(question, found)
            words = f"{question.running} has expired, and {found.version} is the newest that it can be brought to"
            return Choice(found.version, _change(ahead), since, forced=True, message=words, wanted=False)
    return None


def _forced_since(question: _Question, found: Released) -> datetime:
    """Since when it has expired and there is something to go to."""
    ends = [r.spec.expires for r in question.known[question.running].releases if r.spec.expires is not None]
    past = [end.astimezone(UTC) for end in ends if end <= question.now]
    entered = found.entered(Channel.RAPID, question.now)
    return max([*past, *([entered] if entered else [])])


def _stranded(question: _Question) -> Refusal:
    """It has expired, and nothing can be done about it."""
    running, ahead = question.running, question.running.minor + 1
    until, limit = _until(question), question.limit
    if limit is not None and not question.allows(ahead):
        return Refusal(limit.reason, f"{running} has expired, and {limit.message}{limit.way}", until)
    words = f"{running} has expired, and no Release of 1.{running.minor} or 1.{ahead} that is in a channel is newer"
    return Refusal(EXPIRED_ALONE, f"{words}: add one", until)


# --- why there is nothing -----------------------------------------------------------------------------------------


def _nothing(question: _Question) -> Refusal:
    """It takes updates, and there is none for it."""
    until, channel = _until(question), question.channel
    reach = [*question.newer(0), *(question.newer(1) if _follows_minors(question) else ())]
    within = [r for r in reach if question.allows(r.version.minor)]
    if said := _not_yet(within, question):
        return Refusal("NotInChannel", said, until)
    beyond = [r for r in reach if r.state_in(channel, question.now) is ReleaseState.SUPPORTED and r not in within]
    if beyond and question.limit is not None:
        words = f"{beyond[0].version} is in {channel}, and {question.limit.message}"
        return Refusal(question.limit.reason, words, until)
    return Refusal("UpToDate", _up_to_date(question), until)


def _follows_minors(question: _Question) -> bool:
    return question.cluster.spec.updates.kubernetes is KubernetesUpdates.MINOR


def _not_yet(reach: Iterable[Released], question: _Question) -> str:
    """What is said of a newer version that is not in the channel; empty when there is none."""
    channel, now = question.channel, question.now
    dates = [(r.entered(channel, now), r.version) for r in reach]
    coming = [(date, version) for date, version in dates if date is not None and date > now]
    if coming:
        date, version = min(coming, key=lambda pair: (pair[0], -pair[1].minor, -pair[1].patch))
        return f"{version} is in {channel} from {date:%Y-%m-%d} on"
    never = [version for date, version in dates if date is None]
    states = (question.known[v].state_in(Channel.RAPID, now) for v in never)
    known = [v for v, state in zip(never, states, strict=True) if state is ReleaseState.SUPPORTED]
    return f"{max(known)} is not in {channel}, and no date is set for it" if known else ""


def _up_to_date(question: _Question) -> str:
    running, channel, state = question.running, question.channel, question.state
    worse = f", and {running} is {state}" if state not in (None, ReleaseState.SUPPORTED) else ""
    if _follows_minors(question):
        return f"nothing newer than {running} that is supported is in {channel}{worse}"
    there = _newest(question, 1, channel)
    more = f'; for {there.version} set spec.version to "1.{there.version.minor}"' if there else ""
    return f"no newer patch of 1.{running.minor} that is supported is in {channel}{worse}{more}"


def _until(question: _Question) -> datetime | None:
    """The next date of what runs, and of what can be reached from it."""
    reach = [question.known.get(question.running), *question.newer(0), *question.newer(1)]
    several = (r for released in reach if released for r in released.releases)
    return min((date for r in several for date in dates_of(r) if date > question.now), default=None)
