"""How the objects of an add-on come into a Cluster and go out of it, call by call.

Whoever is killed between any two of them begins anew and ends with the same: what may be there is written down first.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Collection
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from kaas.addons.hand import Hand, is_unreachable
from kaas.addons.inventory import NOTHING, Inventory, from_object, inventory_of, ref_for, to_object
from kaas.addons.manifests import Bundle, labelled
from kaas.api.constants import LABEL_ADD_ON
from kaas.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound
from kaas.kube.objects import Object, Ref, is_deleting, labels, metadata, ref_of, uid

log = logging.getLogger(__name__)

KIND_PATIENCE: Final = 15
"""How often a kind is asked for that is not served yet: its CRD may just have been made."""
END_PATIENCE: Final = 30
"""How often an object is looked for that is to end what it has begun before it goes."""
PAUSE: Final = 2.0
"""Seconds between two of these."""


@dataclass(frozen=True, slots=True)
class Pause:
    """It can go on after some seconds. words: what it waits for."""

    seconds: float
    words: str


Work = AsyncGenerator[Pause | None, None]
"""Goes one call further each time that it is asked: None when it can go on at once. It ends when all is done."""


class Refused(Exception):
    """An object could not be put there, or taken out; the words say which, why, and the way out."""


class NotNow(Refused):
    """The same, for a reason that may end by itself soon."""


@dataclass(slots=True)
class _Applied:
    """uids: of what was applied. faults: what was not. patience: how often a kind may still be asked for."""

    uids: set[str] = field(default_factory=set)
    faults: list[KubeError | str] = field(default_factory=list)
    patience: int = KIND_PATIENCE


def put(hand: Hand, addon: str, version: str, bundle: Bundle, others: Collection[str] | None = None) -> Work:
    """Have exactly the objects of a version there. others: add-ons whose objects it may not take; None: not looked at.

    Raises Refused or NotNow when the server does not take all of them, KubeError when it cannot be asked.
    """
    return _put(hand, addon, inventory_of(version, bundle), bundle.objects, others)


async def _put(
    hand: Hand, addon: str, wanted: Inventory, objects: Collection[Object], others: Collection[str] | None
) -> Work:
    before, applied = await _inventory(hand, addon), _Applied()
    union = before.with_all(wanted.version, wanted)
    written = before if union.refs == before.refs else union
    yield None
    for part in (
        _examine(hand, wanted.refs if others is not None else (), others or ()),
        _write(hand, addon, before, written),
        _apply_all(hand, [labelled(obj, addon) for obj in objects], applied),
        _delete_all(hand, addon, before.without(wanted), applied.uids),
        _write(hand, addon, written, wanted),
    ):
        async for pause in part:
            yield pause


async def _examine(hand: Hand, refs: Collection[Ref], others: Collection[str]) -> Work:
    """Refuse what is another add-on's, and wait for what is about to go."""
    for ref in refs:
        tries = END_PATIENCE
        while (known := await hand.get(ref)) is not None and is_deleting(known) and tries > 0:
            tries -= 1
            yield Pause(PAUSE, f"{ref} is being deleted")
        owner = labels(known).get(LABEL_ADD_ON) if known else None
        if owner in others:
            words = f"{ref} belongs to the add-on {owner}, which the Cluster has too"
            raise Refused(f"{words}: leave it out of one of the two, or select other Clusters")
        yield None


async def _apply_all(hand: Hand, objects: Collection[Object], applied: _Applied) -> Work:
    for obj in objects:
        async for pause in _apply(hand, obj, applied):
            yield pause
    if applied.faults:
        raise _refusal(applied.faults)


async def _delete_all(hand: Hand, addon: str, refs: Collection[Ref], kept: Collection[str]) -> Work:
    for ref in refs:
        async for pause in _delete(hand, addon, ref, kept):
            yield pause


