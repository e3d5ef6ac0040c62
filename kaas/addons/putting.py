"""How the objects of an add-on come into a Cluster, call by call.

Whoever is killed between any two of them begins anew and ends with the same: what may be there is written down first.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from kaas.addons.hand import Hand, is_unreachable
from kaas.addons.inventory import Inventory, inventory_of
from kaas.addons.manifests import Bundle, labelled
from kaas.addons.taking import delete_all
from kaas.addons.work import END_PATIENCE, PAUSE, Pause, Refused, Work, refusal, write_down, written_down
from kaas.api.constants import LABEL_ADD_ON
from kaas.kube.errors import KubeError, NotFound
from kaas.kube.objects import Object, Ref, is_deleting, labels, metadata, ref_of, uid
from kaas.kube.resources import NAMESPACE

KIND_PATIENCE: Final = 15
"""How often a kind is asked for that is not served yet: its CRD may just have been made."""


@dataclass(slots=True)
class _Applied:
    """uids: of what was applied. faults: what was not. patience: how often a kind may still be asked for."""

    uids: set[str] = field(default_factory=set)
    faults: list[KubeError | str] = field(default_factory=list)
    patience: int = KIND_PATIENCE


def put(hand: Hand, addon: str, version: str, bundle: Bundle, others: Collection[str] | None = None) -> Work:
    """Have the objects of a version there, and of another one no more than its Namespaces and kinds.

    others: add-ons of the Cluster besides; None: it is not looked at whose the objects are.
    Raises Refused or NotNow when the server does not take all of them, KubeError when it cannot be asked.
    """
    return _put(hand, addon, inventory_of(version, bundle), bundle.objects, others)


async def _put(
    hand: Hand, addon: str, wanted: Inventory, objects: Collection[Object], others: Collection[str] | None
) -> Work:
    before, applied = await written_down(hand, addon), _Applied()
    union = before.with_all(wanted)
    yield None
    for part in (
        _examine(hand, addon, before, wanted.refs if others is not None else (), others or ()),
        write_down(hand, addon, before, union),
        _apply_all(hand, [labelled(obj, addon) for obj in objects], applied),
        delete_all(hand, addon, before.without(wanted), applied.uids),
        write_down(hand, addon, union, before.followed_by(wanted)),
    ):
        async for pause in part:
            yield pause


async def _examine(hand: Hand, addon: str, before: Inventory, refs: Collection[Ref], others: Collection[str]) -> Work:
    """Refuse what is somebody else's, and wait for what is about to go."""
    for ref in refs:
        tries = END_PATIENCE
        while (known := await hand.get(ref)) is not None and is_deleting(known) and tries > 0:
            tries -= 1
            yield Pause(PAUSE, f"{ref} is being deleted")
        if known is not None:
            _refuse_others(known, ref, addon, before, others)
        yield None


def _refuse_others(known: Object, ref: Ref, addon: str, before: Inventory, others: Collection[str]) -> None:
    owner = labels(known).get(LABEL_ADD_ON)
    if owner in others:
        words = f"{ref} belongs to the add-on {owner}, which the Cluster has too"
        raise Refused(f"{words}: leave it out of one of the two, or select other Clusters")
    if owner == addon or _is_namespace(ref) or before.has(ref):
        return
    way = f"delete it, leave it out of the add-on, or hand it over with the label {LABEL_ADD_ON}={addon}"
    raise Refused(f"{ref} is in the Cluster already, and is not the add-on's: {way}")


def _is_namespace(ref: Ref) -> bool:
    return (ref.group, ref.kind) == NAMESPACE.group_kind


async def _apply_all(hand: Hand, objects: Collection[Object], applied: _Applied) -> Work:
    for obj in objects:
        if await _is_others(hand, obj):
            continue
        async for pause in _apply(hand, obj, applied):
            yield pause
    if applied.faults:
        raise refusal(applied.faults)


async def _is_others(hand: Hand, obj: Object) -> bool:
    """Whether it is a Namespace that somebody else has made: it is used as it is, and so never deleted."""
    if not _is_namespace(ref_of(obj)):
        return False
    known = await hand.get(ref_of(obj))
    return known is not None and labels(known).get(LABEL_ADD_ON) != labels(obj)[LABEL_ADD_ON]


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
        except Refused as fault:
            applied.faults.append(str(fault))
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
