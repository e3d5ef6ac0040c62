"""What is to be done about the version of one Cluster, and when. Pure.

What is to come is chosen by `targets`, when a Cluster may be changed is said by its `Calendar`; here the two meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from kaas.api.maintenance import Exclusion
from kaas.api.update_status import AHEAD, EXPIRED, VERSION_CHANGED
from kaas.api.versions import KubernetesVersion, matches
from kaas.updates.addons import gives_way, lifted_by
from kaas.updates.expiry import Notice, notice
from kaas.updates.facts import ROLLOUT_DONE, ROLLOUT_PENDING, Change, Choice, Decision, Opening, Run
from kaas.updates.kinds import Due, Pending, Waiting, add_ons_due, name_of, pending, what
from kaas.updates.merging import Offer, as_choice, largest, lead_of, merged, with_due
from kaas.updates.standing import NOT_READY
from kaas.updates.subject import Openings, Subject
from kaas.updates.targets import Refusal
from kaas.updates.unread import BY_RELEASES, RELEASE_UNREADABLE, doubt, doubted

BETWEEN: Final = timedelta(hours=24)
"""Between the beginnings of two updates of a Cluster: a patch shows whether it is well before the minor comes."""
LEAST_LEFT: Final = timedelta(minutes=15)
"""With less of a maintenance window left nothing is begun: it takes a machine about that long to be replaced."""
UPDATING: Final = "Updating"
EXCLUDED: Final = "Excluded"
STOPPED: Final = "Stopped"
"""Reason when an update has stopped by itself: nothing is begun until a person acts."""
CERTIFICATES_END: Final = "CertificatesEnd"
"""Reason of an update in no maintenance window, since certificates end soon."""
FORCED_PATIENCE: Final = timedelta(days=7)
"""How long an expired version waits for a window before it is left outside of any."""
HORIZON: Final = timedelta(days=400)
_LATER: Final = timedelta(days=30)
_BY_VERSION: Final = frozenset({"Pinned", AHEAD})
"""Reasons that are a person's own word about the version: it counts more than an update that has begun."""
_CURRENT: Final = frozenset({"UpToDate", "NotInChannel", ROLLOUT_DONE})
"""Reasons for which there is no version, and which say less than that something else is kept by a Rollout."""
_PATIENCE: Final = f"{FORCED_PATIENCE.days} days"


def notice_of(subject: Subject, decision: Decision, now: datetime) -> Notice | None:
    """What there is to announce of the end of what runs, or of what the Cluster is brought to."""
    return _notice(subject, decision.target or subject.running, now)


def _notice(subject: Subject, version: KubernetesVersion | None, now: datetime) -> Notice | None:
    return notice(version, subject.catalogue.ends(version, now), subject.standing.announced, now)


def plan(subject: Subject, now: datetime) -> Decision:
    """What is to be done about a Cluster's version now."""
    return plan_and_notice(subject, now)[0]


def plan_and_notice(subject: Subject, now: datetime) -> tuple[Decision, Notice | None]:
    """The same with what its owner is told beforehand, as of `notice_of`."""
    found = _found(subject, now)
    said = notice_of(subject, found, now)
    again = said.again if said else None
    if again is None or (found.until is not None and found.until <= again):
        return found, said
    return replace(found, until=again), said


def kept(subject: Subject, now: datetime) -> dict[str, str]:
    """What waits for the turn of Rollouts, whatever else comes meanwhile: what it is, by why it waits."""
    turn, found = subject.ruling.kubernetes, dict[str, str]()
    if turn is not None and not turn.allowed:
        chosen = _chosen(subject, now)
        if isinstance(chosen, Choice) and not (chosen.forced or chosen.asked):
            found[turn.message] = str(chosen.version)
    for each in _more(subject, now).waiting:
        if each.due is not None:
            found[each.message] = ", ".join(filter(None, (found.get(each.message), name_of(each.due))))
    return found