async def remove(hand: Hand, addon: str) -> Work:
    """Have nothing of an add-on there. Raises as `put` does."""
    before = await _inventory(hand, addon)
    yield None
    async for pause in _delete_all(hand, addon, before.without(NOTHING), ()):
        yield pause
    await _deleted(hand, ref_for(addon), None)
    yield None


async def _inventory(hand: Hand, addon: str) -> Inventory:
    try:
        return from_object(await hand.get(ref_for(addon)))
    except ValueError as wrong:
        raise Refused(str(wrong)) from wrong


async def _write(hand: Hand, addon: str, before: Inventory, after: Inventory) -> Work:
    """Write down what may be there from now on."""
    if before == after:
        return
    try:
        await hand.apply(to_object(addon, after))
    except KubeError as failure:
        raise meaning(failure) from failure
    yield None


async def _apply(hand: Hand, obj: Object, applied: _Applied) -> Work:
    """Apply one object; what the server does not take does not keep the others from being applied."""
    while True:
        try:
            applied.uids.add(uid(await hand.apply(await _placed(hand, obj))))
        except NotFound as failure:
            if applied.patience > 0:
                applied.patience -= 1
                yield Pause(PAUSE, str(failure))
                continue
            applied.faults.append(failure)
        except KubeError as failure:
            if is_unreachable(failure):
                raise
            applied.faults.append(failure)
        except Refused as refusal:
            applied.faults.append(str(refusal))
        yield None
        return


async def _placed(hand: Hand, obj: Object) -> Object:
    """The object with a namespace if its kind has some, and without one if not."""
    ref = ref_of(obj)
    if await hand.is_namespaced(ref) == (ref.namespace is not None):
        return obj
    if ref.namespace is None:
        raise Refused(f"{ref} says no namespace, and its kind is in namespaces: add a version in which it has one")
    return {**obj, "metadata": {k: v for k, v in metadata(obj).items() if k != "namespace"}}


async def _delete(hand: Hand, addon: str, ref: Ref, kept: Collection[str]) -> Work:
    """Delete one object that is the add-on's, and wait if it ends something first. kept: uids of those that stay."""
    known = await hand.get(ref)
    yield None
    if known is None or uid(known) in kept:
        return
    if labels(known).get(LABEL_ADD_ON) != addon:
        log.warning("%s is left in the Cluster: it does not have the label of add-on %s any more", ref, addon)
        return
    if not is_deleting(known):
        await _deleted(hand, ref, uid(known))
        yield None
    tries = END_PATIENCE if metadata(known).get("finalizers") else 0
    while tries > 0 and (found := await hand.get(ref)) is not None and uid(found) == uid(known):
        tries -= 1
        yield Pause(PAUSE, f"{ref} is being deleted")


async def _deleted(hand: Hand, ref: Ref, its: str | None) -> None:
    try:
        await hand.delete(ref, its)
    except Conflict:  # another object has its name since
        return
    except KubeError as failure:
        raise meaning(failure) from failure


def meaning(failure: KubeError) -> Exception:
    """What a failure means for the whole: Refused, NotNow, or itself when nothing was answered."""
    if is_unreachable(failure):
        return failure
    return Refused(_words(failure)) if _is_final(failure) else NotNow(_words(failure))


def _is_final(failure: KubeError | str) -> bool:
    """Whether it would be refused again as it is."""
    return isinstance(failure, str | Invalid) or (
        isinstance(failure, Forbidden) and failure.code == HTTPStatus.FORBIDDEN
    )


def _refusal(faults: list[KubeError | str]) -> Refused:
    """The first that would be refused again, before those that may not."""
    ordered = sorted(faults, key=lambda fault: not _is_final(fault))
    others = f"; and {len(faults) - 1} other objects" if len(faults) > 1 else ""
    make: Callable[[str], Refused] = Refused if _is_final(ordered[0]) else NotNow
    return make(_words(ordered[0]) + others)


def _words(fault: KubeError | str) -> str:
    return fault if isinstance(fault, str) else str(fault)[:900]
