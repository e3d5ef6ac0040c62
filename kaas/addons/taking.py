"""How the objects of an add-on go out of a Cluster, call by call, and nothing goes with them that is not its own.

Of what is in the Cluster, a version that leaves an object out has it deleted, but neither a Namespace nor a
CustomResourceDefinition: these wait until the add-on goes, and a kind stays as long as there are objects of it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from kaas.addons.hand import Hand, is_unreachable
from kaas.addons.inventory import is_first, ref_for
from kaas.addons.told import Gone
from kaas.addons.work import END_PATIENCE, PAUSE, Pause, Work, meaning, write_down, written_down
from kaas.api.constants import LABEL_ADD_ON
from kaas.kube.errors import Conflict, KubeError
from kaas.kube.objects import Object, Ref, is_deleting, labels, metadata, ref_of, uid
from kaas.kube.resources import NAMESPACE, Resource

log = logging.getLogger(__name__)


async def remove(hand: Hand, addon: str, gone: Gone) -> Work:
    """Have nothing of an add-on there. Raises as `putting.put` does."""
    before = await written_down(hand, addon)
    gone.version = before.version
    yield None
    last_first = before.refs[::-1]
    spaces = [ref for ref in last_first if is_first(ref) and ref.kind == NAMESPACE.kind]
    kinds = [ref for ref in last_first if is_first(ref) and ref.kind != NAMESPACE.kind]
    for part in (
        write_down(hand, addon, before, before.going()),
        delete_all(hand, addon, [ref for ref in last_first if not is_first(ref)]),
        delete_all(hand, addon, spaces, waits=bool(kinds)),
        _delete_kinds(hand, addon, kinds, gone),
    ):
        async for pause in part:
            yield pause
    await _deleted(hand, ref_for(addon), None)
    yield None


async def delete_all(
    hand: Hand, addon: str, refs: Collection[Ref], kept: Collection[str] = (), *, waits: bool = False
) -> Work:
    """Delete those objects that are the add-on's. kept: uids of those that stay. waits: until they are gone."""
    for ref in refs:
        async for pause in _delete(hand, addon, ref, kept, waits=waits):
            yield pause


async def _delete(hand: Hand, addon: str, ref: Ref, kept: Collection[str], *, waits: bool) -> Work:
    """Delete one object that is the add-on's, and wait if it ends something first."""
    known = await hand.get(ref)
    yield None
    if known is None or uid(known) in kept or not _is_its(known, ref, addon):
        return
    if not is_deleting(known):
        await _deleted(hand, ref, uid(known))
        yield None
    tries = END_PATIENCE if waits or metadata(known).get("finalizers") else 0
    while tries > 0 and (found := await hand.get(ref)) is not None and uid(found) == uid(known):
        tries -= 1
        yield Pause(PAUSE, f"{ref} is being deleted")


def _is_its(known: Object, ref: Ref, addon: str) -> bool:
    if labels(known).get(LABEL_ADD_ON) == addon:
        return True
    log.warning("%s is left in the Cluster: it does not have the label of add-on %s", ref, addon)
    return False


async def _delete_kinds(hand: Hand, addon: str, refs: Collection[Ref], gone: Gone) -> Work:
    """Delete those CustomResourceDefinitions of which no object is left."""
    for ref in refs:
        known = await hand.get(ref)
        yield None
        if known is None or not _is_its(known, ref, addon):
            continue
        tries, why = END_PATIENCE, ""
        while not is_deleting(known):
            why, ends = await _left_of(hand, known)
            if not ends or tries == 0:
                break
            tries -= 1
            yield Pause(PAUSE, f"{ref} waits: {why}")
        if why:
            gone.left.append(f"{ref} stays: {why}")
            log.warning("%s of add-on %s stays in the Cluster: %s", ref, addon, why)
            continue
        async for pause in _delete(hand, addon, ref, (), waits=False):
            yield pause


async def _left_of(hand: Hand, crd: Object) -> tuple[str, bool]:
    """Why a kind has to stay, empty when no object of it is left; and whether what is left is about to go."""
    kind = _served(crd)
    if kind is None:
        return "no version of it is served, so nobody knows whether there are objects of it", False
    try:
        found = await hand.first(kind)
    except KubeError as failure:
        if is_unreachable(failure):
            raise
        return f"nobody knows whether there are objects of it: {failure}"[:300], False
    if found is None:
        return "", False
    return f"there are objects of it, as {ref_of(found)}", is_deleting(found)


def _served(crd: Object) -> Resource | None:
    """How the kind of a CustomResourceDefinition is served; None when it is not."""
    spec = crd.get("spec") or {}
    names, versions = spec.get("names") or {}, spec.get("versions") or ()
    version = next((v["name"] for v in versions if v.get("served")), None)
    if version is None:
        return None
    return Resource(spec["group"], version, names["kind"], names["plural"], spec.get("scope") == "Namespaced")


async def _deleted(hand: Hand, ref: Ref, its: str | None) -> None:
    try:
        await hand.delete(ref, its)
    except Conflict:  # another object has its name since
        return
    except KubeError as failure:
        raise meaning(failure) from failure