def _found(subject: Subject, now: datetime) -> Decision:
    turn = subject.ruling.kubernetes
    chosen = _chosen(subject, now)
    if (going := _under_way(subject, chosen, now)) is not None:
        return going
    if subject.running is None and isinstance(chosen, Refusal):
        return Decision(None, None, chosen.reason, chosen.message, chosen.until)
    more, doubts = _more(subject, now), doubt(subject.unread, subject.cluster, subject.running, turn)
    if isinstance(chosen, Choice) and chosen.asked:
        return _asked(subject, _what_comes_first(subject, chosen, more) or chosen, more, doubts, now)
    if isinstance(chosen, Choice) and chosen.forced and not doubts:
        return _before_the_end(subject, chosen, more, now)
    waits = Refusal(ROLLOUT_PENDING, turn.message, turn.until) if turn is not None and not turn.allowed else None
    if waits is not None and isinstance(chosen, Refusal) and chosen.reason == ROLLOUT_DONE:
        chosen = waits
    if doubts:
        waits, chosen = Refusal(RELEASE_UNREADABLE, doubts, None), doubted(chosen, doubts)
        more = _without_releases(more)
    own = (chosen,) if isinstance(chosen, Choice) and waits is None else ()
    if own or more.due:
        return _by_itself(subject, (*own, *more.due), more.until, now)
    return _not_yet(chosen, waits, more, now)


def _chosen(subject: Subject, now: datetime) -> Choice | Refusal:
    turn, limits = subject.ruling.kubernetes, subject.limits
    return subject.catalogue.choose(subject.cluster, subject.running, subject.site, now, turn=turn, limits=limits)


def _more(subject: Subject, now: datetime) -> Pending:
    """What is due beside the version."""
    cluster, running, known = subject.cluster, subject.running, subject.catalogue
    found = pending(cluster, running, subject.present, known, subject.site, now, subject.ruling)
    if not subject.addons:
        return found
    due = add_ons_due(cluster, running, subject.present, subject.addons)
    return replace(found, due=(*found.due, due)) if due else found


def _without_releases(more: Pending) -> Pending:
    """The same without what Releases say, one of which cannot be read."""
    due = tuple(d for d in more.due if d.change not in BY_RELEASES)
    return replace(more, due=due, waiting=tuple(w for w in more.waiting if w.change not in BY_RELEASES))


def _not_yet(chosen: Choice | Refusal, waits: Refusal | None, more: Pending, now: datetime) -> Decision:
    """Nothing is due, or only what waits. waits: for what the version does. more: what else waits for a Rollout."""
    other = _waiting(chosen, more.waiting)
    said = other or (chosen if isinstance(chosen, Refusal) else waits)
    assert said is not None  # noqa: S101 - what is chosen and does not wait is due
    until = min((t for t in (said.until, more.until) if t is not None and t > now), default=None)
    choice = chosen if isinstance(chosen, Choice) else None
    if other is not None and other.due is not None:
        together = tuple(w.due for w in more.waiting if w.due is not None and w.message == other.message)
        choice = with_due(as_choice(other.due), together, None)
    return Decision(None, choice, said.reason, said.message, until, about=other.change if other else None)


def _waiting(chosen: Choice | Refusal, waiting: Iterable[Waiting]) -> Waiting | None:
    """What else than the version waits for a Rollout, and says more than why there is no version."""
    if isinstance(chosen, Choice):
        return None
    coming = (w for w in waiting if w.due is not None)
    return next(coming, None) or next((w for w in waiting if chosen.reason in _CURRENT), None)


def _under_way(subject: Subject, chosen: Choice | Refusal, now: datetime) -> Decision | None:
    """An update that has begun goes on, and nothing else is begun; None when none has, or a person wants another."""
    run, running = subject.standing.run, subject.running
    if run is None or running is None:
        return None
    target, asked = run.aims.version, _asked_since(subject, chosen, run)
    if target > running and isinstance(chosen, Refusal) and chosen.reason in _BY_VERSION:
        return None
    if asked is not None and not run.handed and not _is_for_what_is_asked(run):
        return None
    if run.stopped and not run.machines_left and _gives_way(subject, run, chosen, asked, now):
        return None
    after = f"; {asked.version}, which spec.version asks for, comes when this is through" if asked else ""
    forced_from = _forced_from(run, asked is not None, now)
    if run.stopped:
        return Decision(target, None, STOPPED, run.stopped + after, None, aims=run.aims, forced_from=forced_from)
    forced = isinstance(chosen, Choice) and chosen.forced and target > running
    reason = EXPIRED if forced or run.forced or subject.standing.reason == EXPIRED else UPDATING
    reason = VERSION_CHANGED if run.asked or asked is not None else reason
    words = f"the Cluster is brought to {target}; the oldest part of its control plane runs {running}{after}"
    return Decision(target, None, reason, words, None, aims=run.aims, forced_from=forced_from)


def _is_for_what_is_asked(run: Run) -> bool:
    """Whether it brings add-ons that what a person asks for needs first."""
    return run.asked and not run.aims.replaces


def _gives_way(subject: Subject, run: Run, chosen: Choice | Refusal, asked: Choice | None, now: datetime) -> bool:
    """Whether an update that has stopped, and has only add-ons left, is called off for what comes.

    That is what a person asks for and what cannot wait; or its add-ons are withdrawn, or there are newer ones.
    """
    if asked is not None and not _is_for_what_is_asked(run):
        return True
    if isinstance(chosen, Choice) and chosen.forced:
        return True
    if gives_way(subject.addons, run.aims.add_ons, run.aims.version.minor):
        return True
    return any(d.latest is not None and d.latest <= now for d in _more(subject, now).due)


def _asked_since(subject: Subject, chosen: Choice | Refusal, run: Run) -> Choice | None:
    """What a person asks for since an update began; None when it is what that brings, or cannot be had."""
    if isinstance(chosen, Refusal) or not chosen.asked:
        return None
    return None if run.asked and matches(subject.cluster.spec.version, run.aims.version) else chosen


def _forced_from(run: Run, hurried: bool, now: datetime) -> datetime | None:
    """From when on it waits for no window; None when it always does. hurried: whether a person waits for its end."""
    if hurried:
        return min(run.forced_from or now, now)
    return (run.forced_from or run.began or now) if run.forced or run.asked else None


# --- what a person asks for ---------------------------------------------------------------------------------------


def _asked(subject: Subject, choice: Choice, more: Pending, doubts: str, now: datetime) -> Decision:
    """At once, with all that is due beside it. A Cluster that is not well may be so for want of this.

    doubts: why it is not known which versions and images there are; "" when it is.
    """
    if doubts and not subject.cluster.spec.version.startswith("v"):
        return Decision(None, choice, RELEASE_UNREADABLE, doubts, None)
    more = _without_releases(more) if doubts else more
    obstacle = subject.standing.obstacle
    if obstacle is not None and obstacle.reason == NOT_READY:
        subject = replace(subject, standing=replace(subject.standing, obstacle=None))
    brought = choice if choice.aims else with_due(choice, more.due, _image_for(subject, choice, now))
    return replace(_begun(subject, brought, None, VERSION_CHANGED, brought.message, now), forced_from=now)


def _what_comes_first(subject: Subject, choice: Choice, more: Pending) -> Choice | None:
    """Newer versions of add-ons that support what a person asks for, when those that are there do not."""
    due = next((d for d in more.due if d.change is Change.ADD_ONS), None)
    to, running, present = choice.version.minor, subject.running, subject.present.add_ons
    if due is None or running is None or not lifted_by(subject.addons, present, due.add_ons, to, running.minor):
        return None
    words = f"{choice.message}; first {due.message}, which supports it"
    return replace(with_due(as_choice(due), (due,), None), message=words, asked=True)


# --- what its owner wants -----------------------------------------------------------------------------------------


def _by_itself(subject: Subject, parts: Sequence[Choice | Due], changes: datetime | None, now: datetime) -> Decision:
    """The largest of what is due with all that may come with it, in the next maintenance window.

    changes: when something else may become due.
    """
    earliest = _earliest(subject, now)
    offers = [_offer(subject, part, earliest) for part in parts]
    lead = lead_of(offers)
    time = lead.begins if lead else None
    if lead is None or time is None:
        return _never(_merged(subject, largest(offers), offers, now, now), now, changes)
    choice = _merged(subject, lead, offers, time, now)
    if time <= now:
        reason = UPDATING if lead.closes else CERTIFICATES_END
        return _begun(subject, choice, lead.closes, reason, choice.message, now)
    reason, why = _why_later(subject, lead, earliest, now)
    other = _other_patch(subject, lead, now, excluded=reason == EXCLUDED)
    until = min(t for t in (time, changes, other) if t is not None)
    return Decision(None, choice, reason, f"{what(choice)} is begun {moment(time)}: {why}", until, time)


def _offer(subject: Subject, part: Choice | Due, earliest: datetime) -> Offer:
    """When it may be begun; what has a latest time then also without a window."""
    opening = next_opening(subject.calendar, part.change, earliest)
    latest = part.latest if isinstance(part, Due) else None
    if latest is not None and (opening is None or max(opening.start, earliest) > latest):
        return Offer(part, max(latest, earliest))
    if opening is None:
        return Offer(part)
    return Offer(part, max(opening.start, earliest), opening.start, opening.end - LEAST_LEFT)


def _merged(subject: Subject, lead: Offer, offers: Sequence[Offer], time: datetime, now: datetime) -> Choice:
    return merged(lead, offers, _image_for(subject, lead.part, now), time)


def _image_for(subject: Subject, part: Choice | Due, now: datetime) -> str | None:
    """The image of a new version; None for what brings none."""
    if not isinstance(part, Choice):
        return None
    turn, known, site = subject.ruling.kubernetes, subject.catalogue, subject.site
    brought = turn.image if turn is not None and turn.version == part.version else None
    if brought is not None and known.takes_image(brought, part.version, site, now):
        return brought
    return known.image_of(part.version, subject.cluster, site, now)


def _never(choice: Choice, now: datetime, changes: datetime | None) -> Decision:
    words = (
        f"{what(choice)} waits: no maintenance window within {HORIZON.days} days is left free by exclusions for "
        f"{LEAST_LEFT.seconds // 60} minutes; change spec.maintenance"
    )
    return Decision(None, choice, "NoMaintenanceWindow", words, min(now + _LATER, changes or now + _LATER))


def _other_patch(subject: Subject, lead: Offer, now: datetime, *, excluded: bool) -> datetime | None:
    """When a patch may come before a minor that is kept out for longer than patches are.

    A minor that is not excluded waits since another update has just begun: dates that change nothing do not count.
    """
    before = now
    while _has_sooner_patch(subject, lead, before):
        date = subject.catalogue.next_date(before)
        if excluded or date is None or not _stays(subject, lead, before, date):
            return date
        before = date
    return None


def _has_sooner_patch(subject: Subject, lead: Offer, time: datetime) -> bool:
    if lead.change is not Change.MINOR or lead.begins is None or lead.begins <= time:
        return False
    opening = next_opening(subject.calendar, Change.PATCH, time)
    return opening is not None and opening.start < lead.begins


def _stays(subject: Subject, lead: Offer, before: datetime, time: datetime) -> bool:
    """Whether at a later time the same would be chosen, and what runs ends when it did."""
    ends = subject.catalogue.ends
    return _chosen(subject, time) == lead.part and ends(subject.running, time) == ends(subject.running, before)


# --- against its owner's wish -------------------------------------------------------------------------------------


def _before_the_end(subject: Subject, choice: Choice, more: Pending, now: datetime) -> Decision:
    """Away from what has expired; what else is due comes with it, or before it when that is still far."""
    brought = with_due(choice, more.due, _image_for(subject, choice, now))
    found = _forced(subject, brought, now)
    if found.begins is None or not more.due:
        return found
    sooner = _by_itself(subject, more.due, more.until, now)
    if sooner.target is not None:
        return sooner
    ahead = [t for t in (found.until, sooner.until) if t is not None]
    return replace(found, until=min(ahead))


def _forced(subject: Subject, choice: Choice, now: datetime) -> Decision:
    """In the next window, and soon without one; announced first, unless it is wanted."""
    said = _notice(subject, subject.running, now)
    due = max(choice.since, said.due if said else choice.since)
    earliest = _earliest(subject, now if choice.wanted else max(now, due))
    latest = max(due + FORCED_PATIENCE, earliest)
    opening = next_opening(subject.calendar, choice.change, earliest)
    in_time = opening is not None and opening.start <= latest
    begins = max(opening.start, earliest) if opening is not None and in_time else latest
    if begins > now:
        excluded = subject.calendar.taken_by(choice.change, earliest, begins, LEAST_LEFT)
        near = (
            left_out(excluded, now) if excluded else "the next maintenance window" if in_time else "no window is near"
        )
        why = near if in_time else f"{near}, and it has waited for {_PATIENCE}"
        told = "" if choice.wanted else f"; it was announced for {due:%Y-%m-%d}"
        words = f"{choice.message}{told}; it is begun {moment(begins)}: {why}"
        return Decision(None, choice, EXPIRED, words, begins, begins)
    ends = opening.end - LEAST_LEFT if opening is not None and in_time else None
    return replace(_begun(subject, choice, ends, EXPIRED, choice.message, now), forced_from=latest)


def _begun(subject: Subject, choice: Choice, ends: datetime | None, reason: str, words: str, now: datetime) -> Decision:
    """Begun now, unless the Cluster is in no state for it."""
    if obstacle := subject.standing.obstacle:
        held = f"{what(choice)} is not begun: {obstacle.message}"
        return Decision(None, choice, obstacle.reason, held, ends)
    found = choice.aims
    if found is not None and found.certificates is not None:
        found = replace(found, certificates=now)  # machines that were made since then have new ones
    return Decision(choice.version, choice, reason, words, ends, aims=found)


def next_opening(calendar: Openings, change: Change, since: datetime) -> Opening | None:
    """The next time that is long enough to begin a change, or the one that is open; None when none is near."""
    return calendar.first(change, since, LEAST_LEFT)


def _earliest(subject: Subject, now: datetime) -> datetime:
    began = subject.standing.began
    return max(now, began + BETWEEN) if began else now


def _why_later(subject: Subject, lead: Offer, earliest: datetime, now: datetime) -> tuple[str, str]:
    calendar, time = subject.calendar, lead.begins or earliest
    exclusion = calendar.taken_by(lead.change, earliest, time, LEAST_LEFT)
    if exclusion is None and lead.opens is None:  # it goes at the last, since none of the windows before was left
        exclusion = calendar.excluded_by(lead.change, now)
    if exclusion is not None:
        return EXCLUDED, left_out(exclusion, now)
    if earliest > now and (lead.opens is None or lead.opens <= earliest):
        return "TooSoon", f"the last update was begun less than {BETWEEN // timedelta(hours=1)} hours ago"
    if lead.opens is None:
        return "OutsideMaintenance", "it can wait no longer then, and no maintenance window opens before"
    return "OutsideMaintenance", "then the next maintenance window opens"


def left_out(exclusion: Exclusion, now: datetime) -> str:
    """From when, if it has not begun, and until when an exclusion keeps changes out, and why, in words."""
    since = f"from {moment(exclusion.from_)} " if exclusion.from_ > now else ""
    return f"an exclusion keeps changes out {since}until {moment(exclusion.until)} ({exclusion.reason})"


def moment(time: datetime) -> str:
    """A time in words."""
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'minutes')} UTC"
